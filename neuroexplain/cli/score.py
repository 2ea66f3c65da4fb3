"""`neuroexplain score`."""

from __future__ import annotations

from typing import Any

import click

from neuroexplain.cli import options


@click.command()
@options.subject_name
@options.neurons
@options.option("--explainer", "Only explanations of this explainer.", default=None)
@options.scoring
@options.calling
@options.seed
@options.running
@options.as_json
def score(**values: Any) -> None:
    """Simulate explanations on held-out text and score them."""
    from neuroexplain.cli.running import report, run
    from neuroexplain.runner import check_scoring, explain_and_score, neurons_of

    config = options.score_config(values)
    check_scoring(config)

    def work(current: Any) -> dict[str, Any]:
        collection = current.catalogue.collection(values["subject"])
        neurons = neurons_of(collection, values["neurons"], values["seed"])
        scored = explain_and_score(
            current, collection, neurons, None, config, explainer=values["explainer"]
        )
        return {"neurons": sum(map(len, neurons)), "explanations": len(scored)}

    whole = {
        "score": config,
        **{name: values[name] for name in ("neurons", "subject", "explainer")},
    }
    report(*run("score", whole, values, work), values["json"])
