"""A report as one HTML file: no script, nothing from outside, every text escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from neuroexplain import __version__
from neuroexplain.reporting.distribution import Distribution
from neuroexplain.reporting.plots import INSTALL, Plot
from neuroexplain.reporting.results import Report, Section
from neuroexplain.reporting.svg import inline
from neuroexplain.reporting.tables import COLUMNS
from neuroexplain.reporting.words import (
    MEANING,
    about,
    count,
    dollars,
    number,
    probability,
    seconds,
    share,
    visible,
)

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Figure:
    """A plot as it stands in the page."""

    title: str
    describes: str
    svg: Markup

    @classmethod
    def of(cls, plot: Plot, drawn: bytes) -> Figure:
        """A plot that was drawn as SVG."""
        return cls(plot.title, plot.describes, Markup(inline(plot, drawn)))


def page(report: Report, figures: Mapping[str, Sequence[Figure]]) -> str:
    """The HTML text.

    Args:
        report: what it shows.
        figures: plots by scorer; empty where there is nothing to draw them with.
    """
    template = _environment().get_template("report.html.jinja")
    return template.render(
        report=report,
        figures=figures,
        no_plots=None if figures or not report.sections else INSTALL,
        columns=COLUMNS,
        meaning=MEANING,
        version=__version__,
    )


def totals(sections: Sequence[Section]) -> list[tuple[str, Distribution]]:
    """Methods with all their scores."""
    return [(str(section.method), section.total) for section in sections]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (about, count, dollars, number, probability, seconds, share, totals, visible)
    environment.filters |= {function.__name__: function for function in shown}
    return environment
