"""The person as simulator: held-out spans without activations, marked by an explanation, and scored as simulators are."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.config import ScoreConfig
from neuroexplain.errors import ConfigError
from neuroexplain.levels import MAX_LEVEL, discretise
from neuroexplain.pipeline import floor_simulation, score_explanation
from neuroexplain.records import (
    Evidence,
    HeldOut,
    HeldOutSpan,
    Score,
    Simulation,
    SpanSimulation,
    TokenSpan,
)
from neuroexplain.registry import create, names
from neuroexplain.rescoring import scored_as
from neuroexplain.review.desk import Desk
from neuroexplain.reviewed import MarkedSpan, Simulated, Target
from neuroexplain.truth import truth_of

SCORER = "correlation"
PERSON = "person"
FLOOR = "the neuron's own token table"


@dataclass(frozen=True)
class MarkingSpan:
    """A held-out span to be marked: tokens, and no activation."""

    document: int
    """Position of the span's document in the corpus."""
    start: int
    """Index of its first token within the document."""
    tokens: tuple[str, ...]
    first: int
    """Leading tokens that count for nothing."""


@dataclass(frozen=True)
class Beside:
    """What another prediction is worth on the spans that a person marked."""

    simulator: str
    """Its name, or the neuron's own token table."""
    llm: str | None
    value: float | None
    reason: str | None
    """Why `value` is None."""
    ci_low: float | None = None
    ci_high: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a person's predictions did."""

    simulated: Simulated
    beside: tuple[Beside, ...]
    """Simulators that read the same explanation, on exactly the same spans; the token table comes last."""
    real: tuple[tuple[int, ...], ...]
    """[span][token]; levels 0-10 of what the neuron does, in the order of the marked spans. Empty for a neuron that never
    fires."""


def held_out(desk: Desk, target: Target, *, spans: int, seed: int) -> tuple[MarkingSpan, ...]:
    """Spans of the test split for a person to mark, in an order that tells nothing.

    They are drawn from those that the explanation's simulators are scored on: strongest spans and drawn ones in the same
    proportion. Fewer where there are not so many; none where nothing is held out.

    Args:
        desk: has the catalogue.
        target: the explanation that they are marked by.
        spans: how many.
        seed: of the draw; the same seed and explanation give the same spans.

    Raises:
        CatalogueError: this catalogue has not recorded the neuron.
    """
    pool = _Pool(desk.catalogue, target).truth.spans
    lot = random.Random(f"marking {seed} {target.neuron} {target.text_sha256}")
    top, drawn = _parts(pool)
    n_top = min(len(top), max(round(spans * len(top) / max(len(pool), 1)), int(bool(top))))
    chosen = lot.sample(top, n_top)
    chosen += lot.sample(drawn, min(len(drawn), max(spans - n_top, 0)))
    lot.shuffle(chosen)
    return tuple(
        MarkingSpan(s.span.document, s.span.start, s.span.tokens, s.span.first) for s in chosen
    )


def scored(desk: Desk, target: Target, marked: Sequence[MarkedSpan]) -> Simulated:
    """A person's predictions, scored; see `outcome`."""
    return outcome(desk, target, marked).simulated


def outcome(desk: Desk, target: Target, marked: Sequence[MarkedSpan]) -> Outcome:
    """Score a person's predictions by the code that scores simulators, and simulators on the same spans.

    The statistic is Pearson's r over the pooled tokens, each span weighted by the spans of the split that it stands for
    (Horvitz and Thompson 1952), with a bootstrap over spans; see `scorers.correlation`.

    Args:
        desk: has the catalogue.
        target: the explanation that they were marked by.
        marked: a level 0-10 for each token of each span.

    Raises:
        ConfigError: a span is not one of `held_out`, comes twice, or has a level too many or too few.
        CatalogueError: this catalogue has not recorded the neuron.
    """
    pool = _Pool(desk.catalogue, target)
    truth = pool.only(_chosen(pool.truth, marked))
    levels = [np.array(m.levels, np.float32) for m in marked]
    predicted = [
        SpanSimulation(s.span, level) for s, level in zip(truth.spans, levels, strict=True)
    ]
    own = pool.score(Simulation(PERSON, tuple(predicted)), truth)
    simulated = Simulated(
        tuple(marked), SCORER, own.value, own.reason, own.ci_low, own.ci_high
    )  # what is stored is what was marked
    return Outcome(simulated, tuple(_beside(pool, truth)), _real(truth))


class _Pool:
    """The spans that an explanation's simulators are scored on, and what else scoring takes."""

    def __init__(self, catalogue: Catalogue, target: Target) -> None:
        self.catalogue = catalogue
        self.target = target
        self.explanations = catalogue.explanations_saying(target)
        self.collection: Collection = catalogue.collection(target.neuron.subject)
        self.evidence: Evidence = catalogue.evidence(self.collection, target.neuron)
        known = (scored_as(catalogue, number) for number in reversed(self.explanations))
        self.config: ScoreConfig = next((c for c in known if c is not None), ScoreConfig())
        self.truth: HeldOut = truth_of(
            *(catalogue, self.collection, target.neuron, "test"),
            self.config,
            self.evidence.scale,
        )
        self._scorer = create("scorer", SCORER, {})

    def only(self, chosen: Sequence[HeldOutSpan]) -> HeldOut:
        """Some of the spans, each standing for as many more as were left out beside it."""
        (tops, draws), (top, drawn) = _parts(self.truth.spans), _parts(chosen)
        heavier = {True: len(tops) / max(len(top), 1), False: len(draws) / max(len(drawn), 1)}
        spans = tuple(replace(s, weight=s.weight * heavier["top" in s.kinds]) for s in chosen)
        return replace(self.truth, spans=spans)

    def score(self, simulation: Simulation, truth: HeldOut) -> Score:
        """The one score of a simulation."""
        (found,) = score_explanation(
            *(simulation, truth, None), scorers=[self._scorer], nulls=(), config=self.config
        )
        return found


def _parts(spans: Sequence[HeldOutSpan]) -> tuple[list[HeldOutSpan], list[HeldOutSpan]]:
    """The strongest spans, and those that were drawn."""
    return [s for s in spans if "top" in s.kinds], [s for s in spans if "top" not in s.kinds]


def _chosen(truth: HeldOut, marked: Sequence[MarkedSpan]) -> list[HeldOutSpan]:
    known = {(s.span.document, s.span.start): s for s in truth.spans}
    places = [(m.document, m.start) for m in marked]
    if not marked or len(set(places)) < len(places):
        raise ConfigError("mark at least one span, and each span once")
    for place, span in zip(places, marked, strict=True):
        if place not in known:
            raise ConfigError(
                f"document {place[0]} from token {place[1]} is no span of {truth.neuron} that is to be marked; load the "
                "page again"
            )
        n = len(known[place].span)
        if len(span.levels) != n or not all(0 <= level <= MAX_LEVEL for level in span.levels):
            raise ConfigError(
                f"document {place[0]} from token {place[1]} takes {n} levels from 0 to {MAX_LEVEL}"
            )
    return [known[place] for place in places]


def _beside(pool: _Pool, truth: HeldOut) -> Iterator[Beside]:
    """What the explanation's simulators, and the neuron's own token table, are worth on some spans."""
    simulators = names("simulator")
    for number in pool.catalogue.simulations_of(pool.explanations):
        simulation = pool.catalogue.simulation(number)
        if simulation.simulator in simulators:
            yield _score_beside(pool, simulation, truth)
    floor = floor_simulation(pool.evidence, [s.span for s in truth.spans])
    if floor is not None:
        yield replace(_score_beside(pool, floor, truth), simulator=FLOOR, llm=None)


def _score_beside(pool: _Pool, simulation: Simulation, truth: HeldOut) -> Beside:
    name, llm = simulation.simulator, simulation.llm
    found: dict[TokenSpan, SpanSimulation] = {s.span: s for s in simulation.spans}
    kept = [found[s.span] for s in truth.spans if s.span in found]
    if len(kept) < len(truth.spans):
        return Beside(name, llm, None, "other_spans")
    failures = [s.failure.reason for s in kept if s.failure is not None]
    if failures:
        return Beside(name, llm, None, min(failures))
    score = pool.score(replace(simulation, spans=tuple(kept)), truth)
    return Beside(name, llm, score.value, score.reason, score.ci_low, score.ci_high)


def _real(truth: HeldOut) -> tuple[tuple[int, ...], ...]:
    if not truth.scale > 0:
        return ()
    # The truth is on the polarity's side already.
    return tuple(tuple(discretise(s.truth, truth.scale).tolist()) for s in truth.spans)
