"""A corpus spec and a tokenizer → a `TokenCorpus`: the whole way from texts to spans, read this first."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from neuroexplain.corpora import duplicates, sources, spans, splits
from neuroexplain.corpora.chat import ChatTemplate
from neuroexplain.corpora.encoding import Encoder, Encoding
from neuroexplain.corpora.sources import Text
from neuroexplain.errors import ConfigError, CorpusError
from neuroexplain.recorded import CorpusInfo, TokenCorpus, TokenDocument
from neuroexplain.records import SPLITS, Document, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NearDuplicates = Literal["keep", "drop"]

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


@dataclass
class _Taken:
    """Documents taken so far, and those passed over."""

    limit: int
    """Tokens that are wanted."""
    drop: bool
    """Whether near duplicates are passed over."""
    entries: list[_Entry] = field(default_factory=list)
    index: duplicates.Index = field(default_factory=duplicates.Index)
    seen: set[str] = field(default_factory=set)
    n_tokens: int = 0
    n_repeated: int = 0
    n_near: int = 0

    @property
    def left(self) -> int:
        """Tokens that are still wanted."""
        return self.limit - self.n_tokens

    def take(self, document: Text, encoding: Encoding) -> None:
        """Keep a document's tokens up to the limit, unless it is a duplicate or has none."""
        sha256 = hashlib.sha256(document.text.encode()).hexdigest()
        if sha256 in self.seen:
            self.n_repeated += 1
            return
        self.seen.add(sha256)
        used = Encoding(encoding.ids[: self.left], encoding.offsets[: self.left])
        if not len(used):
            return
        near = self.index.add(document.text, only_new=self.drop)
        self.n_near += near
        if not (near and self.drop):
            self.entries.append(_Entry(document.text, document.source, sha256, used))
            self.n_tokens += len(used)


def build(
    spec: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    tokens: int,
    seq_len: int,
    first: int,
    text_field: str = "text",
    chat_template: bool = False,
    near_duplicates: NearDuplicates = "keep",
    progress: Callable[[int], None] | None = None,
) -> TokenCorpus:
    """Read documents until there are `tokens` tokens, and cut them into spans.

    The last document is cut at the limit; a smaller corpus is used whole. Repeated texts and documents without
    tokens are left out. Special tokens that a text spells out become ordinary tokens, so that a special id in the
    result is always one that the chat template wrote; `Encoder.special` lists those ids.

    Args:
        spec: any form that `sources.read` knows.
        tokenizer: a fast tokenizer; it is copied, not changed.
        tokens: how many to use; of special tokens only those of a chat template are among them.
        seq_len: tokens of a span.
        first: leading tokens of every span that count for nothing.
        text_field: field that holds the text in `.jsonl`, `.parquet` and `hf:` corpora.
        chat_template: the documents are conversations, to be written by the tokenizer's chat template.
        near_duplicates: `keep` them in the split of the first; or `drop` documents that are nearly alike to one that
            is kept already. Documents that are alike are no independent samples, but which are too much so is a
            choice, so that it must be asked for.
        progress: called now and then with the number of tokens read since the last time.

    Raises:
        ConfigError: `tokens`, `seq_len`, `first` or `near_duplicates` makes no sense.
        CorpusError: the corpus cannot be read, the tokenizer is slow or lacks a chat template, or a split stays
            without spans.
    """
    _check_settings(tokens, seq_len, first, near_duplicates)
    encoder = Encoder.of(tokenizer, marked=chat_template)
    template = ChatTemplate.of(tokenizer, encoder) if chat_template else None
    texts = sources.read(spec, text_field=text_field, template=template)
    taken = _Taken(tokens, drop=near_duplicates == "drop")
    _read(texts, encoder, taken, progress)
    corpus = (spec, encoder.sha256, seq_len, first)
    return _cut(*corpus, taken, _digest(taken.entries, *corpus[1:], chat_template))


def _cut(
    spec: str, tokenizer: str, seq_len: int, first: int, taken: _Taken, sha256: str
) -> TokenCorpus:
    """Give documents their splits, and cut them into spans."""
    entries, groups = taken.entries, taken.index.groups()
    assigned = splits.assign_groups([e.sha256 for e in entries], groups)
    pieces = spans.cut([len(e.encoding) for e in entries], seq_len, first)
    number = np.array([SPLITS.index(s) for s in assigned], dtype=np.int8)
    span_split = number[pieces.document]
    _check_splits(spec, taken, assigned, Counter(SPLITS[s] for s in span_split.tolist()))
    info = CorpusInfo(
        spec,
        sha256,
        tokenizer,
        seq_len,
        first,
        n_documents=len(entries),
        n_tokens=taken.n_tokens,
        n_exact_duplicates=taken.n_repeated,
        n_near_duplicates=taken.n_near if taken.drop else _n_later(groups),
    )
    documents = tuple(
        _document(i, e, s) for i, (e, s) in enumerate(zip(entries, assigned, strict=True))
    )
    return TokenCorpus(info, documents, pieces.document, pieces.start, pieces.length, span_split)


def _read(
    texts: Iterable[Text],
    encoder: Encoder,
    taken: _Taken,
    progress: Callable[[int], None] | None,
) -> None:
    """Take documents until there are enough tokens."""
    for batch in _batches(texts):
        before = taken.n_tokens
        encodings = encoder.encode(
            [t.text for t in batch], marks=[t.special for t in batch], limit=taken.left
        )
        for document, encoding in zip(batch, encodings, strict=True):
            taken.take(document, encoding)
            if not taken.left:
                break
        if progress is not None:
            progress(taken.n_tokens - before)
        if not taken.left:
            break


def _batches(texts: Iterable[Text]) -> Iterator[list[Text]]:
    batch: list[Text] = []
    characters = 0
    for document in texts:
        batch.append(document)
        characters += len(document.text)
        if characters >= _BATCH_CHARACTERS or len(batch) == _BATCH_DOCUMENTS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _n_later(groups: Sequence[int]) -> int:
    return sum(group != i for i, group in enumerate(groups))


def _document(position: int, entry: _Entry, split: Split) -> TokenDocument:
    document = Document(position, entry.text, entry.sha256, split, entry.source)
    return TokenDocument(document, entry.encoding.ids, entry.encoding.offsets)


def _digest(entries: Sequence[_Entry], tokenizer: str, seq_len: int, first: int, chat: bool) -> str:
    settings = f"{tokenizer} {seq_len} {first}{' chat' if chat else ''}\n"
    digest = hashlib.sha256(settings.encode())
    for entry in entries:
        digest.update(f"{entry.sha256} {len(entry.encoding)}\n".encode())
    return digest.hexdigest()


def _check_settings(tokens: int, seq_len: int, first: int, near_duplicates: str) -> None:
    if tokens < 1:
        raise ConfigError(f"tokens must be at least 1, not {tokens}")
    if first < 0:
        raise ConfigError(f"first must be at least 0, not {first}")
    if seq_len < max(2, first + 1):
        raise ConfigError(f"seq_len must be at least {max(2, first + 1)}, not {seq_len}")
    if near_duplicates not in get_args(NearDuplicates):
        choices = ", ".join(get_args(NearDuplicates))
        raise ConfigError(f'near_duplicates must be one of {choices}, not "{near_duplicates}"')


def _check_splits(
    spec: str, taken: _Taken, assigned: Sequence[Split], n_spans: Counter[Split]
) -> None:
    if len(assigned) >= _MIN_DOCUMENTS and all(n_spans[s] for s in SPLITS):
        return
    n_documents = Counter(assigned)
    counts = ", ".join(f"{s}: {n_documents[s]} documents, {n_spans[s]} spans" for s in SPLITS)
    remedy = (
        "give more, and more different, documents (in a .txt file blank lines part them)"
        if taken.left
        else "raise --tokens, so that more documents are read"
    )
    raise CorpusError(
        f"{spec}: too little text to split ({counts}); every split needs a span, of 2 tokens at least, and documents "
        f"that are nearly alike share one; {remedy}"
    )
