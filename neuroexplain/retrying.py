"""Asking again for what failed in a run, with the run's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from neuroexplain.catalogue import Catalogue
from neuroexplain.config import explain_config, score_config
from neuroexplain.errors import ConfigError, unknown
from neuroexplain.llm.addresses import addresses, name_of
from neuroexplain.run import Execution, Run, RunResult
from neuroexplain.runner import explain_and_score, neurons_of

COMMANDS = ("sweep", "explain", "score")


def retry(
    catalogue: Catalogue, run_id: int, reasons: AbstractSet[str], execution: Execution
) -> tuple[int, RunResult]:
    """Do a run again; replies that could not be used, for the reasons given, are asked for anew.

    The run goes over all its neurons: what is done is passed by, and a null in which a retried neuron now counts
    is taken anew.

    Args:
        catalogue: has the run.
        run_id: its row.
        reasons: of failures that are retried; empty for all.
        execution: how.

    Returns:
        Replies that are asked for anew, and how the new run ended.

    Raises:
        ConfigError: the run did not explain or score, or nothing in it failed for these reasons, or nobody says where its
            servers are.
        HeldError: a process works on the run.
    """
    command, config = catalogue.run_config(run_id)
    if command not in COMMANDS:
        raise ConfigError(f"run {run_id} is {command}: only {', '.join(COMMANDS)} can be retried")
    found: dict[str, int] = catalogue.failures(run_id)
    wrong = sorted(reasons - found.keys())
    if wrong or not found:
        raise ConfigError(
            f"run {run_id}: {unknown('reason', wrong[0], found)}"
            if wrong
            else f"nothing failed in run {run_id}"
        )
    chosen = frozenset(reasons or found)
    execution = replace(execution, retry=chosen, servers=_as_known(execution.servers, config))
    with Run(catalogue, command, config, execution) as run:
        # Under the run's lock: nobody else may be about to use these replies.
        retired = catalogue.retire(catalogue.failed_requests(run_id, chosen))
        collection = catalogue.collection_of_run(run_id)
        explain = explain_config(config["explain"]) if config.get("explain") else None
        score = score_config(config["score"]) if config.get("score") else None
        seed = explain.seed if explain else score.seed if score else 0
        neurons = neurons_of(collection, config["neurons"], seed)
        explain_and_score(
            run, collection, neurons, explain, score, explainer=config.get("explainer")
        )
        return retired, run.result


def _as_known(servers: tuple[str, ...], config: Mapping[str, Any]) -> tuple[str, ...]:
    """Other servers under the name of the run's own: what these have answered is not to be bought again."""
    known = next((c["base_url"] for c in (config.get("explain"), config.get("score")) if c), None)
    if known is not None and not servers and "://" not in known:
        raise ConfigError(f"the run asked servers known as {known}: name them by --base-url")
    if not servers or known is None or name_of(addresses(servers)) == known:
        return servers
    return (f"{servers[0]},name={known}", *servers[1:])
