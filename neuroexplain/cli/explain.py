"""`neuroexplain explain`."""

from __future__ import annotations

from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@options.subject_name
@options.neurons
@options.explaining
@options.calling
@options.seed
@options.running
@options.as_json
def explain(**values: Any) -> None:
    """Explain neurons that have been collected."""
    from neuroexplain.cli.running import report, run
    from neuroexplain.config import run_key
    from neuroexplain.runner import check_explaining, explain_and_score, neurons_of

    config = options.explain_config(values)
    check_explaining(config)

    def work(current: Any) -> dict[str, Any]:
        collection = current.catalogue.collection(values["subject"])
        neurons = neurons_of(collection, values["neurons"], values["seed"])
        explain_and_score(current, collection, neurons, config, None)
        return {"neurons": sum(map(len, neurons)), "config": run_key(config)}

    whole = {"explain": config, "neurons": values["neurons"], "subject": values["subject"]}
    report(*run("explain", whole, values, work), values["json"])
