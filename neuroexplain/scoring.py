"""Simulations and scores of many explanations, each beside the others of its layer.

The simulations come first, one neuron after the other in any order; statistics follow from what is stored, so that
scoring again costs no language model call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from neuroexplain.catalogue import Collection
from neuroexplain.config import ScoreConfig, as_dict, run_key
from neuroexplain.errors import (
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
    PluginError,
)
from neuroexplain.heldout import held_out
from neuroexplain.llm.base import LLM
from neuroexplain.pipeline import score_explanation, simulate, unsimulated
from neuroexplain.records import Explanation, HeldOut, NeuronId, Simulation
from neuroexplain.registry import chosen, create, find
from neuroexplain.run import Run
from neuroexplain.scorers.base import Scorer
from neuroexplain.simulators.base import Simulator


@dataclass(frozen=True)
class Job:
    """One explanation to be simulated and scored."""

    explanation_id: int
    explanation: Explanation


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


class Scoring:
    """Simulates explanations on their neurons' held-out spans, and scores them against each other."""

    def __init__(
        self, run: Run, collection: Collection, config: ScoreConfig, llm: LLM | None
    ) -> None:
        self.catalogue = run.catalogue
        self.collection = collection
        self.config = config
        self.run = run
        self.llm = llm
        self.simulator: Simulator = create("simulator", config.simulator, config.settings, llm)
        self.scorers: list[Scorer] = [create("scorer", name, {}) for name in config.scorers]

    def jobs(self, neurons: Sequence[NeuronId], explainer: str | None = None) -> list[Job]:
        """The explanations of some neurons that are to be scored.

        Args:
            neurons: whose explanations.
            explainer: only those of this explainer; None takes all that the simulator can read.

        Raises:
            PluginError: the neurons have explanations, but none that the simulator can read.
        """
        wanted = set(neurons)
        found = [
            Job(explanation_id, explanation)
            for layer in sorted({n.layer for n in neurons})
            for explanation_id, explanation in self.catalogue.explanations(
                self.collection, layer=layer, explainer=explainer
            )
            if explanation.neuron in wanted
        ]
        reads = getattr(self.simulator, "reads", None)
        fit = [job for job in found if reads is None or job.explanation.explainer == reads]
        if found and not fit:
            raise PluginError(
                f'simulator "{self.config.simulator}" reads explanations of "{reads}" only; these neurons have: '
                + ", ".join(sorted({job.explanation.explainer for job in found}))
            )
        return fit

    async def simulate(self, job: Job) -> None:
        """Simulate one explanation, unless the catalogue has that simulation."""
        spans = self._held_out(job.explanation.neuron)
        key = self._simulation_key(job, spans)
        if self.catalogue.find_simulation(key) is not None:
            self.run.counts["reused"] += 1
            return
        spec = self.llm.spec if self.llm else None
        try:
            simulation = await simulate(job.explanation, spans, self.simulator)
        except LLMPermanentError as error:
            self.run.permanent(error)
            simulation = unsimulated(spans, self.config.simulator, spec, error)
        except (LLMReplyError, LLMUnavailableError) as error:
            self.run.unanswered(error)
            simulation = unsimulated(spans, self.config.simulator, spec, error)
        failures = [s.failure for s in simulation.spans if s.failure is not None]
        if len(failures) == len(simulation.spans):
            self.run.failed(failures[0].reason)
        else:
            self.run.succeeded()
        self.catalogue.save_simulation(self.run.id, job.explanation_id, key, "test", simulation)

    def score_all(self, jobs: Sequence[Job]) -> None:
        """Score the simulated explanations, layer by layer: a null is made of a layer's other explanations."""
        groups = _groups(jobs)
        with self.run.execution.progress.stage("scoring", len(jobs)) as advance:
            for group in groups:
                others = self._others(group[0])
                for job in group:
                    self.run.loop.run(self._score(job, others))
                    advance(1)

    async def _score(self, job: Job, others: Sequence[Job]) -> None:
        neuron = job.explanation.neuron
        spans = self._held_out(neuron)
        found = self.catalogue.find_simulation(self._simulation_key(job, spans), partial=True)
        if found is None:
            return
        simulation_id, simulation = found
        chosen_nulls = self._choose(job, others)
        nulls = [s for other in chosen_nulls if (s := await self._null(other, spans)) is not None]
        scores = await score_explanation(
            simulation,
            spans,
            self.catalogue.evidence(self.collection, neuron),
            scorers=self.scorers,
            nulls=nulls,
            config=self.config,
        )
        key = run_key(
            "score", as_dict(self.config), simulation_id, [o.explanation_id for o in chosen_nulls]
        )
        self.catalogue.save_scores(
            self.run.id, job.explanation_id, simulation_id, key, "test", scores, simulation
        )
        self.run.counts["scored"] += 1

    async def _null(self, other: Job, spans: HeldOut) -> Simulation | None:
        """Another neuron's explanation on these spans.

        Without a language model it is simulated on all of them. With one that would multiply the bill, so what the
        other was simulated on already is used: the random spans, which all neurons share.
        """
        if self.llm is None:
            return await simulate(other.explanation, spans, self.simulator)
        found = self.catalogue.find_simulation(
            self._simulation_key(other, self._held_out(other.explanation.neuron))
        )
        if found is None:
            return None
        shared = {s.span.span for s in spans.spans if "random" in s.kinds}
        kept = tuple(s for s in found[1].spans if s.span.span in shared)
        return Simulation(found[1].simulator, kept, llm=found[1].llm)

    def _others(self, job: Job) -> list[Job]:
        """Every explanation of the same layer, polarity and explainer."""
        explanation = job.explanation
        found = self.catalogue.explanations(
            self.collection,
            layer=explanation.neuron.layer,
            explainer=explanation.explainer,
            polarity=explanation.neuron.polarity,
        )
        return [Job(i, e) for i, e in found if e.llm == explanation.llm]

    def _choose(self, job: Job, others: Sequence[Job]) -> list[Job]:
        """A seeded choice of explanations of other neurons, one of each neuron."""
        newest = {
            o.explanation.neuron: o
            for o in others
            if o.explanation.neuron != job.explanation.neuron
        }
        salt = f"{self.config.seed}:{job.explanation.neuron}"
        ordered = sorted(newest.values(), key=lambda o: _hash(f"{salt}:{o.explanation.neuron}"))
        return ordered[: self.config.null]

    def _held_out(self, neuron: NeuronId) -> HeldOut:
        return held_out(
            neuron,
            self.catalogue.exemplars(self.collection, neuron, "test"),
            self.config,
            bands=int(self.collection.config["quantile_bands"]),
            n_spans=self.collection.spans["test"],
        )

    def _simulation_key(self, job: Job, spans: HeldOut) -> str:
        return run_key(
            "simulation",
            job.explanation_id,
            self.config.simulator,
            chosen(self.simulator),
            self.llm.identity if self.llm else None,
            getattr(self.simulator, "template_sha256", None),
            [s.span.span for s in spans.spans],
        )


def _groups(jobs: Iterable[Job]) -> list[list[Job]]:
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job in jobs:
        e = job.explanation
        groups.setdefault((e.neuron.layer, e.neuron.polarity, e.explainer, e.llm or ""), []).append(
            job
        )
    return list(groups.values())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
