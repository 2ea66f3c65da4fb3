"""`neuroexplain search`."""

from __future__ import annotations

from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@click.argument("query", default="")
@options.catalogue
@options.as_json
def search(**values: Any) -> None:
    """Search the catalogue's explanations.

    QUERY holds free words, "phrases" and fields: rivers layer:3..8 score>=0.4 explainer:ngram
    token:"Paris" state:unreviewed sort:score limit:20. Best score first. Put a query that begins
    with - after --, as in: search -- -word
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.cli.table import console, rows_table

    with Catalogue(values["catalogue"], read_only=True) as catalogue:
        found = catalogue.search(values["query"])
    if values["json"]:
        options.echo_json(found.to_json())
        return
    out = console()
    if not found.rows:
        out.print("no explanation matches")
        return
    out.print(rows_table(found.rows))
    if found.truncated:
        out.print(f"the first {len(found.rows)}; add limit:N for more")
