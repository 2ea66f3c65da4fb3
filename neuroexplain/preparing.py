"""Evidence that takes a pass of its own, made before neurons are explained, for the explainers that want it.

    neurons ─▶ those that lack it ─▶ chunks: the subject looks ─▶ one transaction each

What the catalogue has is not made again, so an interrupted command goes on with the next chunk, and where nothing is lacking
the subject is not even loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuroexplain.catalogue import Collection
from neuroexplain.collecting import recorded_subject
from neuroexplain.config import EvidenceConfig, NgramConfig
from neuroexplain.explainers.base import Want, wants
from neuroexplain.ngrams import collect_ngrams
from neuroexplain.records import NeuronId
from neuroexplain.run import Advance, Run
from neuroexplain.selection import LayerNeurons

if TYPE_CHECKING:
    from neuroexplain.recorded import OutputBlock
    from neuroexplain.subjects import Subject
    from neuroexplain.subjects.output import NoOutput, Output

LOOK_ALIKES = 2048
"""Neurons whose look-alikes are sought together: the more, the more of them share a span that has to run."""
OUTPUT_TOKENS = 256
"""Neurons whose logits over the whole vocabulary are in memory together."""


def prepare(
    run: Run,
    collection: Collection,
    neurons: Sequence[LayerNeurons],
    wants: frozenset[Want],
    *,
    subject: Subject | None = None,
    config: EvidenceConfig | None = None,
) -> frozenset[Want]:
    """Make the parts of some neurons' evidence that are wanted and missing.

    Args:
        run: where they are counted and saved.
        collection: the neurons' activations.
        neurons: which.
        wants: the parts.
        subject: the model, where it is loaded already; else it is loaded if anything is missing.
        config: how much of each.

    Returns:
        Those parts that the subject cannot have: output tokens, where it has no vocabulary to write to.

    Raises:
        SubjectError: the subject cannot be loaded, or is not the one that was recorded.
    """
    preparing = _Preparing(run, collection, config or EvidenceConfig(), subject)
    return preparing.make(neurons, wants)


def prepare_for(
    explainer: type[object],
    run: Run,
    collection: Collection,
    neurons: Sequence[LayerNeurons],
    *,
    subject: Subject | None = None,
    config: EvidenceConfig | None = None,
) -> None:
    """Make what an explainer wants, and what it takes instead of a part that there cannot be; see `prepare`."""
    preparing = _Preparing(run, collection, config or EvidenceConfig(), subject)
    wanted = wants(explainer)
    lacking = preparing.make(neurons, wanted)
    preparing.make(neurons, wants(explainer, lacking) - wanted)


class _Preparing:
    """What the parts have in common."""

    def __init__(
        self, run: Run, collection: Collection, config: EvidenceConfig, subject: Subject | None
    ) -> None:
        self._run = run
        self._catalogue = run.catalogue
        self._collection = collection
        self._config = config
        self._loaded = subject
        self._checked = False

    def make(self, neurons: Sequence[LayerNeurons], wants: frozenset[Want]) -> frozenset[Want]:
        """Make what is missing of some parts; see `prepare`."""
        lacking: set[Want] = set()
        if "look_alikes" in wants:
            self.look_alikes(neurons)
        if "output_tokens" in wants:
            self.output_tokens(neurons)
            if not self._catalogue.has_output_tokens(self._collection):
                lacking.add("output_tokens")
        # A pass of other settings than the usual ones will do: somebody asked for it.
        if "ngrams" in wants and self._catalogue.ngram_pass(self._collection) is None:
            collect_ngrams(self._run, self._collection, NgramConfig(), self._loaded)
        return frozenset(lacking)

    @property
    def _subject(self) -> Subject:
        """Loaded when it is first needed, and checked to be the one that was recorded."""
        if not self._checked:
            self._loaded = recorded_subject(self._run.execution, self._collection, self._loaded)
            self._checked = True
        assert self._loaded is not None
        return self._loaded

    def look_alikes(self, neurons: Sequence[LayerNeurons]) -> None:
        """Seek the look-alikes of the neurons of which nobody has."""
        from neuroexplain.collectors.look_alikes import Wish, look_alikes
        from neuroexplain.collectors.looks import Looks

        missing = [n for layer in neurons for n in self._without_look_alikes(layer)]
        if not missing:
            return
        looks = Looks.of(self._catalogue.split_tokens(self._collection, "explain"), self._subject)
        with self._run.execution.progress.stage("seeking look-alikes", len(missing)) as advance:
            for start in range(0, len(missing), LOOK_ALIKES):
                chunk = missing[start : start + LOOK_ALIKES]
                evidence = (self._catalogue.evidence(self._collection, n) for n in chunk)
                found = look_alikes(
                    self._subject,
                    looks,
                    [Wish.of(entry) for entry in evidence],
                    self._config,
                    batch_size=self._run.execution.batch_size,
                    on_spans=lambda done, of: advance(0, f"{done:,} of {of:,} spans"),
                )
                self._catalogue.save_look_alikes(self._collection, found, self._config)
                self._made(len(chunk), advance)

    def output_tokens(self, neurons: Sequence[LayerNeurons]) -> None:
        """Find what those neurons write towards the vocabulary of which nobody knows."""
        from neuroexplain.subjects.output import Output

        missing = self._without_output_tokens(neurons)
        if not missing:
            return
        execution = self._run.execution
        output = Output.of(
            self._subject,
            allow_pickle=execution.allow_pickle,
            trust_remote_code=execution.trust_remote_code,
        )
        total = sum(map(len, missing.values()))
        with execution.progress.stage("reading output weights", total) as advance:
            for layer, indices in missing.items():
                for start in range(0, len(indices), OUTPUT_TOKENS):
                    chunk = indices[start : start + OUTPUT_TOKENS]
                    self._write(output, layer, chunk)
                    self._made(len(chunk), advance)

    def _write(self, output: Output | NoOutput, layer: int, indices: list[int]) -> None:
        from neuroexplain.subjects.output import NoOutput

        found: OutputBlock | NoOutput = (
            output
            if isinstance(output, NoOutput)
            else output.tokens(layer, indices, self._config.output_tokens)
        )
        place = (self._collection, layer, indices)
        if isinstance(found, NoOutput):
            self._catalogue.save_no_output_tokens(*place, found.reason, self._config)
        else:
            self._catalogue.save_output_tokens(self._collection, found, self._config)

    def _without_look_alikes(self, layer: LayerNeurons) -> Iterator[NeuronId]:
        place = (self._collection, layer.layer, layer.polarity, self._config)
        known = self._catalogue.with_look_alikes(*place)
        for index in np.setdiff1d(layer.indices, known).tolist():
            yield NeuronId(layer.subject, layer.layer, index, layer.polarity)

    def _without_output_tokens(self, neurons: Sequence[LayerNeurons]) -> dict[int, list[int]]:
        """Indices by layer; both sides of a neuron have one record."""
        missing: dict[int, list[int]] = {}
        for number in sorted({layer.layer for layer in neurons}):
            chosen = np.concatenate([layer.indices for layer in neurons if layer.layer == number])
            known = self._catalogue.with_output_tokens(self._collection, number, self._config)
            if len(left := np.setdiff1d(chosen, known)):
                missing[number] = left.tolist()
        return missing

    def _made(self, neurons: int, advance: Advance) -> None:
        self._run.counts["prepared"] += neurons
        advance(neurons)
