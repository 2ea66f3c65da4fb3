"""Plots: the same bytes for the same numbers, labelled axes, bins that fit the p-values, and what happens without matplotlib."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from neuroexplain.errors import ConfigError
from neuroexplain.reporting import Report, assemble, drawing, plots, save
from neuroexplain.reporting.drawing import p_edges
from tests.reporting.made import Made, score

SVG = "{http://www.w3.org/2000/svg}"


def heights(axes: Any) -> list[int]:
    """Of a histogram's bars."""
    return [int(bar.get_height()) for bar in axes.patches]


@pytest.fixture
def report(made: Made) -> Report:
    run = made.run()
    random = np.random.default_rng(0)
    for index in range(8):
        number = made.explain(run, f"{index // 4 * 2}/{index % 4}", f"text {index}")
        value, floor = random.random(2).tolist()
        made.score(run, number, score(value, p=(1 + index) / 21, floor=floor))
    return assemble(made.catalogue)


def test_the_same_numbers_are_the_same_bytes(report: Report) -> None:
    first, second = (list(plots.plots(report))[2:] for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert a.draw("svg") == b.draw("svg")
        assert a.draw("png") == b.draw("png")
        assert b"<dc:date>" not in a.draw("svg"), "no date"


def test_axes_and_legends_have_names(report: Report) -> None:
    found = {plot.name: plot.figure for plot in plots.plots(report)}
    labels = {
        name: (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel())
        for name, figure in found.items()
    }
    assert labels == {
        "correlation-by-layer": ("layer", "correlation"),
        "correlation-against-null": ("correlation", "explanations"),
        "correlation-p-values": ("p-value", "explanations"),
        "correlation-against-floor": ("floor", "correlation"),
    }
    texts = ElementTree.fromstring(next(plots.plots(report)).draw("svg")).iter(f"{SVG}text")
    shown = {text.text for text in texts}
    assert {"score", "null (median, middle half)", "floor (median, middle half)"} <= shown
    assert "fixed → made, n = 8" in shown


def test_what_is_drawn_is_what_was_scored(report: Report) -> None:
    found = {plot.name: plot.figure.axes[0] for plot in plots.plots(report)}
    rows = list(report.rows())
    points = found["correlation-against-floor"].lines[0].get_xydata()
    assert sorted(map(tuple, np.asarray(points).tolist())) == sorted(
        (r.floor, r.value) for r in rows
    )
    counts = heights(found["correlation-p-values"])
    assert counts == [1] * 8 + [0] * 13, "a bin for every p-value that 20 others allow"
    assert sum(heights(found["correlation-against-null"])[:40]) == 8


@pytest.mark.parametrize(
    ("null_n", "bins", "first"),
    [
        ([20, 20], 21, 0.5 / 21),
        ([199], 20, 0.5 / 200),  # ten of 200 in each
        ([22], 23, 0.5 / 23),
        ([5], 6, 0.5 / 6),
        ([96], 20, 0.0),  # 97 is a prime
        ([20, 30], 20, 0.0),
    ],
)
def test_bins_of_p_values_are_fair(null_n: list[int], bins: int, first: float) -> None:
    edges = p_edges(np.array(null_n))
    assert len(edges) - 1 == bins and edges[0] == pytest.approx(first)
    if first:
        n = null_n[0] + 1
        counts, _ = np.histogram(np.arange(1, n + 1) / n, edges)
        assert len(set(counts.tolist())) == 1


def test_many_points_become_a_density_and_far_ones_stay_at_the_border(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "POINTS", 4)
    run = made.run()
    for index, value in enumerate((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.5, -400.0)):
        number = made.explain(run, f"{index // 4 * 2}/{index % 4}", f"text {index}")
        made.score(run, number, score(value, floor=0.3 + index / 100))
    found = {plot.name: plot for plot in plots.plots(assemble(made.catalogue))}
    scatter = found["correlation-against-floor"].figure.axes[0]
    assert len(scatter.lines) == 1, "no points beside the line"
    (cells,) = scatter.collections
    assert 1 < len(cells.get_paths()) <= 8
    low, high = scatter.get_ylim()
    assert -2 < low < 0.1 and 0.6 < high < 1, "one far number does not squeeze the others"
    histogram = found["correlation-against-null"].figure.axes[0]
    counts = heights(histogram)[:40]
    assert counts[0] == 1 and sum(counts) == 8
    assert histogram.get_xlabel() == "correlation (what lies beyond is in the last bins)"


def test_without_matplotlib_the_page_has_its_tables(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not plots.available()
    files = save(report, tmp_path)
    assert [path.name for path in files] == ["report.html"]
    html = files[0].read_text(encoding="utf-8")
    assert "plots need matplotlib: pip install &#39;neuroexplain[report]&#39;" in html
    assert "<svg" not in html and html.count("<table>") >= 4


def test_a_folder_that_cannot_be_made(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot write the report to .*file.*: \S"):
        save(report, tmp_path / "file" / "out")
