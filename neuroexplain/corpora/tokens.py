"""A corpus spec and a tokenizer → a `TokenCorpus`: the whole way from texts to spans, read this first."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroexplain.corpora import duplicates, sources, spans, splits
from neuroexplain.corpora.encoding import Encoder, Encoding
from neuroexplain.errors import ConfigError, CorpusError
from neuroexplain.recorded import CorpusInfo, TokenCorpus, TokenDocument
from neuroexplain.records import SPLITS, Document, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MIN_DOCUMENTS = 3
# Large enough to keep the tokenizer's threads busy, small enough that little is read beyond the limit.
_BATCH_CHARACTERS = 200_000
_BATCH_DOCUMENTS = 256


@dataclass(frozen=True)
class _Entry:
    """A document that is used, before it has a split."""

    text: str
    source: str
    sha256: str
    encoding: Encoding


def build(
    spec: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    tokens: int,
    seq_len: int,
    first: int,
    text_field: str = "text",
    progress: Callable[[int], None] | None = None,
) -> TokenCorpus:
    """Read documents until there are `tokens` tokens, and cut them into spans.

    The last document is cut at the limit; a smaller corpus is used whole. Repeated texts and documents without
    tokens are left out. Special tokens that a text spells out become ordinary tokens.

    Args:
        spec: any form that `sources.read` knows.
        tokenizer: a fast tokenizer; it is copied, not changed.
        tokens: how many to use, special tokens not counted.
        seq_len: tokens of a span.
        first: leading tokens of every span that count for nothing.
        text_field: field that holds the text in `.jsonl`, `.parquet` and `hf:` corpora.
        progress: called now and then with the number of tokens read since the last time.

    Raises:
        ConfigError: `tokens`, `seq_len` or `first` makes no sense.
        CorpusError: the corpus cannot be read, the tokenizer is slow, or a split stays without spans.
    """
    _check_settings(tokens, seq_len, first)
    encoder = Encoder.of(tokenizer)
    texts = sources.read(spec, text_field=text_field)
    entries, repeated = _take(texts, encoder, tokens, progress)
    groups = duplicates.groups([e.text for e in entries])
    assigned = splits.assign_groups([e.sha256 for e in entries], groups)
    pieces = spans.cut([len(e.encoding) for e in entries], seq_len, first)
    number = np.array([SPLITS.index(s) for s in assigned], dtype=np.int8)
    span_split = number[pieces.document]
    _check_splits(spec, assigned, Counter(SPLITS[s] for s in span_split.tolist()))
    info = CorpusInfo(
        spec,
        _digest(entries, encoder.sha256, seq_len, first),
        encoder.sha256,
        seq_len,
        first,
        n_documents=len(entries),
        n_tokens=sum(len(e.encoding) for e in entries),
        n_exact_duplicates=repeated,
        n_near_duplicates=sum(group != i for i, group in enumerate(groups)),
    )
    documents = tuple(
        _document(i, e, s) for i, (e, s) in enumerate(zip(entries, assigned, strict=True))
    )
    return TokenCorpus(info, documents, pieces.document, pieces.start, pieces.length, span_split)


def _take(
    texts: Iterable[tuple[str, str]],
    encoder: Encoder,
    limit: int,
    progress: Callable[[int], None] | None,
) -> tuple[list[_Entry], int]:
    """Distinct documents with `limit` tokens in all, and how many repeated ones were passed over."""
    entries: list[_Entry] = []
    seen: set[str] = set()
    total = repeated = 0
    for batch in _batches(texts):
        before = total
        encodings = encoder.encode([text for text, _ in batch])
        for (text, source), encoding in zip(batch, encodings, strict=True):
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            if sha256 in seen:
                repeated += 1
                continue
            seen.add(sha256)
            left = limit - total
            used = Encoding(encoding.ids[:left], encoding.offsets[:left])
            if len(used):
                entries.append(_Entry(text, source, sha256, used))
                total += len(used)
            if total == limit:
                break
        if progress is not None:
            progress(total - before)
        if total == limit:
            break
    return entries, repeated


def _batches(texts: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    batch: list[tuple[str, str]] = []
    characters = 0
    for text, source in texts:
        batch.append((text, source))
        characters += len(text)
        if characters >= _BATCH_CHARACTERS or len(batch) == _BATCH_DOCUMENTS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _document(position: int, entry: _Entry, split: Split) -> TokenDocument:
    document = Document(position, entry.text, entry.sha256, split, entry.source)
    return TokenDocument(document, entry.encoding.ids, entry.encoding.offsets)


def _digest(entries: Sequence[_Entry], tokenizer: str, seq_len: int, first: int) -> str:
    digest = hashlib.sha256(f"{tokenizer} {seq_len} {first}\n".encode())
    for entry in entries:
        digest.update(f"{entry.sha256} {len(entry.encoding)}\n".encode())
    return digest.hexdigest()


def _check_settings(tokens: int, seq_len: int, first: int) -> None:
    if tokens < 1:
        raise ConfigError(f"tokens must be at least 1, not {tokens}")
    if first < 0:
        raise ConfigError(f"first must be at least 0, not {first}")
    if seq_len < max(2, first + 1):
        raise ConfigError(f"seq_len must be at least {max(2, first + 1)}, not {seq_len}")


def _check_splits(spec: str, assigned: Sequence[Split], n_spans: Counter[Split]) -> None:
    if len(assigned) >= _MIN_DOCUMENTS and all(n_spans[s] for s in SPLITS):
        return
    n_documents = Counter(assigned)
    counts = ", ".join(f"{s}: {n_documents[s]} documents, {n_spans[s]} spans" for s in SPLITS)
    raise CorpusError(
        f"{spec}: too little text to split ({counts}); every split needs a span, and documents that are nearly alike "
        "share one; give more, and more different, documents, or raise --tokens"
    )
