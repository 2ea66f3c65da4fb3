"""Batches of SAEDashboard (github.com/jbloomAus/SAEDashboard): `batch-N.json`, latents of a sparse autoencoder with their spans.

Read only. The subject is the model with the autoencoder's set and suffix behind it: an address has no room for these. Strongest spans
are those of the group without an interval, all others are of kind `quantile`; all are of split `explain`, as nothing tells of held-out
ones. Vectors, histograms and related latents are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange import pieces
from neuroexplain.exchange.batches import (
    BATCH_SIZE,
    Batch,
    OnError,
    attempt,
    cut,
    folder_of,
    natural,
    sha256,
)
from neuroexplain.exchange.fields import Fields
from neuroexplain.exchange.lines import document
from neuroexplain.exchange.unplaced import ranked
from neuroexplain.exchanged import NeuronRecord, SpanRecord
from neuroexplain.records import NeuronId, Statistics

MAX_FILE = 256_000_000
"""Bytes of a file at most: each is one value, and some 65 kB a latent."""


def read(
    folder: Path,
    *,
    subject: str | None = None,
    on_error: OnError | None = None,
    batch_size: int = BATCH_SIZE,
    max_line: int = MAX_FILE,
) -> Iterator[Batch]:
    """Read all batches below a folder, a file at a time.

    Args:
        folder: what to read.
        subject: name of the subject; None takes `MODEL-SET`, or `MODEL-SET-SUFFIX`.
        on_error: is told of bad files; None stops at the first.
        batch_size: latents of a batch at most.
        max_line: bytes of a file at most.

    Raises:
        ExchangeError: there is nothing to read, or a file is bad and nobody is to be told.
    """
    found = sorted(folder_of(folder, "batch-N.json").rglob("batch-*.json"), key=natural)
    if not found:
        raise ExchangeError(f"{folder}: holds no batches; wanted batch-0.json and the like")
    yield from attempt(
        (
            (name := path.relative_to(folder).as_posix(), partial(_file, path, name, subject, batch_size, max_line))
            for path in found
        ),
        on_error,
    )  # fmt: skip


def _file(path: Path, name: str, subject: str | None, size: int, limit: int) -> list[Batch]:
    batch = document(path, name, limit=limit)
    layer = batch.integer("layer", least=0)
    own = [batch.text("model_id"), batch.text("sae_set"), batch.maybe_text("sae_id_suffix")]
    subject = subject or "-".join(filter(None, own))
    seen: set[int] = set()
    records = []
    for row in batch.objects("features"):
        index = row.integer("feature_index", least=0)
        if index in seen:
            raise row.wrong("feature_index", f"a latent once; {index} is there already")
        seen.add(index)
        records.append(_latent(row, NeuronId(subject, layer, index)))
    records.sort(key=lambda record: record.neuron)
    return list(cut(name, sha256([path]), records, size))


def _latent(row: Fields, neuron: NeuronId) -> NeuronRecord:
    prompts = row.maybe_integer("n_prompts_total", least=0)
    tokens = row.maybe_integer("n_tokens_in_prompt", least=0)
    share = row.maybe_number("frac_nonzero")
    n_tokens = prompts * tokens if prompts and tokens else None
    spans = ranked([_span(activation) for activation in row.objects("activations")], 1)
    return NeuronRecord(
        neuron,
        statistics=Statistics(n_tokens, None, None, None, None, share, n_spans=prompts or None),
        spans=tuple(spans),
        promoted=pieces.weighted(row.weighted("pos_str", "pos_values")),
        suppressed=pieces.weighted(row.weighted("neg_str", "neg_values")),
    )


def _span(row: Fields) -> SpanRecord:
    tokens, values = row.beside("tokens", "values")
    if not tokens:
        raise row.wrong("tokens", "at least one token")
    strongest = row.number("bin_contains") < 0
    return SpanRecord(pieces.texts(tokens), values, kind="top" if strongest else "quantile")
