"""Which method people choose when they see two explanations of a neuron side by side.

A tie is half a win for both. Intervals are bootstraps over neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.stats import binomtest

from neuroexplain.agreement.estimates import (
    RESAMPLES,
    Estimate,
    Floats,
    draws,
    resampled,
    undefined,
)

Flags = NDArray[np.bool_]
_STEPS = 10_000
_CLOSE = 1e-8


@dataclass(frozen=True)
class Choice:
    """One reviewer's choice between two methods."""

    neuron: int
    """Number of the neuron, from 0."""
    left: int
    """Number of the method, from 0."""
    right: int
    won: float
    """By the left one: 1, 0, or 0.5 for a tie."""


@dataclass(frozen=True)
class Against:
    """Two methods, compared on the same neurons."""

    first: int
    second: int
    """Numbers of the methods."""
    wins: int
    """Choices of the first."""
    ties: int
    losses: int
    neurons: int
    """That speak for one of the two: ties left out, the choices of several reviewers put together."""
    for_first: int
    """Of these neurons."""
    p_value: float | None
    """Exact sign test over neurons, two-sided; None where all are ties."""


@dataclass(frozen=True)
class Wins:
    """How methods do against one another."""

    rates: tuple[Estimate, ...]
    """[method]; share of its comparisons that it won."""
    against: tuple[Against, ...]
    """Every pair of methods that was compared."""
    strengths: tuple[Estimate, ...]
    """[method]; Bradley and Terry's, in units of log odds, with mean 0: the chance that one beats another is the
    logistic function of their difference."""


def wins(
    choices: Sequence[Choice], methods: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> Wins:
    """Win rates, comparisons of pairs and strengths.

    Args:
        choices: between different methods.
        methods: how many there are.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    tables = _tables(choices, methods)
    flat = tables.reshape(len(tables), methods**2)
    drawn = draws(len(tables), resamples=resamples, seed=seed)
    replicates = np.concatenate([c @ flat for c in drawn]).reshape(resamples, methods, methods)
    return Wins(
        rates=_rates(tables.sum(0), replicates),
        against=tuple(
            _against(choices, a, b)
            for a in range(methods)
            for b in range(a + 1, methods)
            if tables[:, a, b].any() or tables[:, b, a].any()
        ),
        strengths=_strengths(tables.sum(0), replicates),
    )


def _tables(choices: Sequence[Choice], methods: int) -> Floats:
    """Wins of the row over the column; [neuron, method, method]."""
    place = {number: i for i, number in enumerate(dict.fromkeys(c.neuron for c in choices))}
    found = np.zeros((len(place), methods, methods))
    for c in choices:
        found[place[c.neuron], c.left, c.right] += c.won
        found[place[c.neuron], c.right, c.left] += 1 - c.won
    return found


def _rates(table: Floats, replicates: Floats) -> tuple[Estimate, ...]:
    found = []
    for m in range(len(table)):
        n = round(float(table[m].sum() + table[:, m].sum()))
        if not n:
            found.append(undefined(0, "never compared"))
            continue
        won, lost = replicates[:, m].sum(1), replicates[:, :, m].sum(1)
        with np.errstate(invalid="ignore"):
            found.append(resampled(float(table[m].sum()) / n, won / (won + lost), n))
    return tuple(found)


def _against(choices: Sequence[Choice], first: int, second: int) -> Against:
    """All between two methods."""
    won = [(c.neuron, c.won) for c in choices if (c.left, c.right) == (first, second)]
    won += [(c.neuron, 1 - c.won) for c in choices if (c.left, c.right) == (second, first)]
    balance: dict[int, float] = {}
    for neuron, w in won:
        balance[neuron] = balance.get(neuron, 0.0) + w - 0.5
    speaking = [b for b in balance.values() if b]
    better = sum(b > 0 for b in speaking)
    return Against(
        first=first,
        second=second,
        wins=sum(w == 1 for _, w in won),
        ties=sum(w == 0.5 for _, w in won),
        losses=sum(w == 0 for _, w in won),
        neurons=len(speaking),
        for_first=better,
        p_value=float(binomtest(better, len(speaking)).pvalue) if speaking else None,
    )


def _strengths(table: Floats, replicates: Floats) -> tuple[Estimate, ...]:
    """Maximum likelihood exists where every method beats every other along some chain of wins (Ford 1957)."""
    n = [round(float(table[m].sum() + table[:, m].sum())) for m in range(len(table))]
    used = np.flatnonzero(n)
    why = _unconnected(table[np.ix_(used, used)])
    if why is not None:
        return tuple(undefined(k, why if k else "never compared") for k in n)
    value = bradley_terry(table[None][:, used][:, :, used])[0]
    again = replicates[:, used][:, :, used]
    told = _chained(again)
    logs = np.full((len(replicates), len(used)), np.nan)
    logs[told] = bradley_terry(again[told])
    found = [undefined(0, "never compared")] * len(table)
    for place, m in enumerate(used):
        found[m] = resampled(float(value[place]), logs[:, place], n[m])
    return tuple(found)


def _unconnected(table: Floats) -> str | None:
    """Why strengths cannot be told, if so."""
    if len(table) < 2:
        return "nothing to compare with"
    if connected_components(table + table.T > 0, directed=False)[0] > 1:
        return "the methods fall into groups that were never compared with one another"
    if not _chained(table[None])[0]:
        return "some methods never won against the others, or never lost"
    return None


def _chained(tables: Floats) -> Flags:
    """Whether every method beats every other along some chain of wins; [set]."""
    reached = (tables > 0) | np.eye(tables.shape[1], dtype=bool)
    for _ in range(tables.shape[1].bit_length()):
        reached = reached @ reached
    found: Flags = np.all(reached, axis=(1, 2))
    return found


def bradley_terry(tables: Floats) -> Floats:
    """Log strengths with mean 0, by minorisation and maximisation (Hunter 2004, Annals of Statistics 32).

    Args:
        tables: [set, method, method]; wins of the row over the column, ties half.

    Returns:
        [set, method].
    """
    won, met = tables.sum(2), tables + tables.transpose(0, 2, 1)
    strength, moving = np.ones(won.shape), np.arange(len(won))
    for _ in range(_STEPS):
        if not len(moving):
            break
        old = strength[moving]
        new = won[moving] / (met[moving] / (old[:, :, None] + old[:, None, :])).sum(2)
        new /= np.exp(np.log(new).mean(1, keepdims=True))
        strength[moving] = new
        moving = moving[np.abs(np.log(new / old)).max(1) > _CLOSE]
    return np.log(strength)
