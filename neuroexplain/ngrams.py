"""From a collection to its n-gram pass in the catalogue.

    documents ─▶ n-gram set ─▶ a part per group of layers ─▶ one transaction

Parts are folders that survive an interruption; they lie beside the catalogue and go when it has all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuroexplain.catalogue import Collection, NewPass, NgramPass
from neuroexplain.collecting import parts_folder, recorded_subject
from neuroexplain.config import NgramConfig, as_dict, run_key
from neuroexplain.errors import CollectError
from neuroexplain.run import Execution, Run

if TYPE_CHECKING:
    from neuroexplain.collectors.ngram_part import NgramPart
    from neuroexplain.collectors.ngram_set import Reading
    from neuroexplain.recorded import NgramSet
    from neuroexplain.subjects import Subject

_VERSION = 1
"""Of what makes a set and a response, beside the settings; another number makes every pass anew."""


@dataclass(frozen=True)
class _Job:
    """A pass that is to be made."""

    key: str
    """Hash of everything that determines it."""
    collection: Collection
    config: NgramConfig
    subject: Subject
    reading: Reading
    """How the subject is given an n-gram."""
    ngrams: NgramSet


def collect_ngrams(
    run: Run, collection: Collection, config: NgramConfig, subject: Subject | None = None
) -> NgramPass:
    """Run every n-gram of a collection's corpus through its subject, for all recorded neurons at once.

    A pass of the same settings that the catalogue holds already is used again; one that was interrupted goes on from its
    last checkpoint.

    Args:
        run: where the result is saved.
        collection: whose neurons answer.
        config: which n-grams, and how many are kept.
        subject: the collection's, where it is loaded already.

    Raises:
        NeuroexplainError: the subject cannot be loaded or is another one, the corpus was changed, or there is no n-gram.
    """
    catalogue = run.catalogue
    # Read first: texts that were changed are an error whether or not there is a pass.
    texts = catalogue.texts(collection, config.splits)
    key = run_key("ngrams", _VERSION, config, collection.key)
    if not catalogue.use_ngram_pass(collection, key):
        subject = recorded_subject(run.execution, collection, subject)
        _make(run, _prepared(run.execution, key, collection, config, subject, texts))
        run.counts["n-gram passes"] += 1
    found = catalogue.ngram_pass(collection)
    assert found is not None
    return found


def _prepared(
    execution: Execution,
    key: str,
    collection: Collection,
    config: NgramConfig,
    subject: Subject,
    texts: Sequence[str],
) -> _Job:
    from neuroexplain.collectors.ngram_set import Reading, build
    from neuroexplain.corpora.encoding import Encoder

    encoder = Encoder.of(subject.tokenizer)
    reading = Reading.of(subject, encoder)
    with execution.progress.stage("finding n-grams", len(texts)) as advance:
        ngrams = build(
            texts,
            encoder,
            reading,
            corpus_sha256=collection.corpus.sha256,
            orders=config.orders,
            min_count=config.min_count,
        )
        advance(len(texts))
    return _Job(key, collection, config, subject, reading, ngrams)


def _make(run: Run, job: _Job) -> None:
    """Run the parts to their end, and save them."""
    from neuroexplain.collectors.ngram_part import NgramHeader, NgramPart
    from neuroexplain.collectors.ngram_pass import record_ngrams

    execution, parent = run.execution, parts_folder(run.catalogue.path)
    job.subject.verify()
    # Held until all is saved: another process would else take a finished part for its own.
    with ExitStack() as held:
        parts = [
            held.enter_context(NgramPart(parent, NgramHeader(job.key, job.ngrams.sha256, widths)))
            for widths in _groups(job.collection, job.config, execution.max_memory)
        ]
        with execution.progress.stage("n-grams", len(job.ngrams) * len(parts)) as advance:
            for part in parts:
                record_ngrams(
                    job.subject,
                    job.ngrams,
                    part,
                    lead=job.reading.lead,
                    top=job.config.top,
                    advance=advance,
                    checkpoint=execution.checkpoint,
                )
        _save(run, job, parts)
        for part in parts:
            part.remove()
    if parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()


def _save(run: Run, job: _Job, parts: Sequence[NgramPart]) -> None:
    made = NewPass(
        key=job.key,
        config=as_dict(job.config),
        weights_sha256=job.subject.weights_sha256,
        ngrams=job.ngrams,
        layers=(layer for part in parts for layer in part.layers()),
    )
    n_layers = sum(len(part.header.widths) for part in parts)
    with run.execution.progress.stage("writing layers", n_layers) as advance:
        run.catalogue.save_ngram_pass(job.collection, made, lambda _: advance(1))


def _groups(
    collection: Collection, config: NgramConfig, max_memory: int | None
) -> Iterator[Mapping[int, int]]:
    """Layers that go together: all, or as many as the memory allows; each group is a pass of its own.

    Raises:
        CollectError: not even one layer fits.
    """
    from neuroexplain.collectors.ngram_layer import state_bytes

    group: dict[int, int] = {}
    taken = 0
    for layer in collection.layers:
        width = collection.subject.widths[layer]
        needed = state_bytes(width, config.top)
        if max_memory is not None and needed > max_memory:
            raise CollectError(
                f"--max-memory {max_memory / 2**20:,.0f} MB is too little: layer {layer} takes "
                f"{needed / 2**20:,.0f} MB by itself; allow more, or lower --top"
            )
        if group and max_memory is not None and taken + needed > max_memory:
            yield group
            group, taken = {}, 0
        if width:
            group[layer] = width
            taken += needed
    if group:
        yield group
