"""Neurons as pages that a browser opens from a folder: no script, nothing from outside, every text escaped.

`index.html` lists all explanations with their scores; `neurons-N.html` have 200 neurons each, with their spans.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import jinja2

from neuroexplain.exchange.drawn import Neuron, drawn, number, probability
from neuroexplain.exchange.files import Growing
from neuroexplain.exchanged import NeuronRecord
from neuroexplain.heat import HEATS, shown

TEMPLATES = Path(__file__).parent / "templates"
PER_PAGE = 200
"""Neurons of a page."""
SPANS = 6
"""Spans of each group that a page shows."""
INDEX = "index.html"


@dataclass(frozen=True)
class Written:
    """What an export wrote."""

    neurons: int
    pages: int


class Page(NamedTuple):
    """A page with its neighbours."""

    name: str
    neurons: list[Neuron]
    before: str | None
    after: str | None

    @property
    def span(self) -> str:
        """First and last address."""
        first, last = self.neurons[0].record.neuron, self.neurons[-1].record.neuron
        return str(first) if first == last else f"{first} to {last}"


def write(
    records: Iterable[NeuronRecord],
    out: Path,
    title: str,
    *,
    first: int = 0,
    spans: int = SPANS,
    per_page: int = PER_PAGE,
) -> Written:
    """Write pages; two pages' records are in memory at a time.

    Args:
        records: neurons, in the order in which they are to be listed.
        out: folder of the pages.
        title: of all of them.
        first: leading tokens of every span that count for nothing.
        spans: spans of each group at most.
        per_page: neurons of a page.

    Raises:
        ExchangeError: a file cannot be written.
    """
    pages = neurons = 0

    def counted() -> Iterator[Page]:
        nonlocal pages, neurons
        for page in _pages(records, first, spans, per_page):
            _save(out / page.name, _environment().get_template("page.html.jinja").generate(
                page=page, title=title
            ))  # fmt: skip
            pages += 1
            neurons += len(page.neurons)
            yield page

    index = _environment().get_template("index.html.jinja")
    _save(out / INDEX, index.generate(pages=counted(), title=title))
    return Written(neurons, pages)


def _pages(
    records: Iterable[NeuronRecord], first: int, spans: int, per_page: int
) -> Iterator[Page]:
    """Pages, each with the names of those before and behind it: so the next one's records are read first."""
    left = iter(records)
    part, before, count = list(islice(left, per_page)), None, 1
    while part:
        following = list(islice(left, per_page))
        name, after = f"neurons-{count}.html", f"neurons-{count + 1}.html"
        neurons = [drawn(record, spans=spans, first=first) for record in part]
        yield Page(name, neurons, before, after if following else None)
        part, before, count = following, name, count + 1


def _save(path: Path, chunks: Iterable[str]) -> None:
    with Growing(path) as file:
        for chunk in chunks:
            file.write(chunk.encode("utf-8", "backslashreplace"))


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
    environment.filters |= {f.__name__: f for f in (number, probability, shown)}
    environment.globals["heats"] = HEATS
    return environment
