"""Texts → token ids and character offsets, by a private copy of a subject's tokenizer."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.errors import CorpusError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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


@dataclass(frozen=True)
class Encoder:
    """A tokenizer that adds no special tokens and reads those in a text as ordinary characters."""

    backend: Any
    """A `tokenizers.Tokenizer`."""
    special: Mapping[int, str]
    """Special tokens by id."""
    sha256: str
    """Of the tokenizer's JSON, whatever padding and truncation are set to."""

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Encoder:
        """Copy a tokenizer; its own padding, truncation and special-token settings stay as they are.

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
        backend.encode_special_tokens = True
        # Beside adding special tokens, post-processors cut leading spaces out of the offsets.
        backend.post_processor = None
        added = backend.get_added_tokens_decoder().items()
        return cls(backend, {i: token.content for i, token in added if token.special}, sha256)

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokenise a batch of texts."""
        encoded = self.backend.encode_batch(list(texts), add_special_tokens=False)
        return [
            self._without_special(text, _encoding(e.ids, e.offsets))
            for text, e in zip(texts, encoded, strict=True)
        ]

    def _without_special(self, text: str, encoding: Encoding) -> Encoding:
        """Encode again in pieces where the text spells a special token.

        Models with whole-word entries (WordLevel, Unigram) find special tokens in their vocabulary even when told
        not to look for them. A cut behind the first character leaves nothing to be found.
        """
        cuts = [0]
        for k in np.flatnonzero(np.isin(encoding.ids, list(self.special))):
            start, stop = encoding.offsets[k].tolist()
            spelt = text[start:stop].lstrip()
            if len(spelt) > 1 and spelt.rstrip() == self.special[int(encoding.ids[k])].strip():
                cuts.append(stop - len(spelt) + 1)
        if len(cuts) == 1:
            return encoding
        pieces = self.encode([text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)])
        return Encoding(
            np.concatenate([p.ids for p in pieces]),
            np.concatenate([p.offsets + np.uint32(c) for p, c in zip(pieces, cuts, strict=True)]),
        )


def _encoding(ids: Sequence[int], offsets: Sequence[tuple[int, int]]) -> Encoding:
    pairs = np.array(offsets, dtype=np.uint32).reshape(-1, 2)
    stops = np.maximum.accumulate(pairs[:, 1])
    starts = pairs[:, 0].copy()
    starts[1:] = np.maximum(starts[1:], stops[:-1])
    return Encoding(np.array(ids, dtype=np.uint32), np.stack([starts, stops], axis=1))
