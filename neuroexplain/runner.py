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
from neuroexplain.collecting import collect, layers_of, load_subject
from neuroexplain.config import ExplainConfig, ScoreConfig, SweepConfig, run_key
from neuroexplain.errors import LLMPermanentError, LLMReplyError, LLMUnavailableError
from neuroexplain.explainers.base import Explainer
from neuroexplain.llm.base import LLM
from neuroexplain.llm.ledger import ledgered
from neuroexplain.pipeline import unexplained
from neuroexplain.records import Evidence, Explanation, NeuronId, Ngram
from neuroexplain.registry import check, chosen, create, find, needs_llm, require_llm
from neuroexplain.run import Run
from neuroexplain.scoring import Scoring, check_pair
from neuroexplain.selection import check_selector, select

if TYPE_CHECKING:
    from neuroexplain.subjects import Subject


def sweep(
    run: Run, config: SweepConfig, subject: Subject | None = None
) -> tuple[Collection, list[int]]:
    """Collect, explain and score: everything, from a subject and a corpus to scores in the catalogue.

    Args:
        run: where results are counted and saved.
        config: everything that decides them.
        subject: the model, where it is loaded already.

    Returns:
        The collection, and the explanations that the sweep was about.

    Raises:
        NeuroexplainError: a setting that makes no sense is found before any work is done.
    """
    check_plugins(config.explain, config.score)
    check_selector(config.neurons)
    with language_models(run, config.explain, config.score) as (writer, reader):
        explainer = _explainer(config.explain, writer)
        scoring = Scoring(run, config.score, reader)
        subject = subject or load_subject(run.execution, config.collect)
        run.catalogue.check_subject(subject.info)
        widths = {layer: subject.sites[layer].width for layer in layers_of(config.collect, subject)}
        neurons = select(config.neurons, subject.name, widths, seed=config.explain.seed)
        collection = collect(run, config.collect, subject)
        explanations = explain(run, collection, neurons, config.explain, explainer, writer)
        scoring.run_on(collection, explanations)
    return collection, explanations


def explain_and_score(
    run: Run,
    collection: Collection,
    neurons: Sequence[NeuronId],
    explain_config: ExplainConfig | None,
    score_config: ScoreConfig | None,
    *,
    explainer: str | None = None,
) -> list[int]:
    """Explain neurons that have been collected, score their explanations, or both.

    Args:
        run: where results are counted and saved.
        collection: the neurons' activations.
        neurons: which.
        explain_config: how explanations are written; None leaves it at those that are there.
        score_config: how explanations are scored; None does not score them.
        explainer: of explanations that are there, only those of this explainer.

    Returns:
        The explanations, by their number in the catalogue.

    Raises:
        ConfigError: there is no explanation to score.
        PluginError: a plug-in does not exist, or the simulator cannot read these explanations.
        LLMError: the language model refuses every call, or no longer answers.
    """
    configs = [config for config in (explain_config, score_config) if config is not None]
    with language_models(run, *configs) as models:
        scoring = Scoring(run, score_config, models[-1]) if score_config is not None else None
        if explain_config is not None:
            written_by = _explainer(explain_config, models[0])
            explanations = explain(run, collection, neurons, explain_config, written_by, models[0])
        else:
            assert scoring is not None
            explanations = scoring.readable(collection, neurons, explainer)
        if scoring is not None:
            scoring.run_on(collection, explanations)
    return explanations


def check_plugins(explain: ExplainConfig, score: ScoreConfig) -> None:
    """Find wrong names and settings before any work is done.

    Raises:
        PluginError: a plug-in or a setting does not exist, a language model is missing, or the simulator cannot read
            such explanations.
    """
    check("explainer", explain.explainer, explain.settings)
    require_llm("explainer", explain.explainer, explain.llm)
    check("simulator", score.simulator, score.settings)
    check_pair(explain.explainer, score.simulator)
    require_llm("simulator", score.simulator, score.llm)
    for name in score.scorers:
        find("scorer", name)


def explain(
    run: Run,
    collection: Collection,
    neurons: Sequence[NeuronId],
    config: ExplainConfig,
    explainer: Explainer,
    llm: LLM | None,
) -> list[int]:
    """Explain neurons; those that have this very explanation already are left alone.

    Returns:
        The good explanations, by their number in the catalogue, in order.

    Raises:
        LLMError: the language model refuses every call, or no longer answers.
    """
    catalogue = run.catalogue
    explanations: list[int] = []

    async def one(neuron: NeuronId) -> None:
        key = explanation_key(collection, neuron, explainer, config, llm)
        known = catalogue.find_explanation(key)
        if known is not None:
            run.counts["reused"] += 1
            explanations.append(known[0])
            return
        evidence = catalogue.evidence(collection, neuron)
        explanation = await _explain(run, evidence, explainer, config, llm)
        number = catalogue.save_explanation(run.id, collection, key, explanation)
        if explanation.failure is None:
            explanations.append(number)
        if explanation.data and "strongest" in explanation.data:
            catalogue.save_ngrams(collection, neuron, _ngrams(explanation.data))

    run.work("explaining", neurons, one)
    return sorted(explanations)


def neurons_of(collection: Collection, selector: str, seed: int) -> list[NeuronId]:
    """The recorded neurons that a selector names.

    Raises:
        ConfigError: the selector makes no sense, or names what is not recorded.
    """
    widths = dict(enumerate(collection.subject.widths))
    recorded = {layer: widths[layer] for layer in collection.layers}
    return select(selector, collection.subject.name, recorded, seed=seed)


@contextmanager
def language_models(run: Run, *configs: ExplainConfig | ScoreConfig) -> Iterator[list[LLM | None]]:
    """The language models of some stages, behind the catalogue's ledger; equal ones are opened once."""
    opened: dict[tuple[str, str | None], LLM | None] = {}
    try:
        for config in configs:
            place = (config.llm, config.base_url)
            if place not in opened:
                opened[place] = _open(run, *place)
        yield [opened[config.llm, config.base_url] for config in configs]
    finally:
        for model in opened.values():
            if model is not None:
                run.drive(model.close())


def _open(run: Run, spec: str, base_url: str | None) -> LLM | None:
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
        return None
    find_reply = run.catalogue.find_reply if execution.use_ledger else lambda _: None
    return ledgered(model, find_reply, lambda call: _save_call(run, call))


def _explainer(config: ExplainConfig, llm: LLM | None) -> Explainer:
    made: Explainer = create("explainer", config.explainer, config.settings, llm)
    return made


def explanation_key(
    collection: Collection,
    neuron: NeuronId,
    explainer: Explainer,
    config: ExplainConfig,
    llm: LLM | None,
) -> str:
    """What decides an explanation; the language model only where one is asked."""
    asked = llm is not None and needs_llm(type(explainer))
    return run_key(
        "explanation",
        collection.key,
        str(neuron),
        config.explainer,
        chosen(explainer),
        llm.identity if llm and asked else None,
        getattr(explainer, "template_sha256", None),
        config.seed if asked else None,
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
        run.succeeded("explained")
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
