"""The n-grams of a corpus as a subject reads them by themselves.

An n-gram stays within a document and within a line. What a word is, `words` says. WikiText's `<unk>` and its escapes
(`@-@`, `@,@`, `@.@`) are holes that no n-gram reaches across.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from neuroexplain.corpora.encoding import Encoder, Encoding
from neuroexplain.errors import CollectError
from neuroexplain.recorded import NgramSet
from neuroexplain.words import places, telling

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject

MOST_TOKENS = 32
"""Of an n-gram; what has more holds no words but codes."""
_HOLE = re.compile(r"<unk>|@[-,.]@")
_AT_ONCE = 4096
"""N-grams that are tokenised together."""

Gram = tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """How a subject is given a text by itself."""

    lowercase: bool
    """The tokenizer knows lower case alone."""
    space: bool
    """Words are given with the space before them, which is part of their tokens: as they stand in running text."""
    lead: tuple[int, ...]
    """Token ids put before every text, for a model whose first position counts for nothing: its BOS, else its EOS."""
    least: int
    """Tokens that a text needs so that one of them counts."""
    unknown: int | None
    """The token id of what the tokenizer cannot read."""

    @classmethod
    def of(cls, subject: Subject, encoder: Encoder) -> Reading:
        """How a subject reads, as its tokenizer and its special tokens have it."""
        tokenizer, normalizer = subject.tokenizer, encoder.backend.normalizer
        bare, spaced = encoder.encode(["a", " a"])
        marks = (tokenizer.bos_token_id, tokenizer.eos_token_id)
        lead = tuple(mark for mark in marks if mark is not None)[: subject.first]
        return cls(
            lowercase=normalizer is not None and normalizer.normalize_str("A") == "a",
            space=len(bare) == len(spaced) and bare.ids.tolist() != spaced.ids.tolist(),
            lead=lead,
            least=1 + subject.first - len(lead),
            unknown=tokenizer.unk_token_id,
        )


@dataclass(slots=True)
class _Tally:
    """One n-gram."""

    text: str
    spaced: bool
    """Whether a space stood before it, or would stand before a word."""
    count: int = 0


def build(
    texts: Iterable[str],
    encoder: Encoder,
    reading: Reading,
    *,
    corpus_sha256: str,
    orders: int,
    min_count: int,
) -> NgramSet:
    """Every distinct n-gram of some texts, commonest first, equal counts by text.

    Left out are those without any letter or digit, those that the tokenizer cannot read and those that leave no token to
    be counted. N-grams of equal token ids are one, with the text of the commonest and the sum of their counts.

    Args:
        texts: documents.
        encoder: of the subject's tokenizer.
        reading: how the subject is given them.
        corpus_sha256: of the corpus that they are from.
        orders: longest n-gram, in words.
        min_count: occurrences that an n-gram needs, as it is written.

    Raises:
        CollectError: there is none.
    """
    tallies = _tallied(texts, orders, lowercase=reading.lowercase)
    kept = [t for t in tallies.values() if t.count >= min_count]
    kept.sort(key=lambda t: (-t.count, t.text))
    distinct: dict[bytes, tuple[_Tally, Encoding]] = {}
    for tally, encoding in zip(kept, _encoded(kept, encoder, reading), strict=True):
        if not reading.least <= len(encoding) <= MOST_TOKENS or reading.unknown in encoding.ids:
            continue
        first, _ = distinct.setdefault(encoding.ids.tobytes(), (tally, encoding))
        if first is not tally:
            first.count += tally.count
    if not distinct:
        raise CollectError(
            f"no n-gram occurs {min_count} times in these texts; lower --min-count, or collect more text"
        )
    ordered = sorted(distinct.values(), key=lambda entry: (-entry[0].count, entry[0].text))
    return NgramSet(
        sha256=_digest(ordered),
        corpus_sha256=corpus_sha256,
        texts=tuple(tally.text for tally, _ in ordered),
        counts=np.array([tally.count for tally, _ in ordered], dtype=np.int64),
        lengths=np.array([len(encoding) for _, encoding in ordered], dtype=np.int64),
        token_ids=np.concatenate([encoding.ids for _, encoding in ordered]),
    )


def _tallied(texts: Iterable[str], orders: int, *, lowercase: bool) -> Mapping[Gram, _Tally]:
    """N-grams by their words, with the text of their first occurrence."""
    tallies: dict[Gram, _Tally] = {}
    for piece in _pieces(texts, lowercase=lowercase):
        found = list(places(piece))
        words = [word for word, _, _ in found]
        tells = [telling(word) for word in words]
        for start, (_, begin, _) in enumerate(found):
            for stop in range(start + 1, min(start + orders, len(found)) + 1):
                if not any(tells[start:stop]):
                    continue
                gram = tuple(words[start:stop])
                tally = tallies.get(gram)
                if tally is None:
                    shown = " ".join(piece[begin : found[stop - 1][2]].split())
                    spaced = tells[start] or begin == 0 or piece[begin - 1].isspace()
                    tally = tallies[gram] = _Tally(shown, spaced)
                tally.count += 1
    return tallies


def _pieces(texts: Iterable[str], *, lowercase: bool) -> Iterator[str]:
    for text in texts:
        for line in text.splitlines():
            yield from _HOLE.split(line.lower() if lowercase else line)


def _encoded(tallies: Iterable[_Tally], encoder: Encoder, reading: Reading) -> Iterator[Encoding]:
    remaining = (f" {t.text}" if reading.space and t.spaced else t.text for t in tallies)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield from encoder.encode(batch)


def _digest(ordered: Iterable[tuple[_Tally, Encoding]]) -> str:
    digest = hashlib.sha256()
    for tally, encoding in ordered:
        digest.update(f"{tally.text}\n{' '.join(map(str, encoding.ids.tolist()))}\n".encode())
    return digest.hexdigest()
