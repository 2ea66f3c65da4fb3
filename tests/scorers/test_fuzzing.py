"""`marks` and `fuzzing`: right and wrong marks, also inside texts on which the neuron fires."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from neuroexplain.config import ScoreConfig
from neuroexplain.records import Explanation, HeldOut, HeldOutSpan, Score, Simulation
from neuroexplain.scorers.base import score
from neuroexplain.scorers.fuzzing import Fuzzing
from neuroexplain.scorers.marks import Marks, marks
from tests.scorers.told import Told, fires

Build = Any  # of conftest.py, which cannot be imported

CONFIG = ScoreConfig(bootstrap=100)
FIRING = [0, 9, 6, 0, 1, 0, 3, 0]
QUIET = [0, 0, 1, 0, 0, 0, 0, 0]


def span_of(build: Build, truth: Sequence[float], *, first: int = 0) -> HeldOutSpan:
    made: HeldOut = build.held_out([truth], first=first)
    return made.spans[0]


def test_a_firing_span_is_marked_rightly_and_wrongly(build: Build) -> None:
    right, wrong = marks(span_of(build, FIRING), 10.0)
    assert right == Marks(True, (1, 2))  # at least half of the peak
    assert not wrong.right and len(wrong.tokens) == 2
    assert set(wrong.tokens) <= {0, 3, 4, 5, 7}  # 3 is too much of a stir to be wrong


def test_a_quiet_span_has_one_wrong_mark(build: Build) -> None:
    (wrong,) = marks(span_of(build, QUIET), 10.0)
    assert not wrong.right and len(wrong.tokens) == 1


def test_marks_are_the_same_whenever_they_are_made(build: Build) -> None:
    span = span_of(build, FIRING)
    assert marks(span, 10.0) == marks(span, 10.0)


def test_uncounted_and_invisible_tokens_are_never_marked(build: Build) -> None:
    span = span_of(build, [99, 9, 0, 0, 0], first=1)
    tokens = ("a", " b", "", " c", " ")
    span = replace(span, span=replace(span.span, tokens=tokens))
    assert marks(span, 10.0) == [Marks(True, (1,)), Marks(False, (3,))]


def test_a_span_without_a_quiet_token_has_no_wrong_mark(build: Build) -> None:
    assert marks(span_of(build, [9, 8, 7]), 10.0) == [Marks(True, (0, 1, 2))]
    assert marks(span_of(build, [3, 3, 3]), 10.0) == []


@pytest.fixture
def held_out(build: Build) -> HeldOut:
    """Four texts, all of different words."""
    made: HeldOut = build.held_out([FIRING, QUIET, FIRING, QUIET])
    spans = [
        replace(s, span=replace(s.span, tokens=tuple(f" {letter}{i}" for i in range(8))))
        for s, letter in zip(made.spans, "abcd", strict=True)
    ]
    return replace(made, spans=tuple(spans), scale=10.0)


@pytest.fixture
def explanation(build: Build) -> Explanation:
    return Explanation(build.held_out([]).neuron, "fixed", "rivers", 10.0)


def asked(llm: Told, explanation: Explanation, held_out: HeldOut, per_call: int = 20) -> Simulation:
    return asyncio.run(Fuzzing(llm, spans_per_call=per_call).ask(explanation, held_out))


def items(llm: Told) -> dict[int, list[str]]:
    """Marked pieces of every numbered text that was shown."""
    text = llm.requests[-1].messages[-1].text
    lines = [line for line in text.splitlines() if re.match(r"\d+: ", line)]
    return {int(line.split(":")[0]): re.findall("<<(.*?)>>", line) for line in lines}


def right_ones(held_out: HeldOut, shown: dict[int, list[str]]) -> list[int]:
    """Numbers of the texts whose marks are right, found by their words."""
    wanted = [
        "".join(s.span.tokens[i] for i in m.tokens).strip()
        for s in held_out.spans
        for m in marks(s, held_out.scale)
        if m.right
    ]
    return [number for number, pieces in shown.items() if pieces[0] in wanted]


def scored(simulation: Simulation, held_out: HeldOut) -> dict[str, Score]:
    found = score([Fuzzing], simulation, held_out, nulls=(), floor=None, config=CONFIG)
    return {s.scorer: s for s in found}


def test_who_tells_right_from_wrong_has_a_perfect_score(
    explanation: Explanation, held_out: HeldOut
) -> None:
    llm = Told(fires())
    asked(llm, explanation, held_out)
    shown = items(llm)
    assert len(shown) == 6  # twice the firing ones
    right = right_ones(held_out, shown)
    assert len(right) == 2
    simulation = asked(Told(fires(*((n, 9) for n in right))), explanation, held_out)
    found = scored(simulation, held_out)
    assert {n: s.value for n, s in found.items()} == dict.fromkeys(
        ("fuzzing", "fuzzing_f1", "fuzzing_auprc"), 1.0
    )
    reason = found["fuzzing"].null_reason
    assert reason == "answers about other neurons are about other marks"


def test_who_looks_at_topics_alone_is_wrong_half_of_the_time(
    explanation: Explanation, held_out: HeldOut
) -> None:
    """Says yes to both markings of every text on which the neuron fires."""
    llm = Told(fires())
    asked(llm, explanation, held_out)
    text = llm.requests[-1].messages[-1].text
    firing = {"".join(s.span.tokens).strip() for s in held_out.spans if s.truth.max() > 5}
    plain = {
        int(number): line.replace("<<", "").replace(">>", "").strip()
        for number, line in re.findall(r"^(\d+): (.*)$", text, re.MULTILINE)
    }
    yes = [(number, 8) for number, line in plain.items() if line in firing]
    assert len(yes) == 4
    found = scored(asked(Told(fires(*yes)), explanation, held_out), held_out)
    assert found["fuzzing"].value == pytest.approx((1 + 0.5) / 2)
    assert found["fuzzing_auprc"].value == pytest.approx(0.5)


def test_spaces_stay_outside_of_marks(explanation: Explanation, build: Build) -> None:
    held_out = replace(build.held_out([[9, 0, 0, 9, 8, 0]]), scale=10.0)
    (one,) = held_out.spans
    tokens = ("The", " river", " a\tb", " froze", "n", " again")
    held_out = replace(held_out, spans=(replace(one, span=replace(one.span, tokens=tokens)),))
    llm = Told(fires())
    asked(llm, explanation, held_out)
    assert r"<<The>> river a\tb <<frozen>> again" in llm.requests[0].messages[-1].text


def test_a_marked_space_is_shown(explanation: Explanation, build: Build) -> None:
    held_out = replace(build.held_out([[0, 9, 0, 0]]), scale=10.0)
    (one,) = held_out.spans
    blank = replace(one.span, tokens=("The", "  ", "river", " froze"))
    llm = Told(fires())
    asked(llm, explanation, replace(held_out, spans=(replace(one, span=blank),)))
    assert "The<<  >>river froze" in llm.requests[0].messages[-1].text


def test_a_failed_call_fails_the_spans_of_its_texts(
    explanation: Explanation, held_out: HeldOut
) -> None:
    bad = "no idea"
    simulation = asked(Told(bad, bad, fires(), fires()), explanation, held_out, per_call=2)
    failed = [s for s in simulation.spans if s.failure is not None]
    assert 1 <= len(failed) <= 2
    assert {f.failure.raw_reply for f in failed if f.failure} == {bad}
    assert scored(simulation, held_out)["fuzzing"].coverage == 1 - len(failed) / 4
