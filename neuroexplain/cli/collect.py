"""`neuroexplain collect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@options.collecting
@options.option(
    "--shard",
    "Only this share of the work, for merge to put together: 3/16.",
    type=options.Fraction(),
)
@options.option(
    "--parts",
    "Folder that shards go to.  [default: beside the catalogue]",
    type=click.Path(path_type=Path),
    default=None,
)
@options.seed
@options.running
@options.as_json
def collect(**values: Any) -> None:
    """Record exemplars and statistics of every neuron in one pass over a corpus.

    What is interrupted goes on from its last checkpoint when the same command is given again.
    """
    from neuroexplain.cli.running import collected, run
    from neuroexplain.collecting import collect as collect_

    config = options.collect_config(values)
    if values["shard"] is not None:
        _shard(config, values)
        return
    if values["parts"] is not None:
        raise click.UsageError("--parts is where shards go; give --shard too")
    collection, result = run("collect", config, values, lambda r: collect_(r, config))
    collected(collection, result, values)


def _shard(config: Any, values: dict[str, Any]) -> None:
    from neuroexplain.catalogue.storage.place import place_of
    from neuroexplain.cli.running import execution
    from neuroexplain.collecting import Shard, collect_shard, parts_folder

    parent = values["parts"] or parts_folder(place_of(values["catalogue"]).path)
    number, of = values["shard"]
    folders = collect_shard(execution(values), config, Shard(number, of), parent)
    if values["json"]:
        options.echo_json({"shard": number, "shards": of, "folders": [str(f) for f in folders]})
    click.echo(
        f"shard {number} of {of} is in {parent}; when all are there: neuroexplain merge {parent}",
        err=True,
    )
