"""What the plots show: panels of scores, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuroexplain.catalogue.storage.columns import Floats64, Integers
from neuroexplain.reporting.words import no_skill

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCORE, NULL, FLOOR = "#0072b2", "#d55e00", "#009e73"
INK, FAINT, PAPER = "#1a1a1b", "#8a8a8b", "#fffffe"
"""Unlike any colour that matplotlib chooses itself, so that a page can put its own in their place."""
POINTS = 1000
"""Explanations that are drawn as points; of more, the density is."""
_BINS = 40
_FAR = 4
"""Widths of the middle half of some numbers, beyond which one is far from it."""


@dataclass(frozen=True, eq=False)
class Panel:
    """The defined scores of one method, [score] each; NaN is unknown."""

    method: str
    scorer: str
    layer: Integers
    value: Floats64
    null: Floats64
    floor: Floats64
    p: Floats64
    null_n: Integers


def by_layer(axes: Sequence[Axes], panels: Sequence[Panel]) -> None:
    """Boxes of the scores of every layer, with floor and null beside."""
    from matplotlib.ticker import MaxNLocator

    layers = np.unique(np.concatenate([panel.layer for panel in panels]))
    for one, panel in zip(axes, panels, strict=True):
        one.bxp(
            [_box(panel.value[panel.layer == layer]) for layer in layers],
            positions=layers,
            widths=0.4,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            label="score",
            boxprops={"facecolor": SCORE, "edgecolor": SCORE, "alpha": 0.75},
            medianprops={"color": INK, "linewidth": 1.5},
            whiskerprops={"color": SCORE},
            capprops={"color": SCORE},
        )
        _beside(one, layers + 0.34, panel, panel.null, NULL, "D", "null")
        _beside(one, layers - 0.34, panel, panel.floor, FLOOR, "^", "floor")
        one.set_ylabel(panel.scorer)
        one.set_xlim(layers[0] - 0.75, layers[-1] + 0.75)
        one.set_ylim(_range([array for p in panels for array in (p.value, p.null, p.floor)]))
        one.xaxis.set_major_locator(MaxNLocator(integer=True))
        _no_skill(one, panel.scorer)
    axes[-1].set_xlabel("layer")


def _box(values: Floats64) -> dict[str, float]:
    names = ("whislo", "q1", "med", "q3", "whishi")
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    found = np.quantile(values, levels) if len(values) else np.full(len(levels), np.nan)
    return dict(zip(names, found.tolist(), strict=True))


def _beside(
    one: Axes, places: Floats64, panel: Panel, values: Floats64, colour: str, marker: str, name: str
) -> None:
    """Medians of some numbers by layer, with their middle halves as lines."""
    layers = (places + 0.5).astype(np.int64)
    found = [values[(panel.layer == layer) & ~np.isnan(values)] for layer in layers]
    quartiles = [
        (x, *np.quantile(v, (0.25, 0.5, 0.75)))
        for x, v in zip(places, found, strict=True)
        if len(v)
    ]
    if not quartiles:
        return
    x, low, middle, high = np.array(quartiles).T
    one.vlines(x, low, high, colors=colour, linewidth=1.2)
    one.plot(x, middle, marker, color=colour, markersize=4, label=f"{name} (median, middle half)")


def against_null(axes: Sequence[Axes], panels: Sequence[Panel]) -> None:
    """Histograms of the scores, with where the nulls lie."""
    low, high = _range([panel.value for panel in panels])
    edges = np.linspace(low, high, _BINS + 1)
    for one, panel in zip(axes, panels, strict=True):
        inside = np.clip(panel.value, low, high)
        one.hist(inside, edges.tolist(), color=SCORE, alpha=0.75, label="scores")
        null = panel.null[~np.isnan(panel.null)]
        if len(null):
            left, middle, right = np.clip(np.quantile(null, (0.05, 0.5, 0.95)), low, high)
            one.axvspan(left, right, facecolor=NULL, edgecolor="none", alpha=0.25)
            one.axvline(middle, color=NULL, linestyle="--", label="null (median; band 5 to 95 %)")
        one.set(ylabel="explanations", xlim=(low, high))
    beyond = any(((p.value < low) | (p.value > high)).any() for p in panels)
    axes[-1].set_xlabel(
        panels[0].scorer + (" (what lies beyond is in the last bins)" if beyond else "")
    )


def p_values(axes: Sequence[Axes], panels: Sequence[Panel]) -> None:
    """Histograms of the p-values, with what they would be without skill."""
    for one, panel in zip(axes, panels, strict=True):
        there = ~np.isnan(panel.p)
        edges = p_edges(panel.null_n[there])
        one.hist(panel.p[there], edges.tolist(), color=SCORE, alpha=0.75, label="explanations")
        flat = int(there.sum()) / (len(edges) - 1)
        one.plot([0, 1], [flat, flat], color=NULL, linestyle="--", label="without any skill")
        one.set(ylabel="explanations", xlim=(0, max(1, edges[-1])))
    axes[-1].set_xlabel("p-value")


def p_edges(null_n: Integers) -> Floats64:
    """Edges of bins that hold equally many of the p-values that a null of so many explanations allows.

    >>> p_edges(np.array([4])).round(1).tolist()  # for 0.2, 0.4, 0.6, 0.8 and 1
    [0.1, 0.3, 0.5, 0.7, 0.9, 1.1]
    """
    sizes = np.unique(null_n)
    n = int(sizes[0]) + 1
    fits = [bins for bins in range(10, 41) if n % bins == 0] or ([n] if n <= 40 else [])
    if len(sizes) > 1 or not fits:
        return np.linspace(0, 1, 21)
    bins = min(fits, key=lambda bins: abs(bins - 20))
    edges: Floats64 = np.linspace(0, 1, bins + 1) + 0.5 / n
    return edges


def against_floor(axes: Sequence[Axes], panels: Sequence[Panel]) -> None:
    """Every score by its floor."""
    low, high = _range([array for panel in panels for array in (panel.value, panel.floor)])
    for one, panel in zip(axes, panels, strict=True):
        there = ~np.isnan(panel.floor)
        x, y = (np.clip(array[there], low, high) for array in (panel.floor, panel.value))
        if len(x) <= POINTS:
            one.plot(x, y, "o", color=SCORE, markersize=3.5, alpha=0.6, markeredgewidth=0)
        else:
            _density(one, x, y, np.linspace(low, high, _BINS + 1))
        one.plot([low, high], [low, high], color=FLOOR, linestyle="--", label="score = floor")
        one.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        one.set(xlabel="floor", ylabel=panel.scorer)


def _density(one: Axes, x: Floats64, y: Floats64, edges: Floats64) -> None:
    """How many points there are in every cell, as shades."""
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    counts, _, _ = np.histogram2d(x, y, (edges, edges))
    side = edges[1] - edges[0]
    filled = np.argwhere(counts > 0)
    strength = np.log1p(counts[counts > 0]) / np.log1p(counts.max())
    cells = [Rectangle((edges[i], edges[j]), side, side) for i, j in filled.tolist()]
    shades = [to_rgba(SCORE, 0.1 + 0.9 * float(s)) for s in strength]
    one.add_collection(PatchCollection(cells, facecolors=shades, edgecolors="none"))


def _no_skill(one: Axes, scorer: str) -> None:
    nothing = no_skill(scorer)
    if nothing is not None:
        one.axhline(nothing, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)


def _range(arrays: Sequence[Floats64]) -> tuple[float, float]:
    """What an axis shows: all of the numbers, but for those that lie far from the middle half of them."""
    values = np.concatenate([array[~np.isnan(array)] for array in arrays])
    low, first, last, high = np.quantile(values, (0, 0.25, 0.75, 1)).tolist()
    if last > first:
        low, high = max(low, first - _FAR * (last - first)), min(high, last + _FAR * (last - first))
    margin = 0.03 * (high - low) or 0.5
    return low - margin, high + margin
