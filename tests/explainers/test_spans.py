from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from neuroexplain.explainers.highlight import Highlight
from neuroexplain.explainers.spans import (
    Pairs,
    around,
    highlighted,
    marked,
    strongest,
    threshold,
    windows,
)
from neuroexplain.records import Evidence

Build = Any  # of conftest.py, which cannot be imported


def pairs(text: str) -> Pairs:
    """`ice:9 and snow:3` as tokens with levels; those without a number are at 0."""
    words = [word.partition(":") for word in text.split(" ")]
    spaced = [(f" {token}" if i else token) for i, (token, _, _) in enumerate(words)]
    return [(t, int(level or 0)) for t, (_, _, level) in zip(spaced, words, strict=True)]


def shown(runs: list[tuple[bool, str]]) -> str:
    return "".join(f"<{text}>" if on else text for on, text in runs)


@pytest.mark.parametrize(
    ("peak", "size", "expected"),
    [
        (0, 4, range(4)),
        (2, 4, range(4)),
        (5, 4, range(3, 7)),
        (9, 4, range(6, 10)),
        (5, 3, range(4, 7)),
        (5, 1, range(5, 6)),
        (5, 10, range(10)),
        (5, 99, range(10)),
    ],
)
def test_the_window_is_round_the_peak(build: Build, peak: int, size: int, expected: range) -> None:
    span = build.span([f" {i}" for i in range(10)])
    exemplar = build.exemplar(span, [2.0 * (i == peak) for i in range(10)])
    (found,) = windows([exemplar], build.evidence([exemplar]), size)
    assert found == [(f" {i}", 10 * (i == peak)) for i in expected]
    assert range(10)[around(peak, 10, size)] == expected


@pytest.mark.parametrize(("polarity", "levels"), [(1, [0, 0, 0, 3, 10]), (-1, [0, 10, 2, 0, 0])])
def test_levels_are_of_the_polaritys_side(build: Build, polarity: int, levels: list[int]) -> None:
    # The first token does not count, however strong it is.
    exemplar = build.exemplar(
        build.span("a b c d e", first=1), [99 * polarity, -8, -2, 1, 3], polarity=polarity
    )
    evidence = build.evidence([exemplar], polarity=polarity)
    (found,) = windows([exemplar], evidence, 32)
    assert [level for _, level in found] == levels
    assert strongest(exemplar, evidence) == 10


def test_an_activation_that_is_no_number_is_an_error(build: Build) -> None:
    exemplar = build.exemplar(build.span("a b"), [1, 2])
    bad = exemplar._replace(activations=np.array([1, np.nan], np.float32))
    with pytest.raises(ValueError, match="NaN"):
        windows([bad], build.evidence([exemplar]), 4)


@pytest.mark.parametrize(
    ("span", "level", "expected"),
    [
        ("the ice:9 broke", 5, "the <ice> broke"),
        ("the ice:9 floe:5 broke", 5, "the <ice floe> broke"),
        ("the ice:9 floe:4 broke", 5, "the <ice> floe broke"),
        ("ice:9 and ice:9", 5, "<ice> and <ice>"),
        ("no ice", 5, "no ice"),
    ],
)
def test_runs_are_marked(span: str, level: int, expected: str) -> None:
    assert shown(marked(pairs(span), level)) == expected


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ([("a", 0), (" \n ", 9), ("b", 0)], "a< \n >b"),  # blank text is marked as it is
        ([("a", 0), ("\n", 9), (" b", 9)], "a\n <b>"),
        ([(" a ", 9), (" b ", 9)], " <a  b> "),
        ([("é", 0), ("", 9), ("t", 0)], "<é>t"),  # a character in two tokens is one
        ([("é", 9), ("", 0), ("", 0), ("t", 0)], "<é>t"),
        ([("", 9), ("a", 0)], "a"),  # its character is outside the window
        ([("", 9)], ""),
        ([], ""),
    ],
)
def test_marks_round_odd_tokens(span: Pairs, expected: str) -> None:
    runs = marked(span, 5)
    assert shown(runs) == expected
    assert "".join(text for _, text in runs) == "".join(token for token, _ in span)


@pytest.mark.parametrize(
    ("spans", "quantile", "level"),
    [
        (
            ["a:1 x b:2 x c:3 x d:4 x e:5 x f:6 x g:7 x h:8 x i:9 x"],
            0.85,
            7,
        ),  # the highest three of eighteen
        (["a:1 x b:2 x c:3 x d:4 x e:5 x f:6 x g:7 x h:8 x i:9 x"], 0.0, 1),
        (["x a:9 y b:8 z c:7 w d:1"], 0.5, 1),
        (["x a:9 y b:9 z c:2 w", "v"], 0.85, 2),  # lowered for a third
        (["x a:9 y a:8 z A:7 w b:5 v c:3"], 0.9, 3),  # the same word counts once
        (["x a:9 y a:8 z"], 0.9, 9),  # as many as there are, which a lower level does not change
        (["x a:9 b:1 y", "c:7 z"], 0.9, 7),  # a lower level only lengthens what is marked
        (["x y z"], 0.9, 1),
        ([], 0.9, 1),
    ],
)
def test_the_threshold(spans: list[str], quantile: float, level: int) -> None:
    assert threshold([pairs(span) for span in spans], quantile) == level


def test_a_text_without_a_strong_token_has_no_mark() -> None:
    spans = [pairs("the ice:9 broke"), pairs("snow:8 fell"), pairs("rain:7 and hail:2")]
    assert [shown(runs) for runs in highlighted(spans, 0.5)] == [
        "the <ice> broke",
        "<snow> fell",
        "<rain> and <hail>",
    ]
    assert [shown(runs) for runs in highlighted(spans, 0.7)] == [
        "the <ice> broke",
        "<snow> fell",
        "<rain> and hail",
    ]


@pytest.fixture
def marking(asked: Any) -> Highlight:
    return Highlight(asked(), examples=3, weaker=2)


def test_top_spans_then_those_of_lower_bands(everything: Evidence, marking: Highlight) -> None:
    found = ["".join(text for _, text in runs) for runs in marking.spans(everything, None)]
    assert found == [
        "In t0 the ice0 broke",
        "In t1 the ice1 broke",
        "In t2 the ice2 broke",
        "Of q0 the snow0 fell",
        "Of q1 the snow1 fell",
    ]


def test_a_band_is_left_out_where_the_neuron_is_quiet_or_the_span_is_there(
    build: Build, marking: Highlight
) -> None:
    top, low, quiet = build.span("ice broke"), build.span("snow fell"), build.span("rain ran")
    exemplars = [
        build.exemplar(top, [10, 0]),
        build.exemplar(top, [10, 0], kind="quantile"),
        build.exemplar(quiet, [1.9, 0], kind="quantile", rank=2),
        build.exemplar(low, [2, 0], kind="quantile", rank=1),
    ]
    found = marking.spans(build.evidence(exemplars), None)
    assert [shown(runs) for runs in found] == ["<ice> broke", "<snow> fell"]


def test_copies_of_a_passage_are_shown_once(build: Build, marking: Highlight) -> None:
    words = [f" w{i}" for i in range(12)]
    values = [10.0 if i == 6 else 0.0 for i in range(12)]
    other = [*words[:3], " v3", *words[4:]]  # differs beside the peak
    far = [" v0", *words[1:]]  # differs far from it
    exemplars = [
        build.exemplar(build.span(tokens), values, kind=kind, rank=rank)
        for rank, (tokens, kind) in enumerate(
            [(words, "top"), (words, "top"), (far, "top"), (other, "top"), (words, "quantile")]
        )
    ]
    found = ["".join(t for _, t in runs) for runs in marking.spans(build.evidence(exemplars), None)]
    assert found == ["".join(words), "".join(other)]


def test_a_candidate_draws_among_the_strongest(everything: Evidence, marking: Highlight) -> None:
    found = [marking.spans(everything, Random(seed)) for seed in range(60)]
    texts = {"".join(text for _, text in runs) for spans in found for runs in spans}
    assert {t for t in texts if t.startswith("In")} == {
        f"In t{i} the ice{i} broke" for i in range(5)
    }
    assert {t for t in texts if t.startswith("Of")} == {
        f"Of q{i} the snow{i} fell" for i in range(3)
    }


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("examples", 0, "examples must be at least 1, not 0"),
        ("window", 0, "window must be at least 1, not 0"),
        ("weaker", -1, "weaker must be at least 0, not -1"),
        ("quantile", -0.1, "quantile must be at least 0, not -0.1"),
        ("quantile", 1.0, "quantile must be below 1, not 1.0"),
    ],
)
def test_settings_out_of_range(asked: Any, setting: str, value: float, message: str) -> None:
    values: dict[str, Any] = {setting: value}
    with pytest.raises(ValueError, match=f"^{message}$"):
        Highlight(asked(), **values)
