"""`neuroexplain collect`."""

from __future__ import annotations

from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@options.collecting
@options.seed
@options.running
@options.as_json
def collect(**values: Any) -> None:
    """Record exemplars and statistics of every neuron in one pass over a corpus."""
    from neuroexplain.cli.running import report, run
    from neuroexplain.collecting import collect as collect_

    config = options.collect_config(values)
    collection, result = run("collect", config, values, lambda r: collect_(r, config))
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
