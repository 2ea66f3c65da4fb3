"""Where a simulation is right and wrong, on held-out tokens: what a score is made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from neuroexplain.heat import shown as visible_token
from neuroexplain.records import Floats
from neuroexplain.review.views import charts
from neuroexplain.review.views.spans import SpanViews
from neuroexplain.scorers.statistics import pearson, pearson_sums, variances

_RESIDUALS = 6
"""Tokens that are named in each direction."""
_CONTEXT = 6
"""Tokens shown on either side of one."""
_TELLING = 2.0
"""Levels by which a prediction has to be wrong to be named."""
_PARTS = (("Strongest spans", "top"), ("Spans of all bands", "quantile"), ("Random spans", "random"))  # fmt: skip
Place = tuple[int, int]
"""Document, and first token within it."""


@dataclass(frozen=True)
class Residual:
    """A token on which an explanation predicts something else than the neuron does."""

    before: str
    token: str
    after: str
    real: float
    """Level 0-10."""
    simulated: float


@dataclass(frozen=True)
class Part:
    """How well real and simulated levels go together on spans of one kind.

    A text that is too broad does well on the strongest alone: they hold hardly a token on which it would be wrong.
    """

    name: str
    n_spans: int
    n_tokens: int
    value: float | None
    """Pearson's r over tokens, each counted once."""
    reason: str | None
    """Why `value` is None."""


@dataclass(frozen=True)
class Anatomy:
    """Real and simulated levels of one simulation, compared."""

    simulator: str
    n: int
    """Tokens that count and have a prediction."""
    squares: tuple[charts.Square, ...]
    parts: tuple[Part, ...]
    missed: tuple[Residual, ...]
    """The neuron fires and nothing was expected, worst first."""
    vain: tuple[Residual, ...]
    """It was expected to fire, and stays quiet."""


@dataclass(frozen=True)
class HeldOut:
    """A held-out span of the catalogue."""

    exemplar: Mapping[str, Any]
    kinds: frozenset[str]
    """Why it was kept; several where it was drawn, and is one of the strongest too."""


@dataclass(frozen=True)
class _Compared:
    """One span with a prediction."""

    span: HeldOut
    real: Floats
    simulated: Floats


def held_out(exemplars: Sequence[Mapping[str, Any]]) -> dict[Place, HeldOut]:
    """The spans of the test split by where they are."""
    kinds: dict[Place, set[str]] = defaultdict(set)
    found: dict[Place, Mapping[str, Any]] = {}
    for exemplar in exemplars:
        if exemplar["split"] == "test":
            place = exemplar["document"], exemplar["start"]
            kinds[place].add(exemplar["kind"])
            found[place] = exemplar
    return {place: HeldOut(found[place], frozenset(kinds[place])) for place in found}


def anatomies(
    record: Mapping[str, Any], views: SpanViews, spans: Mapping[Place, HeldOut]
) -> Iterator[Anatomy]:
    """What each simulator made of an explanation.

    Args:
        record: the explanation, as `show` has it.
        views: knows the levels of the neuron's spans.
        spans: see `held_out`.
    """
    by_simulator: dict[str, list[_Compared]] = defaultdict(list)
    for made in record["simulations"]:
        span = spans.get((made["document"], made["start"]))
        if span is not None and made["expected"] is not None and made["split"] == "test":
            first = span.exemplar["first"]
            real = views.levels(span.exemplar)[first:]
            expected = np.asarray(made["expected"], np.float32)[first:]
            if len(real) == len(expected):
                by_simulator[made["simulator"]].append(_Compared(span, real, expected))
    for simulator, compared in by_simulator.items():
        yield _anatomy(simulator, compared)


def _anatomy(simulator: str, compared: Sequence[_Compared]) -> Anatomy:
    real = np.concatenate([c.real for c in compared])
    expected = np.concatenate([c.simulated for c in compared])
    owner = np.repeat(np.arange(len(compared)), [len(c.real) for c in compared])
    within = np.concatenate([np.arange(len(c.real)) for c in compared])
    difference = real - expected
    worst = np.argsort(-np.abs(difference), kind="stable")
    worst = worst[np.abs(difference[worst]) >= _TELLING]

    def named(places: Sequence[int]) -> tuple[Residual, ...]:
        return tuple(_residual(compared[owner[p]], int(within[p])) for p in places)

    return Anatomy(
        simulator,
        len(real),
        charts.scatter(real, expected),
        tuple(_parts(compared)),
        missed=named(list(islice((p for p in worst if difference[p] > 0), _RESIDUALS))),
        vain=named(list(islice((p for p in worst if difference[p] < 0), _RESIDUALS))),
    )


def _parts(compared: Sequence[_Compared]) -> Iterator[Part]:
    for name, kind in _PARTS:
        own = [c for c in compared if kind in c.span.kinds]
        if own:
            sums = pearson_sums(
                np.concatenate([c.simulated for c in own]), np.concatenate([c.real for c in own])
            )
            n, (simulated, real) = int(sums[0]), variances(sums)
            if simulated > 0 and real > 0:
                yield Part(name, len(own), n, float(pearson(sums)), None)
            else:
                which = "the neuron" if not real > 0 else "the simulation"
                yield Part(name, len(own), n, None, f"{which} is the same on all of their tokens")


def _residual(compared: _Compared, place: int) -> Residual:
    tokens = compared.span.exemplar["tokens"]
    at = compared.span.exemplar["first"] + place
    return Residual(
        before="".join(map(visible_token, tokens[max(0, at - _CONTEXT) : at])),
        token=visible_token(tokens[at]),
        after="".join(map(visible_token, tokens[at + 1 : at + 1 + _CONTEXT])),
        real=float(compared.real[place]),
        simulated=float(compared.simulated[place]),
    )
