"""`neuroexplain runs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from neuroexplain.cli import options

_DONE = ("explained", "simulated", "scored", "reused", "collected", "dead")


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
    out = console()
    table = Table(box=None, pad_edge=False)
    for name in ("run", "command", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("started", "time", "done", "failed", "LLM"):
        table.add_column(name, overflow="fold")
    for row in found:
        table.add_row(*_cells(row))
    out.print(table)
    for row in found:
        if row["message"]:
            out.print(f"run {row['run_id']} {row['state']}: {' '.join(row['message'].split())}")


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield str(row["run_id"])
    yield row["command"]
    yield row["state"]
    yield row["started_at"][:19].replace("T", " ")
    yield "-" if row["seconds"] is None else f"{row['seconds']:.0f} s"
    yield _done(row["counts"])
    # A neuron that never fires is counted as dead, which is no failure.
    failures = {reason: n for reason, n in row["failures"].items() if reason != "dead_neuron"}
    yield ", ".join(f"{n} {reason}" for reason, n in failures.items()) or "-"
    yield _spent(row) if row["llm_calls"] else "-"


def _spent(row: Mapping[str, Any]) -> str:
    """What language models were asked; a server need not say how many tokens it took."""
    tokens = [row["prompt_tokens"], row["completion_tokens"]]
    shown = " + ".join("?" if n is None else f"{n:,}" for n in tokens)
    cost = "" if row["cost_usd"] is None else f", ${row['cost_usd']:.4f}"
    return f"{row['llm_calls']:,} calls, {shown} tokens{cost}"


def _done(counts: Mapping[str, int]) -> str:
    """What a run did, in the order of the stages, as in `240 explained, 239 scored, 1 dead`."""
    names = [name for name in _DONE if name in counts]
    names += [name for name in counts if name not in _DONE and not name.startswith("failed")]
    return ", ".join(f"{counts[name]} {name}" for name in names) or "-"
