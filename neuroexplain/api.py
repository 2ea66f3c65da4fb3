"""The Python interface: the same work as the commands, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from neuroexplain import collecting, runner
from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.config import CollectConfig, ExplainConfig, ScoreConfig
from neuroexplain.llm.addresses import addresses, name_of
from neuroexplain.run import Execution, Run, RunResult
from neuroexplain.scoring import default_simulator

if TYPE_CHECKING:
    from pathlib import Path

    from neuroexplain.reporting import Report
    from neuroexplain.subjects import Subject


def collect(
    subject: Subject | str,
    *,
    corpus: str = "docs",
    catalogue: Catalogue,
    tokens: int = 100_000,
    execution: Execution | None = None,
    **settings: Any,
) -> Collection:
    """Record exemplars and statistics of every neuron in one pass over a corpus.

    Args:
        subject: a loaded subject, or the spec of one.
        corpus: spec of the texts.
        catalogue: where the result goes.
        tokens: read until this many.
        execution: device, batch size, progress.
        **settings: further fields of `CollectConfig`, for example `layers="0-5"`.

    Returns:
        The collection; one of equal settings, weights and texts is not made again.
    """
    spec = subject if isinstance(subject, str) else subject.spec
    config = CollectConfig(subject=spec, corpus=corpus, tokens=tokens, **settings)
    with Run(catalogue, "collect", config, execution) as run:
        return collecting.collect(run, config, None if isinstance(subject, str) else subject)


def sweep(
    catalogue: Catalogue,
    *,
    subject: str | None = None,
    neurons: str = "random:200",
    explainer: str = "ngram",
    simulator: str | None = None,
    scorers: Sequence[str] = ScoreConfig.scorers,
    llm: str = "none",
    model: str | None = None,
    base_url: str | Sequence[str] | None = None,
    llm_settings: Mapping[str, Any] | None = None,
    explainer_settings: Mapping[str, Any] | None = None,
    simulator_settings: Mapping[str, Any] | None = None,
    execution: Execution | None = None,
    seed: int = 0,
    candidates: int = 1,
    revise: int = 0,
    **scoring: Any,
) -> RunResult:
    """Explain and score neurons that have been collected.

    Args:
        catalogue: holds the collection, and takes the results.
        subject: name of the subject, where the catalogue holds several.
        neurons: which, for example `3:*` or `random:50`.
        explainer: name of the explainer.
        simulator: name of the simulator; None takes the one that fits.
        scorers: names of the scorers.
        llm: spec of the language model.
        model: that `batch:` requests ask for.
        base_url: server of an `openai:` model, or servers that answer alike, see `llm.addresses`.
        llm_settings: further parameters of every request, such as `service_tier`.
        explainer_settings: settings of the explainer.
        simulator_settings: settings of the simulator.
        execution: concurrency, limits, device, progress.
        seed: of every random choice.
        candidates: explanations written per neuron, of which the best on the split `select` is scored on `test`.
        revise: times at most that it is written anew from where it failed on `select`, and kept if it is better there.
        **scoring: further fields of `ScoreConfig`, for example `top=10`.

    Returns:
        How the run ended; the results are in the catalogue.
    """
    servers = (base_url,) if isinstance(base_url, str) else tuple(base_url or ())
    asked: dict[str, Any] = {
        "llm": llm,
        "model": model,
        "base_url": name_of(addresses(servers)) if servers else None,
        "llm_settings": dict(llm_settings or {}),
    }
    explain = ExplainConfig(
        *(explainer, dict(explainer_settings or {})),
        **asked,
        seed=seed,
        candidates=candidates,
        revise=revise,
    )
    score = ScoreConfig(
        simulator=simulator or default_simulator(explainer, llm),
        settings=dict(simulator_settings or {}),
        **asked,
        scorers=tuple(scorers),
        seed=seed,
        **scoring,
    )
    runner.check_plugins(explain, score)
    collection = catalogue.collection(subject)
    chosen = runner.neurons_of(collection, neurons, seed)
    execution = replace(execution or Execution(), servers=servers)
    config = {
        "explain": explain,
        "score": score,
        "neurons": neurons,
        "subject": collection.subject.name,
    }
    with Run(catalogue, "sweep", config, execution) as run:
        runner.explain_and_score(run, collection, chosen, explain, score)
        return run.result


def report(
    catalogue: Catalogue,
    *,
    run: int | Sequence[int] = (),
    subject: str | None = None,
    neurons: str | None = None,
    explainer: str | Sequence[str] = (),
    scorer: str | Sequence[str] = (),
    seed: int = 0,
    examples: int = 5,
    out: str | Path | None = None,
) -> Report:
    """Say what scores are worth: distributions beside null and floor, q-values, and what to mind.

    Args:
        catalogue: holds the scores.
        run: which run or runs, each with those that did the same work before or after it; without any, and without
            neurons or explainers, the newest with scores.
        subject: name of the subject, where the catalogue holds several.
        neurons: only these, for example `3:*`.
        explainer: only explanations of these explainers.
        scorer: only scores of these scorers.
        seed: of `random:N` neurons.
        examples: best and worst explanations of each table.
        out: folder that takes the report as a page with plots.

    Returns:
        The report; `to_frame()` gives every score as a row.
    """
    from neuroexplain.reporting import Scope, assemble, save

    scope = Scope(
        runs=(run,) if isinstance(run, int) else tuple(run),
        subject=subject,
        neurons=neurons,
        seed=seed,
        explainers=(explainer,) if isinstance(explainer, str) else tuple(explainer),
        scorers=(scorer,) if isinstance(scorer, str) else tuple(scorer),
    )
    found = assemble(catalogue, scope, examples=examples)
    if out is not None:
        save(found, out)
    return found
