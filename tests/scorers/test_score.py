"""What every score carries: reasons, interval, null, floor and coverage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroexplain.config import MIN_NULL, ScoreConfig
from neuroexplain.records import Failure, HeldOut, Score, Simulation, SpanSimulation
from neuroexplain.scorers.base import score
from neuroexplain.scorers.correlation import Correlation
from neuroexplain.scorers.correlation_top_random import CorrelationTopRandom
from neuroexplain.scorers.statistics import pearson, pearson_sums

Build = Any  # of conftest.py, which cannot be imported

CONFIG = ScoreConfig(bootstrap=200)
TRUTHS = [[0, 0, 3, 0, 1, 0], [2, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 5]]
LEVELS = [[0, 1, 8, 0, 2, 0], [9, 0, 0, 0, 1, 0], [0, 0, 0, 3, 0, 10]]
FAILED = Failure("simulate", "parse_failed", "no list", "oh")


def scored(simulation: Simulation, held_out: HeldOut, **given: Any) -> Score:
    given = {"nulls": (), "floor": None, "config": CONFIG, **given}
    (found,) = score([Correlation()], simulation, held_out, **given)
    return found


def failing(simulation: Simulation, *places: int) -> Simulation:
    spans = [
        SpanSimulation(s.span, None, FAILED) if i in places else s
        for i, s in enumerate(simulation.spans)
    ]
    return replace(simulation, spans=tuple(spans))


def test_the_order_of_the_simulation_does_not_matter(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    simulation = build.simulation(held_out, LEVELS)
    turned = replace(simulation, spans=simulation.spans[::-1])
    assert scored(turned, held_out) == scored(simulation, held_out)


def test_uncounted_tokens_are_left_out(build: Build) -> None:
    held_out = build.held_out([[1000, *t] for t in TRUTHS], first=1)
    found = scored(build.simulation(held_out, [[0, *x] for x in LEVELS]), held_out)
    plain = build.held_out(TRUTHS)
    assert found.value == pytest.approx(scored(build.simulation(plain, LEVELS), plain).value)
    assert (found.n_tokens, found.n_nonzero) == (18, 5)


def undefined(found: Score) -> str | None:
    assert (found.value, found.ci_low, found.ci_high, found.p_value) == (None, None, None, None)
    return found.reason


def test_why_a_score_is_undefined(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    constant = build.simulation(held_out, [[0.1] * 6] * 3)
    assert undefined(scored(constant, held_out)) == "constant_simulation"
    dead = build.held_out([[0] * 6] * 3)
    assert undefined(scored(build.simulation(dead, LEVELS), dead)) == "dead_neuron"
    assert undefined(scored(build.simulation(dead, [[0] * 6] * 3), dead)) == "dead_neuron"
    short = build.held_out([[0, 1, 2], [0, 1, 2]])
    assert undefined(scored(build.simulation(short, [[0, 1, 2]] * 2), short)) == "too_few_tokens"
    nothing = build.held_out([])
    assert undefined(scored(build.simulation(nothing, []), nothing)) == "too_few_tokens"


def test_failed_spans_are_left_out_and_counted(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    simulation = build.simulation(held_out, LEVELS)
    some = scored(failing(simulation, 1), held_out)
    assert (some.reason, some.n_tokens, some.n_nonzero, some.coverage) == (None, 12, 4, 2 / 3)
    rest = [0, 2]
    pooled = np.corrcoef(np.ravel([LEVELS[i] for i in rest]), np.ravel([TRUTHS[i] for i in rest]))
    assert some.value == pytest.approx(pooled[0, 1])
    none = scored(failing(simulation, 0, 1, 2), held_out)
    assert (undefined(none), none.n_tokens, none.coverage) == ("parse_failed", 0, 0.0)
    few = scored(failing(simulation, 0, 1), held_out)
    assert (undefined(few), few.n_tokens) == ("parse_failed", 6)


def test_the_interval_is_round_the_value(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    found = scored(build.simulation(held_out, LEVELS), held_out)
    assert (found.n_tokens, found.n_nonzero, found.coverage) == (18, 5, 1.0)
    assert found.value is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert -1 <= found.ci_low <= found.value <= found.ci_high <= 1


def test_the_interval_is_seeded_and_can_be_left_out(build: Build) -> None:
    truth = np.random.default_rng(0).random((30, 6))
    held_out = build.held_out(truth)
    simulation = build.simulation(held_out, truth**2)
    again = [scored(simulation, held_out, config=replace(CONFIG, seed=s)) for s in (0, 0, 1)]
    assert again[0] == again[1]
    assert again[0].ci_low != again[2].ci_low
    without = scored(simulation, held_out, config=replace(CONFIG, bootstrap=0))
    assert (without.value, without.ci_low, without.ci_high) == (again[0].value, None, None)


def test_a_single_span_has_no_interval(build: Build) -> None:
    held_out = build.held_out([np.ravel(TRUTHS)])
    found = scored(build.simulation(held_out, [np.ravel(LEVELS)]), held_out)
    assert found.value is not None
    assert (found.ci_low, found.ci_high) == (None, None)


def test_the_interval_covers_the_truth_as_often_as_it_says(build: Build) -> None:
    """Tokens of a span share a factor, so that an interval over single tokens would be too narrow."""
    random = np.random.default_rng(0)

    def draw(n: int) -> tuple[Any, Any]:
        shared = random.gamma(1, size=(n, 1))
        truth = shared * random.gamma(1, size=(n, 6))
        return truth, 0.5 * truth + shared * random.gamma(1, size=(n, 6))

    true = np.corrcoef(*(part.ravel() for part in draw(200_000)))[0, 1]
    covered = 0
    for _ in range(300):
        truth, levels = draw(60)
        held_out = build.held_out(truth)
        found = scored(build.simulation(held_out, levels), held_out)
        assert found.ci_low is not None
        assert found.ci_high is not None
        covered += found.ci_low <= true <= found.ci_high
    # A percentile bootstrap of 60 spans falls a little short of 95 %.
    assert 0.88 <= covered / 300 <= 0.98


def nulls(build: Build, held_out: HeldOut, n: int) -> list[Simulation]:
    random = np.random.default_rng(0)
    return [build.simulation(held_out, random.random((len(held_out.spans), 6))) for _ in range(n)]


def test_the_null_and_its_p_value(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    others = nulls(build, held_out, 30)
    values = [scored(other, held_out).value for other in others]
    good = scored(build.simulation(held_out, LEVELS), held_out, nulls=others)
    assert good.null_mean == pytest.approx(np.mean([v for v in values if v is not None]))
    assert (good.null_n, good.null_reason, good.p_value) == (30, None, 1 / 31)
    ranked = sorted(range(30), key=lambda i: values[i] or 0)
    middling = scored(others[ranked[9]], held_out, nulls=others)
    assert middling.p_value == pytest.approx((1 + 21) / 31)  # itself among those as good


def test_a_constant_null_has_no_skill(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    flat = [build.simulation(held_out, [[1] * 6] * 3)] * 10
    others = nulls(build, held_out, 20)
    found = scored(build.simulation(held_out, LEVELS), held_out, nulls=[*others, *flat])
    alone = scored(build.simulation(held_out, LEVELS), held_out, nulls=others)
    assert (found.null_n, found.p_value) == (30, 1 / 31)
    assert alone.null_mean is not None
    assert found.null_mean == pytest.approx(alone.null_mean * 20 / 30)
    only = scored(build.simulation(held_out, LEVELS), held_out, nulls=flat * 3)
    assert (only.null_mean, only.p_value, only.null_n) == (0.0, 1 / 31, 30)


def test_a_negative_score_beats_no_constant_null(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    against = build.simulation(held_out, [[9 - t for t in truth] for truth in TRUTHS])
    flat = [build.simulation(held_out, [[1] * 6] * 3)] * 20
    found = scored(against, held_out, nulls=flat)
    assert found.value is not None and found.value < 0
    assert found.p_value == 1.0


@pytest.mark.parametrize("n", [0, 1, MIN_NULL - 1])
def test_too_few_nulls_are_none(build: Build, n: int) -> None:
    held_out = build.held_out(TRUTHS)
    found = scored(build.simulation(held_out, LEVELS), held_out, nulls=nulls(build, held_out, n))
    assert (found.null_mean, found.p_value, found.null_n) == (None, None, n)
    assert found.null_reason == f"{n} other explanations in the layer, 20 needed"


def test_nulls_of_a_part_are_compared_on_that_part(build: Build) -> None:
    """The explanation is perfect on the first two spans and wrong on the third, which no null covers."""
    held_out = build.held_out(TRUTHS)
    simulation = build.simulation(held_out, [TRUTHS[0], TRUTHS[1], [9, 9, 9, 0, 9, 0]])
    others = [replace(o, spans=o.spans[:2]) for o in nulls(build, held_out, 25)]
    found = scored(simulation, held_out, nulls=others)
    assert found.value is not None
    assert found.value < 0.3
    assert found.p_value == 1 / 26
    first = HeldOut(held_out.neuron, held_out.spans[:2])
    values = [scored(o, first).value for o in others]
    assert found.null_mean == pytest.approx(np.mean([v for v in values if v is not None]))


def test_the_floor_is_on_the_same_spans(build: Build) -> None:
    held_out = build.held_out(TRUTHS)
    floor = build.simulation(held_out, [TRUTHS[0], [0] * 6, TRUTHS[2]])
    found = scored(build.simulation(held_out, LEVELS), held_out, floor=floor)
    assert found.floor == pytest.approx(scored(floor, held_out).value)
    constant = build.simulation(held_out, [[1] * 6] * 3)
    assert scored(build.simulation(held_out, LEVELS), held_out, floor=constant).floor is None


def test_several_scorers_at_once_are_as_each_alone(build: Build) -> None:
    held_out = build.held_out(TRUTHS, weight=3)
    simulation, others = build.simulation(held_out, LEVELS), nulls(build, held_out, 20)
    given: Any = {"nulls": others, "floor": others[0], "config": CONFIG}
    both = score([Correlation(), CorrelationTopRandom()], simulation, held_out, **given)
    alone = [
        score([scorer], simulation, held_out, **given)[0]
        for scorer in (Correlation(), CorrelationTopRandom())
    ]
    assert list(both) == alone
    assert [s.scorer for s in both] == ["correlation", "correlation_top_random"]


def test_equals_are_equal_to_the_last_bit(build: Build) -> None:
    """A null that predicts the same is as good, and on all spans the null's own value is the score."""
    random = np.random.default_rng(0)
    held_out = build.held_out(random.gamma(0.1, size=(9, 37)), weight=1 / 3)
    for place in range(20):
        others = [build.simulation(held_out, random.random((9, 37))) for _ in range(20)]
        found = scored(others[place], held_out, nulls=others, floor=others[place])
        assert found.floor == found.null_own == found.value
        alone = [scored(other, held_out).value for other in others]
        assert found.p_value == (1 + sum(v >= alone[place] for v in alone)) / 21  # type: ignore[operator]


def test_plain_loops_over_spans_give_the_same(build: Build) -> None:
    """Spans of all lengths with tokens that do not count, some of them nothing else, one failed."""
    random = np.random.default_rng(3)
    lengths = [5, 1, 9, 2, 64, 1, 30]
    held_out = build.held_out([random.gamma(0.2, size=n) for n in lengths], first=1)
    weights = [1, 4, 4, 1, 2.5, 4, 4]
    spans = tuple(replace(s, weight=w) for s, w in zip(held_out.spans, weights, strict=True))
    held_out = replace(held_out, spans=spans)
    made = [build.simulation(held_out, [random.random(n) for n in lengths]) for _ in range(22)]
    simulation, others = failing(made[0], 2), made[1:21]
    others = [replace(other, spans=other.spans[1:]) for other in others]
    found = scored(simulation, held_out, nulls=others, floor=made[21])

    def table(which: Simulation, places: list[int]) -> Any:
        expected: Any = {s.span.span: s.expected for s in which.spans}
        used = [spans[i] for i in places]
        return np.array(
            [s.weight * pearson_sums(expected[s.span.span][1:], s.truth[1:]) for s in used]
        )

    scored_spans, shared = [0, 1, 3, 4, 5, 6], [1, 3, 4, 5, 6]
    own = table(simulation, scored_spans)
    assert found.value == pytest.approx(float(pearson(own.sum(axis=0))), rel=1e-12)
    draws = np.random.default_rng(CONFIG.seed).multinomial(6, np.full(6, 1 / 6), CONFIG.bootstrap)
    drawn = pearson(draws @ own)
    low, high = np.quantile(drawn[np.isfinite(drawn)], (0.025, 0.975))
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high), rel=1e-12)
    floor = float(pearson(table(made[21], scored_spans).sum(axis=0)))
    assert found.floor == pytest.approx(floor, rel=1e-12)
    alike = float(pearson(table(simulation, shared).sum(axis=0)))
    values = [float(pearson(table(other, shared).sum(axis=0))) for other in others]
    assert found.null_own == pytest.approx(alike, rel=1e-12)
    assert found.null_mean == pytest.approx(np.mean(values), rel=1e-12)
    assert found.p_value == (1 + sum(value >= alike for value in values)) / 21
    counted = np.concatenate([spans[i].truth[1:] for i in scored_spans])
    assert (found.n_tokens, found.n_nonzero) == (len(counted), int((counted > 0).sum()))
