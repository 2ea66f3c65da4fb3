"""From explanations to simulations and scores in the catalogue: one at a time, each beside others of its layer.

Statistics follow from what is stored, so that scoring again costs no language model call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from neuroexplain.catalogue import Collection, KnownSimulation
from neuroexplain.config import ScoreConfig, as_dict, run_key
from neuroexplain.errors import (
    NO_ANSWER,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
    PluginError,
)
from neuroexplain.explaining import Explained
from neuroexplain.heldout import held_out
from neuroexplain.llm.base import LLM
from neuroexplain.pipeline import floor_simulation, score_explanation, simulate, unsimulated
from neuroexplain.recent import Recent
from neuroexplain.records import Explanation, HeldOut, NeuronId, Simulation
from neuroexplain.registry import chosen, create, find, needs_llm
from neuroexplain.run import Run
from neuroexplain.scorers.base import Scorer
from neuroexplain.simulators.base import Simulator

REMEMBERED = 512
"""Simulations or explanations of other neurons that are kept in memory for comparison."""


@dataclass(frozen=True)
class Simulated:
    """An explanation with its simulation in the catalogue."""

    explained: Explained
    number: int
    """Row of the simulation."""
    key: str
    """Hash of everything that determines it."""
    complete: bool
    """Whether no span failed, so that others can be compared with it."""
    made: Made | None = None
    """What it is scored by, where that is at hand."""


@dataclass(frozen=True)
class Made:
    """What a score is made of."""

    simulation: Simulation
    held_out: HeldOut
    floor: Simulation | None


def default_simulator(explainer: str | None, llm: str) -> str:
    """The simulator that fits: the explainer's own where it needs no language model, else what the model can do."""
    if explainer in ("ngram", "token-table"):
        return explainer
    if llm == "none":
        return "ngram"
    return "logprob" if llm.startswith("local:") else "sparse"


def check_pair(explainer: str, simulator: str) -> None:
    """Refuse a simulator that cannot read an explainer's explanations.

    Raises:
        PluginError: it reads those of another explainer only.
    """
    reads = getattr(find("simulator", simulator), "reads", None)
    if reads not in (None, explainer):
        raise PluginError(
            f'simulator "{simulator}" reads explanations of explainer "{reads}" only, not of "{explainer}"; '
            f"choose --explainer {reads}, or --simulator sparse or logprob with --llm"
        )


class SimulationKeys:
    """What decides a simulation, hashed.

    Args:
        config: which spans are simulated, and how.
        simulator: made from it.
        identity: of the language model; None where none is asked.
    """

    def __init__(self, config: ScoreConfig, simulator: Simulator, identity: str | None) -> None:
        self._made_by = [
            config.simulator,
            chosen(simulator),
            identity,
            getattr(simulator, "template_sha256", None),
            [config.top, config.random, config.quantile],
        ]

    def of(self, explanation_key: str) -> str:
        """The key of an explanation's simulation."""
        return run_key("simulation", explanation_key, self._made_by)


class Scoring:
    """Simulates explanations of a collection on their neurons' held-out spans, and scores them."""

    def __init__(
        self, run: Run, collection: Collection, config: ScoreConfig, llm: LLM | None
    ) -> None:
        self.run = run
        self.catalogue = run.catalogue
        self.collection = collection
        self.config = config
        self.simulator: Simulator = create("simulator", config.simulator, config.settings, llm)
        self.scorers: list[Scorer] = [create("scorer", name, {}) for name in config.scorers]
        self.llm = llm if needs_llm(type(self.simulator)) else None
        identity = self.llm.identity if self.llm else None
        self.keys = SimulationKeys(config, self.simulator, identity)
        self._scored_by = as_dict(config)
        self._shared: Recent[int, Simulation] = Recent(REMEMBERED)
        self._explanations: Recent[int, Explanation] = Recent(REMEMBERED)

    async def simulated(self, explained: Explained, known: KnownSimulation | None) -> Simulated:
        """Simulate an explanation on its neuron's test spans, unless the catalogue has that.

        Raises:
            LLMError: the language model refuses every call, or no longer answers.
            PostponedError: nothing was done.
        """
        key = self.keys.of(explained.key)
        if known is not None and not self._again(known):
            self.run.counts["reused"] += 1
            return Simulated(explained, known.number, key, not known.reasons)
        spans = self._held_out(explained.neuron)
        explanation = self._explanation(explained)
        simulation = await self._simulation(explanation, spans)
        number = await self.run.saver.simulation(explained.number, key, "test", simulation)
        failures = [s.failure for s in simulation.spans if s.failure is not None]
        if failures and len(failures) == len(simulation.spans):
            self.run.failed(failures[0].reason)
        else:
            self.run.succeeded("simulated")
        if self.llm is None:
            self._explanations.put(explained.number, explanation)
        elif not failures:
            self._shared.put(number, _on_random(simulation, spans))
        made = Made(simulation, spans, await self._floor(explained, spans))
        # The evidence is large, and no longer needed.
        return Simulated(replace(explained, evidence=None), number, key, not failures, made)

    async def score(self, simulated: Simulated, others: Sequence[Simulated]) -> Simulated:
        """Score a simulation beside the explanations of other neurons; returns it without what it was scored by."""
        key = self._score_key(simulated, others)
        number = simulated.explained.number
        if simulated.made is None and self._is_scored(number, key):
            return simulated
        made = simulated.made or await self._load(simulated)
        scores = score_explanation(
            made.simulation,
            made.held_out,
            made.floor,
            scorers=self.scorers,
            nulls=[await self._null(other, made.held_out) for other in others],
            config=self.config,
        )
        await self.run.saver.scores(
            number, simulated.number, key, "test", scores, made.simulation
        )
        self.run.counts["scored"] += 1
        return replace(
            simulated, made=None, explained=replace(simulated.explained, explanation=None)
        )

    def others_of(self, simulated: Simulated, taken: set[NeuronId]) -> list[Simulated]:
        """Explanations of the same layer and kind in the catalogue, of neurons that are not taken; one of each.

        Where a language model simulates, those that have been simulated: the others would multiply the bill.
        """
        neuron, number = simulated.explained.neuron, simulated.explained.number
        refs = self.catalogue.explanation_refs(self.collection, neuron.layer)
        own = next(ref for ref in refs if ref.number == number)
        kind = (own.explainer, own.llm, own.made_by, own.neuron.polarity)
        newest = {
            ref.neuron: ref
            for ref in refs
            if (ref.explainer, ref.llm, ref.made_by, ref.neuron.polarity) == kind
            and ref.neuron not in taken
        }
        order = sorted(newest, key=lambda n: run_key(self.config.seed, str(n)))
        found = [Explained(n, newest[n].number, newest[n].key) for n in order]
        if self.llm is None:
            return [Simulated(e, 0, self.keys.of(e.key), True) for e in found]
        known = self.catalogue.known_simulations([self.keys.of(e.key) for e in found])
        pairs = [(e, known.get(self.keys.of(e.key))) for e in found]
        return [
            Simulated(e, k.number, self.keys.of(e.key), True)
            for e, k in pairs
            if k is not None and not k.reasons
        ]

    async def _simulation(self, explanation: Explanation, spans: HeldOut) -> Simulation:
        try:
            return await simulate(explanation, spans, self.simulator)
        except LLMPermanentError as error:
            self.run.permanent(error)
            failed = error
        except (LLMReplyError, LLMUnavailableError) as error:
            self.run.unanswered(error)
            failed = error  # type: ignore[assignment]
        spec = self.llm.spec if self.llm else None
        return unsimulated(spans, self.config.simulator, spec, failed)

    def _again(self, known: KnownSimulation) -> bool:
        """Whether a simulation with failed spans is worth another try."""
        execution = self.run.execution
        if not execution.use_ledger:
            return bool(known.reasons)
        return bool(known.reasons & (NO_ANSWER | execution.retry))

    def _is_scored(self, number: int, key: str) -> bool:
        newest = self.catalogue.newest_score_keys(number, "test")
        return all(newest.get(scorer.name) == key for scorer in self.scorers)

    def _score_key(self, simulated: Simulated, others: Sequence[Simulated]) -> str:
        return run_key("score", self._scored_by, simulated.key, [other.key for other in others])

    async def _load(self, simulated: Simulated) -> Made:
        """What an earlier run's simulation is scored by."""
        spans = self._held_out(simulated.explained.neuron)
        simulation = self.catalogue.simulation(simulated.number)
        return Made(simulation, spans, await self._floor(simulated.explained, spans))

    async def _floor(self, explained: Explained, spans: HeldOut) -> Simulation | None:
        evidence = explained.evidence or self.catalogue.evidence(self.collection, explained.neuron)
        return floor_simulation(evidence, [s.span for s in spans.spans])

    async def _null(self, other: Simulated, spans: HeldOut) -> Simulation:
        """Another neuron's explanation on these spans: on all of them, or on the random ones that all neurons share."""
        if self.llm is None:
            return await simulate(self._explanation(other.explained), spans, self.simulator)
        return self._shared.get(
            other.number, lambda: _on_random(self.catalogue.simulation(other.number), spans)
        )

    def _explanation(self, explained: Explained) -> Explanation:
        if explained.explanation is not None:
            return explained.explanation
        return self._explanations.get(
            explained.number, lambda: self.catalogue.explanation(explained.number)
        )

    def _held_out(self, neuron: NeuronId) -> HeldOut:
        return held_out(
            neuron,
            self.catalogue.exemplars(self.collection, neuron, "test"),
            self.config,
            bands=int(self.collection.config["quantile_bands"]),
            n_spans=self.collection.spans["test"],
        )


def _on_random(simulation: Simulation, spans: HeldOut) -> Simulation:
    """A simulation on the random spans alone, which all neurons have in common."""
    shared = {s.span.span for s in spans.spans if "random" in s.kinds}
    kept = tuple(s for s in simulation.spans if s.span.span in shared)
    return Simulation(simulation.simulator, kept, llm=simulation.llm)
