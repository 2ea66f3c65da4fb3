"""`neuroexplain ngrams`."""

from __future__ import annotations

from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@options.subject_name
@options.option("--orders", "Longest n-gram, in words.", type=int, default=3)
@options.option("--min-count", "Occurrences that an n-gram needs.", type=int, default=1)
@options.option("--top", "N-grams kept per neuron, side and aggregator.", type=int, default=200)
@options.option(
    "--splits",
    "Splits of the corpus that n-grams are from, by comma; explanations are scored on test.",
    default="explain",
)
@options.passing
@options.running
@options.as_json
def ngrams(**values: Any) -> None:
    """Run every n-gram of the corpus through the subject by itself, for all recorded neurons at once.

    Every neuron gets the n-grams that it answers to most strongly, by the mean and by the largest activation over
    their tokens. What is interrupted goes on from its last checkpoint when the same command is given again.
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.cli.running import execution, report
    from neuroexplain.config import NgramConfig
    from neuroexplain.ngrams import collect_ngrams
    from neuroexplain.run import Run

    splits = tuple(split.strip() for split in values["splits"].split(","))
    config = NgramConfig(values["orders"], values["min_count"], values["top"], splits)
    with Catalogue(values["catalogue"]) as catalogue:
        collection = catalogue.collection(values["subject"])
        asked = {"ngrams": config, "collection": collection.key}
        with Run(catalogue, "ngrams", asked, execution(values)) as run:
            made = collect_ngrams(run, collection, config)
    neurons = sum(collection.subject.widths[layer] for layer in collection.layers)
    name = collection.subject.name
    click.echo(
        f"{name}: {made.n_ngrams:,} n-grams through {neurons:,} neurons, in {values['catalogue']}",
        err=True,
    )
    found = {
        "subject": name,
        "layers": list(collection.layers),
        "neurons": neurons,
        "n_ngrams": made.n_ngrams,
        "corpus_sha256": made.corpus_sha256,
        "set_sha256": made.set_sha256,
    }
    report(found, run.result, values["json"])
