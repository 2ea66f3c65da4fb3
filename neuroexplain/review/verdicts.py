"""Verdicts as they stand on buttons, with their keys."""

from __future__ import annotations

from typing import NamedTuple

from neuroexplain.reviewed import Mode


class Choice(NamedTuple):
    """A button."""

    value: str
    label: str
    key: str
    meaning: str


VERDICT_CHOICES = (
    Choice("correct", "Correct", "a", "It fires on this, and on nothing else that can be told."),
    Choice("too-broad", "Too broad", "b", "It fires on a part of this only."),
    Choice("too-narrow", "Too narrow", "n", "It fires on more than this."),
    Choice("partly", "Partly", "p", "It fires on several things, of which some are named."),
    Choice("wrong", "Wrong", "x", "It fires on something else."),
    Choice("uninterpretable", "Uninterpretable", "u", "No one thing makes it fire."),
    Choice("cannot-tell", "Cannot tell", "0", "You do not know; this counts as no answer."),
)
CHOICES: dict[Mode, tuple[Choice, ...]] = {
    "verdict": VERDICT_CHOICES,
    "adjudication": VERDICT_CHOICES,
    "pairwise": (
        Choice("left", "Left is better", "1", ""),
        Choice("tie", "Equally good", "0", ""),
        Choice("right", "Right is better", "2", ""),
    ),
    "simulation": (),
}
CONFIDENCES = ((1, "a guess"), (2, "fairly sure"), (3, "certain"))
