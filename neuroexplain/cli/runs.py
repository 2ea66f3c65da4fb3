"""`neuroexplain runs`."""

from __future__ import annotations

from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@options.catalogue
@options.as_json
def runs(**values: Any) -> None:
    """List runs with their state, failures, tokens, cost and time."""
    from rich.table import Table

    from neuroexplain.catalogue import Catalogue
    from neuroexplain.cli.table import console

    with Catalogue(values["catalogue"], read_only=True) as catalogue:
        found = catalogue.runs()
    if values["json"]:
        options.echo_json(found)
        return
    table = Table(
        "run",
        "command",
        "state",
        "started",
        "seconds",
        "done",
        "failed",
        "LLM calls",
        "tokens in/out",
        "cost",
        box=None,
        pad_edge=False,
    )
    for row in found:
        failures = ", ".join(f"{n} {reason}" for reason, n in row["failures"].items()) or "-"
        done = (
            ", ".join(f"{n} {k}" for k, n in row["counts"].items() if not k.startswith("failed"))
            or "-"
        )
        seconds = "-" if row["seconds"] is None else f"{row['seconds']:.0f}"
        cost = "-" if row["cost_usd"] is None else f"${row['cost_usd']:.4f}"
        table.add_row(
            str(row["run_id"]),
            row["command"],
            row["state"],
            row["started_at"][:19].replace("T", " "),
            seconds,
            done,
            failures,
            str(row["llm_calls"]),
            f"{_count(row['prompt_tokens'])}/{_count(row['completion_tokens'])}",
            cost,
        )
    console().print(table)


def _count(tokens: int | None) -> str:
    """A number of tokens; a server need not say how many it took."""
    return "?" if tokens is None else f"{tokens:,}"
