"""Simulations and scores of many explanations, each beside the others of its layer.

The simulations come first, one explanation after the other in any order; statistics follow from what is stored, so that
scoring again costs no language model call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from neuroexplain.catalogue import Collection, ExplanationRef
from neuroexplain.config import ScoreConfig, as_dict, run_key
from neuroexplain.errors import (
    ConfigError,
    LLMError,
    LLMPermanentError,
    LLMReplyError,
    LLMUnavailableError,
    PluginError,
)
from neuroexplain.heldout import held_out
from neuroexplain.llm.base import LLM
from neuroexplain.pipeline import score_explanation, simulate, unsimulated
from neuroexplain.records import Explanation, HeldOut, NeuronId, Simulation
from neuroexplain.registry import chosen, create, find, needs_llm
from neuroexplain.run import Run
from neuroexplain.scorers.base import Scorer
from neuroexplain.simulators.base import Simulator

WORTH_ASKING_AGAIN = {"llm_unavailable", "llm_refused"}
"""Failures in which no reply arrived. A reply that cannot be used is in the ledger, and would only come back."""


@dataclass(frozen=True)
class Other:
    """An explanation of another neuron, for the null."""

    number: int
    explanation: Explanation
    simulation: tuple[int, Simulation] | None
    """What a language model has simulated of it already; None where none is asked."""


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

    def __init__(self, run: Run, config: ScoreConfig, llm: LLM | None) -> None:
        self.run = run
        self.catalogue = run.catalogue
        self.config = config
        self.simulator: Simulator = create("simulator", config.simulator, config.settings, llm)
        self.scorers: list[Scorer] = [create("scorer", name, {}) for name in config.scorers]
        self.llm = llm if needs_llm(type(self.simulator)) else None

    def run_on(self, collection: Collection, explanations: Sequence[int]) -> None:
        """Simulate and score some explanations of a collection.

        Raises:
            LLMError: the language model refuses every call, or no longer answers.
        """

        async def one(number: int) -> None:
            await self._simulate(collection, number)

        self.run.work("simulating", explanations, one)
        if self.run.finished:
            self._score_all(collection, explanations)

    def readable(
        self, collection: Collection, neurons: Sequence[NeuronId], explainer: str | None
    ) -> list[int]:
        """The explanations of some neurons that the simulator can read.

        Args:
            collection: where they come from.
            neurons: whose explanations.
            explainer: only those of this explainer.

        Raises:
            ConfigError: these neurons have no explanation, or none of this explainer.
            PluginError: they have, but none that the simulator can read.
        """
        wanted = set(neurons)
        found = [r for r in self.catalogue.explanation_refs(collection) if r.neuron in wanted]
        there = ", ".join(sorted({r.explainer for r in found})) or "none"
        found = [r for r in found if explainer in (None, r.explainer)]
        if not found:
            raise ConfigError(
                f"these {len(wanted)} neurons have no explanation"
                f"{f' of {explainer}' if explainer else ''} to score (explainers here: {there}); "
                "run neuroexplain explain first"
            )
        reads = getattr(self.simulator, "reads", None)
        fit = [r.number for r in found if reads in (None, r.explainer)]
        if not fit:
            raise PluginError(
                f'simulator "{self.config.simulator}" reads explanations of "{reads}" only; these neurons have: {there}'
            )
        return fit

    async def _simulate(self, collection: Collection, number: int) -> None:
        """Simulate one explanation, unless the catalogue has that simulation."""
        explanation = self.catalogue.explanation(number)
        spans = self._held_out(collection, explanation.neuron)
        key = self._simulation_key(number, spans)
        known = self.catalogue.find_simulation(key, partial=True)
        if known is not None and not self._ask_again(known[1]):
            self.run.counts["reused"] += 1
            return
        spec = self.llm.spec if self.llm else None
        try:
            simulation = await simulate(explanation, spans, self.simulator)
        except (LLMPermanentError, LLMReplyError, LLMUnavailableError) as error:
            self._count(error)
            simulation = unsimulated(spans, self.config.simulator, spec, error)
        failures = [s.failure for s in simulation.spans if s.failure is not None]
        if len(failures) == len(simulation.spans):
            self.run.failed(failures[0].reason)
        else:
            self.run.succeeded("simulated")
        self.catalogue.save_simulation(self.run.id, number, key, "test", simulation)

    def _ask_again(self, simulation: Simulation) -> bool:
        reasons = {s.failure.reason for s in simulation.spans if s.failure is not None}
        if not self.run.execution.use_ledger:
            return bool(reasons)
        return bool(reasons & WORTH_ASKING_AGAIN)

    def _count(self, error: LLMError) -> None:
        if isinstance(error, LLMPermanentError):
            self.run.permanent(error)
        elif isinstance(error, (LLMReplyError, LLMUnavailableError)):
            self.run.unanswered(error)

    def _score_all(self, collection: Collection, explanations: Sequence[int]) -> None:
        """Score simulated explanations, layer by layer: a null is made of a layer's other explanations."""
        wanted = set(explanations)
        refs = [r for r in self.catalogue.explanation_refs(collection) if r.number in wanted]
        refs.sort(key=_kind)
        with self.run.execution.progress.stage("scoring", len(refs)) as advance:
            for _, group in groupby(refs, key=_kind):
                members = list(group)
                others = self._others(collection, members[0])
                for ref in members:
                    self.run.drive(self._score(collection, ref.number, others))
                    advance(1)

    async def _score(self, collection: Collection, number: int, others: Sequence[Other]) -> None:
        explanation = self.catalogue.explanation(number)
        spans = self._held_out(collection, explanation.neuron)
        found = self.catalogue.find_simulation(self._simulation_key(number, spans), partial=True)
        if found is None:
            return
        used = self._choose(explanation, others)
        nulls = [await self._null(other, spans) for other in used]
        scores = await score_explanation(
            found[1],
            spans,
            self.catalogue.evidence(collection, explanation.neuron),
            scorers=self.scorers,
            nulls=nulls,
            config=self.config,
        )
        made_of = [other.simulation[0] if other.simulation else other.number for other in used]
        key = run_key("score", as_dict(self.config), found[0], made_of)
        self.catalogue.save_scores(self.run.id, number, found[0], key, "test", scores, found[1])
        self.run.counts["scored"] += 1

    def _others(self, collection: Collection, ref: ExplanationRef) -> list[Other]:
        """The explanations of the same layer, polarity, explainer and language model that a null can be made of.

        Without a language model any explanation is simulated at once. With one that would multiply the bill, so
        those count that have been simulated already.
        """
        found = self.catalogue.explanations(
            collection,
            layer=ref.neuron.layer,
            explainer=ref.explainer,
            polarity=ref.neuron.polarity,
        )
        others = []
        for number, explanation in found:
            if explanation.llm != ref.llm:
                continue
            simulation = None
            if self.llm is not None:
                spans = self._held_out(collection, explanation.neuron)
                simulation = self.catalogue.find_simulation(self._simulation_key(number, spans))
                if simulation is None:
                    continue
            others.append(Other(number, explanation, simulation))
        return others

    def _choose(self, explanation: Explanation, others: Sequence[Other]) -> list[Other]:
        """A seeded choice of comparable explanations of other neurons, one of each neuron."""
        newest = {
            o.explanation.neuron: o
            for o in others
            if o.explanation.neuron != explanation.neuron
            and o.explanation.settings == explanation.settings
            and o.explanation.template_sha256 == explanation.template_sha256
        }
        salt = f"{self.config.seed}:{explanation.neuron}"
        ordered = sorted(newest.values(), key=lambda o: _hash(f"{salt}:{o.explanation.neuron}"))
        return ordered[: self.config.null]

    async def _null(self, other: Other, spans: HeldOut) -> Simulation:
        """Another neuron's explanation on these spans: on all of them, or on the random ones that all neurons share."""
        if other.simulation is None:
            return await simulate(other.explanation, spans, self.simulator)
        shared = {s.span.span for s in spans.spans if "random" in s.kinds}
        made = other.simulation[1]
        kept = tuple(s for s in made.spans if s.span.span in shared)
        return Simulation(made.simulator, kept, llm=made.llm)

    def _held_out(self, collection: Collection, neuron: NeuronId) -> HeldOut:
        return held_out(
            neuron,
            self.catalogue.exemplars(collection, neuron, "test"),
            self.config,
            bands=int(collection.config["quantile_bands"]),
            n_spans=collection.spans["test"],
        )

    def _simulation_key(self, number: int, spans: HeldOut) -> str:
        return run_key(
            "simulation",
            number,
            self.config.simulator,
            chosen(self.simulator),
            self.llm.identity if self.llm else None,
            getattr(self.simulator, "template_sha256", None),
            [s.span.span for s in spans.spans],
        )


def _kind(ref: ExplanationRef) -> tuple[int, int, str, str]:
    """What explanations have in common that can be each other's null."""
    return ref.neuron.layer, ref.neuron.polarity, ref.explainer, ref.llm or ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
