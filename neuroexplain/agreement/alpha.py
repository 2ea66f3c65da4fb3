"""How far any number of reviewers agree, with items that some have not judged.

Krippendorff 2011, Computing Krippendorff's alpha-reliability. The interval is a bootstrap over items, which covers well
with missing answers too (Zapf, Castell, Morawietz and Karch 2016, BMC Med. Res. Methodol. 16).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from neuroexplain.agreement.estimates import (
    RESAMPLES,
    Counts,
    Estimate,
    Floats,
    resampled,
    undefined,
)

Level = Literal["nominal", "ordinal"]


def alpha(
    counts: Counts, level: Level = "nominal", *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Krippendorff's alpha, 1 where all agree and 0 where they agree as by chance.

    Args:
        counts: [item, category]; how many reviewers gave it that category. Items with one answer count for nothing.
        level: whether it matters how far apart categories are, in their order.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    paired = counts[counts.sum(1) > 1]
    n = len(paired)
    if n < 2:
        return undefined(n, f"too few items that two or more judged: {n}")
    kinds, times = np.unique(paired, axis=0, return_counts=True)  # many items are alike
    coincidences = _coincidences(kinds)
    value = float(_alphas(times[None].astype(float), coincidences, level)[0])
    if np.isnan(value):
        return undefined(n, "one category only was given: chance alone agrees fully")
    drawn = np.random.default_rng(seed).multinomial(n, times / n, size=resamples)
    return resampled(value, _alphas(drawn.astype(float), coincidences, level), n)


def _coincidences(counts: Counts) -> Floats:
    """Pairs of answers within each item, each answer counted once; [item, category, category]."""
    c = counts.astype(float)
    pairs = c[:, :, None] * c[:, None, :] - c[:, :, None] * np.eye(c.shape[1])
    found: Floats = pairs / (c.sum(1) - 1)[:, None, None]
    return found


def _alphas(times: Floats, coincidences: Floats, level: Level) -> Floats:
    """Of [resample, item]; NaN where one category only occurs."""
    seen = np.einsum("ri,icd->rcd", times, coincidences)
    margin = seen.sum(2)
    apart = _distances(margin, level)
    total = margin.sum(1)
    expected = margin[:, :, None] * margin[:, None, :]
    expected -= margin[:, :, None] * np.eye(margin.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (total - 1) * (seen * apart).sum((1, 2))
        by_chance = (expected * apart).sum((1, 2))
        return np.where(by_chance > 0, 1 - found / by_chance, np.nan)


def _distances(margin: Floats, level: Level) -> Floats:
    """Squared distances of categories; of ordered ones by the answers that lie between them."""
    if level == "nominal":
        return np.broadcast_to(1 - np.eye(margin.shape[1]), (*margin.shape, margin.shape[1]))
    middle = margin.cumsum(1) - margin / 2
    found: Floats = (middle[:, :, None] - middle[:, None, :]) ** 2
    return found
