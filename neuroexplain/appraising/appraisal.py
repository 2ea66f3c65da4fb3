"""Everything that reviews say of a catalogue's explanations."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neuroexplain.agreement.calibration import Bin, Step, auc, bins, curve, spearman
from neuroexplain.agreement.estimates import Estimate
from neuroexplain.appraising.answers import STRICT, Answers, read
from neuroexplain.appraising.people import Person, people
from neuroexplain.appraising.preferring import Preferences, preferences
from neuroexplain.appraising.sampling import Correct, Units, score_name, score_part
from neuroexplain.catalogue import Catalogue, Reviews
from neuroexplain.catalogue.reviewing.rated import Rated, Scale
from neuroexplain.reviewed import VERDICTS, Event, Target, Verdict

_LEAST_SECONDS = 0.01
"""Less is no decision of a person."""
Known = Mapping[Target, Sequence[Rated]]


@dataclass(frozen=True)
class Calibration:
    """What a score is worth, among the explanations that were judged."""

    scale: Scale
    n: int
    """Explanations with this score and an answer."""
    bins: tuple[Bin, ...]
    curve: tuple[Step, ...]
    """Isotonic."""
    auc: Estimate
    """Chance that one judged correct has the higher score."""
    spearman: Estimate
    """With the graded verdicts."""


@dataclass(frozen=True)
class Pace:
    """Time that a reviewer takes for a decision, in seconds."""

    reviewer: str
    kind: str
    """Of decision: verdict, preference, simulation or adjudication."""
    decisions: int
    """With a time."""
    lower: float
    """Quartile."""
    median: float
    upper: float
    per_hour: float
    """At the median."""


@dataclass(frozen=True)
class Appraisal:
    """What reviews say of explanations."""

    queue: str | None
    """UUID; None for everything that was judged anywhere."""
    name: str
    """Of the queue."""
    reviewers: int
    """Who gave verdicts."""
    decisions: int
    """Verdicts that count, cannot-tell among them; of each reviewer the last on an explanation."""
    verdicts: Mapping[Verdict, int]
    """How often each was given."""
    not_drawn: str | None
    """Why shares are of what was judged alone, and not of a population; None where it was drawn at random."""
    missing: int
    """Judged explanations that this catalogue does not have."""
    overall: Correct
    methods: tuple[Correct, ...]
    """By explainer and language model; a text that two of them wrote counts in both."""
    layers: tuple[Correct, ...]
    scores: tuple[Correct, ...]
    """By the newest correlation on the test split."""
    calibrations: tuple[Calibration, ...]
    """One for each scorer, simulator, language model and split; scores of different ones are not put together."""
    preferences: Preferences
    pace: tuple[Pace, ...]
    people: tuple[Person, ...]


def appraise(catalogue: Catalogue, reviews: Reviews, queue: str | None = None) -> Appraisal:
    """What reviews say of a catalogue's explanations.

    Args:
        catalogue: which knows their methods and scores.
        reviews: of people.
        queue: uuid, for what was decided in one queue; its shares are of the population that it was drawn from.

    Raises:
        CatalogueError: there is no such queue.
    """
    return appraisal_of(catalogue, reviews, read(reviews, queue))


def appraisal_of(catalogue: Catalogue, reviews: Reviews, answers: Answers) -> Appraisal:
    """The same, of answers that were read."""
    queue = None if answers.queue is None else answers.queue.uuid
    units, verdicts = Units.of(answers), _counted(answers)
    chosen = reviews.counting("preference", queue=queue)
    simulated = reviews.counting("simulation", queue=queue)
    last = reviews.counting("adjudication", queue=queue)
    others = [event.target for event in (*chosen, *simulated)]
    others += [event.other for event in chosen if event.other is not None]
    known = catalogue.rated({*units.targets, *others})
    judged = [t for t in dict.fromkeys(units.targets) if answers.judged(t, STRICT) is not None]
    methods = {t: {rated.method for rated in found} for t, found in known.items()}
    parts = {t: _parts(found) for t, found in known.items()}
    return Appraisal(
        queue=queue,
        name="" if answers.queue is None else answers.queue.name,
        reviewers=len({event.reviewer for event in answers.events}),
        decisions=sum(verdicts.values()),
        verdicts=verdicts,
        not_drawn=units.reason,
        missing=sum(target not in known for target in judged),
        overall=units.correct("all"),
        methods=units.by(lambda t: methods.get(t, ())),
        layers=units.by(
            lambda t: [(t.neuron.subject, t.neuron.layer)], lambda at: f"{at[0]}, layer {at[1]}"
        ),
        scores=units.by(lambda t: parts.get(t, ()), score_name),
        calibrations=_calibrations(answers, judged, known),
        preferences=preferences(chosen, methods),
        pace=_pace((*answers.events, *chosen, *simulated, *last)),
        people=people(simulated, known),
    )


def _parts(found: Sequence[Rated]) -> set[float]:
    parts = (score_part(rated.correlation) for rated in found)
    return {part for part in parts if part is not None}


def _counted(answers: Answers) -> dict[Verdict, int]:
    last = {(event.reviewer, event.target): event.data for event in answers.events}
    given = Counter(getattr(data, "verdict", None) for data in last.values())
    return {verdict: given[verdict] for verdict in VERDICTS}


def _calibrations(
    answers: Answers, judged: Sequence[Target], known: Known
) -> tuple[Calibration, ...]:
    rows: dict[Scale, list[tuple[Target, float]]] = defaultdict(list)
    for target in judged:
        for rated in known.get(target, ()):
            for scale, value in rated.scores.items():
                rows[scale].append((target, value))
    return tuple(_calibration(answers, scale, own) for scale, own in sorted(rows.items()))


def _calibration(
    answers: Answers, scale: Scale, rows: Sequence[tuple[Target, float]]
) -> Calibration:
    places: dict[object, int] = {}
    neuron = np.array([places.setdefault(t.neuron, len(places)) for t, _ in rows])
    score = np.array([value for _, value in rows])
    correct = np.array([answers.judged(t, STRICT) for t, _ in rows], float)
    grades = np.array([answers.graded(t) for t, _ in rows], float)
    return Calibration(
        scale=scale,
        n=len(rows),
        bins=bins(score, correct),
        curve=curve(score, correct),
        auc=auc(score, correct, neuron),
        spearman=spearman(score, grades, neuron),
    )


def _pace(events: Iterable[Event]) -> tuple[Pace, ...]:
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.seconds is not None and event.seconds >= _LEAST_SECONDS:
            seconds[event.reviewer, event.kind].append(event.seconds)
    found = []
    for (name, kind), values in sorted(seconds.items()):
        lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
        found.append(Pace(name, kind, len(values), lower, median, upper, 3600 / median))
    return tuple(found)
