"""Shares of explanations that are correct: of a population where a queue was drawn from one, else of those judged."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from neuroexplain.agreement.shares import Flags, Sample, Share, share, unweighted
from neuroexplain.appraising.answers import LENIENT, STRICT, UNINTERPRETABLE, Answers
from neuroexplain.reviewed import Target, Verdict

K = TypeVar("K", bound=Any)


@dataclass(frozen=True)
class Correct:
    """How many explanations of a kind are correct."""

    name: str
    """Of the kind."""
    strict: Share
    """Correct without reserve."""
    lenient: Share
    """Too broad, too narrow and partly correct ones too."""
    uninterpretable: Share
    """Of neurons that reviewers could not make out; these count as not correct."""


def not_drawn(answers: Answers) -> str | None:
    """Why answers stand for themselves alone; None where they were drawn at random from a population."""
    if answers.queue is None:
        return "not drawn at random as a whole; choose a queue that was"
    if answers.queue.mode in ("pairwise", "simulation"):
        return "the queue asks for no verdicts"
    if any(item.weight is None for item in answers.items):
        return "the queue was not drawn at random, so it stands for itself alone"
    return None


@dataclass(frozen=True)
class Units:
    """What shares are taken of: items of a queue, or explanations that anybody judged."""

    targets: tuple[Target, ...]
    reason: str | None
    """Why they stand for themselves alone."""
    samples: tuple[Sample, Sample, Sample]
    """Correct, correct at least in part, uninterpretable."""

    @classmethod
    def of(cls, answers: Answers) -> Units:
        """Items where there is a queue; else everything judged, in the order of names."""
        items, reason = answers.items, not_drawn(answers)
        targets = tuple(item.target for item in items)
        if answers.queue is None:
            targets = tuple(sorted({*answers.verdicts, *answers.settled}))
        weight, stratum = np.ones(len(targets)), np.zeros(len(targets), np.int64)
        if reason is None:
            weight = np.array([item.weight for item in items], float)
            stratum = np.array([item.stratum or 0 for item in items], np.int64)

        def sample(kind: Collection[Verdict]) -> Sample:
            given = [answers.judged(target, kind) for target in targets]
            answered = np.array([value is not None for value in given], bool)
            answer = np.array([value or 0.0 for value in given], float)
            return Sample(answer, answered, weight, stratum)

        return cls(targets, reason, (sample(STRICT), sample(LENIENT), sample(UNINTERPRETABLE)))

    def correct(self, name: str, within: Flags | None = None) -> Correct:
        """Shares of all units, or of a part of them: [unit] flags."""
        return Correct(name, *(self._share(sample, within) for sample in self.samples))

    def by(
        self, keys: Callable[[Target], Collection[K]], names: Callable[[K], str] = str
    ) -> tuple[Correct, ...]:
        """Shares of every part that units are in, by the parts' order; a unit may be in several, or in none."""
        flags: dict[K, Flags] = {}
        for i, target in enumerate(self.targets):
            for key in keys(target):
                flags.setdefault(key, np.zeros(len(self.targets), bool))[i] = True
        return tuple(self.correct(names(part), flags[part]) for part in sorted(flags))

    def _share(self, sample: Sample, within: Flags | None) -> Share:
        if self.reason is None:
            return share(sample, within)
        part = slice(None) if within is None else within
        return unweighted(sample.answer[part], sample.answered[part], self.reason)


def score_part(score: float | None) -> float | None:
    """Lower edge of the fifth of the axis that a correlation lies in; -1 for all below 0."""
    if score is None:
        return None
    return -1.0 if score < 0 else min(int(score * 5 + 1e-9), 4) / 5


def score_name(low: float) -> str:
    """How such a part is called."""
    return "below 0" if low < 0 else f"{low:.1f} to {low + 0.2:.1f}"
