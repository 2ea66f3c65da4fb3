"""`neuroexplain reviews queue`."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuroexplain.cli import options

if TYPE_CHECKING:
    from neuroexplain.catalogue import Reviews
    from neuroexplain.reviewed import Queue, QueueItem


@click.command()
@click.argument("name")
@options.catalogue
@options.option("--reviews", "File of the reviews; without it, the one beside the catalogue.")
@options.option("--reviewer", "Who makes it; without it, the name you are logged in by.")
@options.option(
    "--kind",
    "sample, query, disagreement, pairs, simulation or adjudication.",
    default="sample",
)
@options.option("--query", "Drawn from what this finds, as in neuroexplain search.", default="")
@options.option(
    "--n", "Explanations to draw; of other kinds, items at most.", type=int, default=100
)
@options.option("--strata", "Drawn from each part, by comma: layer, score, method, polarity.")
@options.option(
    "--allocation", "From each part: proportional, equal or optimal.", default="proportional"
)
@options.option("--bins", "Of scores: fixed (equal width) or quantiles.", default="fixed")
@options.option("--n-bins", "Bins of scores.", type=int, default=5)
@options.option("--blind", "Hidden until decided: none, scores or explanation.", default="scores")
@options.option(
    "--shared", "Share of the items that all reviewers get, 0 to 1.", type=float, default=0.0
)
@options.option("--skip", "Leave out what own or all have decided; or none.", default="none")
@options.option(
    "--method", "Of pairs: explainer, or 'explainer, llm'; may be repeated.", multiple=True
)
@options.option(
    "--between", "Of disagreement: methods, ngrams, human or judges.", default="methods"
)
@options.option("--measure", "Of judges that disagree; twice.", multiple=True)
@options.option("--above", "Of disagreement: what a high score is.", type=float, default=0.4)
@options.option("--queue", "Of adjudication: name or uuid of the queue; all without it.")
@options.seed
@options.as_json
def queue(**values: Any) -> None:
    """Make a queue of things to decide: a random sample in strata, a search, pairs, disagreement.

    The same seed and catalogue give the same queue; once made it does not change.
    """
    from neuroexplain.catalogue import Catalogue, Reviews, reviews_path
    from neuroexplain.queueing import plan

    path = Path(values["reviews"] or reviews_path(values["catalogue"]))
    with (
        Catalogue(values["catalogue"], read_only=True) as catalogue,
        Reviews(path) as reviews,
    ):
        by = values["reviewer"] or getpass.getuser()
        wanted = _plan(values, uuid_of(reviews, values["queue"]))
        made, items = plan(catalogue, reviews, wanted, by=by)
        made = reviews.make_queue(made, items)
    if values["json"]:
        options.echo_json(asdict(made))
    else:
        _print(made, items)


def uuid_of(reviews: Reviews, name: str | None) -> str | None:
    """The queue that is meant by its name, or by the beginning of its uuid; None where none is.

    Raises:
        AbsentError: there is none.
        ConfigError: several have this name.
    """
    from neuroexplain.errors import ConfigError

    if name is None:
        return None
    queues = reviews.queues()
    found = [q for q in queues if q.name == name] or [
        q for q in queues if len(name) >= 4 and q.uuid.startswith(name)
    ]
    if len(found) > 1:
        listed = ", ".join(f"{q.uuid[:8]} of {q.made_at[:16]}" for q in found)
        raise ConfigError(f'{len(found)} queues are meant by "{name}": give the uuid, {listed}')
    return found[0].uuid if found else reviews.queue(name).uuid


def _plan(values: dict[str, Any], queue: str | None) -> Any:
    from neuroexplain.queueing import Plan

    given = {n: values[n] for n in ("name", "kind", "query", "n", "seed", "allocation", "bins")}
    given |= {n: values[n] for n in ("n_bins", "blind", "shared", "skip", "between", "above")}
    strata = tuple(by.strip() for by in (values["strata"] or "").split(",") if by.strip())
    return Plan(
        **given,
        strata=strata,  # type: ignore[arg-type]  # it refuses what is none
        methods=tuple(values["method"]),
        measures=tuple(values["measure"]),
        queue=queue,
    )


def _print(made: Queue, items: Sequence[QueueItem]) -> None:
    from rich.table import Table

    from neuroexplain.cli.table import console

    out = console()
    shared = sum(item.shared for item in items)
    population = made.plan["population"]
    of = "" if population is None else f" of {population:,} explanations"
    out.print(f"{made.uuid}  {len(items):,} items{of}, {shared:,} for everybody", soft_wrap=True)
    for reason, n in made.plan["left_out"].items():
        out.print(f"left out: {n:,} {reason}")
    if made.plan["cut"]:
        out.print(f"not all: {made.plan['cut']}")
    if made.strata:
        table = Table("stratum", box=None)
        table.add_column("explanations", justify="right")
        table.add_column("drawn", justify="right")
        for stratum in made.strata:
            table.add_row(stratum.name, f"{stratum.population:,}", f"{stratum.sampled:,}")
        out.print(table)
