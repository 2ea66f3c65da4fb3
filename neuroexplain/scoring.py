"""From explanations to simulations and scores in the catalogue: one at a time, each beside others of its layer.

Statistics follow from what is stored, so that scoring again costs no language model call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from neuroexplain.catalogue import Collection, KnownSimulation, NewScores, NewSimulation
from neuroexplain.config import ScoreConfig, as_dict, run_key
from neuroexplain.errors import (
    NO_ANSWER,
    LLMError,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
    PluginError,
)
from neuroexplain.explaining import Explained
from neuroexplain.heldout import held_out_spans
from neuroexplain.judging import Case, Judge
from neuroexplain.llm.base import LLM
from neuroexplain.pipeline import unsimulated
from neuroexplain.records import Explanation, NeuronId, Simulation, TokenSpan
from neuroexplain.registry import chosen, create, find, needs_llm
from neuroexplain.run import Run
from neuroexplain.simulators.base import Simulator


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
    simulator: str
    fresh: bool = False
    """Whether it was made just now, so that it cannot have been scored."""


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
    """Simulates explanations of a collection on their neurons' held-out spans, and has them scored."""

    def __init__(
        self,
        run: Run,
        collection: Collection,
        config: ScoreConfig,
        llm: LLM | None,
        judge: Judge,
    ) -> None:
        self.run = run
        self.catalogue = run.catalogue
        self.collection = collection
        self.config = config
        self.judge = judge
        self.simulator: Simulator = create("simulator", config.simulator, config.settings, llm)
        self.llm = llm if needs_llm(type(self.simulator)) else None
        identity = self.llm.identity if self.llm else None
        self.keys = SimulationKeys(config, self.simulator, identity)
        self._scored_by = as_dict(config)

    async def simulated(self, explained: Explained, known: KnownSimulation | None) -> Simulated:
        """Simulate an explanation on its neuron's test spans, unless the catalogue has that.

        Raises:
            LLMError: the language model refuses every call, or no longer answers.
            PostponedError: nothing was done.
        """
        key = self.keys.of(explained.key)
        name = self.config.simulator
        if known is not None and not self._again(known):
            self._count_known(known)
            return Simulated(explained, known.number, key, not known.reasons, name)
        await self.run.turn()
        explanation = explained.explanation or self.catalogue.explanation(explained.number)
        simulation = await self._simulation(explanation, self._spans(explained.neuron))
        number = await self.run.saver.simulation(
            NewSimulation(explained.number, key, "test", simulation)
        )
        failures = [s.failure for s in simulation.spans if s.failure is not None]
        if failures and len(failures) == len(simulation.spans):
            self.run.failed(failures[0].reason)
        else:
            self.run.succeeded("simulated")
            self._count_gaps(bool(failures))
        light = replace(explained, explanation=None)
        return Simulated(light, number, key, not failures, name, fresh=True)

    async def score(self, simulated: Simulated, others: Sequence[Simulated]) -> None:
        """Have a simulation scored beside the explanations of other neurons, unless the catalogue has that."""
        # One with failed spans may be made again, under the same key and with fewer of them.
        own = simulated.key if simulated.complete else [simulated.key, simulated.number]
        key = run_key("score", self._scored_by, own, [other.key for other in others])
        number = simulated.explained.number
        if not simulated.fresh and self._is_scored(number, key):
            return
        rows = [o.number if self.llm is not None else o.explained.number for o in others]
        await self.run.turn()
        case = Case(simulated.explained.neuron, simulated.number, tuple(rows))
        scores = await self.judge.scores(case)
        spec = self.llm.spec if self.llm else None
        await self.run.saver.scores(
            NewScores(number, simulated.number, key, "test", scores, simulated.simulator, spec)
        )
        defined = any(score.value is not None for score in scores)
        self.run.counts["scored" if defined else "without a score"] += 1

    def others_of(self, simulated: Simulated, taken: set[NeuronId]) -> list[Simulated]:
        """Explanations of the same layer and kind in the catalogue, of neurons that are not taken; one of each.

        Where a language model simulates, those that have been simulated: the others would multiply the bill.
        """
        neuron = simulated.explained.neuron
        refs = self.catalogue.explanation_refs(self.collection, neuron.layer)
        # Another run may have explained the neuron anew meanwhile.
        own = next(ref for ref in refs if ref.key == simulated.explained.key)
        newest = {
            ref.neuron: ref for ref in refs if ref.kind == own.kind and ref.neuron not in taken
        }
        order = sorted(newest, key=lambda n: run_key(self.config.seed, str(n)))
        found = [Explained(n, newest[n].number, newest[n].key) for n in order]
        keys = [self.keys.of(e.key) for e in found]
        name = self.config.simulator
        if self.llm is None:
            return [Simulated(e, 0, k, True, name) for e, k in zip(found, keys, strict=True)]
        known = self.catalogue.known_simulations(keys)
        return [
            Simulated(e, known[k].number, k, True, name)
            for e, k in zip(found, keys, strict=True)
            if k in known and not known[k].reasons
        ]

    async def _simulation(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        failed: LLMError
        try:
            return await self.simulator.simulate(explanation, spans)
        except LLMPermanentError as error:
            self.run.permanent(error)
            failed = error
        except (LLMReplyError, LLMUnavailableError) as error:
            self.run.unanswered(error)
            failed = error
        spec = self.llm.spec if self.llm else None
        return unsimulated(spans, self.config.simulator, spec, failed)

    def _again(self, known: KnownSimulation) -> bool:
        """Whether a simulation with failed spans is worth another try."""
        execution = self.run.execution
        if not execution.use_ledger:
            return bool(known.reasons)
        return bool(known.reasons & (NO_ANSWER | execution.retry))

    def _count_known(self, known: KnownSimulation) -> None:
        """Count what is taken as it is: a failure stays one, however often the command is given."""
        if known.empty:
            self.run.failed(min(known.reasons))
        else:
            self.run.counts["reused"] += 1
            self._count_gaps(bool(known.reasons))

    def _count_gaps(self, gaps: bool) -> None:
        if gaps:
            self.run.counts["simulated in part"] += 1

    def _is_scored(self, number: int, key: str) -> bool:
        newest = self.catalogue.newest_score_keys(number, "test")
        return all(newest.get(scorer) == key for scorer in self.config.scorers)

    def _spans(self, neuron: NeuronId) -> tuple[TokenSpan, ...]:
        """What the simulator is shown: tokens, and no activation."""
        places = self.catalogue.places(self.collection, neuron, "test")
        bands = int(self.collection.config["quantile_bands"])
        return held_out_spans(places, self.config, bands=bands)
