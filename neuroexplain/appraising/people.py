"""People in the place of simulators: how well they predict, beside the simulators on the same explanations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from neuroexplain.agreement.estimates import Estimate, proportion
from neuroexplain.catalogue.reviewing.rated import Rated, Scale
from neuroexplain.reviewed import Event, Simulated, Target


@dataclass(frozen=True)
class Beside:
    """A simulator on the explanations that a person predicted from too."""

    scale: Scale
    n: int
    """Explanations that both have a score for."""
    person: float
    """Median score of the person on these."""
    simulator: float
    """Median score of the simulator on these."""
    better: Estimate
    """Share of them on which the person has the higher score; equal ones count half."""


@dataclass(frozen=True)
class Person:
    """A reviewer who marked where neurons fire, by one scorer."""

    reviewer: str
    scorer: str
    n: int
    """Explanations with a score."""
    undefined: Mapping[str, int]
    """The others, by reason."""
    median: float | None
    """Score; None where all are undefined."""
    beside: tuple[Beside, ...]


def people(events: Sequence[Event], known: Mapping[Target, Sequence[Rated]]) -> tuple[Person, ...]:
    """How well reviewers predict.

    Args:
        events: simulations by people that count. A reviewer's first of an explanation is taken: the answer to it says what
            the neuron does, so that a later one is no prediction.
        known: scores of the same explanations.
    """
    first: dict[tuple[str, str], dict[Target, Simulated]] = defaultdict(dict)
    for event in sorted(events, key=lambda e: (e.at, e.uuid)):
        assert isinstance(event.data, Simulated)
        first[event.reviewer, event.data.scorer].setdefault(event.target, event.data)
    return tuple(_person(*who, own, known) for who, own in sorted(first.items()))


def _person(
    reviewer: str,
    scorer: str,
    own: Mapping[Target, Simulated],
    known: Mapping[Target, Sequence[Rated]],
) -> Person:
    values = {t: said.value for t, said in own.items() if said.value is not None}
    reasons: dict[str, int] = defaultdict(int)
    for said in own.values():
        if said.reason is not None:
            reasons[said.reason] += 1
    pairs: dict[Scale, dict[Target, tuple[float, float]]] = defaultdict(dict)
    for target, value in values.items():
        for rated in known.get(target, ()):
            for scale, score in rated.scores.items():
                if scale.scorer == scorer and scale.split == "test":
                    pairs[scale][target] = value, score
    return Person(
        reviewer=reviewer,
        scorer=scorer,
        n=len(values),
        undefined=dict(reasons),
        median=median(values.values()) if values else None,
        beside=tuple(_beside(scale, list(both.values())) for scale, both in sorted(pairs.items())),
    )


def _beside(scale: Scale, pairs: Sequence[tuple[float, float]]) -> Beside:
    higher = sum(0.5 if a == b else float(a > b) for a, b in pairs)
    return Beside(
        scale=scale,
        n=len(pairs),
        person=median(a for a, _ in pairs),
        simulator=median(b for _, b in pairs),
        better=proportion(higher, len(pairs)),
    )
