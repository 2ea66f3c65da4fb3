"""Which tokens of a span are marked, rightly or wrongly, for a judge to say which it is (fuzzing, Paulo et al. 2024)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroexplain.records import HeldOutSpan

FIRES = 0.5
"""Share of the explanation's scale that a peak has to reach to be marked, and share of the peak that other tokens have to."""
QUIET = 0.2
"""Share of the span's peak, or of the scale where that is larger, below which a token may be marked wrongly."""


class Marks(NamedTuple):
    """Some tokens of a span."""

    right: bool
    """Whether the neuron fires on them."""
    tokens: tuple[int, ...]
    """Places in the span, ascending."""


def marks(span: HeldOutSpan, scale: float) -> list[Marks]:
    """What is marked in a span: where the neuron fires the tokens on which it does, and then as many on which it is quiet.

    The choice among quiet tokens is the span's own, so that it is the same whenever it is made. Wrong marks stand
    in firing spans too: else the topic of a text would tell right from wrong.

    Args:
        span: with the truth.
        scale: level 10.
    """
    counted = np.arange(span.span.first, len(span.span))
    truth = span.truth[counted]
    found: list[Marks] = []
    peak = float(truth.max(initial=0.0))
    wanted = 1
    if peak > 0 and peak >= FIRES * scale:
        firing = counted[truth >= FIRES * peak]
        wanted = len(firing)
        found.append(Marks(True, tuple(firing.tolist())))
    quiet = counted[(truth < QUIET * max(peak, scale)) & _visible(span, counted)]
    if len(quiet):
        random = np.random.default_rng(span.span.span)
        drawn = random.choice(quiet, min(wanted, len(quiet)), replace=False)
        found.append(Marks(False, tuple(sorted(drawn.tolist()))))
    return found


def _visible(span: HeldOutSpan, counted: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which tokens have a text that can be marked: of a character in several tokens only the first has."""
    return np.array([bool(span.span.tokens[i].strip()) for i in counted.tolist()], np.bool_)
