"""Many neurons: what is left to do, in which order, saved as it comes.

Every collection, explanation, simulation and score has a key over all that decides it. What the catalogue holds under a
key is not made again, so an interrupted command goes on where it stopped, and one that has finished has nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from neuroexplain import llm as llms
from neuroexplain.catalogue import Collection
from neuroexplain.collecting import collect
from neuroexplain.config import ExplainConfig, ScoreConfig, SweepConfig, run_key
from neuroexplain.errors import LLMPermanentError, LLMReplyError, LLMUnavailableError
from neuroexplain.explainers.base import Explainer
from neuroexplain.llm.base import LLM
from neuroexplain.llm.ledger import ledgered
from neuroexplain.pipeline import unexplained
from neuroexplain.records import Evidence, Explanation, NeuronId, Ngram
from neuroexplain.registry import check, chosen, create, find
from neuroexplain.run import Run
from neuroexplain.scoring import Scoring, check_pair
from neuroexplain.selection import select

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject


def sweep(
    run: Run, config: SweepConfig, subject: Subject | None = None
) -> tuple[Collection, list[NeuronId]]:
    """Collect, explain and score: everything, from a subject and a corpus to scores in the catalogue.

    Args:
        run: where results are counted and saved.
        config: everything that decides them.
        subject: the model, where it is loaded already.

    Returns:
        The collection, and the neurons that the sweep was about.

    Raises:
        NeuroexplainError: a setting that makes no sense is found before any work is done.
    """
    check_plugins(config.explain, config.score)
    collection = collect(run, config.collect, subject)
    neurons = neurons_of(collection, config.neurons, config.explain.seed)
    explain(run, collection, neurons, config.explain)
    score(run, collection, neurons, config.score, explainer=config.explain.explainer)
    return collection, neurons


def check_plugins(explain: ExplainConfig, score: ScoreConfig) -> None:
    """Find wrong names and settings before any work is done.

    Raises:
        PluginError: a plug-in or a setting does not exist, or the simulator cannot read such explanations.
    """
    check("explainer", explain.explainer, explain.settings)
    check("simulator", score.simulator, score.settings)
    for name in score.scorers:
        find("scorer", name)
    check_pair(explain.explainer, score.simulator)


def explain(
    run: Run, collection: Collection, neurons: Sequence[NeuronId], config: ExplainConfig
) -> None:
    """Explain neurons; those that have this very explanation already are left alone.

    Raises:
        PluginError: the explainer or a setting of it does not exist.
        LLMPermanentError: the language model refuses every call.
    """
    catalogue = run.catalogue
    with language_model(run, config.llm, config.base_url) as llm:
        explainer: Explainer = create("explainer", config.explainer, config.settings, llm)

        async def one(neuron: NeuronId) -> None:
            key = explanation_key(collection, neuron, explainer, config, llm)
            if catalogue.find_explanation(key) is not None:
                run.counts["reused"] += 1
                return
            evidence = catalogue.evidence(collection, neuron)
            explanation = await _explain(run, evidence, explainer, config, llm)
            catalogue.save_explanation(run.id, collection, key, explanation)
            if explanation.data and "strongest" in explanation.data:
                catalogue.save_ngrams(collection, neuron, _ngrams(explanation.data))

        run.work("explaining", neurons, one)


def score(
    run: Run,
    collection: Collection,
    neurons: Sequence[NeuronId],
    config: ScoreConfig,
    *,
    explainer: str | None = None,
) -> None:
    """Simulate and score the explanations of some neurons.

    Args:
        run: where results are counted and saved.
        collection: the neurons' activations.
        neurons: whose explanations.
        config: simulator, scorers and spans.
        explainer: only explanations of this explainer.

    Raises:
        PluginError: a plug-in does not exist, or the simulator cannot read these explanations.
        LLMPermanentError: the language model refuses every call.
    """
    with language_model(run, config.llm, config.base_url) as llm:
        scoring = Scoring(run, collection, config, llm)
        jobs = scoring.jobs(neurons, explainer)
        run.work("simulating", jobs, scoring.simulate)
        if run.finished:
            scoring.score_all(jobs)


def neurons_of(collection: Collection, selector: str, seed: int) -> list[NeuronId]:
    """The recorded neurons that a selector names.

    Raises:
        ConfigError: the selector makes no sense, or names what is not recorded.
    """
    widths = dict(enumerate(collection.subject.widths))
    recorded = {layer: widths[layer] for layer in collection.layers}
    return select(selector, collection.subject.name, recorded, seed=seed)


@contextmanager
def language_model(run: Run, spec: str, base_url: str | None) -> Iterator[LLM | None]:
    """The language model of a stage, behind the catalogue's ledger; closed at the end."""
    execution = run.execution
    model = llms.create(
        spec,
        base_url=base_url,
        device=execution.device,
        dtype=execution.llm_dtype,
        threads=execution.threads,
        tries=execution.tries,
    )
    if model is None:
        yield None
        return
    find_reply = run.catalogue.find_reply if execution.use_ledger else lambda _: None
    try:
        yield ledgered(model, find_reply, lambda call: _save_call(run, call))
    finally:
        run.loop.run(model.close())


def explanation_key(
    collection: Collection,
    neuron: NeuronId,
    explainer: Explainer,
    config: ExplainConfig,
    llm: LLM | None,
) -> str:
    """What decides an explanation."""
    return run_key(
        "explanation",
        collection.key,
        str(neuron),
        config.explainer,
        chosen(explainer),
        llm.identity if llm else None,
        getattr(explainer, "template_sha256", None),
        config.seed,
    )


async def _explain(
    run: Run, evidence: Evidence, explainer: Explainer, config: ExplainConfig, llm: LLM | None
) -> Explanation:
    spec = llm.spec if llm else None
    try:
        explanation = await explainer.explain(evidence, seed=config.seed)
    except LLMPermanentError as error:
        run.permanent(error)
        explanation = unexplained(evidence, config.explainer, spec, error)
    except (LLMReplyError, LLMUnavailableError) as error:
        run.unanswered(error)
        explanation = unexplained(evidence, config.explainer, spec, error)
    if explanation.failure is None:
        run.succeeded()
    else:
        run.failed(explanation.failure.reason)
    return explanation


def _save_call(run: Run, call: Any) -> None:
    run.catalogue.save_call(run.id, call)


def _ngrams(data: Mapping[str, Any]) -> list[Ngram]:
    return [
        Ngram(e["text"], e["mean_response"], e["max_response"], e["count"])
        for e in data["strongest"]
    ]
