"""What neurons do on the texts of comparisons: one pass of the subject for all of them, put together as they are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuroexplain.comparing import Candidate, Comparison
from neuroexplain.recorded import Aggregator
from neuroexplain.records import NeuronId
from neuroexplain.run import Execution
from neuroexplain.scorers.contrasts import Panel
from neuroexplain.scorers.standing import Material

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject

Numbers = NDArray[np.int64]
_BATCH_TOKENS = 64
"""Tokens that a span is taken to have, so that a batch of texts is about as large as one of spans."""


@dataclass(frozen=True)
class Compared:
    """A comparison with the responses to its texts."""

    material: Material
    candidates: tuple[Candidate, ...]
    """[explanation]; those that have a text that the subject can be given."""


class Responding:
    """Runs the texts of comparisons through a subject.

    Args:
        subject: the model.
        comparisons: the texts of their pools run on all neurons that are scored, other texts on their own neuron.
        sigma: unit of each of these neurons; 0 for one that does not vary.
        aggregator: what the tokens of a text come down to.
        execution: how the subject runs.
    """

    def __init__(
        self,
        subject: Subject,
        comparisons: Sequence[Comparison],
        sigma: Mapping[NeuronId, float],
        aggregator: Aggregator,
        execution: Execution,
    ) -> None:
        from neuroexplain.collectors.text_pass import Targets, Wanted, text_responses

        self._texts = _Texts(subject, comparisons)
        neurons = sorted(sigma)
        self._sigma = np.array([sigma[neuron] for neuron in neurons])
        self._column = {neuron: place for place, neuron in enumerate(neurons)}
        scored = [c.groups[place] for c in comparisons for place in c.scored]
        own = [(c, self._column[group.neuron]) for group in scored for c in group.candidates]
        self._pairs = self._slices([candidate for candidate, _ in own])
        self._whole = np.unique(
            _joined(self._texts.of(c) for x in comparisons for g in x.pool for c in g.candidates)
        )
        sizes = [len(self._texts.of(candidate)) for candidate, _ in own]
        wanted = Wanted(
            texts=self._whole,
            pair_text=_joined(self._texts.of(candidate) for candidate, _ in own),
            pair_neuron=np.repeat([column for _, column in own], sizes).astype(np.int64),
        )
        targets = Targets(*_columns(neurons))
        total = len(np.union1d(wanted.texts, wanted.pair_text))
        with execution.progress.stage("running texts", total) as advance:
            self._responses = text_responses(
                subject,
                self._texts.read,
                targets,
                wanted,
                aggregator=aggregator,
                batch_tokens=_BATCH_TOKENS * execution.batch_size,
                advance=partial(advance, note=""),
            )

    def compared(self, comparison: Comparison) -> Compared:
        """A comparison with its responses."""
        members = [
            (place, candidate)
            for place, group in enumerate(comparison.groups)
            for candidate in group.candidates
            if len(self._texts.of(candidate))
        ]
        candidates = tuple(candidate for _, candidate in members)
        places, group = np.unique([place for place, _ in members], return_inverse=True)
        scored = np.isin(places, comparison.scored)
        columns = [self._column[comparison.groups[p].neuron] for p in places[scored].tolist()]
        numbers = _joined(map(self._texts.of, candidates))
        sizes = [len(self._texts.of(candidate)) for candidate in candidates]
        rows = np.minimum(np.searchsorted(self._whole, numbers), max(len(self._whole) - 1, 0))
        responses = self._responses.of_all[np.ix_(rows, np.array(columns, np.int64))]
        nonzero = np.zeros(len(numbers), np.int64)
        ends = np.cumsum(sizes).tolist()
        for place, candidate in enumerate(candidates):
            if scored[group[place]]:
                here = slice(ends[place] - sizes[place], ends[place])
                pairs = self._pairs[candidate.number]
                column = columns.index(self._column[candidate.hypothesis.ref.neuron])
                responses[here, column] = self._responses.of_pairs[pairs]
                nonzero[here] = self._responses.nonzero[pairs]
        return Compared(
            Material(
                texts=Panel(
                    explanation=np.repeat(np.arange(len(candidates)), sizes),
                    length=self._texts.read.counted[numbers],
                    group=group.astype(np.int64),
                    identity=_identities(candidates),
                ),
                responses=responses,
                own=np.flatnonzero(scored),
                sigma=self._sigma[columns],
                nonzero=nonzero,
                wanted=np.array([c.text_set.wanted for c in candidates], dtype=np.int64),
            ),
            candidates,
        )

    def _slices(self, candidates: Iterable[Candidate]) -> dict[int, slice]:
        """Which pairs are about a candidate, by the row of its explanation."""
        found, start = {}, 0
        for candidate in candidates:
            stop = start + len(self._texts.of(candidate))
            found[candidate.number] = slice(start, stop)
            start = stop
        return found


class _Texts:
    """The distinct texts of comparisons, numbered."""

    def __init__(self, subject: Subject, comparisons: Iterable[Comparison]) -> None:
        from neuroexplain.collectors.text_pass import read

        numbers: dict[str, int] = {}
        found = {
            candidate.number: np.array(
                [numbers.setdefault(text, len(numbers)) for text in candidate.text_set.texts],
                dtype=np.int64,
            )
            for candidate in _candidates(comparisons)
        }
        self.read = read(subject, list(numbers))
        usable = self.read.counted > 0
        self._of = {number: texts[usable[texts]] for number, texts in found.items()}

    def of(self, candidate: Candidate) -> Numbers:
        """Numbers of the texts about a candidate that the subject can be given."""
        return self._of[candidate.number]


def _candidates(comparisons: Iterable[Comparison]) -> Iterable[Candidate]:
    """Each once, as far as explanations are numbered."""
    found = {
        candidate.number: candidate
        for comparison in comparisons
        for group in comparison.groups
        for candidate in group.candidates
    }
    return found.values()


def _columns(neurons: Sequence[NeuronId]) -> tuple[Numbers, Numbers, Numbers]:
    layer, index, polarity = (
        np.array([getattr(neuron, name) for neuron in neurons], dtype=np.int64)
        for name in ("layer", "index", "polarity")
    )
    return layer, index, polarity


def _identities(candidates: Sequence[Candidate]) -> Numbers:
    words = [candidate.hypothesis.identity for candidate in candidates]
    return np.unique(words, return_inverse=True)[1].astype(np.int64)


def _joined(pieces: Iterable[Numbers]) -> Numbers:
    return np.concatenate([np.zeros(0, np.int64), *pieces])
