"""`neuroexplain batch`: request files sent to a batch service, and their results fetched."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuroexplain.cli import options

if TYPE_CHECKING:
    from neuroexplain.llm.batch_api import BatchService, Job
    from neuroexplain.llm.batch_files import BatchFolder

_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
_server = options.several(
    options.option(
        "--base-url", "Server with the batch service; else OPENAI_BASE_URL.", default=None
    ),
    options.as_json,
)


@click.group()
def batch() -> None:
    """Send the request files of --llm batch:DIR to a batch service, and fetch the results.

    A batch service answers within a day, at half the price. Any other program that answers OpenAI's batch format will do as well:
    let it read DIR/requests and write into DIR/results.
    """


@batch.command()
@_folder
@_server
def submit(folder: Path, **values: Any) -> None:
    """Send every request file that has not been sent."""
    _print(_with_service(folder, values, lambda s, f: s.submit(f)), values)


@batch.command()
@_folder
@_server
def status(folder: Path, **values: Any) -> None:
    """Show how far the batches are."""
    _print(_with_service(folder, values, lambda s, f: s.status(f)), values)


@batch.command()
@_folder
@_server
@options.option(
    "--wait",
    "Look again every so many seconds until all batches have ended.",
    type=click.FloatRange(0.1),
    default=None,
)
def fetch(folder: Path, **values: Any) -> None:
    """Fetch the results of batches that have ended; then give the sweep's command again."""
    from neuroexplain.llm.batch_api import ENDED

    jobs = _with_service(folder, values, lambda s, f: s.fetch(f))
    ended = [job for job in jobs if job.status in ENDED]
    while values["wait"] and any(job.batch_id and job.status not in ENDED for job in jobs):
        time.sleep(values["wait"])
        jobs = _with_service(folder, values, lambda s, f: s.fetch(f))
        ended += [job for job in jobs if job.status in ENDED]
    _print([*ended, *(job for job in jobs if job.status not in ENDED)], values)


def _with_service(
    folder: Path,
    values: dict[str, Any],
    work: Callable[[BatchService, BatchFolder], list[Job]],
) -> list[Job]:
    from neuroexplain.llm.addresses import addresses
    from neuroexplain.llm.batch_api import BatchService
    from neuroexplain.llm.batch_files import BatchFolder

    (address,) = addresses(values["base_url"])
    with BatchService(address) as service:
        return work(service, BatchFolder(folder))


def _print(jobs: Sequence[Job], values: dict[str, Any]) -> None:
    from rich.table import Table

    from neuroexplain.cli.table import console

    if values["json"]:
        options.echo_json([asdict(job) for job in jobs])
        return
    if not jobs:
        click.echo("no request files wait", err=True)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("file", "batch", "status", "done", "failed", "in all", ""):
        table.add_column(name, overflow="fold")
    for job in jobs:
        numbers = (job.completed, job.failed, job.total)
        table.add_row(job.file, job.batch_id or "-", job.status, *map(str, numbers), job.message)
    console().print(table)
