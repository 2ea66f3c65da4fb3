"""`neuroexplain export` and `neuroexplain import`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuroexplain.cli import options

if TYPE_CHECKING:
    from neuroexplain.importing import Imported

EXPORTS = ("jsonl", "parquet", "neuronpedia", "openai", "html")
IMPORTS = ("jsonl", "parquet", "neuronpedia", "openai", "saedashboard")
_COUNTS = (
    *("neurons", "explanations", "scores", "simulations", "batches"),
    *("batches that were there", "batches refused", "explanations that were there"),
    *("conflicts", "simulations without their spans"),
)


@click.command()
@click.argument("query", default="")
@options.option("--format", "What is written.", type=click.Choice(EXPORTS), required=True)
@options.option(
    "--out", "Folder that takes the files.", type=click.Path(path_type=Path), required=True
)
@options.option(
    "--neurons",
    "Only these: 3:*, 3:0-99, random:200, + or - behind each for the polarity.",
    default=None,
)
@options.option(
    "--parts",
    "Of jsonl and parquet: neurons, explanations, simulations, several by comma.",
    default="neurons,explanations,simulations",
)
@options.subject_name
@options.seed
@options.catalogue
@options.as_json
def export(**values: Any) -> None:
    """Write neurons with their explanations and scores to files that others read.

    QUERY is one of search: neurons with an explanation that matches are written, with all of
    their explanations. Without it, and without --neurons, all that is known is written.
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.cli.progress import Bars
    from neuroexplain.exporting import export as export_

    with Catalogue(values["catalogue"], read_only=True) as catalogue:
        made = export_(
            catalogue,
            values["out"],
            format=values["format"],
            query=values["query"],
            neurons=values["neurons"],
            subject=values["subject"],
            parts=[part.strip() for part in values["parts"].split(",")],
            seed=values["seed"],
            progress=Bars(),
        )
    if values["json"]:
        options.echo_json(asdict(made))
    counts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in made.counts.items() if n)
    click.echo(f"{made.subject}: {counts or 'nothing'}, in {made.out}", err=True)
    if made.cut is not None:
        click.echo(f"not all: {made.cut}", err=True)


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@options.option("--format", "What is read.", type=click.Choice(IMPORTS), required=True)
@options.option("--subject", "Name that the subject gets in the catalogue.", default=None)
@options.option(
    "--into",
    "new: a collection of its own. current: explanations and scores are added to the neurons that the subject has. "
    "auto: current where the files hold explanations alone.",
    type=click.Choice(["auto", "new", "current"]),
    default="auto",
)
@options.option(
    "--on-error",
    "stop at the first bad batch, or skip all that are bad. Nothing of a bad batch is imported.",
    type=click.Choice(["stop", "skip"]),
    default="stop",
)
@options.catalogue
@options.as_json
def import_(path: Path, **values: Any) -> None:
    """Read neurons, explanations and scores from the file or folder PATH.

    Cut off, the same command goes on with the batches that are not there yet. Nothing in the
    catalogue is written over: where a file says something else, that is reported.
    """
    from neuroexplain.cli.running import run
    from neuroexplain.importing import ImportConfig, import_files

    names = {name: values[name] for name in ("format", "subject", "into")}
    config = ImportConfig(str(path.absolute()), **names)
    made, result = run(
        "import", config, values, lambda r: import_files(r, config, values["on_error"])
    )
    if values["json"]:
        options.echo_json({"run_id": result.run_id, **asdict(made)})
    _say(made, result.run_id)
    if made.counts.get("batches refused"):
        from neuroexplain.cli.running import FAILED

        click.get_current_context().exit(FAILED)


def _say(made: Imported, run_id: int) -> None:
    """How it ended, on standard error."""
    counts = [f"{made.counts[name]:,} {name}" for name in _COUNTS if made.counts.get(name)]
    into = ", added to the collection that it had" if made.attached else ""
    click.echo(f"run {run_id}: {made.subject}{into}: {', '.join(counts) or 'nothing'}", err=True)
    for line in made.refused:
        click.echo(f"  refused: {line}", err=True)
    for line in made.conflicts:
        click.echo(f"  left as it was: {line}", err=True)
