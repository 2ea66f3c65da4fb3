"""What a simulation in the catalogue is worth: scores beside floor and null.

A score follows from rows of the catalogue alone, so any process that can read the file can compute it: see `judges`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.config import ScoreConfig
from neuroexplain.pipeline import floor_simulation, score_explanation
from neuroexplain.recent import Recent
from neuroexplain.records import (
    Explanation,
    HeldOut,
    HeldOutSpan,
    NeuronId,
    Score,
    Simulation,
    Split,
)
from neuroexplain.registry import create, find, needs_llm
from neuroexplain.simulators.base import Simulator
from neuroexplain.tracks import asks, needs_calibration, predictor_kind
from neuroexplain.truth import truth_of

REMEMBERED = 512
"""Simulations or explanations of other neurons that are kept in memory for comparison."""


@dataclass(frozen=True)
class Case:
    """A simulation that is to be scored, by rows of the catalogue."""

    neuron: NeuronId
    simulation: int
    others: tuple[int, ...]
    """What it is compared with: simulations where a language model made them, explanations else."""


class Judge(Protocol):
    """Scores simulations."""

    async def scores(self, case: Case) -> tuple[Score, ...]:
        """The scores of one simulation, one of each scorer."""

    async def close(self) -> None:
        """Free what is held."""


class OwnJudge:
    """Scores simulations in this process.

    Args:
        catalogue: has the simulations.
        collection: their neurons' activations.
        config: how they are scored.
    """

    def __init__(self, catalogue: Catalogue, collection: Collection, config: ScoreConfig) -> None:
        self._catalogue = catalogue
        self._collection = collection
        self._config = config
        # A scorer that asks a language model has asked; what its statistics are its class says.
        self._scorers = [
            find("scorer", name) if asks(name) else create("scorer", name, {})
            for name in config.scorers
        ]
        self._calibrates = needs_calibration(config)
        self._simulator: Simulator | None = None
        kind = predictor_kind(config.simulator)
        if not needs_llm(find(kind, config.simulator)):
            self._simulator = create(kind, config.simulator, config.settings)
        self._simulations: Recent[int, Simulation] = Recent(REMEMBERED)
        self._shared: Recent[int, Simulation] = Recent(REMEMBERED)
        self._explanations: Recent[int, Explanation] = Recent(REMEMBERED)

    async def scores(self, case: Case) -> tuple[Score, ...]:
        """The scores of one simulation."""
        evidence = self._catalogue.evidence(self._collection, case.neuron)
        scored = self._truth(case.neuron, "test", evidence.scale)
        spans = list(scored.spans)
        calibration = None
        if self._calibrates:
            calibration = self._truth(case.neuron, "select", evidence.scale)
            spans += calibration.spans
        return score_explanation(
            self._simulation(case.simulation),
            scored,
            floor_simulation(evidence, [s.span for s in spans]),
            scorers=self._scorers,
            nulls=[await self._null(other, spans) for other in case.others],
            config=self._config,
            calibration=calibration,
        )

    async def close(self) -> None:
        """Nothing is held."""

    def _truth(self, neuron: NeuronId, split: Split, scale: float) -> HeldOut:
        return truth_of(self._catalogue, self._collection, neuron, split, self._config, scale)

    async def _null(self, other: int, spans: Sequence[HeldOutSpan]) -> Simulation:
        """Another neuron's explanation on these spans: on all of them, or on the random ones that all neurons share.

        Without a language model it is simulated at once. With one that would multiply the bill, so that only what has been
        simulated counts.
        """
        if self._simulator is None:
            # These are the same spans for all neurons.
            return self._shared.get(other, lambda: _on_random(self._simulation(other), spans))
        explanation = self._explanations.get(other, lambda: self._catalogue.explanation(other))
        return await self._simulator.simulate(explanation, [s.span for s in spans])

    def _simulation(self, number: int) -> Simulation:
        return self._simulations.get(number, lambda: self._catalogue.simulation(number))


def _on_random(simulation: Simulation, spans: Sequence[HeldOutSpan]) -> Simulation:
    """A simulation on the random spans alone, which all neurons have in common."""
    shared = {s.span.span for s in spans if "random" in s.kinds}
    kept = tuple(s for s in simulation.spans if s.span.span in shared)
    return Simulation(simulation.simulator, kept, llm=simulation.llm)
