"""From an explanation to predictions in the catalogue: one neuron's held-out spans at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from neuroexplain.catalogue import Collection, KnownSimulation, NewSimulation
from neuroexplain.config import ScoreConfig, run_key
from neuroexplain.errors import (
    NO_ANSWER,
    LLMError,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
)
from neuroexplain.explaining import Explained
from neuroexplain.heldout import held_out_spans
from neuroexplain.llm.base import LLM
from neuroexplain.pipeline import unsimulated
from neuroexplain.records import Explanation, NeuronId, Simulation, Split, TokenSpan
from neuroexplain.registry import chosen, create, needs_llm
from neuroexplain.run import Run
from neuroexplain.tracks import needs_calibration, predictor_kind
from neuroexplain.truth import truth_of


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


class SimulationKeys:
    """What decides a simulation, hashed.

    Args:
        config: which spans are simulated, and how.
        predictor: simulator or scorer, made from it.
        identity: of the language model; None where none is asked.
        split: whose spans.
    """

    def __init__(
        self, config: ScoreConfig, predictor: Any, identity: str | None, split: Split = "test"
    ) -> None:
        self._made_by: list[Any] = [
            config.simulator,
            chosen(predictor),
            identity,
            getattr(predictor, "template_sha256", None),
            [config.top, config.random, config.quantile],
        ]
        # What was made before there were other splits is still the same.
        if split != "test":
            self._made_by.append(split)
        elif needs_calibration(config):
            self._made_by.append("calibrated")

    def of(self, explanation_key: str) -> str:
        """The key of an explanation's simulation."""
        return run_key("simulation", explanation_key, self._made_by)


class Simulating:
    """Predicts what neurons do on held-out spans from their explanations.

    Args:
        run: where results are counted and saved.
        collection: the neurons' activations.
        config: a track, see `tracks`.
        llm: that its predictor may ask.
        split: whose spans.
    """

    def __init__(
        self,
        run: Run,
        collection: Collection,
        config: ScoreConfig,
        llm: LLM | None,
        *,
        split: Split = "test",
    ) -> None:
        self.run = run
        self.catalogue = run.catalogue
        self.collection = collection
        self.config = config
        self.split = split
        kind = predictor_kind(config.simulator)
        self.predictor: Any = create(kind, config.simulator, config.settings, llm)
        self.llm = llm if needs_llm(type(self.predictor)) else None
        self.keys = SimulationKeys(
            config, self.predictor, self.llm.identity if self.llm else None, split
        )
        self._final = split == "test"
        self._calibrates = self._final and needs_calibration(config)

    async def simulated(self, explained: Explained, known: KnownSimulation | None) -> Simulated:
        """Simulate an explanation on its neuron's spans, unless the catalogue has that.

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
        simulation = await self._simulation(explanation)
        number = await self.run.saver.simulation(
            NewSimulation(explained.number, key, self.split, simulation)
        )
        failures = [s.failure for s in simulation.spans if s.failure is not None]
        if failures and len(failures) == len(simulation.spans):
            self._failed(failures[0].reason)
        else:
            self.run.succeeded("simulated" if self._final else "tried")
            self._count_gaps(bool(failures))
        light = replace(explained, explanation=None)
        return Simulated(light, number, key, not failures, name, fresh=True)

    async def _simulation(self, explanation: Explanation) -> Simulation:
        failed: LLMError
        spans: Sequence[TokenSpan] = ()
        try:
            if hasattr(self.predictor, "ask"):
                truth = truth_of(
                    *(self.catalogue, self.collection, explanation.neuron, self.split),
                    self.config,
                    explanation.scale,
                )
                spans = [s.span for s in truth.spans]
                asked: Simulation = await self.predictor.ask(explanation, truth)
                return asked
            # What a simulator is shown: tokens, and no activation.
            spans = self._spans(explanation.neuron)
            simulated: Simulation = await self.predictor.simulate(explanation, spans)
            return simulated
        except LLMPermanentError as error:
            self.run.permanent(error)
            failed = error
        except (LLMReplyError, LLMUnavailableError) as error:
            self.run.unanswered(error)
            failed = error
        spec = self.llm.spec if self.llm else None
        return unsimulated(spans, self.config.simulator, spec, failed)

    def _spans(self, neuron: NeuronId) -> tuple[TokenSpan, ...]:
        splits: tuple[Split, ...] = ("test", "select") if self._calibrates else (self.split,)
        bands = int(self.collection.config["quantile_bands"])
        return tuple(
            span
            for split in splits
            for span in held_out_spans(
                self.catalogue.places(self.collection, neuron, split), self.config, bands=bands
            )
        )

    def _again(self, known: KnownSimulation) -> bool:
        """Whether a simulation with failed spans is worth another try."""
        execution = self.run.execution
        if not execution.use_ledger:
            return bool(known.reasons)
        return bool(known.reasons & (NO_ANSWER | execution.retry))

    def _count_known(self, known: KnownSimulation) -> None:
        """Count what is taken as it is: a failure stays one, however often the command is given."""
        if known.empty:
            self._failed(min(known.reasons))
        elif self._final:
            self.run.counts["reused"] += 1
            self._count_gaps(bool(known.reasons))

    def _count_gaps(self, gaps: bool) -> None:
        if gaps and self._final:
            self.run.counts["simulated in part"] += 1

    def _failed(self, reason: str) -> None:
        # Among several explanations one that cannot be simulated is merely not chosen.
        if self._final:
            self.run.failed(reason)
