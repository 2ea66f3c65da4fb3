"""The corpus of a generated catalogue: paragraphs of Python's documentation, put together anew until there are enough."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from neuroexplain.corpora import python_docs, spans, splits
from neuroexplain.corpora.encoding import Encoder, Encoding
from neuroexplain.recorded import CorpusInfo, TokenCorpus, TokenDocument
from neuroexplain.records import SPLITS, Document
from neuroexplain.subjects.loading import load
from neuroexplain.words import words

SEQ_LEN = 64
"""Tokens of a span."""
TOKENIZER = "minilm"
"""Subject whose tokenizer reads the corpus: it comes in a Python package."""
_PARAGRAPHS = 8
"""Of a document."""
_BREAK = "\n\n"
_FUNCTION_WORDS = 80
"""Commonest words, which say little and are left out of the vocabulary."""


@dataclass(frozen=True)
class Vocabulary:
    """Words of a text by how often they occur, the commonest first."""

    words: NDArray[np.object_]
    """[word]; in lower case, three letters at least."""
    counts: NDArray[np.int64]
    """[word]"""


def corpus(n_spans: int, seed: int) -> TokenCorpus:
    """A corpus with that many spans, of which nearly all are full.

    Documents are paragraphs drawn at random, so that the text is real and there is as much of it as is wanted.
    Splits are by the hash of the text, as in any corpus.
    """
    encoder, texts = _encoder(), _paragraphs()
    encodings = _encodings()
    rng = np.random.default_rng([seed, 1])
    documents: list[TokenDocument] = []
    cut = 0
    while cut < n_spans:
        chosen = rng.choice(len(texts), _PARAGRAPHS, replace=False).tolist()
        document = _document(len(documents), chosen, texts, encodings)
        documents.append(document)
        cut += len(document.token_ids) // SEQ_LEN + 1
    pieces = spans.cut([len(d.token_ids) for d in documents], SEQ_LEN, 0)
    split = np.array([SPLITS.index(d.document.split) for d in documents], np.int8)
    return TokenCorpus(
        _info(encoder, documents), tuple(documents), pieces.document, pieces.start, pieces.length,
        split[pieces.document],
    )  # fmt: skip


def vocabulary() -> Vocabulary:
    """The words of the documentation."""
    found = Counter(w.lower() for text in _paragraphs() for w in words(text))
    kept = sorted(
        ((word, n) for word, n in found.items() if len(word) > 2 and word.isascii() and word.isalpha()),
        key=lambda entry: (-entry[1], entry[0]),
    )[_FUNCTION_WORDS:]  # fmt: skip
    return Vocabulary(
        np.array([word for word, _ in kept], object), np.array([n for _, n in kept], np.int64)
    )


@cache
def _encoder() -> Encoder:
    return Encoder.of(load(TOKENIZER, head=False, weights=False).tokenizer)


@cache
def _encodings() -> list[Encoding]:
    return _encoder().encode(_paragraphs())


@cache
def _paragraphs() -> list[str]:
    documents = (text.split(_BREAK) for text, _ in python_docs.read())
    return list(dict.fromkeys(p for paragraphs in documents for p in paragraphs))


def _document(
    position: int, chosen: list[int], texts: list[str], encodings: list[Encoding]
) -> TokenDocument:
    text, moved = "", []
    for number in chosen:
        text += _BREAK if text else ""
        moved.append(encodings[number].moved(len(text)))
        text += texts[number]
    ids = np.concatenate([e.ids for e in moved])
    offsets = np.concatenate([e.offsets for e in moved])
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    document = Document(position, text, sha256, splits.assign(sha256), f"made {position}")
    return TokenDocument(document, ids, offsets)


def _info(encoder: Encoder, documents: list[TokenDocument]) -> CorpusInfo:
    digest = hashlib.sha256(f"{encoder.sha256} {SEQ_LEN}".encode())
    for entry in documents:
        digest.update(entry.document.sha256.encode())
    return CorpusInfo(
        spec="docs",
        sha256=digest.hexdigest(),
        tokenizer_sha256=encoder.sha256,
        seq_len=SEQ_LEN,
        first=0,
        n_documents=len(documents),
        n_tokens=sum(len(d.token_ids) for d in documents),
        n_exact_duplicates=0,
        n_near_duplicates=0,
    )
