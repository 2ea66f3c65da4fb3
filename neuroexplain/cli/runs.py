"""`neuroexplain runs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from neuroexplain.cli import options

_DONE = (
    "explained",
    "simulated",
    "simulated in part",
    "scored",
    "without a score",
    "reused",
    "collected",
    "dead",
)


@click.group(invoke_without_command=True)
@options.catalogue
@options.as_json
@click.pass_context
def runs(ctx: click.Context, /, **values: Any) -> None:
    """List runs with their state, failures, tokens, cost and time; or look at one, or retry what failed in it."""
    if ctx.invoked_subcommand is not None:
        return
    found = _read(values["catalogue"])
    if values["json"]:
        options.echo_json(found)
        return
    _print_all(found)


@runs.command()
@click.argument("run", type=int)
@options.catalogue
@options.as_json
def show(run: int, **values: Any) -> None:
    """Show one run: how far, how fast, what each stage cost, what the servers can do."""
    from neuroexplain.catalogue import Catalogue

    (found,) = _read(values["catalogue"], run)
    with Catalogue(values["catalogue"], read_only=True) as catalogue:
        found["probes"] = catalogue.probes(run)
        found["command"], found["config"] = catalogue.run_config(run)
    if values["json"]:
        options.echo_json(found)
        return
    _print_one(found)


@runs.command()
@click.argument("run", type=int)
@options.option(
    "--reason",
    "Retry what failed for this reason, as runs shows it; may be repeated.  [default: every reason]",
    multiple=True,
)
@options.limits
@options.running
@options.as_json
def retry(run: int, **values: Any) -> None:
    """Ask again for what failed in a run, with the run's own settings.

    Replies that could not be used are in the ledger; these, and only these, are asked for anew.
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.cli.running import execution, report
    from neuroexplain.retrying import retry as retry_

    with Catalogue(values["catalogue"]) as catalogue:
        made, result = retry_(catalogue, run, frozenset(values["reason"]), execution(values))
    report({"retried": made}, result, values["json"])


def _read(path: str, run_id: int | None = None) -> list[dict[str, Any]]:
    """Runs as the catalogue has them; one whose process has died is `killed`."""
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.errors import CatalogueError

    with Catalogue(path, read_only=True) as catalogue:
        found = catalogue.runs(run_id)
        if run_id is not None and not found:
            raise CatalogueError(
                f"no run {run_id} in this catalogue; `neuroexplain runs` lists them"
            )
        for row in found:
            if row["state"] == "running" and not catalogue.claimed(row["run_key"]):
                row["state"] = "killed"
    return found


def _print_all(found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from neuroexplain.cli.table import console

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
        if row["state"] == "running":
            out.print(f"run {row['run_id']}: {_pace(row)}, process {row['pid']} on {row['host']}")
        elif row["state"] == "waiting":
            out.print(f"run {row['run_id']} waits for the answers to {row['waiting']:,} requests")
        elif row["message"]:
            out.print(f"run {row['run_id']} {row['state']}: {' '.join(row['message'].split())}")


def _print_one(run: Mapping[str, Any]) -> None:
    from rich.table import Table

    from neuroexplain.cli.table import console

    out = console()
    out.print(f"run {run['run_id']}: {run['command']}, {run['state']}", style="bold")
    out.print(f"started {run['started_at'][:19].replace('T', ' ')} UTC, {_time(run)}; {_pace(run)}")
    if run["message"]:
        out.print(" ".join(run["message"].split()))
    for reason, n in run["failures"].items():
        out.print(f"{n} failed: {reason}")
    if run["stages"]:
        table = Table(box=None, pad_edge=False)
        table.add_column("calls for")
        for name in ("calls", "prompt tokens", "of them cached", "completion tokens", "cost"):
            table.add_column(name, justify="right")
        table.add_column("a neuron", justify="right")
        neurons = run["counts"].get("explained", 0) or run["counts"].get("simulated", 0)
        for name, stage in [*run["stages"].items(), ("all", run)]:
            table.add_row(name, *_stage(stage, neurons))
        out.print(table)
    for probe in run["probes"]:
        out.print(f"{probe['model']} at {probe['endpoint']}:")
        skipped = ("run_id", "model", "endpoint")
        for key, value in probe.items():
            if key not in skipped:
                out.print(f"  {key}: {value}")


def _stage(stage: Mapping[str, Any], neurons: int) -> Iterator[str]:
    yield f"{stage['llm_calls']:,}"
    for name in ("prompt_tokens", "cached_tokens", "completion_tokens"):
        yield "?" if stage[name] is None else f"{stage[name]:,}"
    cost = stage["cost_usd"]
    yield "?" if cost is None else f"${cost:.4f}"
    yield "?" if cost is None or not neurons else f"${cost / neurons:.6f}"


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield str(row["run_id"])
    yield row["command"]
    yield row["state"]
    yield row["started_at"][:19].replace("T", " ")
    yield _time(row)
    yield _done(row["counts"])
    # A neuron that never fires is counted as dead, which is no failure.
    failures = {reason: n for reason, n in row["failures"].items() if reason != "dead_neuron"}
    yield ", ".join(f"{n} {reason}" for reason, n in failures.items()) or "-"
    yield _spent(row) if row["llm_calls"] else "-"


def _time(row: Mapping[str, Any]) -> str:
    return "-" if row["seconds"] is None else f"{row['seconds']:.0f} s"


def _pace(row: Mapping[str, Any]) -> str:
    """How far, how fast, how long still."""
    progress = row["progress"]
    if progress is None:
        return "no neuron done yet" if row["command"] != "collect" else "no neurons to explain"
    shown = f"{progress['done']:,} of {progress['total']:,} neurons"
    if row["state"] != "running":
        return shown
    left = progress["seconds_left"]
    eta = "" if left is None else f", {left / 60:.0f} min left"
    return f"{shown}, {progress['rate']:.1f}/s{eta}"


def _spent(row: Mapping[str, Any]) -> str:
    """What language models were asked; a server need not say how many tokens it took."""
    tokens = [row["prompt_tokens"], row["completion_tokens"]]
    shown = " + ".join("?" if n is None else f"{n:,}" for n in tokens)
    cost = "" if row["cost_usd"] is None else f", ${row['cost_usd']:.4f}"
    neurons = row["counts"].get("explained", 0)
    each = f" (${row['cost_usd'] / neurons:.6f} a neuron)" if cost and neurons else ""
    return f"{row['llm_calls']:,} calls, {shown} tokens{cost}{each}"


def _done(counts: Mapping[str, int]) -> str:
    """What a run did, in the order of the stages, as in `240 explained, 239 scored, 1 dead`."""
    names = [name for name in _DONE if name in counts]
    names += [name for name in counts if name not in _DONE and not name.startswith("failed")]
    return ", ".join(f"{counts[name]} {name}" for name in names) or "-"
