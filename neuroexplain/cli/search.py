"""`neuroexplain search`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from neuroexplain.cli import options
from neuroexplain.errors import QueryError

if TYPE_CHECKING:
    from neuroexplain.catalogue import SearchResult
    from neuroexplain.catalogue.searching.found import Facets

_BAR = 30
"""Characters of the longest bar."""


def _help() -> str:
    from neuroexplain.catalogue.language.fields import HELP

    rows = [(f"{row.example}", row.meaning) for row in HELP]
    width = max(len(example) for example, _ in rows)
    return "\n".join(["\b", *(f"{example:<{width}}  {meaning}" for example, meaning in rows)])


class _Command(click.Command):
    """Lists the query language below the options; it is read only when somebody asks for help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the language."""
        self.epilog = _help()
        super().format_epilog(ctx, formatter)


@click.command(cls=_Command)
@click.argument("query", default="")
@options.catalogue
@options.option("--activates", "Only neurons that fire on this text, those first that do most.")
@options.option("--after", "Go on behind a page: what it printed as its end.")
@options.option(
    "--facets", "Also count what the matches have in common, and say how many.", is_flag=True
)
@options.option("--time-limit", "Seconds for the query.", type=float, default=10.0)
@options.as_json
def search(**values: Any) -> None:
    """Search the catalogue's explanations.

    QUERY holds free words, "phrases" and fields, all of which must hold: rivers layer:3..8
    score>=0.4 explainer:ngram token:"Paris" state:unreviewed. Best score first. Put a query that
    begins with - after --, as in: search -- -word
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.searching import search as find

    query = values["query"]
    if values["activates"] is not None:
        text = values["activates"].replace('"', '""')
        query = f'{query} activates:"{text}"'.strip()
    with Catalogue(values["catalogue"], read_only=True) as catalogue:
        try:
            found = find(
                catalogue,
                query,
                after=values["after"],
                count=values["facets"],
                facets=values["facets"],
                seconds=values["time_limit"],
            )
        except QueryError as error:
            _point(query, error)
            raise
    if not values["json"]:
        _print(found)
    elif values["facets"]:
        options.echo_json(asdict(found))
    else:
        options.echo_json(found.to_json())


def _point(query: str, error: QueryError) -> None:
    """Show the place of a mistake to a person; a program gets the one line."""
    from neuroexplain.catalogue.language.grammar import pointer

    if error.column is not None and sys.stderr.isatty():
        click.echo(pointer(query, error.column), err=True)


def _print(found: SearchResult) -> None:
    from neuroexplain.cli.table import console, rows_table

    out = console()
    if found.rows:
        out.print(rows_table(found.rows, similarity=found.ranked_by))
    else:
        out.print("no explanation matches")
    if found.facets is not None:
        for line in _facet_lines(found.facets):
            out.print(line)
    if found.next is not None:
        of = "" if found.total is None else f" of {found.total}"
        more = f"the first {len(found.rows)}{of}; more by limit:N, or by --after {found.next}"
        out.print(more, soft_wrap=True)  # whole, so that it can be copied
    if found.cut is not None:
        out.print(f"not all: {found.cut}")


def _facet_lines(facets: Facets) -> Iterator[str]:
    """Counts as bars."""
    for name in ("subject", "layer", "explainer", "llm", "state", "polarity"):
        values = getattr(facets, name)
        if len(values) > 1:
            yield ""
            yield name
            yield from _bars([(str(v.value), v.n) for v in values])
    if facets.score:
        yield ""
        yield "correlation"
        yield from _bars(
            [("none" if b.low is None else f"{b.low:+.2f}", b.n) for b in facets.score]
        )


def _bars(values: list[tuple[str, int]]) -> Iterator[str]:
    most = max(n for _, n in values)
    width = max(len(name) for name, _ in values)
    for name, n in values:
        yield f"  {name:>{width}}  {'▇' * max(1, round(_BAR * n / most))} {n:,}"
