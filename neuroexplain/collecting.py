"""From a subject and a corpus to exemplars and statistics in the catalogue.

    corpus ─▶ plan ─▶ a part per shard and group of layers ─▶ put together ─▶ one transaction

Parts are folders that survive an interruption. Without shards they lie beside the catalogue and go when it has all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.config import CollectConfig, as_dict, run_key
from neuroexplain.errors import CollectError, SubjectError
from neuroexplain.recorded import SubjectInfo, TokenCorpus
from neuroexplain.run import Execution, Run
from neuroexplain.selection import layers as select_layers

if TYPE_CHECKING:
    from neuroexplain.collectors.part import Part
    from neuroexplain.collectors.plan import Plan
    from neuroexplain.subjects import Subject


@dataclass(frozen=True)
class Shard:
    """One of several equal shares of a collection's batches, counted from 1."""

    number: int = 1
    of: int = 1


@dataclass(frozen=True)
class _Job:
    """A collection that is to be made."""

    key: str
    config: CollectConfig
    subject: Subject
    corpus: TokenCorpus
    widths: Mapping[int, int]


def collect(run: Run, config: CollectConfig, subject: Subject | None = None) -> Collection:
    """One pass of the corpus through the subject, saved in one transaction.

    A collection of the same settings, weights and texts that the catalogue holds already is used again; one that was
    interrupted goes on from its last checkpoint.

    Args:
        run: where the result is saved.
        config: what to record.
        subject: the model, where it is loaded already; else it is loaded from `config.subject`.

    Raises:
        NeuroexplainError: the subject or the corpus cannot be used.
    """
    subject = subject or load_subject(run.execution, config)
    # A subject that was loaded elsewhere may be another than the configuration says.
    config = replace(config, **subject.settings)
    run.catalogue.check_subject(subject.info)
    job = _prepare(run.execution, config, subject)
    known = run.catalogue.find_collection(job.key)
    if known is None:
        parent = parts_folder(run.catalogue.path)
        # Held until all is saved: another process would else take a finished part for its own.
        with _parts(run.execution, job, parent, Shard()) as parts:
            plan = _record(run.execution, job, parts)
            known = _save(run, job.key, job.config, subject.info, parts, plan)
            for part in parts:
                part.remove()
        if not any(parent.iterdir()):
            parent.rmdir()
    run.catalogue.make_current(known)
    return known


def known_collection(
    catalogue: Catalogue, execution: Execution, config: CollectConfig, subject: Subject
) -> Collection | None:
    """What `collect` would not have to make, because the catalogue holds it."""
    config = replace(config, **subject.settings)
    return catalogue.find_collection(_prepare(execution, config, subject).key)


def collect_shard(
    execution: Execution, config: CollectConfig, shard: Shard, parent: Path
) -> list[Path]:
    """Record one shard, for `merge` to put together with the others.

    Args:
        execution: how.
        config: what to record.
        shard: which share of the batches.
        parent: where its folders go.

    Returns:
        The folders: one, or several where memory is limited.

    Raises:
        NeuroexplainError: the subject or the corpus cannot be used.
    """
    from neuroexplain.collectors import manifest

    subject = load_subject(execution, config)
    job = _prepare(execution, config, subject)
    with _parts(execution, job, parent, shard) as parts:
        _record(execution, job, parts)
        for part in parts:
            manifest.save(part, manifest.Manifest(job.config, subject.info, job.corpus))
    return [part.folder for part in parts]


def merge(run: Run, parent: Path) -> Collection:
    """Put the shards of one collection together and save it, the same as if it had been made in one go.

    Args:
        run: where the result is saved.
        parent: holds the shards' folders.

    Raises:
        CollectError: shards are missing or unfinished, or are of several collections.
    """
    from neuroexplain.collectors import manifest
    from neuroexplain.collectors.part import complete, read_parts
    from neuroexplain.collectors.plan import Plan

    parts = complete(read_parts(parent))
    header = parts[0].header
    known = run.catalogue.find_collection(header.key)
    if known is None:
        kept = manifest.load(parts[0])
        plan = Plan.of(kept.corpus, kept.config, header.batch_size)
        known = _save(run, header.key, kept.config, kept.subject, parts, plan)
    run.catalogue.make_current(known)
    return known


def parts_folder(catalogue: Path) -> Path:
    """Where the parts of a catalogue's collections lie while they are made."""
    return catalogue.with_name(f"{catalogue.name}.parts")


def layers_of(config: CollectConfig, subject: Subject) -> tuple[int, ...]:
    """The layers that a configuration records, in the order in which the model computes them.

    Raises:
        ConfigError: the subject has no such layer.
    """
    chosen = select_layers(config.layers, subject.layers)
    return tuple(layer for layer in subject.layers if layer in chosen)


def load_subject(execution: Execution, config: CollectConfig) -> Subject:
    """The subject that a configuration names.

    Raises:
        SubjectError: it cannot be found or loaded.
    """
    import torch

    from neuroexplain.subjects import Subject

    if execution.threads is not None:
        torch.set_num_threads(execution.threads)
    return Subject.load(
        config.subject,
        site=config.site,
        sae=config.sae,
        device=execution.device,
        dtype=config.dtype,
        allow_pickle=execution.allow_pickle,
        trust_remote_code=execution.trust_remote_code,
        name=config.name,
    )


def recorded_subject(
    execution: Execution, collection: Collection, subject: Subject | None = None
) -> Subject:
    """The subject whose neurons a collection recorded, for another look at it.

    Args:
        execution: how it is loaded.
        collection: says what to load.
        subject: the model, where it is loaded already.

    Raises:
        SubjectError: it cannot be found or loaded, or its weights are not those that were recorded.
    """
    subject = subject or load_subject(execution, CollectConfig(**collection.config))
    now, then = subject.weights_sha256, collection.subject.weights_sha256
    if now != then:
        raise SubjectError(
            f"{subject.spec} has other weights ({now[:12]}) than {collection.subject.name} had when it was collected "
            f"({then[:12]}); give back those, or collect the new ones by another --name"
        )
    return subject


def _prepare(execution: Execution, config: CollectConfig, subject: Subject) -> _Job:
    layers = layers_of(config, subject)
    if config.corpus == "docs" or config.corpus.endswith((".txt", ".txt.gz")):
        # Such a corpus has no fields: another name for one must not make it another collection.
        config = replace(config, text_field=CollectConfig.text_field)
    corpus = _read(execution, config, subject)
    key = run_key("collection", config, subject.weights_sha256, corpus.info.sha256)
    widths = {layer: subject.sites[layer].width for layer in layers}
    return _Job(key, config, subject, corpus, widths)


def _read(execution: Execution, config: CollectConfig, subject: Subject) -> TokenCorpus:
    from neuroexplain.corpora.tokens import build

    special = len(subject.prefix) + len(subject.suffix)
    if config.seq_len + special > subject.max_positions:
        raise CollectError(
            f"--seq-len {config.seq_len} is too long for {subject.name}: it takes "
            f"{subject.max_positions} tokens, {special} of them special"
        )
    with execution.progress.stage("reading corpus", config.tokens) as advance:
        return build(
            config.corpus,
            subject.tokenizer,
            tokens=config.tokens,
            seq_len=config.seq_len,
            first=0 if config.include_first else subject.first,
            text_field=config.text_field,
            chat_template=config.chat_template,
            near_duplicates=config.near_duplicates,
            progress=advance,
        )


@contextmanager
def _parts(execution: Execution, job: _Job, parent: Path, shard: Shard) -> Iterator[list[Part]]:
    """The parts of a shard, one per group of layers, for this process alone."""
    from neuroexplain.collectors.part import Header, Part

    size, seq_len = execution.batch_size, job.config.seq_len
    headers = [
        Header(job.key, size, shard.number, shard.of, widths, seq_len)
        for widths in _groups(job, execution.max_memory)
    ]
    with ExitStack() as held:
        yield [held.enter_context(Part(parent, header)) for header in headers]


def _record(execution: Execution, job: _Job, parts: Sequence[Part]) -> Plan:
    """Run parts to their end."""
    from neuroexplain.collectors import collect_part
    from neuroexplain.collectors.plan import Plan

    job.subject.verify()
    plan = Plan.of(job.corpus, job.config, execution.batch_size)
    header = parts[0].header
    spans = [batch.spans for batch in plan.shard(header.shard, header.shards)]
    tokens = sum(int(job.corpus.span_length[numbers].sum()) for numbers in spans)
    with execution.progress.stage("collecting", tokens * len(parts)) as advance:
        for part in parts:
            collect_part(job.subject, plan, part, advance=advance, checkpoint=execution.checkpoint)
    return plan


def _groups(job: _Job, max_memory: int | None) -> Iterator[dict[int, int]]:
    """Layers that are recorded together: all, or as many as the memory allows; each group is a pass of its own.

    Raises:
        CollectError: not even one layer fits.
    """
    from neuroexplain.collectors.layer import state_bytes

    group: dict[int, int] = {}
    taken = 0
    for layer, width in job.widths.items():
        needed = state_bytes(width, job.config)
        if max_memory is not None and needed > max_memory:
            raise CollectError(
                f"--max-memory {max_memory / 2**20:,.0f} MB is too little: layer {layer} takes "
                f"{needed / 2**20:,.0f} MB by itself; allow more, or lower --top-k or --seq-len"
            )
        if group and max_memory is not None and taken + needed > max_memory:
            yield group
            group, taken = {}, 0
        group[layer] = width
        taken += needed
    yield group


def _save(
    run: Run,
    key: str,
    config: CollectConfig,
    subject: SubjectInfo,
    parts: Sequence[Part],
    plan: Plan,
) -> Collection:
    from neuroexplain.collectors.merge import merged

    layers = {layer for part in parts for layer in part.header.widths}
    with run.execution.progress.stage("writing layers", len(layers)) as advance:
        run.catalogue.save_collection(
            key,
            as_dict(config),
            subject,
            plan.corpus,
            merged(parts, plan),
            lambda _: advance(1),
        )
    run.counts["collected"] += 1
    saved = run.catalogue.find_collection(key)
    assert saved is not None
    return saved
