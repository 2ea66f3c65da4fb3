"""How far two reviewers agree, beyond chance (Cohen 1960; weighted: Cohen 1968)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from neuroexplain.agreement.estimates import (
    RESAMPLES,
    Counts,
    Estimate,
    Floats,
    proportion,
    resampled,
    undefined,
)

Weights = Literal["nominal", "linear", "quadratic"]


def confusion(first: Counts, second: Counts, categories: int) -> Counts:
    """How often each pair of categories was given; [first, second].

    Args:
        first: [item]; number of the category.
        second: the same of the other reviewer.
        categories: how many there are.
    """
    both = np.bincount(first * categories + second, minlength=categories**2)
    return both.reshape(categories, categories)


def percent(table: Counts) -> Estimate:
    """Share of the items on which two reviewers say the same, with Wilson's interval."""
    return proportion(float(np.trace(table)), int(table.sum()))


def kappa(
    table: Counts, weights: Weights = "nominal", *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Cohen's kappa, 1 where they always agree and 0 where they agree as by chance, with a bootstrap interval over items.

    Args:
        table: from `confusion`; ordered categories in their order.
        weights: how bad it is to differ: all the same, by steps, or by squared steps.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    n = int(table.sum())
    if n < 2:
        return undefined(n, f"too few items that both judged: {n}")
    bad = _badness(len(table), weights)
    value = float(_kappas(table[None].astype(float), bad)[0])
    if np.isnan(value):
        return undefined(n, "both gave one and the same category only: chance alone agrees fully")
    drawn = np.random.default_rng(seed).multinomial(n, (table / n).ravel(), size=resamples)
    return resampled(value, _kappas(drawn.reshape(-1, *table.shape).astype(float), bad), n)


def _badness(categories: int, weights: Weights) -> Floats:
    steps = np.abs(np.subtract.outer(np.arange(categories), np.arange(categories))).astype(float)
    return {"nominal": (steps > 0).astype(float), "linear": steps, "quadratic": steps**2}[weights]


def _kappas(tables: Floats, bad: Floats) -> Floats:
    """Of [table, first, second]; NaN where chance cannot disagree."""
    n = tables.sum((1, 2))
    chance = np.einsum("ti,tj,ij->t", tables.sum(2), tables.sum(1), bad) / n
    found = np.einsum("tij,ij->t", tables, bad)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chance > 0, 1 - found / chance, np.nan)
