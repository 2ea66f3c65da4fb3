"""Scores of explanations by what the texts about them do to their neurons, each with an interval, a null and a p-value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroexplain.config import MIN_OTHERS, SyntheticConfig
from neuroexplain.records import Score
from neuroexplain.scorers.contrasts import Contrast, Numbers, Panel, Values
from neuroexplain.scorers.exchange import MIN_TEXTS, Chosen, Half, Null, choose, halves, null
from neuroexplain.scorers.statistics import quantile, resamples
from neuroexplain.scorers.synthetic import AUROC, NAME

CONSTANT = 1e-5
"""A standard deviation below this share of the root mean square is rounding, not variation."""
_UNDEFINED = "the score is undefined"
_AT_ONCE = 256
"""Neurons whose contrasts are held in memory together."""


@dataclass(frozen=True)
class Material:
    """Responses to the texts of a set, of neurons that each have one of its groups for their own."""

    texts: Panel
    responses: NDArray[np.floating]
    """[text, neuron]; on the polarity's side, in the subject's units."""
    own: Numbers
    """[neuron]; the group of its explanations."""
    sigma: Values
    """[neuron]; standard deviation of the response over the n-grams of the corpus, 0 where it does not vary."""
    nonzero: Numbers
    """[text]; tokens on which the neuron that it is about is above 0."""
    wanted: Numbers
    """[explanation]; texts that were asked for."""


class Standing(NamedTuple):
    """What an explanation is worth to its neuron."""

    neuron: int
    """Place among the neurons."""
    explanation: int
    """Place among the explanations."""
    chosen: bool
    """Whether it is the best of its neuron's explanations."""
    scores: tuple[Score, Score]
    """In σ, and as an area under the ROC curve."""


def sigma(mean: Values, std: Values) -> Values:
    """Standard deviations, 0 where they are no more than rounding."""
    return np.where(std > CONSTANT * np.hypot(mean, std), std, 0.0)


def standings(material: Material, config: SyntheticConfig) -> Iterator[Standing]:
    """The scores of every neuron's own explanations.

    Where one neuron has several explanations, texts are divided: the best is chosen by one half and scored by the other. The
    others are scored by that half too, but have no p-value.
    """
    contrast = Contrast(material.texts)
    parts = halves(material.texts)
    for start in range(0, len(material.own), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        block = _Block(material, contrast, parts, some)
        for place in range(len(block.own)):
            yield from block.standings(place, config)


def undefined(reason: str) -> tuple[Score, Score]:
    """Scores of an explanation that there are no texts about."""
    first, second = (
        Score(
            scorer=name,
            value=None,
            reason=reason,
            ci_low=None,
            ci_high=None,
            null_mean=None,
            null_own=None,
            null_n=0,
            p_value=None,
            null_reason=_UNDEFINED,
            floor=None,
            n_tokens=0,
            n_nonzero=0,
            coverage=0.0,
        )
        for name in (NAME, AUROC)
    )
    return first, second


class _Block:
    """Some neurons with everything that their scores are read off."""

    def __init__(
        self, material: Material, contrast: Contrast, parts: tuple[Half, Half], some: slice
    ) -> None:
        texts = material.texts
        select, self.report = parts
        self.material = material
        self.first = some.start
        self.own = material.own[some]
        self.sigma = material.sigma[some]
        contrasts = contrast.of(material.responses[:, some])
        means = [self.report.means(c, texts.starts) for c in contrasts]
        best = choose(texts, select.means(contrasts.difference, texts.starts), means[0])
        self.best = best.explanation
        scores = [best.score, _of_chosen(best, means[1])]
        self.sides = [
            _Side(name, c, m, null(s, self.own))
            for name, c, m, s in zip((NAME, AUROC), contrasts, means, scores, strict=True)
        ]

    def standings(self, place: int, config: SyntheticConfig) -> Iterator[Standing]:
        """Of one neuron."""
        group = int(self.own[place])
        for explanation in np.flatnonzero(self.material.texts.group == group).tolist():
            chosen = explanation == self.best[group, place]
            first, second = (
                self._score(side, place, explanation, chosen, config) for side in self.sides
            )
            yield Standing(self.first + place, explanation, chosen, (first, second))

    def _score(
        self, side: _Side, place: int, explanation: int, chosen: bool, config: SyntheticConfig
    ) -> Score:
        texts = self.material.texts
        rows = self.report.texts & (texts.explanation == explanation)
        unit = float(self.sigma[place]) if side.name == NAME else 1.0
        reason = self._undefined(side, place, explanation)
        value = None if reason else float(side.means[explanation, place]) / unit
        low = high = None
        if value is not None:
            low, high = _interval(side.contrasts[rows, place] / unit, config)
        against = _against(side.null, place, value, unit, chosen=chosen)
        total = np.count_nonzero(texts.explanation == explanation)
        return Score(
            scorer=side.name,
            value=value,
            reason=reason,
            ci_low=low,
            ci_high=high,
            null_mean=against.mean,
            null_own=against.own,
            null_n=int(side.null.n[place]),
            p_value=against.p_value,
            null_reason=against.reason,
            floor=None,
            n_tokens=int(texts.length[rows].sum()),
            n_nonzero=int(self.material.nonzero[rows].sum()),
            coverage=min(1.0, total / int(self.material.wanted[explanation])),
        )

    def _undefined(self, side: _Side, place: int, explanation: int) -> str | None:
        """Why there is no score, if there is none."""
        if not self.sigma[place] > 0:
            return "constant_neuron"
        if self.report.sizes[explanation] < MIN_TEXTS:
            return "too_few_texts"
        return None if np.isfinite(side.means[explanation, place]) else "no_other_texts"


class _Side(NamedTuple):
    """One of the two scores of some neurons."""

    name: str
    contrasts: Values
    """[text, neuron]"""
    means: Values
    """[explanation, neuron]"""
    null: Null


def _of_chosen(best: Chosen, means: Values) -> Values:
    """Scores of the explanations that were chosen, [group, neuron]."""
    columns = np.arange(means.shape[1])
    return np.where(best.explanation >= 0, means[best.explanation, columns], np.nan)


class _Against(NamedTuple):
    """A score's fields about its null."""

    mean: float | None
    own: float | None
    p_value: float | None
    reason: str | None


def _against(
    found: Null, place: int, value: float | None, unit: float, *, chosen: bool
) -> _Against:
    """How a score stands against its null, or why it cannot be said."""
    n = int(found.n[place])
    if value is None:
        why = _UNDEFINED
    elif not chosen:
        why = "another explanation of the neuron did better on the other half of the texts"
    elif n < MIN_OTHERS:
        why = f"texts about {n} other neurons' explanations, {MIN_OTHERS} needed"
    else:
        return _Against(float(found.mean[place]) / unit, value, float(found.p_value[place]), None)
    return _Against(None, None, None, why)


def _interval(contrasts: Values, config: SyntheticConfig) -> tuple[float | None, float | None]:
    """Bootstrap over the explanation's texts. What they are compared with are so many that it is taken as known."""
    n = len(contrasts)
    if config.bootstrap == 0:
        return None, None
    means = np.sort(contrasts @ resamples(n, config.bootstrap, config.seed)) / n
    return quantile(means, 0.025), quantile(means, 0.975)
