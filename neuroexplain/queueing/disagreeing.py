"""Queues of where numbers, methods and people differ most: what a look by a person tells most about."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from neuroexplain.catalogue import Catalogue, Frame, Reviews
from neuroexplain.catalogue.searching.stems import stem_of
from neuroexplain.errors import ConfigError
from neuroexplain.queueing.drawn import Drawn
from neuroexplain.queueing.naming import methods_of
from neuroexplain.queueing.pairs import in_order, newest_of
from neuroexplain.queueing.plans import Plan
from neuroexplain.queueing.sampled import population
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import QueueItem, Target, Verdict
from neuroexplain.words import telling, words

LOOKED_AT = 5_000
"""Explanations whose n-grams are read at most."""
LIFT = 2.0
"""A word tells something of a neuron where it is twice as common in its n-grams as elsewhere."""
_GOOD: frozenset[Verdict] = frozenset({"correct"})
_BAD: frozenset[Verdict] = frozenset({"wrong", "uninterpretable"})


def disagreeing(catalogue: Catalogue, reviews: Reviews, plan: Plan, by: str) -> Drawn:
    """Where those that a plan names differ, the largest difference first.

    Raises:
        QueryError: the query is wrong, or finds no set.
        ConfigError: an unknown method or measure, or nothing in which they differ.
        CatalogueError: there is no n-gram pass.
    """
    match plan.between:
        case "methods":
            found = _methods(catalogue, reviews, plan, by)
        case "ngrams":
            found = _ngrams(catalogue, reviews, plan, by)
        case "human":
            found = _people(catalogue, reviews, plan)
        case "judges":
            found = _judges(catalogue, reviews, plan, by)
    if not found.items:
        raise ConfigError(f'queue "{plan.name}" would be empty: they differ on nothing')
    return found


def _methods(catalogue: Catalogue, reviews: Reviews, plan: Plan, by: str) -> Drawn:
    """Pairs on whose neuron the first method scores higher than the second."""
    frame = catalogue.frame(plan.query)
    pairs = newest_of(frame, methods_of(frame, plan.methods))
    difference = frame.score[pairs[:, 0]] - frame.score[pairs[:, 1]]
    order = np.argsort(-difference, kind="stable")  # NaN comes last
    order = order[difference[order] > 0]
    return in_order(catalogue, reviews, plan, by, frame.explanation[pairs[order]])


def _ngrams(catalogue: Catalogue, reviews: Reviews, plan: Plan, by: str) -> Drawn:
    """High scores of explanations without any word that the neuron's n-grams tell of."""
    frame, left_out = population(catalogue, reviews, plan, by)
    for place in np.unique(frame.subject).tolist():
        _check_pass(catalogue, frame.subjects[place])
    high = np.flatnonzero(frame.score >= plan.above)
    order = high[np.argsort(-frame.score[high], kind="stable")]
    items: dict[Target, QueueItem] = {}
    left_out["no n-grams recorded"] = 0
    for target in _first(catalogue, frame.at(order[:LOOKED_AT])):
        summary = _summary(catalogue, target.neuron)
        if not summary:
            left_out["no n-grams recorded"] += 1
        elif summary.isdisjoint(_stems(target.text)):
            items.setdefault(target, QueueItem(0, target))
        if len(items) == plan.n:
            break
    cut = None if len(order) <= LOOKED_AT else f"among the {LOOKED_AT:,} highest scores"
    return Drawn(tuple(items.values()), left_out=left_out, cut=cut)


def _check_pass(catalogue: Catalogue, subject: str) -> None:
    if catalogue.ngram_pass(catalogue.collection(subject)) is None:
        raise ConfigError(
            f"no n-gram pass of {subject}, to which explanations could be compared; make one by neuroexplain ngrams"
        )


def _first(catalogue: Catalogue, frame: Frame) -> list[Target]:
    numbers = frame.explanation.tolist()
    found = catalogue.targets(numbers)
    return [found[number] for number in numbers]


def _summary(catalogue: Catalogue, neuron: NeuronId) -> frozenset[str]:
    """Stems of the words that a neuron's n-grams tell of."""
    collection = catalogue.collection(neuron.subject)
    return frozenset(
        stem
        for ngram in catalogue.ngrams(collection, neuron)
        for word, lift in zip(words(ngram.text), ngram.lifts or (), strict=True)
        if lift >= LIFT
        for stem in _stems(word)
    )


@lru_cache(maxsize=4096)
def _stems(text: str) -> frozenset[str]:
    found = (stem_of(word.casefold()) for word in words(text) if telling(word))
    return frozenset(stem for stem in found if stem)


def _people(catalogue: Catalogue, reviews: Reviews, plan: Plan) -> Drawn:
    """Explanations with a high score that a reviewer found wrong, and with a low one that a reviewer found correct."""
    given = [j for j in reviews.judgements() if j.verdict in _GOOD | _BAD]
    rated = catalogue.rated({j.target for j in given})
    inside = set(catalogue.frame(plan.query).explanation.tolist()) if plan.query else None
    differs: dict[Target, float] = {}
    for judgement in given:
        scores = [
            each.correlation
            for each in rated.get(judgement.target, ())
            if each.correlation is not None and (inside is None or each.id in inside)
        ]
        if not scores:
            continue
        beyond = scores[-1] - plan.above
        beyond = beyond if judgement.verdict in _BAD else -beyond
        if beyond > 0:
            differs[judgement.target] = max(beyond, differs.get(judgement.target, 0.0))
    order = sorted(differs, key=lambda target: (-differs[target], target))
    return Drawn(tuple(QueueItem(0, target) for target in order[: plan.n]))


def _judges(catalogue: Catalogue, reviews: Reviews, plan: Plan, by: str) -> Drawn:
    """Explanations that two measures rank furthest apart, by shares of those that have both."""
    from scipy.stats import rankdata

    frame, left_out = population(catalogue, reviews, plan, by)
    first, second = (catalogue.values_of(frame, name) for name in plan.measures)
    both = np.flatnonzero(~np.isnan(first) & ~np.isnan(second))
    left_out["without a score by both"] = len(frame) - len(both)
    apart = np.abs(rankdata(first[both]) - rankdata(second[both])) / max(len(both), 1)
    order = both[np.argsort(-apart, kind="stable")][: plan.n]
    found = dict.fromkeys(_first(catalogue, frame.at(order)))
    return Drawn(tuple(QueueItem(0, target) for target in found), left_out=left_out)
