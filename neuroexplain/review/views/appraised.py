"""What reviews say as a reviewer may see it; shares and curves as positions, in pixels from the top left."""

from __future__ import annotations

from dataclasses import dataclass, replace

from neuroexplain.agreement.estimates import Estimate
from neuroexplain.appraising import Agreement
from neuroexplain.appraising.appraisal import Appraisal, Calibration
from neuroexplain.records import NeuronId
from neuroexplain.review.desk import Desk

WIDTH = 120
"""Of a strip."""
SIDE = 200
"""Of a square plot, without its labels."""
_EDGE = 4


def concealed(desk: Desk, found: Agreement, reviewer: str) -> Agreement:
    """Without what others said of explanations that a reviewer is still to decide blindly."""
    neurons = {d.neuron for d in found.differing}
    blind = {n for n in neurons if desk.reviews.is_blind(NeuronId.parse(n), reviewer)}
    return replace(
        found,
        differing=tuple(
            replace(d, verdicts={}) if d.neuron in blind else d for d in found.differing
        ),
    )


def is_under_way(desk: Desk, queue: str | None, reviewer: str) -> bool:
    """Whether a reviewer still has items of a blind queue before them, whose methods and scores parts of it would tell."""
    if queue is None:
        return False
    found = desk.reviews.queue(queue)
    return found.blind != "none" and desk.reviews.progress(found, reviewer).left > 0


def whole(found: Appraisal) -> Appraisal:
    """Without the parts of a queue: a small part may be one item."""
    return replace(found, methods=(), layers=(), scores=())


@dataclass(frozen=True)
class Whisker:
    """An estimate with its interval on an axis."""

    value: float
    low: float | None
    """None where there is no interval."""
    high: float | None


def whisker(found: Estimate, low: float = 0.0, high: float = 1.0) -> Whisker | None:
    """An estimate on an axis from `low` to `high`; None where it is undefined."""

    def place(value: float) -> float:
        inside = min(max(value, low), high)
        return round(_EDGE + (WIDTH - 2 * _EDGE) * (inside - low) / (high - low), 1)

    if found.value is None:
        return None
    if found.low is None or found.high is None:
        return Whisker(place(found.value), None, None)
    return Whisker(place(found.value), place(found.low), place(found.high))


@dataclass(frozen=True)
class Point:
    """Explanations with neighbouring scores, in a reliability diagram."""

    x: float
    y: float
    top: float
    """Of the interval."""
    bottom: float
    label: str


@dataclass(frozen=True)
class Diagram:
    """Share correct over score."""

    points: tuple[Point, ...]
    curve: str
    """Of the isotonic regression: points of a polyline."""
    low: float
    """Score at the left edge."""
    high: float
    """Score at the right edge."""


def diagram(found: Calibration) -> Diagram:
    """The reliability diagram of a score: bins with their intervals, and the monotone curve that fits best."""
    low = min(0.0, *(b.low for b in found.bins))
    high = max(1.0, *(b.high for b in found.bins))

    def x(score: float) -> float:
        return round(SIDE * (score - low) / (high - low), 1)

    def y(share: float) -> float:
        return round(SIDE * (1 - share), 1)

    points = []
    for b in found.bins:
        share = b.correct
        assert share.value is not None and share.low is not None and share.high is not None
        label = (
            f"scores {b.low:.2f} to {b.high:.2f}: {100 * share.value:.0f} % of {share.n} correct"
        )
        points.append(Point(x(b.mean), y(share.value), y(share.high), y(share.low), label))
    ends = [step.score for step in found.curve[1:]] + [high]
    steps = zip(found.curve, ends, strict=True)
    line = [f"{x(at)},{y(s.correct)}" for s, end in steps for at in (s.score, end)]
    return Diagram(tuple(points), " ".join(line), low, high)
