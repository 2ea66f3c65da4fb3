"""Tables of explanations and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from neuroexplain.cli.options import echo_json


def console() -> Console:
    """Standard output for tables: subject text is never markup, and a pipe gets wide lines."""
    plain = Console(highlight=False, markup=False, emoji=False)
    return (
        plain
        if plain.is_terminal
        else Console(highlight=False, markup=False, emoji=False, width=160)
    )


def rows_table(rows: Sequence[Any], title: str | None = None) -> Table:
    """Explanations with their scores, one row each."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("neuron", no_wrap=True)
    for name in ("score", "floor", "null", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("explanation", overflow="fold")
    for row in rows:
        # Explanations are model output: printed as text, never as markup.
        table.add_row(
            row.neuron,
            number(row.score, row.status if row.status != "ok" else "-"),
            number(row.floor),
            number(row.null_mean),
            number(row.p_value),
            Text(row.text),
        )
    return table


def number(value: float | None, otherwise: str = "-") -> str:
    """A number with three decimals, or what stands for none."""
    return otherwise if value is None else f"{value:.3f}"


def print_summary(summary: dict[str, Any], result: Any, catalogue: str, *, as_json: bool) -> None:
    """How a sweep came out: best and worst neurons, means beside floor and null, what to type next."""
    if as_json:
        plain = {**summary, "best": _plain(summary["best"]), "worst": _plain(summary["worst"])}
        echo_json({"run_id": result.run_id, "counts": result.counts, **plain})
        return
    out = console()
    if summary["n_scored"] == 0:
        out.print("nothing was scored")
        return
    out.print(rows_table(summary["best"], f"best by {summary['scorer']}"))
    out.print()
    out.print(rows_table(summary["worst"], "worst"))
    out.print()
    out.print(_layers(summary))
    for reason, n in summary["n_undefined"].items():
        out.print(f"{n} undefined: {reason}")
    out.print()
    out.print(
        "floor: the neuron's own token table; null: explanations of other neurons of the layer."
    )
    best = summary["best"][0].neuron
    out.print("next:", style="bold")
    for command in (
        f"neuroexplain show {best} --catalogue {catalogue}",
        f"neuroexplain search 'score>=0.5 sort:score' --catalogue {catalogue}",
        f"neuroexplain runs --catalogue {catalogue}",
    ):
        out.print(f"  {command}", soft_wrap=True)


def _layers(summary: dict[str, Any]) -> Table:
    table = Table(title="means", title_justify="left", box=None, pad_edge=False)
    table.add_column("layer")
    for name in ("scored", "score", "median", "floor", "null", "above floor"):
        table.add_column(name, justify="right")
    for name, row in [*((str(r["layer"]), r) for r in summary["layers"]), ("all", summary)]:
        above = row["share_above_floor"]
        table.add_row(
            name,
            str(row["n_scored"]),
            number(row["mean"]),
            number(row["median"]),
            number(row["floor"]),
            number(row["null_mean"]),
            "-" if above is None else f"{above:.0%}",
        )
    return table


def _plain(rows: Sequence[Any]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(row) for row in rows]
