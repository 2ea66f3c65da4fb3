"""Stratified random samples: parts of a population, how many are drawn from each, and which."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue import Frame
from neuroexplain.errors import ConfigError
from neuroexplain.queueing.plans import Allocation, By, Plan
from neuroexplain.reviewed import Stratum

Integers = NDArray[np.int64]
Values = NDArray[np.float64]
_SURE = 0.1
"""A share of correct ones is guessed to be no nearer to 0 or 1."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Explanations drawn at random without replacement, in an order that is random too."""

    rows: Integers
    """[drawn]; places in the frame."""
    stratum: Integers
    """[drawn]; place in `strata`."""
    weight: Values
    """[drawn]; explanations of its stratum for every one drawn from it."""
    strata: tuple[Stratum, ...]
    """Empty where none were asked for."""


def draw(frame: Frame, plan: Plan) -> Sample:
    """Draw as a plan has it: a simple random sample from each stratum, Cochran 1977, chapter 5.

    Args:
        frame: the population; where fewer are in it than the plan asks for, all are taken.
        plan: with `n`, `seed`, `strata`, `allocation`, `bins` and `n_bins`.

    Raises:
        ConfigError: nothing to draw from, or fewer draws than strata.
    """
    if not len(frame):
        raise ConfigError(f'queue "{plan.name}" would be empty: no explanation is left to draw')
    of_row, names = stratify(frame, plan)
    sizes = np.bincount(of_row, minlength=len(names))
    n = min(plan.n, len(frame))
    if n < len(names):
        raise ConfigError(
            f"{len(names)} strata have explanations, and {n} are to be drawn: raise n to {len(names)} or more, or use "
            "fewer strata; what is never drawn cannot be estimated"
        )
    counts = allocate(sizes, _guesses(frame, of_row, len(names)), n, plan.allocation)
    lot = np.random.default_rng(plan.seed)
    grouped = np.split(np.argsort(of_row, kind="stable"), np.cumsum(sizes)[:-1])
    drawn = [lot.choice(own, k, replace=False) for own, k in zip(grouped, counts, strict=True)]
    stratum = np.repeat(np.arange(len(names)), counts)
    order = lot.permutation(len(stratum))
    found = tuple(
        Stratum(name, int(size), int(count))
        for name, size, count in zip(names, sizes, counts, strict=True)
    )
    return Sample(
        np.concatenate(drawn)[order],
        stratum[order],
        (sizes / counts)[stratum[order]],
        found if plan.strata else (),
    )


def stratify(frame: Frame, plan: Plan) -> tuple[Integers, list[str]]:
    """The stratum of every explanation of a population, and what strata are called, in their order."""
    code, parts = np.zeros(len(frame), np.int64), []
    for by in plan.strata:
        own, names = _part(frame, by, plan)
        code = code * len(names) + own
        parts.append(names)
    kinds, of_row = np.unique(code, return_inverse=True)
    shape = [len(names) for names in parts]
    places = zip(*np.unravel_index(kinds, shape), strict=True) if parts else [()]
    named = [
        ", ".join(names[place] for names, place in zip(parts, where, strict=True))
        for where in places
    ]
    return of_row.astype(np.int64), named


def _part(frame: Frame, by: By, plan: Plan) -> tuple[Integers, list[str]]:
    """The population by one thing: its part of every explanation, and the parts' names."""
    if by == "score":
        return _score_bins(frame.score, plan)
    if by == "polarity":
        return (frame.polarity < 0).astype(np.int64), ["firing", "below zero"]
    if by == "method":
        return frame.method, [str(method) for method in frame.methods]
    several = len(np.unique(frame.subject)) > 1
    layers = int(frame.layer.max()) + 1
    names = [
        f"{subject} layer {layer}" if several else f"layer {layer}"
        for subject in frame.subjects
        for layer in range(layers)
    ]
    return frame.subject * layers + frame.layer, names


def _score_bins(score: Values, plan: Plan) -> tuple[Integers, list[str]]:
    """Bins of scores, from the lowest on; what has no score is one by itself, the last."""
    known = score[~np.isnan(score)]
    if plan.bins == "fixed":
        edges = np.arange(1, plan.n_bins) / plan.n_bins
        bounds = ["0", *(f"{edge:.2g}" for edge in edges), "1"]
        names = ["score below 0"]
        edges = np.concatenate([[0.0], edges])
    else:
        levels = np.arange(1, plan.n_bins) / plan.n_bins
        edges = np.unique(np.quantile(known, levels)) if len(known) else np.zeros(0)
        ends = [float(known.min()), float(known.max())] if len(known) else [0.0, 0.0]
        bounds = [f"{edge:.3f}" for edge in (ends[0], *edges, ends[1])]
        names = []
    names += [f"score {low} to {high}" for low, high in pairwise(bounds)]
    # What is a fifth to the eye may be a hair less in binary.
    place = np.searchsorted(edges, score + 1e-9, side="right")
    return np.where(np.isnan(score), len(names), place).astype(np.int64), [*names, "no score"]


def allocate(sizes: Integers, guesses: Values, n: int, allocation: Allocation) -> Integers:
    """How many to draw from each stratum: at least one, at most all.

    `proportional` to the sizes; `equal`; or `optimal` for the share of correct explanations: Neyman 1934, proportional to
    size times spread, where the spread of a verdict is sqrt(p (1 - p)) with p guessed before anybody has judged.

    >>> allocate(np.array([90, 9, 1]), np.array([0.5, 0.5, 0.5]), 10, "proportional").tolist()
    [8, 1, 1]

    Args:
        sizes: [stratum]; explanations, each above 0.
        guesses: [stratum]; the share that is correct, 0 to 1.
        n: to draw in all, at least as many as strata and at most all explanations.
        allocation: see above.
    """
    wanted: Values
    match allocation:
        case "proportional":
            wanted = sizes.astype(np.float64)
        case "equal":
            wanted = np.ones(len(sizes))
        case "optimal":
            share = np.clip(guesses, _SURE, 1 - _SURE)
            wanted = sizes.astype(np.float64) * np.sqrt(share * (1 - share))
    low, high = 0.0, n / wanted.min() + float((sizes / wanted).max())
    for _ in range(100):  # the factor at which the bounded numbers add up to n
        middle = (low + high) / 2
        if np.clip(middle * wanted, 1, sizes).sum() < n:
            low = middle
        else:
            high = middle
    exact = np.clip(high * wanted, 1, sizes)
    counts: Integers = np.floor(exact + 1e-9).astype(np.int64)
    first = np.argsort(counts - exact, kind="stable")
    counts[first[: n - int(counts.sum())]] += 1
    return counts


def _guesses(frame: Frame, of_row: Integers, strata: int) -> Values:
    """The share of correct explanations by stratum, before anybody judged: the mean score; one half where none has one."""
    known = ~np.isnan(frame.score)
    count = np.bincount(of_row[known], minlength=strata)
    total = np.bincount(of_row[known], frame.score[known], minlength=strata)
    guess: Values = np.where(count > 0, total / np.maximum(count, 1), 0.5)
    return guess
