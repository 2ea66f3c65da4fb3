"""`neuroexplain reviews`: the care of what reviewers decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

import click

from neuroexplain.cli import options
from neuroexplain.cli.agreement import agreement
from neuroexplain.cli.queue import queue

if TYPE_CHECKING:
    from neuroexplain.catalogue import Reviews
    from neuroexplain.catalogue.reviewing.merging import Taken

_places = options.several(
    options.catalogue,
    options.option("--reviews", "File of the reviews; without it, the one beside the catalogue."),
)


@click.group()
def reviews() -> None:
    """Look after reviews: plan queues, list, export, import and merge them, and say how far reviewers agree.

    Reviews have a file of their own, beside the catalogue: NAME.reviews.sqlite.
    """


for command in (queue, agreement):
    reviews.add_command(command)


def _open(values: dict[str, Any], *, read_only: bool) -> Reviews:
    from neuroexplain.catalogue import Reviews, reviews_path

    return Reviews(values["reviews"] or reviews_path(values["catalogue"]), read_only=read_only)


@reviews.command(name="list")
@_places
@options.as_json
def list_(**values: Any) -> None:
    """Say who decided how much, and how far the queues are."""
    with _open(values, read_only=True) as opened:
        reviewers = dict(opened.decisions())
        queues = [
            {
                **{n: getattr(made, n) for n in ("uuid", "name", "mode", "blind", "made_by")},
                "made_at": made.made_at,
                "items": made.n_items,
                "decided": opened.decided(made),
                "by": dict(opened.reviewers(made)),
            }
            for made in opened.queues()
        ]
    if values["json"]:
        options.echo_json({"reviewers": reviewers, "queues": queues})
        return
    _print(reviewers, queues)


def _print(reviewers: dict[str, int], queues: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from neuroexplain.cli.table import console
    from neuroexplain.levels import printable

    out = console()
    table = Table("reviewer", box=None, pad_edge=False)
    table.add_column("decisions", justify="right")
    for name, n in reviewers.items():
        table.add_row(printable(name), f"{n:,}")
    out.print(table)
    if not queues:
        return
    out.print()
    table = Table("queue", "mode", "blind", box=None, pad_edge=False)
    table.add_column("decided", justify="right")
    table.add_column("by")
    table.add_column("uuid", no_wrap=True)
    for q in queues:
        by = ", ".join(f"{printable(name)} {n:,}" for name, n in q["by"].items())
        done = f"{q['decided']:,} of {q['items']:,}"
        table.add_row(printable(q["name"]), q["mode"], q["blind"], done, by or "-", q["uuid"])
    out.print(table)


@reviews.command()
@_places
@options.option(
    "--out", "File that takes them; - is standard output.", type=click.Path(), default="-"
)
@options.option("--force", "Replace the file if it is there.", is_flag=True)
def export(**values: Any) -> None:
    """Write reviews as lines of JSON: queues, saved queries and every event, undone ones too.

    Neurons stand in them by name and explanations by their text, so the file is of use beside any
    catalogue. Equal reviews give equal files.
    """
    from neuroexplain.errors import ConfigError

    out, force = values["out"], values["force"]
    with _open(values, read_only=True) as opened:
        if out == "-":
            with click.open_file(out, "wb") as stream:
                for line in opened.export():
                    stream.write(line.encode())
            return
        if opened.path.resolve() == Path(out).resolve():
            raise ConfigError(f"{out} is the file of reviews itself; choose another name")
        try:
            with _whole(Path(out), force=force) as stream:
                stream.writelines(line.encode() for line in opened.export())
        except FileExistsError as error:
            raise ConfigError(f"{out} is there already; --force replaces it") from error
        except OSError as error:
            raise ConfigError(f"cannot write {out}: {error.strerror}") from error


@contextmanager
def _whole(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """A file to be written, which is there once all of it is; until then one that it replaces stays as it was.

    Raises:
        FileExistsError: it is there, without `force`.
    """
    if path.exists() and not force:
        raise FileExistsError(path)
    if path.exists() and not path.is_file():  # a pipe or a device is written to, not replaced
        with path.open("wb") as stream:
            yield stream
        return
    path = path.resolve()
    scratch = path.with_name(f".{uuid4().hex}.part")
    try:
        with scratch.open("xb") as stream:
            yield stream
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@reviews.command(name="import")
@click.argument("file", type=click.Path())
@_places
@options.as_json
def import_(file: str, **values: Any) -> None:
    """Add the reviews of an exported FILE; - is standard input.

    Done twice, it adds nothing. Where a line is of no use, nothing is added. Verdicts go into the
    catalogue too, where searches find them.
    """
    from neuroexplain.errors import ExchangeError

    try:
        stream = click.open_file(file, "rb")
    except OSError as error:
        raise ExchangeError(f"cannot read {file}: {error.strerror}") from error
    with stream, _open(values, read_only=False) as opened:
        taken = opened.take_lines(stream, "standard input" if file == "-" else file)
        _report(opened, taken, values)


@reviews.command()
@click.argument("file", type=click.Path())
@_places
@options.as_json
def merge(file: str, **values: Any) -> None:
    """Add the reviews of FILE, another reviewer's NAME.reviews.sqlite.

    FILE stays as it is, and may be written to meanwhile. Done twice, it adds nothing.
    """
    from neuroexplain.catalogue import Reviews

    with Reviews(file, read_only=True) as other, _open(values, read_only=False) as opened:
        _report(opened, opened.take(other), values)


def _report(opened: Reviews, taken: Taken, values: dict[str, Any]) -> None:
    """Say what was added, once the catalogue has it too."""
    from dataclasses import asdict

    from neuroexplain.catalogue import Catalogue
    from neuroexplain.errors import CatalogueError

    mirrored, trouble = None, None
    try:
        with Catalogue(values["catalogue"], read_only=True):
            pass  # one that is not there is not made
        with Catalogue(values["catalogue"]) as catalogue:
            mirrored = catalogue.mirror(opened, targets=taken.targets)
    except CatalogueError as error:
        trouble = " ".join(str(error).split())
    if values["json"]:
        found = None if mirrored is None else asdict(mirrored)
        options.echo_json({"new": taken.new, "known": taken.known, "catalogue": found})
    else:
        for kind, n in taken.new.items():
            click.echo(f"{kind}: {n:,} new, {taken.known[kind]:,} known")
        if mirrored is not None:
            click.echo(
                f"catalogue: {mirrored.added:,} verdicts added, {mirrored.removed:,} removed, "
                f"{mirrored.unknown:,} explanations that it lacks"
            )
    if trouble is not None:
        click.echo(
            f"the catalogue does not have the verdicts yet, the next `neuroexplain review` writes them: {trouble}",
            err=True,
        )
