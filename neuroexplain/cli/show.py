"""`neuroexplain show`."""

from __future__ import annotations

from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@click.argument("neuron", metavar="SUBJECT/LAYER/INDEX[+|-]")
@options.option("--spans", "Spans shown of each group.", type=click.IntRange(0), default=5)
@options.catalogue
@options.as_json
def show(**values: Any) -> None:
    """Show one neuron: explanations, scores, and spans coloured by activation, real over simulated.

    Where there are no colours (a pipe, NO_COLOR), tokens are written as [token:level].
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.cli.heat import render
    from neuroexplain.cli.table import console
    from neuroexplain.records import NeuronId

    address = NeuronId.parse(values["neuron"])
    with Catalogue(values["catalogue"], read_only=True) as catalogue:
        found = catalogue.show(address)
    if values["json"]:
        options.echo_json(found)
        return
    out = console()
    for part in render(found, address.polarity, values["spans"], colour=out.colourful):
        out.print(part)
