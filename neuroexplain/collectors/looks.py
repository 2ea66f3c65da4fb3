"""What spans look like without running the subject, to find spans that look like those on which a neuron is strong.

A span's look is the mean of its tokens' input embeddings, frequent tokens weighted down (a / (a + p), Arora et al. 2017), less
what all spans have in common. Two spans look alike as far as the angle between their looks is small.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.collectors.plan import Numbers
from neuroexplain.recorded import SplitTokens
from neuroexplain.records import Floats

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject

_FREQUENT = 1e-3
"""Share of the tokens from which on a token counts half or less."""
_DIMENSIONS = 256
"""Of a look; wider embeddings are projected at random, which keeps a cosine to within 1/16."""


@dataclass(frozen=True)
class Looks:
    """The looks of all spans of a split, and where tokens occur in them; arrays are [span]."""

    tokens: SplitTokens
    vectors: Floats
    """[span, dimension]; of length 1."""
    ids: NDArray[np.uint32]
    """[occurrence]; token ids, ascending, each once for every span that has it among its counted tokens."""
    places: Numbers
    """[occurrence]; places of the spans."""

    @classmethod
    def of(cls, tokens: SplitTokens, subject: Subject) -> Looks:
        """The looks of a split's spans to a subject."""
        spans = np.repeat(np.arange(len(tokens.lengths)), tokens.lengths)
        within = np.arange(len(spans)) - np.repeat(
            np.cumsum(tokens.lengths) - tokens.lengths, tokens.lengths
        )
        ids = tokens.token_ids[tokens.starts[spans] + within]
        counted = within >= tokens.first
        pairs = np.unique(np.stack([ids[counted].astype(np.int64), spans[counted]]), axis=1)
        vectors = _vectors(ids, tokens.lengths, subject)
        return cls(tokens, vectors, pairs[0].astype(np.uint32), pairs[1])

    def with_tokens(self, ids: Collection[int]) -> NDArray[np.bool_]:
        """Which spans have one of some tokens where it counts."""
        found = np.zeros(len(self.vectors), dtype=np.bool_)
        for token_id in ids:
            start, stop = np.searchsorted(self.ids, [token_id, token_id + 1])
            found[self.places[start:stop]] = True
        return found

    def likeness(self, places: Numbers) -> Floats:
        """Cosine of every span with what some spans have in common."""
        common = self.vectors[places].mean(axis=0)
        return np.asarray(self.vectors @ (common / max(float(np.linalg.norm(common)), 1e-12)))


def _vectors(ids: NDArray[np.uint32], lengths: Numbers, subject: Subject) -> Floats:
    """[span, dimension]."""
    import torch

    distinct, rows, counts = np.unique(ids, return_inverse=True, return_counts=True)
    weights = _FREQUENT / (_FREQUENT + counts / len(ids))
    table = _embeddings(distinct, subject) * weights[:, None].astype(np.float32)
    starts = torch.from_numpy(np.cumsum(lengths) - lengths)
    sums = torch.nn.functional.embedding_bag(
        torch.from_numpy(rows), torch.from_numpy(table), starts, mode="mean"
    ).numpy()
    looks = sums - sums.mean(axis=0)
    return np.asarray(looks / np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-12))


def _embeddings(ids: NDArray[np.uint32], subject: Subject) -> Floats:
    """[token id, dimension]; of a model without embeddings random ones, by which spans are alike that share words."""
    import torch

    random = np.random.default_rng(0)
    own: Any = getattr(subject.model, "get_input_embeddings", lambda: None)()
    if own is None:
        drawn = random.standard_normal((int(ids[-1]) + 1, _DIMENSIONS), dtype=np.float32)
        return drawn[ids]
    with torch.inference_mode():
        chosen = own.weight[torch.from_numpy(ids.astype(np.int64)).to(own.weight.device)]
        table: Floats = chosen.float().cpu().numpy()
    if table.shape[1] <= _DIMENSIONS:
        return table
    projection = random.standard_normal((table.shape[1], _DIMENSIONS), dtype=np.float32)
    return np.asarray(table @ projection)
