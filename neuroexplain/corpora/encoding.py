"""Texts → token ids and character offsets, by a private copy of a subject's tokenizer."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.corpora.pieces import cut
from neuroexplain.errors import CorpusError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Places = frozenset[int]

# In characters. The tokenizer's own memory is some 300 bytes a token, and its threads share a batch, not a text.
_LONG = 200_000
_PIECE = 50_000
_PIECES = 4


@dataclass(frozen=True)
class Encoding:
    """The tokens of one text."""

    ids: NDArray[np.uint32]
    """[token]"""
    offsets: NDArray[np.uint32]
    """[token, 2]; first and one-past-last character, without overlap: of the tokens that share a character the
    first has it and the others are empty."""

    def __len__(self) -> int:
        return len(self.ids)

    def moved(self, characters: int) -> Encoding:
        """The same tokens so many characters further on."""
        return Encoding(self.ids, self.offsets + np.uint32(characters))


@dataclass(frozen=True)
class Encoder:
    """A tokenizer that adds no special tokens and reads those in a text as ordinary characters, unless told where.

    So special ids in its encodings are always those that somebody asked for.
    """

    backend: Any
    """A `tokenizers.Tokenizer`."""
    special: Mapping[int, str]
    """Special tokens by id."""
    sha256: str
    """Of the tokenizer's JSON, whatever padding and truncation are set to."""

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, *, marked: bool = False) -> Encoder:
        """Copy a tokenizer; its own padding, truncation and special-token settings stay as they are.

        Args:
            tokenizer: a fast one.
            marked: texts will come with places of special tokens.

        Raises:
            CorpusError: the tokenizer is a slow one, which gives no character offsets.
        """
        if not getattr(tokenizer, "is_fast", False):
            raise CorpusError(
                f"{type(tokenizer).__name__} gives no character offsets; load the subject with its fast tokenizer"
            )
        backend = copy.deepcopy(tokenizer.backend_tokenizer)
        backend.no_padding()
        backend.no_truncation()
        sha256 = hashlib.sha256(backend.to_str().encode()).hexdigest()
        backend.encode_special_tokens = not marked
        # Beside adding special tokens, post-processors cut leading spaces out of the offsets.
        backend.post_processor = None
        added = backend.get_added_tokens_decoder().items()
        return cls(backend, {i: token.content for i, token in added if token.special}, sha256)

    def encode(
        self,
        texts: Sequence[str],
        *,
        marks: Sequence[Places] | None = None,
        limit: int | None = None,
    ) -> list[Encoding]:
        """Tokenise a batch of texts.

        Args:
            texts: a very long one is tokenised in pieces, to the same result.
            marks: [text]; characters at which special tokens begin that are to be read as such, for encoders made
                with `marked`.
            limit: how many tokens of a text are wanted; of a very long one not many more are made.
        """
        marked = list(zip(texts, marks or [frozenset()] * len(texts), strict=True))
        whole = iter(self._batch([m for m in marked if len(m[0]) <= _LONG]))
        return [
            next(whole) if len(text) <= _LONG else self._in_pieces(text, places, limit)
            for text, places in marked
        ]

    def _in_pieces(self, text: str, places: Places, limit: int | None) -> Encoding:
        found: list[Encoding] = []
        count = 0
        pieces = cut(text, _PIECE, lambda t: self.backend.encode(t, add_special_tokens=False).ids)
        while batch := list(islice(pieces, _PIECES)):
            encodings = self._batch([(text[a:b], _within(places, a, b)) for a, b in batch])
            found += [e.moved(a) for e, (a, _) in zip(encodings, batch, strict=True)]
            count += sum(map(len, encodings))
            if limit is not None and count >= limit:
                break
        return _joined(found)

    def _batch(self, marked: Sequence[tuple[str, Places]]) -> list[Encoding]:
        encoded = self.backend.encode_batch([text for text, _ in marked], add_special_tokens=False)
        return [
            self._without_special(text, places, _encoding(e.ids, e.offsets))
            for (text, places), e in zip(marked, encoded, strict=True)
        ]

    def _without_special(self, text: str, places: Places, encoding: Encoding) -> Encoding:
        """Encode again in pieces where the text spells a special token that is not asked for.

        Models with whole-word entries (WordLevel, Unigram) find special tokens in their vocabulary even when told
        not to look for them. A cut behind the first character leaves nothing to be found.
        """
        cuts = [0]
        for k in np.flatnonzero(np.isin(encoding.ids, list(self.special))):
            start, stop = encoding.offsets[k].tolist()
            spelt = text[start:stop].lstrip()
            begin = stop - len(spelt)
            if begin in places or len(spelt) < 2:
                continue
            if spelt.rstrip() == self.special[int(encoding.ids[k])].strip():
                cuts.append(begin + 1)
        if len(cuts) == 1:
            return encoding
        ends = list(zip(cuts, [*cuts[1:], len(text)], strict=True))
        pieces = self._batch([(text[a:b], _within(places, a, b)) for a, b in ends])
        return _joined([e.moved(c) for e, c in zip(pieces, cuts, strict=True)])


def _within(places: Places, start: int, stop: int) -> Places:
    return frozenset(p - start for p in places if start <= p < stop)


def _joined(pieces: Sequence[Encoding]) -> Encoding:
    return Encoding(
        np.concatenate([p.ids for p in pieces]), np.concatenate([p.offsets for p in pieces])
    )


def _encoding(ids: Sequence[int], offsets: Sequence[tuple[int, int]]) -> Encoding:
    pairs = np.array(offsets, dtype=np.uint32).reshape(-1, 2)
    stops = np.maximum.accumulate(pairs[:, 1])
    starts = pairs[:, 0].copy()
    starts[1:] = np.maximum(starts[1:], stops[:-1])
    return Encoding(np.array(ids, dtype=np.uint32), np.stack([starts, stops], axis=1))
