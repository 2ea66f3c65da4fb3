"""What the commands that do work share: how they are carried out, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from neuroexplain.cli.options import echo_json

FAILED = 3
WAITING = 4
INTERRUPTED = 130
COUNTS = (
    "collected",
    "prepared",
    "explained",
    "tried",
    "simulated",
    "simulated in part",
    "reused",
    "scored",
    "without a score",
    "dead",
)
"""What a run counts beside failures, in the order of its stages."""


def run(
    command: str, config: Any, values: dict[str, Any], work: Callable[[Any], Any]
) -> tuple[Any, Any]:
    """Do a command's work inside a run.

    Args:
        command: name for `runs`.
        config: what decides the result.
        values: the command's options.
        work: gets the run.

    Returns:
        What the work returned, and the run's result.
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.run import Run

    with (
        Catalogue(values["catalogue"]) as catalogue,
        Run(catalogue, command, config, execution(values)) as current,
    ):
        made = work(current)
    return made, current.result


def execution(values: dict[str, Any], *, bars: bool = True) -> Any:
    """How a command's work is carried out, from its options; with or without bars that show how far it is."""
    from neuroexplain.cli.progress import Bars
    from neuroexplain.run import Execution, Silent

    return Execution(
        concurrency=values.get("concurrency", 1),
        batch_size=values.get("batch_size", 32),
        device=values.get("device", "cpu"),
        llm_dtype=values.get("llm_dtype", "float32"),
        threads=values.get("threads"),
        tries=values.get("tries", 6),
        timeout=values.get("timeout", 300.0),
        processes=values.get("processes"),
        servers=tuple(values.get("base_url") or ()),
        probe=not values.get("no_probe", False),
        max_cost=values.get("max_cost"),
        max_calls=values.get("max_calls"),
        prices=tuple(values.get("prices") or ()),
        allow_pickle=values.get("allow_pickle", False),
        trust_remote_code=values.get("trust_remote_code", False),
        max_memory=values.get("max_memory"),
        checkpoint=values.get("checkpoint", 60.0),
        progress=Bars() if bars else Silent(),
        use_ledger=not values.get("no_cache", False),
    )


def end(result: Any) -> None:
    """Say how a run ended on standard error, and exit with its code."""
    counts = {name: result.counts[name] for name in COUNTS if name in result.counts}
    if counts:
        click.echo(
            f"run {result.run_id}: " + ", ".join(f"{n} {name}" for name, n in counts.items()),
            err=True,
        )
    for name, n in sorted(result.counts.items()):
        if name.startswith("failed:"):
            click.echo(f"  {n} {name}", err=True)
    if not result.finished:
        click.echo(
            "interrupted; what was saved stays, and the same command goes on with the rest",
            err=True,
        )
        click.get_current_context().exit(INTERRUPTED)
    if result.waiting:
        click.echo(
            f"{result.waiting:,} requests wait in the folder of batches; have them answered (neuroexplain batch submit, or "
            "any program for OpenAI's batch format), and give the same command again",
            err=True,
        )
        click.get_current_context().exit(WAITING)
    if result.failed:
        click.get_current_context().exit(FAILED)


def collected(collection: Any, result: Any, values: dict[str, Any]) -> None:
    """Say what a collection holds, and end."""
    made = {
        "collection": collection.key,
        "subject": collection.subject.name,
        "layers": list(collection.layers),
        "neurons": sum(collection.subject.widths[layer] for layer in collection.layers),
        "tokens": collection.corpus.n_tokens,
        "documents": collection.corpus.n_documents,
        "spans": dict(collection.spans),
    }
    click.echo(
        f"{made['subject']}: {made['neurons']:,} neurons over {made['tokens']:,} tokens of "
        f"{made['documents']:,} documents, in {values['catalogue']}",
        err=True,
    )
    report(made, result, values["json"])


def report(made: Any, result: Any, as_json: bool) -> None:
    """Print what was made as JSON if asked to, and end."""
    if as_json:
        echo_json(
            {"run_id": result.run_id, "finished": result.finished, "counts": result.counts, **made}
        )
    end(result)
