"""`neuroexplain merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@click.argument("parts", type=click.Path(path_type=Path))
@options.catalogue
@options.as_json
def merge(parts: Path, **values: Any) -> None:
    """Put the shards in a folder together: the same catalogue as from one run.

    PARTS is the folder that `collect --shard` wrote into. It is left as it is.
    """
    from neuroexplain.cli.running import collected, run
    from neuroexplain.collecting import merge as merge_

    collection, result = run("merge", {"parts": str(parts)}, values, lambda r: merge_(r, parts))
    collected(collection, result, values)
