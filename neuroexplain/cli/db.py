"""`neuroexplain db`: the care of catalogues."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from neuroexplain.cli import options

_SHOWN = 20
"""Conflicts that are printed; --json has more."""


@click.group()
def db() -> None:
    """Look after catalogues: check, merge, copy and upgrade them."""


@db.command()
@click.argument("file")
@options.option("--no-backup", "Keep no copy of the file as it was.", is_flag=True)
@options.as_json
def upgrade(file: str, **values: Any) -> None:
    """Bring FILE to the schema of this version.

    Every command that writes to a catalogue does so too; this one first keeps a copy of it as it
    was, FILE.schema-N. Cut off, the same command completes it.
    """
    from neuroexplain.catalogue.care import upgrading

    with _pages("copy") as on_pages:
        done = upgrading.upgrade(file, keep_copy=not values["no_backup"], on_pages=on_pages)
    if values["json"]:
        copy = None if done.backup is None else str(done.backup)
        options.echo_json(
            {"before": done.before, "after": done.after, "applied": done.applied, "backup": copy}
        )
    elif not done.applied:
        click.echo(f"{file} has schema {done.after} already")
    else:
        click.echo(f"{file}: from schema {done.before} to {done.after}")
        if done.backup is not None:
            click.echo(f"as it was: {done.backup}")


@db.command()
@click.argument("file")
@click.argument("out", type=click.Path(path_type=Path))
@options.option("--force", "Replace OUT if it is there.", is_flag=True)
def backup(file: str, out: Path, *, force: bool) -> None:
    """Copy FILE to OUT, whole and of one moment, while others go on writing to it.

    Copying a file in use by other means, as cp does, can lose what was written last, or all of it.
    """
    from neuroexplain.catalogue.care.backup import backup as backup_

    with _pages("copy") as on_pages:
        size = backup_(file, out, force=force, on_pages=on_pages)
    click.echo(f"{out}: {size / 2**20:,.1f} MB")


@db.command()
@click.argument("file")
@options.option(
    "--repair", "Make anew what follows from other rows: what searches read.", is_flag=True
)
@options.as_json
def check(file: str, **values: Any) -> None:
    """Look for everything that can be wrong with FILE; a line for every fault, and exit code 1 if any.

    Checked are the file itself, what refers to what, hashes of texts, lengths and contents of all that
    is packed, whether numbers are finite, and what searches read against what it is made from.
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.cli.progress import Bars

    with Catalogue(file, read_only=not values["repair"]) as catalogue:
        if values["repair"]:
            catalogue.repair()
        faults = []
        with Bars().stage("check", None) as advance:
            for fault in catalogue.check(lambda name: advance(1, name)):
                faults.append(fault)
                if not values["json"]:
                    click.echo(f"{fault.table}\t{fault.row}\t{fault.what}")
    if values["json"]:
        options.echo_json({"faults": [vars(fault) for fault in faults]})
    elif not faults:
        click.echo(f"{file}: no fault")
    if faults:
        if not values["repair"] and any(fault.derived for fault in faults):
            click.echo("--repair mends what follows from other rows", err=True)
        raise click.exceptions.Exit(1)


@db.command()
@click.argument("target")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@options.as_json
def merge(target: str, sources: tuple[str, ...], **values: Any) -> None:
    """Add to TARGET what it lacks of every SOURCE, as after sweeps of one subject on two machines.

    Rows are the same by their keys and contents. Where both say something else, TARGET's stands and the
    difference is reported; of two explanations of one key the later stands. Cut off, the same command
    completes it; done twice, it adds nothing. TARGET may be written to meanwhile.
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.cli.progress import Bars

    done = []
    with Catalogue(target) as catalogue:
        for name in sources:
            with (
                Catalogue(name, read_only=True) as source,
                Bars().stage("merge", source.mergeable_rows()) as advance,
            ):
                done.append(catalogue.merge(source, lambda table, n: advance(n, table)))
    if values["json"]:
        options.echo_json([merged.to_json() for merged in done])
        return
    for merged in done:
        for line in merged.lines(_SHOWN):
            click.echo(line)


@contextmanager
def _pages(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work whose size is known once it has begun; none where there is no work."""
    from contextlib import ExitStack

    from neuroexplain.cli.progress import Bars

    with ExitStack() as stack:
        bars: list[Callable[[int], None]] = []
        last = 0

        def on_pages(done: int, total: int) -> None:
            nonlocal last
            if not bars:
                bars.append(stack.enter_context(Bars().stage(name, total)))
            bars[0](done - last)
            last = done

        yield on_pages
