"""From a subject and a corpus to exemplars and statistics in the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from neuroexplain.catalogue import Collection
from neuroexplain.config import CollectConfig, as_dict, run_key
from neuroexplain.errors import CollectError
from neuroexplain.recorded import LayerCollection, TokenCorpus
from neuroexplain.run import Run
from neuroexplain.selection import layers as select_layers

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject


def collect(run: Run, config: CollectConfig, subject: Subject | None = None) -> Collection:
    """One pass of the corpus through the subject, saved in one transaction.

    A collection of the same settings, weights and texts that the catalogue holds already is used again.

    Args:
        run: where the result is saved.
        config: what to record.
        subject: the model, where it is loaded already; else it is loaded from `config.subject`.

    Raises:
        NeuroexplainError: the subject or the corpus cannot be used.
    """
    subject = subject or load_subject(run, config)
    layers = layers_of(config, subject)
    run.catalogue.check_subject(subject.info)
    if config.corpus == "docs" or config.corpus.endswith((".txt", ".txt.gz")):
        # Such a corpus has no fields: another name for one must not make it another collection.
        config = replace(config, text_field=CollectConfig.text_field)
    corpus = _read(run, config, subject)
    key = run_key("collection", config, subject.weights_sha256, corpus.info.sha256)
    known = run.catalogue.find_collection(key)
    if known is not None:
        run.catalogue.make_current(known)
        return known
    subject.verify()
    recorded = _record(run, config, subject, corpus, layers)
    with run.execution.progress.stage("writing layers", len(recorded)) as advance:
        run.catalogue.save_collection(
            key, as_dict(config), subject.info, corpus, recorded, lambda _: advance(1)
        )
    run.counts["collected"] += 1
    saved = run.catalogue.find_collection(key)
    assert saved is not None
    return saved


def layers_of(config: CollectConfig, subject: Subject) -> tuple[int, ...]:
    """The layers that a configuration records.

    Raises:
        ConfigError: the subject has no such layer.
    """
    return select_layers(config.layers, subject.layers)


def _read(run: Run, config: CollectConfig, subject: Subject) -> TokenCorpus:
    from neuroexplain.corpora.tokens import build

    special = len(subject.prefix) + len(subject.suffix)
    if config.seq_len + special > subject.max_positions:
        raise CollectError(
            f"--seq-len {config.seq_len} is too long for {subject.name}: it takes "
            f"{subject.max_positions} tokens, {special} of them special"
        )
    with run.execution.progress.stage("reading corpus", config.tokens) as advance:
        return build(
            config.corpus,
            subject.tokenizer,
            tokens=config.tokens,
            seq_len=config.seq_len,
            first=0 if config.include_first else subject.first,
            text_field=config.text_field,
            progress=advance,
        )


def _record(
    run: Run,
    config: CollectConfig,
    subject: Subject,
    corpus: TokenCorpus,
    layers: Sequence[int],
) -> list[LayerCollection]:
    from neuroexplain.collectors import collect_layers

    with run.execution.progress.stage("collecting", int(corpus.span_length.sum())) as advance:
        return list(
            collect_layers(
                subject,
                corpus,
                config,
                layers=layers,
                batch_size=run.execution.batch_size,
                progress=advance,
            )
        )


def load_subject(run: Run, config: CollectConfig) -> Subject:
    """The subject that a configuration names.

    Raises:
        SubjectError: it cannot be found or loaded.
    """
    import torch

    from neuroexplain.subjects import Subject

    execution = run.execution
    if execution.threads is not None:
        torch.set_num_threads(execution.threads)
    return Subject.load(
        config.subject,
        device=execution.device,
        dtype=config.dtype,
        allow_pickle=execution.allow_pickle,
        trust_remote_code=execution.trust_remote_code,
        name=config.name,
    )
