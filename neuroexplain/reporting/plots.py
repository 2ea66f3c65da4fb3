"""Plots of scores beside null and floor, by matplotlib; every method is a panel.

matplotlib is an extra, and is imported when the first plot is drawn. The three colours are of Okabe and Ito's set, which is made for
all kinds of colour vision; shapes and line styles tell them apart without colour too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from neuroexplain.reporting.drawing import (
    FAINT,
    INK,
    PAPER,
    Panel,
    against_floor,
    against_null,
    by_layer,
    p_values,
)
from neuroexplain.reporting.results import Report, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INSTALL = "plots need matplotlib: pip install 'neuroexplain[report]'"
STYLE = {
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), FAINT),
    **dict.fromkeys(("axes.labelcolor", "axes.titlecolor", "text.color"), INK),
    **dict.fromkeys(("xtick.labelcolor", "ytick.labelcolor", "legend.labelcolor"), INK),
    **dict.fromkeys(("axes.spines.right", "axes.spines.top", "legend.frameon"), False),
    **dict.fromkeys(("figure.facecolor", "savefig.facecolor"), PAPER),
    "axes.facecolor": "none",
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "neuroexplain",
    "text.parse_math": False,
}
_WIDTH, _HEIGHT, _LEAST = 6.0, 2.1, 2.6
"""Inches: width of a figure, height of a panel, least height of a figure."""
_CHARACTERS = 78
"""Of a title as wide as a figure."""


@dataclass(frozen=True, eq=False)
class Plot:
    """One figure."""

    name: str
    """Of its files, without an ending."""
    scorer: str
    title: str
    describes: str
    """What is drawn, for who cannot see it."""
    figure: Figure

    def draw(self, ending: str) -> bytes:
        """The file, `svg` or `png`; the same bytes for the same numbers."""
        import matplotlib as mpl

        unsaid = ("Creator", "Date", "Format", "Type") if ending == "svg" else ("Software",)
        drawn = BytesIO()
        with mpl.rc_context(STYLE):
            self.figure.savefig(drawn, format=ending, dpi=150, metadata=dict.fromkeys(unsaid))
        return drawn.getvalue()


Draw = Callable[[Sequence["Axes"], Sequence[Panel]], None]


@dataclass(frozen=True)
class _Kind:
    name: str
    title: str
    describes: str
    draw: Draw
    needs: str
    """Column of which there must be some."""
    square: bool = False


def available() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def plots(report: Report) -> Iterator[Plot]:
    """Up to four plots of every scorer that scored anything."""
    for scorer in report.scorers:
        found = [_panel(report, section) for section in report.of_scorer(scorer)]
        for kind in _KINDS:
            panels = [p for p in found if not np.isnan(getattr(p, kind.needs)).all()]
            if panels:
                name = "".join(c if c.isalnum() else "-" for c in scorer)
                figure = _figure(panels, kind)
                yield Plot(f"{name}-{kind.name}", scorer, kind.title, kind.describes, figure)


def _panel(report: Report, section: Section) -> Panel:
    scores, explanations = report.scored.scores, report.scored.explanations
    rows = section.rows[~np.isnan(scores.value[section.rows])]
    return Panel(
        method=str(section.method),
        scorer=section.scorer,
        layer=explanations.layer[scores.explanation[rows]],
        value=scores.value[rows],
        null=scores.null_mean[rows],
        floor=scores.floor[rows],
        p=scores.p_value[rows],
        null_n=scores.null_n[rows],
    )


def _figure(panels: Sequence[Panel], kind: _Kind) -> Figure:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = min(2, len(panels)) if kind.square else 1
    rows = -(-len(panels) // columns)
    height = max(_LEAST, rows * (_WIDTH / 2 if kind.square else _HEIGHT)) + 0.4
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        grid = figure.subplots(
            rows, columns, squeeze=False, sharex=not kind.square, sharey=kind.name == "by-layer"
        )
        axes = list(grid.flat)
        for spare in axes[len(panels) :]:
            spare.set_axis_off()
        for one, panel in zip(axes, panels, strict=False):
            one.set_title(_title(panel, _CHARACTERS // columns))
        kind.draw(axes[: len(panels)], panels)
        entries = [zip(*one.get_legend_handles_labels(), strict=True) for one in axes]
        named = {name: handle for some in entries for handle, name in some}
        figure.legend(
            list(named.values()), list(named), loc="outside upper right", ncols=len(named)
        )
    return figure


def _title(panel: Panel, room: int) -> str:
    """The method on one line, or on two where it is long; what has no room is cut."""
    found = f"{panel.method}, n = {len(panel.value):,}"
    lines = [found] if len(found) <= room else found.replace(" → ", " →\n", 1).split("\n")
    return "\n".join(line if len(line) <= room else f"{line[: room - 1]}…" for line in lines)


_KINDS = (
    _Kind(
        "by-layer",
        "by layer",
        "Boxes hold the middle half of a layer's scores, with the median as a line; whiskers reach from 5 % to 95 %. Beside "
        "them stand the floor (left, triangle) and the null (right, diamond), as medians with their middle halves. The tables have "
        "the numbers.",
        by_layer,
        "value",
    ),
    _Kind(
        "against-null",
        "scores and null",
        "A histogram of the scores. The dashed line is the median of the means of the nulls, the band holds 90 % of them; single "
        "explanations in a null vary more than their means.",
        against_null,
        "value",
    ),
    _Kind(
        "p-values",
        "p-values",
        "A histogram of the p-values. Without any skill it would be as flat as the dashed line.",
        p_values,
        "p",
    ),
    _Kind(
        "against-floor",
        "scores and floors",
        "Every explanation by the floor of its neuron (across) and its score (up). Above the line it says more than the baseline. "
        "What lies far from all others stands at the border.",
        against_floor,
        "floor",
        square=True,
    ),
)
