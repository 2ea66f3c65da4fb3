"""How far reviewers agree: with one another, and with themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from neuroexplain.agreement.alpha import alpha
from neuroexplain.agreement.estimates import Counts, Estimate
from neuroexplain.agreement.kappa import confusion, kappa, percent
from neuroexplain.appraising.answers import ANSWERS, GRADES, STRICT, Answers, grade, read
from neuroexplain.catalogue import Reviews
from neuroexplain.reviewed import Event, Judged, Preferred, Target, Verdict, Winner

_GRADE = np.array([grade(verdict) for verdict in ANSWERS])
_CHOICES: tuple[Winner, ...] = ("left", "tie", "right")
Place = tuple[str | None, int | None]
"""Queue and position where a verdict was given; neither on the page of a neuron."""
_STRICT = np.array([int(verdict in STRICT) for verdict in ANSWERS])


@dataclass(frozen=True)
class Compared:
    """Two series of verdicts on the same explanations."""

    n: int
    percent: Estimate
    """Share with equal verdicts."""
    kappa: Estimate
    """Cohen's, over all verdicts."""
    kappa_strict: Estimate
    """Correct against all others."""
    kappa_graded: Estimate
    """Of correct, in part, not correct in their order: weighted by steps."""
    table: tuple[tuple[int, ...], ...]
    """How often each pair of verdicts was given; rows are the first's, in the order of `ANSWERS`."""


@dataclass(frozen=True)
class Pair:
    """Two reviewers."""

    first: str
    second: str
    compared: Compared


@dataclass(frozen=True)
class Again:
    """A reviewer who judged explanations again, in another queue or place: what stands in the first against the last."""

    reviewer: str
    compared: Compared


@dataclass(frozen=True)
class Differing:
    """An explanation on which reviewers differ, and that nobody has settled."""

    neuron: str
    """Its address."""
    text: str
    verdicts: Mapping[str, Verdict]
    """By reviewer; empty where they are hidden from whoever asks."""


@dataclass(frozen=True)
class Agreement:
    """How far reviewers agree. Cannot-tell counts as no answer."""

    queue: str | None
    """UUID; None for all that was judged anywhere."""
    reviewers: Mapping[str, int]
    """Explanations that each gave an answer to."""
    judged: int
    """Explanations with an answer."""
    shared: int
    """Of them, those with answers of two reviewers or more."""
    alpha: Estimate
    """Krippendorff's, over all verdicts."""
    alpha_strict: Estimate
    """Correct against all others."""
    alpha_graded: Estimate
    """Correct, in part, not correct in their order."""
    choices: Estimate
    """Krippendorff's alpha of choices between two explanations: first, tie, second in their order."""
    pairs: tuple[Pair, ...]
    again: tuple[Again, ...]
    settled: int
    """Explanations with a last word."""
    differing: tuple[Differing, ...]
    """To be settled."""


def agreement(reviews: Reviews, queue: str | None = None) -> Agreement:
    """How far reviewers agree in a queue, or in everything that they judged.

    Raises:
        CatalogueError: there is no such queue.
    """
    return agreement_of(reviews, read(reviews, queue))


def agreement_of(reviews: Reviews, answers: Answers) -> Agreement:
    """The same, of answers that were read."""
    queue = None if answers.queue is None else answers.queue.uuid
    names = sorted({name for own in answers.verdicts.values() for name in own})
    codes = _codes(answers, names)
    counts = np.stack([(codes == c).sum(0) for c in range(len(ANSWERS))], axis=1)
    return Agreement(
        queue=queue,
        reviewers={name: int((codes[i] >= 0).sum()) for i, name in enumerate(names)},
        judged=len(answers.verdicts),
        shared=int((counts.sum(1) > 1).sum()),
        alpha=alpha(counts),
        alpha_strict=alpha(_merged(counts, _STRICT, 2)),
        alpha_graded=alpha(_merged(counts, _GRADE, len(GRADES)), "ordinal"),
        choices=alpha(_chosen(reviews.counting("preference", queue=queue)), "ordinal"),
        pairs=tuple(
            Pair(names[i], names[j], found)
            for i, j in combinations(range(len(names)), 2)
            if (found := _compared(codes[i], codes[j])).n
        ),
        again=_again(answers),
        settled=len(answers.settled),
        differing=tuple(
            Differing(str(target.neuron), target.text, dict(sorted(own.items())))
            for target, own in sorted(answers.verdicts.items())
            if len(set(own.values())) > 1 and target not in answers.settled
        ),
    )


def _chosen(events: Sequence[Event]) -> Counts:
    """How many reviewers chose the first of a pair, neither, or the second; [pair, choice]."""
    last: dict[tuple[Target, Target], dict[str, int]] = defaultdict(dict)
    for event in sorted(events, key=lambda e: (e.at, e.uuid)):
        assert isinstance(event.data, Preferred)
        if event.other is not None:
            choice = _CHOICES.index(event.data.winner)
            swapped = event.other < event.target  # each may have had the other on the left
            pair = (event.other, event.target) if swapped else (event.target, event.other)
            last[pair][event.reviewer] = 2 - choice if swapped else choice
    counts = np.zeros((len(last), len(_CHOICES)), np.int64)
    for row, own in enumerate(last.values()):
        np.add.at(counts[row], list(own.values()), 1)
    return counts


def _codes(answers: Answers, names: list[str]) -> Counts:
    """Number of the verdict, -1 where there is none; [reviewer, explanation]."""
    place = {name: i for i, name in enumerate(names)}
    codes = np.full((len(names), len(answers.verdicts)), -1, np.int64)
    for column, own in enumerate(answers.verdicts.values()):
        for name, verdict in own.items():
            codes[place[name], column] = ANSWERS.index(verdict)
    return codes


def _merged(counts: Counts, groups: Counts, n: int) -> Counts:
    """[item, group] of [item, category]."""
    return np.stack([counts[:, groups == g].sum(1) for g in range(n)], axis=1)


def _compared(first: Counts, second: Counts) -> Compared:
    both = (first >= 0) & (second >= 0)
    a, b = first[both], second[both]
    table = confusion(a, b, len(ANSWERS))
    return Compared(
        n=len(a),
        percent=percent(table),
        kappa=kappa(table),
        kappa_strict=kappa(confusion(_STRICT[a], _STRICT[b], 2)),
        kappa_graded=kappa(confusion(_GRADE[a], _GRADE[b], len(GRADES)), "linear"),
        table=tuple(tuple(row) for row in table.tolist()),
    )


def _again(answers: Answers) -> tuple[Again, ...]:
    """Reviewers who met the same explanation more than once: in queues, at two places of one, or on its own page.

    A later verdict in the same place puts the one before right, and says nothing of how steady a reviewer is.
    """
    given: dict[tuple[str, Target], dict[Place, Verdict]] = defaultdict(dict)
    for event in answers.events:
        assert isinstance(event.data, Judged)
        given[event.reviewer, event.target][event.queue, event.position] = event.data.verdict
    twice: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for (name, _), verdicts in given.items():
        codes = [ANSWERS.index(verdict) for verdict in verdicts.values() if verdict in ANSWERS]
        if len(codes) > 1:
            twice[name].append((codes[0], codes[-1]))
    return tuple(
        Again(name, _compared(*np.array(pairs).T)) for name, pairs in sorted(twice.items())
    )
