"""Which explanations are compared with which.

Explanations are compared within their kind: of one source of texts, explainer, language model and polarity. Those of a neuron
are a group, among which the best is chosen. A kind has a pool of groups, all of them or some drawn by lot: they are the null,
and their texts are what texts are compared with. A group outside the pool is compared with the pool, on its own neuron.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from neuroexplain.catalogue import TextSet
from neuroexplain.config import run_key
from neuroexplain.matching import Hypothesis
from neuroexplain.records import NeuronId

Kind = tuple[str, str, str, int]
"""Source of the texts, explainer, language model and polarity."""


@dataclass(frozen=True)
class Candidate:
    """An explanation with the texts about it."""

    hypothesis: Hypothesis
    text_set: TextSet

    @property
    def number(self) -> int:
        """Row of the explanation."""
        return self.hypothesis.ref.number


@dataclass(frozen=True)
class Group:
    """The explanations of one kind of one neuron that there are texts about."""

    neuron: NeuronId
    candidates: tuple[Candidate, ...]
    own: bool = True
    """Whether they are to be scored, and not only for comparison."""

    @cached_property
    def digest(self) -> str:
        """Hash of what is compared: explanations and texts."""
        return run_key([(c.hypothesis.ref.key, c.text_set.texts) for c in self.candidates])


@dataclass(frozen=True)
class Comparison:
    """Groups that are compared with each other, and those of them that are scored."""

    pool: tuple[Group, ...]
    extra: Group | None = None
    """One that is not in the pool, and is scored; without it those of the pool are."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """All of them."""
        return self.pool if self.extra is None else (*self.pool, self.extra)

    @property
    def scored(self) -> tuple[int, ...]:
        """Places of the groups that are scored."""
        if self.extra is not None:
            return (len(self.pool),)
        return tuple(place for place, group in enumerate(self.pool) if group.own)

    @cached_property
    def digest(self) -> str:
        """Hash of the pool."""
        return run_key([group.digest for group in self.pool])


def kinds(wanted: Sequence[Hypothesis]) -> list[list[Hypothesis]]:
    """Hypotheses by kind, those that consist of words first: they are the floor of the others.

    What was made by other settings is a kind of its own as soon as a neuron has both: these are no candidates of one choice.
    """
    found: dict[Kind, list[Hypothesis]] = defaultdict(list)
    for hypothesis in wanted:
        ref = hypothesis.ref
        source = "corpus" if hypothesis.words else "llm"
        found[source, ref.explainer, ref.llm or "", ref.neuron.polarity].append(hypothesis)
    return [part for kind in sorted(found) for part in _parts(found[kind])]


def _parts(kind: Sequence[Hypothesis]) -> list[list[Hypothesis]]:
    ways: dict[NeuronId, set[str]] = defaultdict(set)
    by_way: dict[str, list[Hypothesis]] = defaultdict(list)
    for hypothesis in kind:
        ways[hypothesis.ref.neuron].add(hypothesis.ref.made_by)
        by_way[hypothesis.ref.made_by].append(hypothesis)
    if all(len(way) == 1 for way in ways.values()):
        return [list(kind)]
    return [by_way[way] for way in sorted(by_way)]


def groups_of(candidates: Sequence[Candidate], *, own: bool = True) -> list[Group]:
    """Candidates of one kind by neuron; those without any text are left out."""
    by_neuron: dict[NeuronId, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.text_set.texts:
            by_neuron[candidate.hypothesis.ref.neuron].append(candidate)
    return [Group(neuron, tuple(found), own) for neuron, found in by_neuron.items()]


def comparisons(groups: Sequence[Group], others: int, seed: int) -> list[Comparison]:
    """Who is compared with whom.

    Args:
        groups: of one kind, one of each neuron.
        others: groups of the pool at most.
        seed: of the lot.
    """
    ordered = sorted(groups, key=lambda group: run_key(seed, str(group.neuron), group.digest))
    pool = tuple(ordered[:others])
    found = [Comparison(pool)] if any(group.own for group in pool) else []
    return found + [Comparison(pool, group) for group in ordered[others:] if group.own]
