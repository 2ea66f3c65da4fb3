"""A report as files: the page, and every plot as SVG and PNG."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from neuroexplain.errors import ConfigError
from neuroexplain.reporting import plots
from neuroexplain.reporting.page import Figure, page
from neuroexplain.reporting.results import Report

PAGE = "report.html"


def save(report: Report, folder: str | Path) -> list[Path]:
    """Write `report.html`, and beside it the plots where matplotlib is installed; returns the files, the page first.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    folder = Path(folder)
    figures: dict[str, list[Figure]] = defaultdict(list)
    files = [folder / PAGE]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for plot in plots.plots(report) if plots.available() else ():
            drawn = {ending: plot.draw(ending) for ending in ("svg", "png")}
            figures[plot.scorer].append(Figure.of(plot, drawn["svg"]))
            for ending, content in drawn.items():
                files.append(folder / f"{plot.name}.{ending}")
                files[-1].write_bytes(content)
        files[0].write_text(page(report, figures), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write the report to {folder}: {error.strerror}") from error
    return files
