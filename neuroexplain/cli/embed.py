"""`neuroexplain db embed`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@options.catalogue
@options.option("--model", "Sentence model: a subject spec.", default="minilm")
@options.option("--device", "Where it runs: cpu, cuda or mps.", default="cpu")
@options.as_json
def embed(**values: Any) -> None:
    """Make the index for searches by meaning, or bring it up to date.

    Only explanations that are not in it yet are read; what is interrupted goes on when the same
    command is given again. An index by another model is replaced in the end.
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.cli.progress import Bars
    from neuroexplain.indexing import Indexing

    with Catalogue(values["catalogue"]) as catalogue:
        indexing = Indexing(catalogue, values["model"], device=values["device"])
        with Bars().stage("embedding", len(indexing)) as advance:
            done = indexing.run(advance)
    if values["json"]:
        options.echo_json(asdict(done))
        return
    click.echo(
        f"{done.explanations:,} explanations added, {done.texts:,} different texts, by {values['model']}"
    )
    if done.without:
        click.echo(
            f"{done.without:,} have no token for {values['model']}, and no meaning", err=True
        )
