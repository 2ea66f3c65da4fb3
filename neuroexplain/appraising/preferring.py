"""Which method's explanations people choose, from pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from neuroexplain.agreement.wins import Against, Choice, Wins, wins
from neuroexplain.catalogue.reviewing.rated import Method
from neuroexplain.reviewed import Event, Preferred, Target

_WON = {"left": 1.0, "tie": 0.5, "right": 0.0}


@dataclass(frozen=True)
class Preferences:
    """Choices between methods."""

    methods: tuple[Method, ...]
    """In the order of the numbers in `wins`."""
    decisions: int
    """Choices that count."""
    unknown: int
    """Of them between texts of which this catalogue lacks one."""
    alike: int
    """Of them between two texts of one method."""
    wins: Wins

    @property
    def against(self) -> tuple[Against, ...]:
        """Every pair of methods that was compared."""
        return self.wins.against


def last_choices(events: Sequence[Event]) -> list[Event]:
    """Of preferences the last of each reviewer on each pair, whichever was on the left."""
    last: dict[tuple[str, frozenset[Target]], Event] = {}
    for event in sorted(events, key=lambda e: (e.at, e.uuid)):
        if event.other is not None:
            last[event.reviewer, frozenset((event.target, event.other))] = event
    return list(last.values())


def preferences(
    events: Sequence[Event], methods: Mapping[Target, AbstractSet[Method]]
) -> Preferences:
    """How methods do in pairwise choices. A text that several methods wrote speaks for each of them.

    Args:
        events: preferences that count; a reviewer's last on a pair is taken.
        methods: who wrote each text.
    """
    last = last_choices(events)
    known = [e for e in last if e.target in methods and e.other in methods]
    names = sorted({m for e in known for t in (e.target, e.other) if t for m in methods[t]})
    number = {method: i for i, method in enumerate(names)}
    neurons: dict[object, int] = {}
    choices: list[Choice] = []
    alike = 0
    for event in known:
        assert isinstance(event.data, Preferred) and event.other is not None
        neuron = neurons.setdefault(event.target.neuron, len(neurons))
        left, right = methods[event.target], methods[event.other]
        # Who wrote both texts wins and loses against itself, which says nothing.
        made = [(number[a], number[b]) for a in left - right for b in right - left]
        alike += not made
        choices += [Choice(neuron, a, b, _WON[event.data.winner]) for a, b in made]
    return Preferences(
        methods=tuple(names),
        decisions=len(last),
        unknown=len(last) - len(known),
        alike=alike,
        wins=wins(choices, len(names)),
    )
