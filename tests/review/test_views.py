"""What the neuron page is made of: levels, groups, where a simulation is wrong, and what is kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.heat import Run
from neuroexplain.records import NeuronId
from neuroexplain.review.views import charts
from neuroexplain.review.views.anatomy import Anatomy, anatomies, held_out
from neuroexplain.review.views.leakage import Repeated, Use, leakage
from neuroexplain.review.views.neuron import NeuronView, neuron_view
from neuroexplain.review.views.spans import SpanViews

WORDS = ("the", "ice", "on", "the", "river")


def exemplar(
    split: str, kind: str, place: tuple[int, int], activations: Sequence[float],
    *, tokens: Sequence[str] = WORDS, first: int = 0,
) -> dict[str, Any]:  # fmt: skip
    position = int(np.argmax(activations))
    return {
        **{"split": split, "kind": kind, "rank": 0, "document": place[0], "start": place[1]},
        **{"tokens": list(tokens), "activations": list(activations), "first": first},
        **{"inclusion_probability": 0.25, "peak": activations[position], "peak_position": position},
    }


def simulation(place: tuple[int, int], expected: Sequence[float] | None, **more: Any) -> dict[str, Any]:  # fmt: skip
    made = {"split": "test", "document": place[0], "start": place[1], "simulator": "sparse"}
    return {**made, "expected": expected, **more}


EXEMPLARS = (
    exemplar("explain", "top", (0, 0), (0, 4, 0, 0, 2)),
    exemplar("test", "top", (1, 0), (0, 4, 0, 0, 2)),
    exemplar("test", "random", (2, 0), (0, 0, 0, 0, 1)),
    exemplar("test", "quantile", (2, 0), (0, 0, 0, 0, 1)),
)
SIMULATIONS = (
    simulation((1, 0), (0, 10, 0, 0, 1)),
    simulation((2, 0), (9, 0, 0, 0, 0)),
    simulation((1, 0), None, simulator="broken"),
    simulation((0, 0), (1, 1, 1, 1, 1), split="select"),
)


def anatomy(exemplars: Sequence[dict[str, Any]] = EXEMPLARS, simulations: Sequence[dict[str, Any]] = SIMULATIONS) -> list[Anatomy]:  # fmt: skip
    views = SpanViews({"exemplars": exemplars, "explanations": []}, 1)
    return list(anatomies({"simulations": simulations}, views, held_out(exemplars)))


def test_the_worst_tokens_are_named_in_both_directions_with_what_is_around_them() -> None:
    (found,) = anatomy()
    assert (found.simulator, found.n) == ("sparse", 10)
    assert [(r.token, r.real, r.simulated) for r in found.missed] == [("river", 5.0, 1.0), ("river", 2.5, 0.0)]  # fmt: skip
    assert [(r.token, r.real, r.simulated) for r in found.vain] == [("the", 0.0, 9.0)]
    assert (found.missed[0].before, found.missed[0].after) == ("theiceonthe", "")
    assert (found.vain[0].before, found.vain[0].after) == ("", "iceontheriver")


def test_the_strongest_spans_and_the_random_ones_are_scored_apart() -> None:
    (found,) = anatomy()
    top, quantile, drawn = found.parts
    assert (top.name, top.n_spans, top.n_tokens) == ("Strongest spans", 1, 5)
    assert top.value == pytest.approx(np.corrcoef((0, 10, 0, 0, 5), (0, 10, 0, 0, 1))[0, 1])
    assert drawn.value == pytest.approx(np.corrcoef((0, 0, 0, 0, 2.5), (9, 0, 0, 0, 0))[0, 1])
    assert (quantile.value, quantile.n_spans) == (drawn.value, 1), "a span may be of two kinds"


def test_a_part_that_cannot_be_scored_says_why() -> None:
    flat = (simulation((1, 0), (3,) * 5), simulation((2, 0), (0, 0, 0, 0, 1)))
    quiet = exemplar("test", "random", (2, 0), (0,) * 5)
    ((top, drawn),) = (a.parts for a in anatomy([*EXEMPLARS[:2], quiet], flat))
    assert (top.value, top.reason) == (None, "the simulation is the same on all of their tokens")
    assert (drawn.value, drawn.reason) == (None, "the neuron is the same on all of their tokens")


def test_tokens_that_count_for_nothing_are_left_out() -> None:
    spans = [exemplar("explain", "top", (0, 0), (0, 4, 0, 0, 2)), exemplar("test", "top", (1, 0), (4, 4, 0, 0, 2), first=1)]  # fmt: skip
    (found,) = anatomy(spans, [simulation((1, 0), (0, 0, 0, 0, 0))])
    assert found.n == 4
    assert [r.token for r in found.missed] == ["ice", "river"]


def test_what_is_held_out_is_compared_with_what_was_seen() -> None:
    found = leakage(
        {
            "exemplars": [
                *EXEMPLARS[:2],
                exemplar("test", "random", (0, 5), (0,) * 5, tokens=("other", "\u202etext", "", "", "")),
                exemplar("select", "top", (3, 0), (0,) * 5, tokens=("new", "", "", "", "")),
            ]
        }
    )  # fmt: skip
    assert found.uses == (
        Use("explain", "shown to the explainer", 1, 1, "1 strongest"),
        Use("select", "held out, to choose among candidates", 1, 1, "1 strongest"),
        Use("test", "held out, for the scores", 2, 2, "1 strongest, 1 random"),
    )
    assert (found.shared_documents, found.n_repeated) == (1, 1)
    assert found.repeated == (Repeated("test", 1, 0, "theiceontheriver"),)


def test_a_collection_that_keeps_documents_apart_shares_none(made: Path) -> None:
    with Catalogue(made, read_only=True) as catalogue:
        found = leakage(catalogue.show(NeuronId("made", 1, 3)))
    assert (found.shared_documents, found.n_repeated, found.repeated) == (0, 0, ())


def view(made: Path, neuron: NeuronId, spans: int = 3) -> tuple[dict[str, Any], NeuronView]:
    with Catalogue(made, read_only=True) as catalogue:
        shown = catalogue.show(neuron)
    return shown, neuron_view(shown, spans=spans)


def scored(made: Path) -> NeuronId:
    """A neuron with simulations."""
    with Catalogue(made, read_only=True) as catalogue:
        rows = catalogue.search("explainer:token-activation score>=0 polarity:+", limit=50).rows
        neurons = [NeuronId.parse(row.neuron) for row in rows]
        return next(n for n in neurons if any(e["simulations"] for e in catalogue.show(n)["explanations"]))  # fmt: skip


def test_every_span_has_its_real_row_over_those_of_the_simulations(made: Path) -> None:
    shown, found = view(made, scored(made))
    simulated = {(s["document"], s["start"]) for e in shown["explanations"] for s in e["simulations"]}  # fmt: skip
    assert simulated
    for group in found.groups:
        for span in group.spans:
            real, *below = span.rows
            assert (real.label, real.explanation) == ("real", None)
            assert bool(below) == ((span.document, span.start) in simulated)
            assert all(row.explanation in {e["id"] for e in shown["explanations"]} for row in below)
            assert len({"".join(run.text for run in row.runs) for row in span.rows}) == 1


def test_the_strongest_span_has_a_peak_of_the_deepest_heat(made: Path) -> None:
    shown, found = view(made, scored(made))
    top = next(g for g in found.groups if g.heading == "Strongest, seen by the explainer")
    assert not top.held_out
    first = next(e for e in shown["exemplars"] if (e["split"], e["kind"]) == ("explain", "top"))
    assert found.scale == pytest.approx(abs(first["peak"]))
    peak = next(run for run in top.spans[0].rows[0].runs if run.peak)
    assert peak == Run(first["tokens"][first["peak_position"]], 20, True)


def test_a_neuron_that_is_dead_on_its_side_has_no_scale(made: Path) -> None:
    shown, _ = view(made, NeuronId("made", 1, 3))
    for each in shown["exemplars"]:
        each["activations"] = [-1.0] * len(each["tokens"])
    found = neuron_view(shown, spans=2)
    assert found.scale == 0
    assert all(run.heat == 0 for g in found.groups for s in g.spans for run in s.rows[0].runs)


def test_plots_count_every_token_once() -> None:
    random = np.random.default_rng(0)
    real, simulated = random.uniform(0, 12, (2, 500)).astype(np.float32)
    squares = charts.scatter(real, simulated)
    assert sum(s.n for s in squares) == 500
    assert len({(s.real, s.simulated) for s in squares}) == len(squares)
    biggest = max(squares, key=lambda s: s.n)
    assert biggest.side == max(s.side for s in squares) == 12
    assert sum(b.n for b in charts.histogram(real, 0, 12)) == 500
    assert charts.histogram(real[:0], 0, 1) == ()
    assert charts.scatter(real[:0], real[:0]) == ()


def test_a_strip_has_all_of_its_numbers_on_the_axis_of_its_scorer() -> None:
    score = {"value": 0.5, "ci_low": 0.25, "ci_high": 2.0, "null_mean": None, "floor": -0.5}
    low, high = charts.axis([score])
    assert (low, high) == (-0.5, 2.0)
    found = charts.strip(score, low, high)
    width = charts.WIDTH - 8
    assert (found.floor, found.high, found.null) == (4, 4 + width, None)
    assert found.value == pytest.approx(4 + width * 0.4, abs=0.05)
    assert found.zero == pytest.approx(4 + width * 0.2, abs=0.05)


def test_quantiles_are_drawn_where_they_lie_on_the_histogram() -> None:
    bars = charts.histogram(np.array([0.0, 4.0], np.float32), 0, 4)
    found = charts.ticks(bars, {"0.05": -1.0, "0.5": 1.0, "0.95": 4.0, "0.999": 9.0})
    assert [(t.percent, t.x) for t in found] == [("50 %", 72.0), ("95 %", 288.0)]
    assert charts.ticks((), {"0.5": 1.0}) == ()


def test_kinds_of_spans_have_histograms_on_one_axis(made: Path) -> None:
    shown, found = view(made, scored(made))
    assert [h.title for h in found.histograms] == ["Random spans", "Strongest spans"]
    ends = {(h.bars[0].low, h.bars[-1].high) for h in found.histograms}
    assert len(ends) == 1
    for kind, histogram in zip(("random", "top"), found.histograms, strict=True):
        own = [e for e in shown["exemplars"] if e["kind"] == kind]
        n = sum(len(e["tokens"]) - e["first"] for e in own)
        assert histogram.n == sum(bar.n for bar in histogram.bars) == n
