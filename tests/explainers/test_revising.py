from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroexplain.errors import LLMUnavailableError
from neuroexplain.explainers.revising import Residual, residuals, revise
from neuroexplain.records import Explanation, Failure, HeldOut, Simulation, SpanSimulation
from neuroexplain.templates import template_hash

Build = Any  # of conftest.py, which cannot be imported


def scene(
    build: Build,
    pairs: list[tuple[list[float], list[float]]],
    *,
    scale: float = 1.0,
    first: int = 0,
) -> tuple[Simulation, HeldOut]:
    """Spans by their true activations, with expected levels."""
    held_out = replace(build.held_out([truth for truth, _ in pairs], first=first), scale=scale)
    return build.simulation(held_out, [expected for _, expected in pairs]), held_out


def numbers(found: tuple[Residual, ...], held_out: HeldOut) -> list[int]:
    """Which spans were found, by their place."""
    places = {s.span.span: place for place, s in enumerate(held_out.spans)}
    return [places[residual.span.span] for residual in found]


MISSED_3 = ([0.3, 0.0], [0.0, 0.0])
MISSED_9 = ([0.9, 0.0], [0.0, 0.0])
MISSED_6_6 = ([0.6, 0.6], [0.0, 0.0])
VAIN_4 = ([0.0, 0.0], [4.0, 0.0])
VAIN_8 = ([0.0, 0.0], [0.0, 8.0])
RIGHT = ([1.0, 0.0], [10.0, 0.0])
NEARLY = ([1.0, 0.0], [8.1, 1.9])


def test_the_truth_is_in_levels(build: Build) -> None:
    simulation, held_out = scene(build, [([0.0, 2.0, 9.0, 1.5], [1.0, 0.0, 10.0, 0.0])], scale=4.0)
    (found,) = residuals(simulation, held_out, 5)
    assert found.span == held_out.spans[0].span
    assert found.truth.tolist() == [0.0, 5.0, 10.0, 3.75]  # beyond the scale is level 10 too
    assert found.expected.tolist() == [1.0, 0.0, 10.0, 0.0]
    assert found.error.tolist() == [1.0, -5.0, 0.0, -3.75]
    assert found.truth.dtype == found.error.dtype == np.float32


@pytest.mark.parametrize(
    ("pairs", "n", "expected"),
    [
        ([MISSED_3, RIGHT, MISSED_9], 4, [2, 0]),  # the worst first
        ([MISSED_9, MISSED_6_6, VAIN_4, VAIN_8], 4, [0, 1, 3, 2]),
        ([MISSED_9, MISSED_6_6, VAIN_4, VAIN_8], 2, [0, 3]),  # one of either direction
        ([MISSED_9, MISSED_6_6, VAIN_4, VAIN_8], 3, [0, 1, 3]),
        ([MISSED_9, VAIN_4, VAIN_8], 3, [0, 2, 1]),  # the other direction has the free place
        ([MISSED_9, MISSED_6_6, MISSED_3, VAIN_4], 4, [0, 1, 3, 2]),
        ([MISSED_9, MISSED_6_6, MISSED_3], 2, [0, 1]),
        ([VAIN_4, VAIN_8], 1, [1]),
        ([RIGHT, NEARLY], 4, []),
        ([MISSED_9], 0, []),
        ([], 4, []),
    ],
)
def test_the_worst_spans_of_either_direction(
    build: Build, pairs: list[tuple[list[float], list[float]]], n: int, expected: list[int]
) -> None:
    simulation, held_out = scene(build, pairs)
    assert numbers(residuals(simulation, held_out, n), held_out) == expected


def test_one_token_far_off_is_worse_than_several_a_little(build: Build) -> None:
    several = ([0.4, 0.4, 0.4, 0.4], [0.0, 0.0, 0.0, 0.0])
    one = ([0.9, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0])
    simulation, held_out = scene(build, [several, one])
    assert numbers(residuals(simulation, held_out, 1), held_out) == [1]  # 81 against 64


def test_uncounted_tokens_are_no_errors(build: Build) -> None:
    simulation, held_out = scene(
        build, [([9.0, 0.0], [0.0, 0.0]), ([9.0, 0.5], [0.0, 0.0])], first=1
    )
    found = residuals(simulation, held_out, 5)
    assert numbers(found, held_out) == [1]
    assert found[0].error.tolist() == [0.0, -5.0]


def test_failed_and_unknown_spans_and_dead_neurons_have_none(build: Build) -> None:
    simulation, held_out = scene(build, [MISSED_9, VAIN_8])
    failure = Failure("simulate", "parse_failed", "no list", "?")
    failed = SpanSimulation(held_out.spans[0].span, None, failure)
    half = replace(simulation, spans=(failed, simulation.spans[1]))
    assert numbers(residuals(half, held_out, 4), held_out) == [1]
    assert (
        residuals(simulation, replace(held_out, spans=held_out.spans[:1]), 4)[0].span == failed.span
    )
    assert residuals(simulation, replace(held_out, scale=0.0), 4) == ()


@pytest.fixture
def counters(build: Build) -> list[Residual]:
    missed, vain = build.span("The ice\nfroze over"), build.span("A cold stare")
    return [
        Residual(missed, np.array([0, 9.6, 0, 4], np.float32), np.array([0, 2, 1, 3], np.float32)),
        Residual(vain, np.zeros(3, np.float32), np.array([0, 7, 2], np.float32)),
    ]


def test_the_errors_are_shown(build: Build, asked: Any, counters: list[Residual]) -> None:
    llm = asked("words for frozen water")
    before = replace(build.explanation("words about cold"), data={"words": []}, settings={"a": 1})
    found = asyncio.run(revise(llm, before, counters, seed=4, sample=2))
    (request,) = llm.requests
    assert [message.role for message in request.messages] == ["system", "user"]
    assert request.messages[1].text == (
        "Explanation: words about cold\n"
        "\n"
        "1: The {{ice}}\\nfroze {{over}}\n"
        "missed: “ice” (is 10, expected 2)\n"
        "\n"
        "2: A cold stare\n"
        "expected in vain: “cold” (is 0, expected 7), “stare” (is 0, expected 2)\n"
        "\n"
        "What does this neuron respond to?\n"
    )
    assert (request.purpose, request.seed, request.sample) == ("revise", 4, 2)
    assert found == Explanation(
        neuron=before.neuron,
        explainer=before.explainer,
        text="words for frozen water",
        scale=before.scale,
        data=None,  # it said the same for a program, which it no longer does
        llm=llm.spec,
        settings={"a": 1},
        template_sha256=template_hash("revise"),
        prompt_sha256=request.prompt_sha256,
    )


def test_only_the_worst_tokens_of_a_window_are_named(build: Build, asked: Any) -> None:
    span = build.span([f" w{i}" for i in range(40)])
    truth = np.zeros(40, np.float32)
    expected = np.zeros(40, np.float32)
    truth[[20, 21, 22, 23]] = [5, 6, 4, 10]
    expected[[18, 0]] = [3, 9]  # the last is outside the window
    llm = asked()
    counters = [Residual(span, truth, expected)]
    asyncio.run(revise(llm, build.explanation("x"), counters, seed=0, window=12))
    assert llm.requests[0].messages[1].text.splitlines()[2:5] == [
        "1: w17 w18 w19 w20 {{w21}} w22 {{w23}} w24 w25 w26 w27 w28",
        "missed: “w20” (is 5, expected 0), “w21” (is 6, expected 0), “w23” (is 10, expected 0)",
        "expected in vain: “w18” (is 0, expected 3)",
    ]


def test_a_useless_reply_is_a_failure(build: Build, asked: Any, counters: list[Residual]) -> None:
    found = asyncio.run(revise(asked("1. ice\n2. snow"), build.explanation(), counters, seed=0))
    assert found.failure is not None
    assert (found.text, found.failure.reason) == ("", "no_sentence")
    assert found.failure.raw_reply == "1. ice\n2. snow"


def test_no_reply_at_all_is_raised(build: Build, asked: Any, counters: list[Residual]) -> None:
    llm = asked()
    llm.reply = LLMUnavailableError("the server is gone")
    with pytest.raises(LLMUnavailableError, match="gone"):
        asyncio.run(revise(llm, build.explanation(), counters, seed=0))
