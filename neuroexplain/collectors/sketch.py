"""What a uniform sample of tokens says about the neurons of a layer: quantiles, token responses, directions."""

from __future__ import annotations

from dataclasses import fields
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from neuroexplain.recorded import QUANTILE_LEVELS, LayerSketch, TokenTable
from neuroexplain.records import POLARITIES, Floats

Number = TypeVar("Number", bound=np.generic)

DIMENSIONS = 256
"""Of a direction: the standard error of an estimated correlation is at most 1 / sqrt(256)."""
TOKEN_IDS = 32
"""Kept per neuron and polarity."""
_AT_ONCE = 512
"""Neurons."""
_LENGTH = 400.0
"""Of a direction in int8: a dimension is about 25, and beyond 127 with a chance of one in a million."""


def sketch(
    activations: Floats,
    order: NDArray[np.int64],
    token_ids: NDArray[np.uint32],
    explain: NDArray[np.bool_],
) -> LayerSketch:
    """Summarise sampled tokens.

    Args:
        activations: [token, neuron], in any order.
        order: [token]; rows of the activations in corpus order, as the other arguments are.
        token_ids: [token]
        explain: [token]; whether its span is of the explain split: token responses are evidence, and must not hold any other.
    """
    width = activations.shape[1]
    signs = np.random.default_rng(0).choice(
        np.array([-1, 1], dtype=np.float32), (DIMENSIONS, len(activations))
    )
    pieces = []
    for start in range(0, width, _AT_ONCE):
        # All of these copy the activations: a few neurons at a time.
        some = activations[:, start : start + _AT_ONCE][order]
        table = _token_table(some[explain], token_ids[explain])
        pieces.append((_quantiles(some), table, _directions(some, signs)))
    quantiles, tables, directions = zip(*pieces, strict=True)
    return LayerSketch(
        n_tokens=len(activations),
        quantiles=np.concatenate(quantiles),
        token_table=TokenTable(
            *(
                np.concatenate([getattr(table, field.name) for table in tables], axis=1)
                for field in fields(TokenTable)
            )
        ),
        directions=np.concatenate(directions),
    )


def _quantiles(activations: Floats) -> Floats:
    """[neuron, level]; the smallest activation that the level's share of tokens does not exceed."""
    n = len(activations)
    places = [max(0, int(np.ceil(level * n)) - 1) for level in QUANTILE_LEVELS]
    # Sorted in rows: many times faster than along the first axis.
    return np.sort(_transposed(activations), axis=1)[:, places]


def _directions(activations: Floats, signs: Floats) -> NDArray[np.int8]:
    """Random signs give every token a direction; a neuron's is the sum of these, weighted by its centred activations.

    The cosine of two sums estimates the cosine of the centred activations, that is their correlation (Johnson and
    Lindenstrauss 1984; Achlioptas 2003).
    """
    import torch

    # numpy would use threads of its own for this, as many as there are cores.
    centred = torch.from_numpy(activations - activations.mean(axis=0))
    sums = (torch.from_numpy(signs) @ centred).numpy().T
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    scaled = sums * (_LENGTH / np.where(length > 0, length, 1))
    return np.rint(scaled).clip(-127, 127).astype(np.int8)


class _Totals(NamedTuple):
    ids: NDArray[np.uint32]
    counts: NDArray[np.int64]
    sums: Floats
    """[id, neuron]"""
    highest: Floats
    lowest: Floats


def _token_table(activations: Floats, token_ids: NDArray[np.uint32]) -> TokenTable:
    totals = _totals(activations, token_ids)
    sides = [_strongest(totals, polarity) for polarity in POLARITIES]
    ids, means, extremes, counts = (np.stack(column) for column in zip(*sides, strict=True))
    return TokenTable(ids, means, extremes, counts)


def _totals(activations: Floats, token_ids: NDArray[np.uint32]) -> _Totals:
    import torch

    order = np.argsort(token_ids, kind="stable")
    ids, counts = np.unique(token_ids, return_counts=True)
    ordered = torch.from_numpy(activations[order])
    if not len(ids):
        empty = np.empty((0, activations.shape[1]), dtype=np.float32)
        return _Totals(ids, counts, empty, empty, empty)
    lengths = torch.from_numpy(counts)
    sums, highest, lowest = (
        torch.segment_reduce(ordered, how, lengths=lengths, axis=0).numpy()
        for how in ("sum", "max", "min")
    )
    return _Totals(ids, counts, sums, highest, lowest)


def _strongest(
    totals: _Totals, polarity: int
) -> tuple[NDArray[np.uint32], Floats, Floats, NDArray[np.int32]]:
    """The token ids of one side: ids, means, extremes, counts, each [neuron, rank].

    Ranked by mean * n / (n + 1), so that of two equal means the one that rests on more tokens comes first.
    """
    n_ids, width = totals.sums.shape
    kept = min(TOKEN_IDS, n_ids)
    strength = _transposed(
        totals.sums * (polarity / (totals.counts + 1)).astype(np.float32)[:, None]
    )
    part = np.argpartition(-strength, kept - 1, axis=1)[:, :kept] if kept else np.zeros(0, int)
    part = part.reshape(width, kept)
    order = np.lexsort((part, -np.take_along_axis(strength, part, axis=1)), axis=1)
    chosen = np.take_along_axis(part, order, axis=1)
    # A token on which the neuron is on the other side on average says nothing about this side.
    on_side = np.take_along_axis(strength, chosen, axis=1) > 0
    neurons = np.arange(width)[:, None]
    edge = totals.highest if polarity > 0 else totals.lowest

    def padded(values: NDArray[Number]) -> NDArray[Number]:
        full = np.zeros((width, TOKEN_IDS), values.dtype)
        full[:, :kept] = np.where(on_side, values, np.zeros((), values.dtype))
        return full

    return (
        padded(totals.ids[chosen]),
        padded((totals.sums[chosen, neurons] / totals.counts[chosen]).astype(np.float32)),
        padded(edge[chosen, neurons]),
        padded(totals.counts[chosen].astype(np.int32)),
    )


def _transposed(values: Floats) -> Floats:
    import torch

    # The same as ascontiguousarray(values.T), faster.
    result: Floats = torch.from_numpy(values).T.contiguous().numpy()
    return result
