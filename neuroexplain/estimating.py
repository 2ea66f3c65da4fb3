"""What a run would spend, without spending it: the real prompts of some neurons are made and counted, not sent.

What the ledger holds of the model's earlier calls says how its tokenizer counts, how much it writes, how fast it answers
and how often a reply had to be asked for twice. Without any, prompts are counted as OpenAI's tokenizers do, and replies are
reckoned with a guess; the estimate says which of the two it is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from neuroexplain.batches import names
from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.catalogue.storage.place import place_of
from neuroexplain.choosing import SHOWN, chooses
from neuroexplain.collecting import collect, known_collection, layers_of, load_subject
from neuroexplain.config import ExplainConfig, ScoreConfig, SweepConfig
from neuroexplain.errors import NO_ANSWER
from neuroexplain.explainers.base import looks_at
from neuroexplain.explainers.revising import Residual, revise
from neuroexplain.explaining import ExplanationKeys
from neuroexplain.llm.addresses import addresses, name_of
from neuroexplain.llm.openai_http import identity
from neuroexplain.llm.prices import Price
from neuroexplain.models import price_of
from neuroexplain.pretending import Pretender, Stage, completed
from neuroexplain.records import (
    Explanation,
    HeldOut,
    NeuronId,
    Split,
)
from neuroexplain.registry import create, needs_llm
from neuroexplain.run import Execution, Run
from neuroexplain.runner import check_plugins
from neuroexplain.selection import LayerNeurons, by_layer, check_selector
from neuroexplain.simulating import SimulationKeys
from neuroexplain.tracks import SYNTHETIC, needs_calibration, predictor_kind, synthetic, tracks
from neuroexplain.truth import truth_of

SAMPLE = 100
"""Neurons whose prompts are made."""
GUESSES = {"explain": 30.0, "revise": 30.0, "simulate": 150.0, "score": 60.0, "repair": 150.0}
"""Tokens of a reply, where nothing is known."""
WRITTEN = ("explain", "revise")
"""Purposes for which the language model is asked that explains; the others ask the one that simulates."""
SMALL = 20_000
"""Tokens of a collection that is made for nothing but prompts."""
_CHUNK = 256


@dataclass
class Estimate:
    """What a run would do and spend."""

    neurons: int
    """That it is about."""
    to_explain: int
    """Of them, those without such an explanation."""
    to_simulate: int
    """Of them, those without such a simulation, where they are scored."""
    stages: dict[str, Stage] = field(default_factory=dict)
    """By purpose of the calls."""
    seconds: float | None = None
    """Time that the calls take; None where the model's speed is not known."""
    basis: str = ""
    """What the numbers rest on."""
    priced: bool = True
    """Whether the model's price is known."""
    prompts: dict[str, str] = field(default_factory=dict)
    """One rendered prompt of each purpose."""

    @property
    def total(self) -> Stage:
        """All stages together."""
        costs = [s.cost_usd for s in self.stages.values()]
        return Stage(
            sum(s.calls for s in self.stages.values()),
            sum(s.prompt_tokens for s in self.stages.values()),
            sum(s.completion_tokens for s in self.stages.values()),
            sum(s.cached_tokens for s in self.stages.values()),
            None if not self.priced else sum(cost or 0.0 for cost in costs),
        )


def estimate_run(
    catalogue: Catalogue,
    ledger: Catalogue,
    collection: Collection,
    layers: Sequence[LayerNeurons],
    explain: ExplainConfig,
    score: ScoreConfig,
    execution: Execution,
) -> Estimate:
    """What explaining and scoring neurons would spend.

    Args:
        catalogue: has the collection, or a small one of the same kind.
        ledger: has what was done before.
        collection: the neurons' activations.
        layers: which neurons.
        explain: how they would be explained.
        score: how the explanations would be scored.
        execution: concurrency and prices.

    Raises:
        PluginError: a plug-in or a setting does not exist.
        ConfigError: a price file is wrong.
    """
    return _Estimator(catalogue, ledger, collection, explain, score, execution).run(layers)


def estimate_sweep(location: str, config: SweepConfig, execution: Execution) -> Estimate:
    """What a sweep would spend; nothing is written into the catalogue, and none is made.

    Where the collection is not there yet, the prompts are those of a small one of the same kind.

    Raises:
        NeuroexplainError: a setting makes no sense, or the subject or the corpus cannot be used.
    """
    check_plugins(config.explain, config.score)
    check_selector(config.neurons)
    subject = load_subject(execution, config.collect)
    widths = {layer: subject.sites[layer].width for layer in layers_of(config.collect, subject)}
    layers = by_layer(config.neurons, subject.name, widths, seed=config.explain.seed)
    with TemporaryDirectory() as folder:
        sample = Catalogue(Path(folder) / "sample.sqlite")
        there = place_of(location).exists
        with (
            sample,
            Catalogue(location, read_only=True) if there else nullcontext(sample) as ledger,
        ):
            collection = known_collection(ledger, execution, config.collect, subject)
            source = ledger
            if collection is None:
                source = sample
                small = replace(config.collect, tokens=min(config.collect.tokens, SMALL))
                with Run(sample, "collect", small, execution) as run:
                    collection = collect(run, small, subject)
            return estimate_run(
                source, ledger, collection, layers, config.explain, config.score, execution
            )


class _Estimator:
    def __init__(
        self,
        catalogue: Catalogue,
        ledger: Catalogue,
        collection: Collection,
        explain: ExplainConfig,
        score: ScoreConfig,
        execution: Execution,
    ) -> None:
        self.catalogue = catalogue
        self.ledger = ledger
        self.collection = collection
        self.explain_config = explain
        self.score_config = score
        self.execution = execution
        self.writer = Pretender(ledger, _identity(explain, execution), execution.use_ledger)
        self.reader = Pretender(ledger, _identity(score, execution), execution.use_ledger)
        self.explainer: Any = create("explainer", explain.explainer, explain.settings, self.writer)
        self.simulator: Any = create("simulator", score.simulator, score.settings, self.reader)
        self.explanation_keys = ExplanationKeys(
            *(collection, explain, self.explainer),
            self.writer.identity if needs_llm(type(self.explainer)) else None,
            catalogue.ngram_pass(collection),
        )
        # Track by track: what predicts, with the keys of what it has predicted.
        self.tracks = [
            (track, predictor, SimulationKeys(track, predictor, self._asked_by(predictor)))
            for track in tracks(score)
            for predictor in [
                create(
                    *(predictor_kind(track.simulator), track.simulator, track.settings),
                    self.reader,
                )
            ]
        ]
        # The stage of generated texts asks once about each explanation.
        staged = synthetic(score)
        self.texts: Any = None
        if staged is not None and score.llm != "none":
            given = {"texts": staged.texts, **staged.settings}
            self.texts = create("scorer", SYNTHETIC, given, self.reader)
        written, read = _price(explain, execution), _price(score, execution)
        self.prices = {purpose: written if purpose in WRITTEN else read for purpose in GUESSES}
        self.cheap = explain.llm.startswith("batch:") or (
            explain.llm_settings.get("service_tier") == "flex"
        )

    def _asked_by(self, predictor: Any) -> str | None:
        return self.reader.identity if needs_llm(type(predictor)) else None

    def run(self, layers: Sequence[LayerNeurons]) -> Estimate:
        """Count the calls of a sample of what is left to do."""
        fresh: list[NeuronId] = []
        unscored: list[tuple[NeuronId, int]] = []
        counts = Counter[str]()
        step = max(1, sum(map(len, layers)) // (4 * SAMPLE))
        for neuron, number, simulated in self._states(layers):
            state = "simulate" if number else "explain"
            if number and simulated:
                continue
            if counts[state] % step == 0:  # evenly over all of them
                if number:
                    unscored.append((neuron, number))
                else:
                    fresh.append(neuron)
            counts[state] += 1
        found = Estimate(
            sum(map(len, layers)), counts["explain"], counts["explain"] + counts["simulate"]
        )
        for sample, whole in ((fresh, counts["explain"]), (unscored, counts["simulate"])):
            self._add(found, _thinned(sample), whole)
        self._finish(found)
        return found

    def _states(
        self, layers: Sequence[LayerNeurons]
    ) -> Iterator[tuple[NeuronId, int | None, bool]]:
        """Neurons with their explanation, where they have one, and whether that has been simulated."""
        for layer in layers:
            neurons = list(layer.neurons())
            for start in range(0, len(neurons), _CHUNK):
                chunk = neurons[start : start + _CHUNK]
                if chooses(self.explain_config):
                    # Which one was chosen takes all that led to it; what was paid for, the ledger knows.
                    yield from ((neuron, None, False) for neuron in chunk)
                    continue
                keys = [self.explanation_keys.of(neuron) for neuron in chunk]
                numbers = self.ledger.known_explanations(keys)
                simulations = [[k.of(key) for _, _, k in self.tracks] for key in keys]
                known = self.ledger.known_simulations([k for row in simulations for k in row])
                for neuron, key, row in zip(chunk, keys, simulations, strict=True):
                    there = all(k in known and not known[k].reasons & NO_ANSWER for k in row)
                    # Which texts have been written the ledger knows.
                    yield neuron, numbers.get(key), there and self.texts is None

    def _add(self, found: Estimate, sample: Sequence[Any], whole: int) -> None:
        """Make the prompts of a sample, and reckon with as many for all."""
        if not sample:
            return
        self.writer.begin()
        self.reader.begin()
        asyncio.run(self._pretend(sample))
        for pretender in (self.writer, self.reader):
            for purpose, stage in pretender.stages.items():
                total = found.stages.setdefault(purpose, Stage())
                total.calls += stage.calls * whole / len(sample)
                total.prompt_tokens += stage.prompt_tokens * whole / len(sample)
                total.most += stage.most * whole / len(sample)
            found.prompts |= pretender.prompts

    async def _pretend(self, sample: Sequence[Any]) -> None:
        for entry in sample:
            if isinstance(entry, NeuronId):
                explanation = await self._explained(entry)
            else:
                explanation = self.ledger.explanation(entry[1])
            if explanation.failure is None:
                await self._predicted(explanation)

    async def _explained(self, neuron: NeuronId) -> Explanation:
        """Pretend to write a neuron's explanations, and to choose among them."""
        config = self.explain_config
        wanted = looks_at(type(self.explainer))
        evidence = completed(self.catalogue.evidence(self.collection, neuron, wanted), wanted)
        candidates: list[Explanation] = []
        for sample in range(config.candidates):
            more = {"sample": sample} if sample else {}
            candidates.append(await self.explainer.explain(evidence, seed=config.seed, **more))
        good = [c for c in candidates if c.failure is None]
        if not good or not chooses(config):
            return candidates[0]
        truth = self._truth(good[0], "select")
        spans = [s.span for s in truth.spans]
        for explanation in good:
            await self.simulator.simulate(explanation, spans)
        worst = [Residual(s.span, s.truth, s.truth) for s in truth.spans[:SHOWN]]
        revised = good[0]
        for _ in range(config.revise):
            revised = await revise(self.writer, revised, worst, seed=config.seed)
            await self.simulator.simulate(revised, spans)
        return good[0]

    async def _predicted(self, explanation: Explanation) -> None:
        """Pretend to have every track's predictor asked about an explanation, and texts written to it."""
        if self.texts is not None and not (explanation.data or {}).get("words"):
            seed = self.score_config.seed
            await self.reader.chat(self.texts.request(explanation.text, seed=seed))
        for track, predictor, _ in self.tracks:
            if not needs_llm(type(predictor)):
                continue  # it costs nothing but time
            truth = self._truth(explanation, "test")
            if hasattr(predictor, "ask"):
                await predictor.ask(explanation, truth)
                continue
            spans = [s.span for s in truth.spans]
            if needs_calibration(track):
                spans += [s.span for s in self._truth(explanation, "select").spans]
            await predictor.simulate(explanation, spans)

    def _truth(self, explanation: Explanation, split: Split) -> HeldOut:
        return truth_of(
            *(self.catalogue, self.collection, explanation.neuron, split),
            self.score_config,
            explanation.scale,
        )

    def _finish(self, found: Estimate) -> None:
        """What is known of earlier calls: how the model counts, writes and answers."""
        learnt = []
        seconds: list[float | None] = []
        for purpose, stage in list(found.stages.items()):
            model = (self.writer if purpose in WRITTEN else self.reader).identity
            known = self.ledger.lengths(model)
            self._complete(found, purpose, known)
            learnt.append(purpose in known)
            latency = known.get(purpose, {}).get("latency_ms")
            seconds.append(
                None if latency is None else stage.calls * latency / 1000 / self.execution.in_flight
            )
        for purpose, stage in found.stages.items():
            price = self.prices[purpose]
            if price is None:
                found.priced = False
                continue
            tokens = (stage.prompt_tokens, stage.completion_tokens, stage.cached_tokens)
            stage.cost_usd = price.cost(*map(round, tokens), batch=self.cheap) / 1e9
        if learnt and all(learnt):
            found.basis = "earlier calls of this model"
            found.seconds = sum(s for s in seconds if s is not None)
        elif learnt:
            found.basis = (
                "no earlier calls of this model: prompts counted as by OpenAI's tokenizers, replies guessed; after a pilot "
                "run of some neurons the estimate rests on what they took"
            )

    def _complete(
        self, found: Estimate, purpose: str, known: Mapping[str, Mapping[str, float]]
    ) -> None:
        """Tokens of the replies and of the cache, and the repairs of such calls that have to be expected."""
        stage, usual = found.stages[purpose], known.get(purpose, {})
        written = stage.calls * usual.get("completion_tokens", GUESSES[purpose])
        stage.completion_tokens = min(written, stage.most)
        stage.cached_tokens = stage.prompt_tokens * _cached(usual)
        if purpose == "simulate" and "repair" in known and purpose in known:
            usual = known["repair"]
            repair = found.stages.setdefault("repair", Stage())
            repair.calls = stage.calls * usual["n"] / known["simulate"]["n"]
            repair.prompt_tokens = repair.calls * usual.get("prompt_tokens", 0.0)
            repair.completion_tokens = repair.calls * usual.get("completion_tokens", 0.0)
            repair.cached_tokens = repair.prompt_tokens * _cached(usual)


def _cached(usual: Mapping[str, float]) -> float:
    """The share of prompt tokens that earlier calls found in the server's cache."""
    return min(1.0, usual.get("cached_tokens", 0.0) / max(usual.get("prompt_tokens", 0.0), 1.0))


def _identity(config: ExplainConfig | ScoreConfig, execution: Execution) -> str:
    """What the ledger knows the model by, without opening it."""
    match config.llm.partition(":")[0]:
        case "openai":
            servers = addresses(execution.servers or config.base_url)
            return identity(config.llm, name_of(servers), config.llm_settings)
        case "batch":
            return names(config, execution.servers)[1]
    return config.llm


def _price(config: ExplainConfig | ScoreConfig, execution: Execution) -> Price | None:
    kind, _, name = config.llm.partition(":")
    if kind not in ("openai", "batch"):
        return None
    model = (config.model or "") if kind == "batch" else name
    return price_of(execution.prices, model, None)


def _thinned(sample: list[Any]) -> list[Any]:
    """So many of a sample, evenly."""
    step = max(1, len(sample) / SAMPLE)
    return [sample[int(i * step)] for i in range(min(SAMPLE, len(sample)))]
