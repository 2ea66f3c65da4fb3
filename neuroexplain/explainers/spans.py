"""Spans as explainers show them to a language model: windows round the peaks, and marks where the neuron is strong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random

import numpy as np

from neuroexplain.explainers.asking import Asking, at_least, drawn
from neuroexplain.levels import MAX_LEVEL, discretise, side
from neuroexplain.records import Evidence, Exemplar

Pairs = list[tuple[str, int]]
"""Tokens with their levels 0-10."""
Runs = list[tuple[bool, str]]
"""A text in pieces, and whether each is marked."""

DISTINCT = 3
"""So many different texts are marked at least, where there are as many: fewer say little about what they share."""
PASSAGE = 4
"""Tokens on either side of two peaks that are the same where both texts are copies of one."""
QUIET = 2
"""A neuron is quiet on a span whose strongest level is below this, and fires on one where it is not."""


@dataclass(frozen=True)
class Marking(Asking):
    """An explainer that shows the spans on which the neuron fires, with marks round what it is strong on."""

    examples: int = 8
    """Top spans shown."""
    weaker: int = 2
    """Spans shown of the quantile bands, from the highest band on: the strongest spans alone hide a weaker second meaning."""
    window: int = 24
    """Tokens shown of each span, around its peak."""
    quantile: float = 0.9
    """Share of the tokens shown that are below the threshold of a mark; lowered until three different texts are marked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "examples", "window")
        at_least(self, 0, "weaker", "quantile")
        if self.quantile >= 1:
            raise ValueError(f"quantile must be below 1, not {self.quantile}")

    def spans(self, evidence: Evidence, random: Random | None) -> list[Runs]:
        """Top spans, then weaker ones on which the neuron is not quiet either."""
        top = drawn(varied(evidence.of_kind("top")), self.examples, random)
        firing = [e for e in evidence.of_kind("quantile") if strongest(e, evidence) >= QUIET]
        below = varied([*top, *firing])[len(top) :]
        shown = windows([*top, *drawn(below, self.weaker, random)], evidence, self.window)
        return highlighted(shown, self.quantile)


def highlighted(spans: Sequence[Pairs], quantile: float) -> list[Runs]:
    """Texts with marks from one threshold on, see `threshold`."""
    level = threshold(spans, quantile)
    return [marked(span, level) for span in spans]


def windows(exemplars: Sequence[Exemplar], evidence: Evidence, size: int) -> list[Pairs]:
    """The tokens around each exemplar's peak, with their levels."""
    activations = np.concatenate([np.zeros(0, np.float32), *(e.activations for e in exemplars)])
    levels = discretise(activations, evidence.scale, evidence.neuron.polarity)
    found, at = [], 0
    for exemplar in exemplars:
        span = exemplar.span
        shown = levels[at : at + len(span)]
        shown[: span.first] = 0
        inside = around(exemplar.peak_position, len(span), size)
        found.append(list(zip(span.tokens[inside], shown[inside].tolist(), strict=True)))
        at += len(span)
    return found


def around(middle: int, length: int, size: int) -> slice:
    """So many tokens of a span, with one of them in the middle or as near to it as the ends allow."""
    start = max(0, min(middle - size // 2, length - size))
    return slice(start, start + size)


def varied(exemplars: Sequence[Exemplar]) -> list[Exemplar]:
    """Exemplars without those that peak in the same passage as one before: copies of a text are no more evidence."""
    found: dict[tuple[str, ...], Exemplar] = {}
    for exemplar in exemplars:
        at = exemplar.peak_position
        passage = exemplar.span.tokens[max(0, at - PASSAGE) : at + PASSAGE + 1]
        found.setdefault(passage, exemplar)
    return list(found.values())


def strongest(exemplar: Exemplar, evidence: Evidence) -> float:
    """Level of an exemplar's peak, not rounded."""
    peak = side(np.array([exemplar.peak], np.float32), evidence.neuron.polarity)
    return float(peak[0]) / evidence.scale * MAX_LEVEL


def threshold(spans: Sequence[Pairs], quantile: float) -> int:
    """The level from which tokens are marked: a quantile of those shown, lowered until enough different texts are.

    Where there are fewer texts than that, it is the highest level at which as many are marked as ever.
    """
    levels = sorted(level for span in spans for _, level in span)
    start = max(1, levels[min(int(quantile * len(levels)), len(levels) - 1)]) if levels else 1
    found, most = start, 0
    for level in range(start, 0, -1):
        different = len(_different(spans, level))
        if different > most:
            found, most = level, different
        if most >= DISTINCT:
            break
    return found


def _different(spans: Sequence[Pairs], level: int) -> set[str]:
    """Texts that are marked from a level on, whatever their case."""
    return {
        "".join(token for token, _ in group).strip().casefold()
        for span in spans
        for on, group in groupby(span, key=lambda pair: pair[1] >= level)
        if on
    }


def marked(span: Pairs, level: int) -> Runs:
    """A text with marks round the runs of tokens from a level on, spaces outside.

    >>> marked([("An", 0), (" ice", 9), ("berg", 8), (" melts", 1)], 8)
    [(False, 'An '), (True, 'iceberg'), (False, ' melts')]
    """
    pieces: Runs = []
    for on, group in groupby(characters(span), key=lambda pair: pair[1] >= level):
        text = "".join(token for token, _ in group)
        core = text.strip() or text  # blank text is marked as it is
        before, _, after = text.partition(core) if on and core else (text, "", "")
        pieces += [(False, before), (on, core), (False, after)] if on else [(False, text)]
    filled = (piece for piece in pieces if piece[1])
    return [(on, "".join(text for _, text in group)) for on, group in groupby(filled, _is_marked)]


def _is_marked(run: tuple[bool, str]) -> bool:
    return run[0]


def characters(span: Pairs) -> Pairs:
    """Tokens that hold text: one that shares a character with others has its whole text and their highest level."""
    found: Pairs = []
    for token, level in span:
        if token or not found:
            found.append((token, level))
        else:
            found[-1] = (found[-1][0], max(found[-1][1], level))
    return found
