"""`neuroexplain plugins`."""

from __future__ import annotations

from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@options.as_json
def plugins(**values: Any) -> None:
    """List explainers, simulators and scorers with their settings and what they need."""
    from rich.table import Table

    from neuroexplain.cli.table import console
    from neuroexplain.registry import PLUGIN_KINDS, find, names, needs_llm, settings, summary

    found: list[dict[str, Any]] = [
        {
            "kind": kind,
            "name": name,
            "summary": summary(cls),
            "needs": "a language model" if needs_llm(cls) else "nothing",
            "settings": {k: None if v is ... else v for k, v in settings(cls).items()},
        }
        for kind in PLUGIN_KINDS
        for name in names(kind)
        for cls in (find(kind, name),)
    ]
    if values["json"]:
        options.echo_json(found)
        return
    table = Table("kind", "name", "what it does", "needs", "settings", box=None, pad_edge=False)
    for row in found:
        shown = ", ".join(k if v is None else f"{k}={v}" for k, v in row["settings"].items())
        table.add_row(row["kind"], row["name"], row["summary"], row["needs"], shown)
    console().print(table)
