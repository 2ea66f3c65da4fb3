"""The best of several explanations of a neuron, chosen on the split `select`; what it is worth is said on `test`.

    candidates ── simulated and scored on select ──▶ the best ──▶ revised where it failed most, kept if better ──▶ …

The best of many is better than it deserves on the spans that it was chosen by: of 50 explanations that are pure noise the
best reaches a correlation of about 0.1. So these scores choose, and say nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuroexplain.catalogue import NewScores
from neuroexplain.config import ExplainConfig, ScoreConfig, run_key
from neuroexplain.errors import AwaitedError
from neuroexplain.explainers.revising import residuals
from neuroexplain.explaining import Explained, Explaining
from neuroexplain.llm.base import LLM
from neuroexplain.pipeline import score_explanation
from neuroexplain.records import HeldOut, NeuronId, Simulation
from neuroexplain.registry import create
from neuroexplain.simulating import Simulated, Simulating
from neuroexplain.truth import truth_of

CHOSEN_BY = "correlation"
SHOWN = 3
"""Spans on which an explanation failed that are shown when it is revised."""


def chooses(config: ExplainConfig) -> bool:
    """Whether there is anything to choose from."""
    return config.candidates > 1 or config.revise > 0


@dataclass(frozen=True)
class _Tried:
    """An explanation with what it is worth on the split `select`."""

    explained: Explained
    simulated: Simulated
    value: float | None

    @property
    def rank(self) -> float:
        """What is undefined comes last."""
        return -np.inf if self.value is None else self.value


class Choosing:
    """Chooses among explanations.

    Args:
        explaining: writes them.
        config: how they are simulated; which spans.
        llm: that the simulator may ask.
    """

    def __init__(self, explaining: Explaining, config: ScoreConfig, llm: LLM | None) -> None:
        self.run = explaining.run
        self.explaining = explaining
        self.config = replace(config, scorers=(CHOSEN_BY,), null=0, bootstrap=0)
        self.simulating = Simulating(
            *(self.run, explaining.collection, self.config, llm), split="select"
        )
        self._scorer = create("scorer", CHOSEN_BY, {})

    async def best(self, neuron: NeuronId) -> Explained | None:
        """Explain a neuron several times, and choose; None where no explanation is good.

        Raises:
            LLMError: the language model refuses every call, or no longer answers.
            PostponedError: some answers are still to come.
        """
        candidates = await self.explaining.candidates(neuron)
        if not candidates:
            return None
        distinct = self._distinct(candidates)
        if len(distinct) == 1 and not self.explaining.config.revise:
            return distinct[0]
        truth = self._truth(distinct[0])
        best = await self._best_of(distinct, truth)
        for round in range(1, self.explaining.config.revise + 1):
            revised = await self._revised(best, round, truth)
            if revised is None or revised.rank <= best.rank:
                break
            best = revised
        return best.explained

    def _distinct(self, candidates: Sequence[Explained]) -> list[Explained]:
        """One explanation of each text: the others would be simulated alike."""
        found: dict[str, Explained] = {}
        for candidate in candidates:
            known = candidate.explanation or self.run.catalogue.explanation(candidate.number)
            found.setdefault(known.text, replace(candidate, explanation=known))
        return list(found.values())

    def _truth(self, explained: Explained) -> HeldOut:
        assert explained.explanation is not None
        return truth_of(
            *(self.run.catalogue, self.explaining.collection, explained.neuron, "select"),
            self.config,
            explained.explanation.scale,
        )

    async def _best_of(self, candidates: Sequence[Explained], truth: HeldOut) -> _Tried:
        """The candidate with the largest value; of equal ones the first."""
        keys = [self.simulating.keys.of(c.key) for c in candidates]
        known = self.run.catalogue.known_simulations(keys)
        tried: list[_Tried] = []
        awaited: AwaitedError | None = None
        for candidate, key in zip(candidates, keys, strict=True):
            try:
                simulated = await self.simulating.simulated(candidate, known.get(key))
            except AwaitedError as error:
                awaited = error  # the other candidates go into the same batch
                continue
            tried.append(await self._tried(candidate, simulated, truth))
        if awaited is not None:
            raise awaited
        return max(tried, key=lambda t: t.rank)

    async def _revised(self, best: _Tried, round: int, truth: HeldOut) -> _Tried | None:
        """What becomes of an explanation in the light of where it failed."""
        simulation = self._simulation(best.simulated)
        worst = residuals(simulation, truth, SHOWN)
        if not worst:
            return None
        revised = await self.explaining.revise(best.explained, best.simulated.key, round, worst)
        if revised is None:
            return None
        key = self.simulating.keys.of(revised.key)
        known = self.run.catalogue.known_simulations([key]).get(key)
        simulated = await self.simulating.simulated(revised, known)
        return await self._tried(revised, simulated, truth)

    async def _tried(self, explained: Explained, simulated: Simulated, truth: HeldOut) -> _Tried:
        scores = score_explanation(
            *(self._simulation(simulated), truth, None),
            scorers=[self._scorer],
            nulls=(),
            config=self.config,
        )
        if simulated.fresh:
            spec = self.simulating.llm.spec if self.simulating.llm else None
            key = run_key("chosen by", simulated.key)
            await self.run.saver.scores(
                NewScores(
                    *(explained.number, simulated.number, key, "select", scores),
                    simulator=simulated.simulator,
                    llm=spec,
                )
            )
        return _Tried(explained, simulated, scores[0].value)

    def _simulation(self, simulated: Simulated) -> Simulation:
        return self.run.catalogue.simulation(simulated.number)
