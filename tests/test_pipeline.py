from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from neuroexplain.config import ScoreConfig
from neuroexplain.errors import LLMError, LLMPermanentError, LLMUnavailableError, PluginError
from neuroexplain.pipeline import (
    explain_neuron,
    floor_simulation,
    score_explanation,
    unexplained,
    unsimulated,
)
from neuroexplain.records import (
    Evidence,
    Explanation,
    Failure,
    HeldOut,
    Score,
    Simulation,
    SpanSimulation,
    TokenSpan,
)
from neuroexplain.registry import create

Build = Any  # of conftest.py, which cannot be imported

TEXTS = ["the river froze in the night", "a river ran", "no water in the old mill", "river and sea"]
CONFIG = ScoreConfig(bootstrap=50)


@dataclass
class Watcher:
    """A simulator that keeps all that it is handed."""

    handed: list[Any] = field(default_factory=list)

    async def simulate(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        self.handed += [explanation, *spans]
        return Simulation(
            "watcher",
            tuple(SpanSimulation(s, np.arange(len(s), dtype=np.float32)) for s in spans),
        )


def fires(span: TokenSpan) -> list[float]:
    return [2.0 * (token.strip() == "river") for token in span.tokens]


@pytest.fixture
def evidence(build: Build) -> Evidence:
    spans = [build.span(text) for text in TEXTS]
    found: Evidence = build.evidence(
        [build.exemplar(s, fires(s), rank=i) for i, s in enumerate(spans)]
    )
    return found


@pytest.fixture
def held_out(build: Build, evidence: Evidence) -> HeldOut:
    """Other spans than the evidence's, of the same words."""
    spans = [build.span(f"{text} {TEXTS[0]}") for text in TEXTS]
    made: HeldOut = build.held_out([fires(s) for s in spans])
    parts = [
        type(h)(span, h.truth, h.kinds, h.weight) for h, span in zip(made.spans, spans, strict=True)
    ]
    return HeldOut(evidence.neuron, tuple(parts))


def flow(
    evidence: Evidence, held_out: HeldOut, explainer: Any, simulator: Any
) -> tuple[Explanation, Simulation | None, tuple[Score, ...]]:
    scorers = [create("scorer", name, {}) for name in CONFIG.scorers]
    return asyncio.run(
        explain_neuron(
            evidence,
            held_out,
            explainer=explainer,
            simulator=simulator,
            scorers=scorers,
            config=CONFIG,
        )
    )


@pytest.mark.parametrize("name", ["ngram", "token-table"])
def test_one_neuron_without_a_language_model(
    evidence: Evidence, held_out: HeldOut, name: str
) -> None:
    explainer, simulator = create("explainer", name, {}), create("simulator", name, {})
    explanation, simulation, scores = flow(evidence, held_out, explainer, simulator)
    assert "“river”" in explanation.text
    assert simulation is not None
    assert simulation.coverage == 1
    assert [s.scorer for s in scores] == ["correlation", "correlation_top_random"]
    for score in scores:
        assert score.value is not None
        assert score.value > 0.95
        assert score.null_reason == "0 other explanations in the layer, 20 needed"
        assert score.floor is not None
        assert score.floor > 0.95
    if name == "token-table":
        assert scores[0].floor == scores[0].value


def test_one_neuron_with_a_language_model(
    build: Build, evidence: Evidence, held_out: HeldOut
) -> None:
    llm = build.scripted("words for water.", '[[0, "river", 9]]', "no list", "nor this")
    explainer = create("explainer", "token-activation", {}, llm)
    simulator = create("simulator", "sparse", {"spans_per_call": 2}, llm)
    explanation, simulation, scores = flow(evidence, held_out, explainer, simulator)
    assert (explanation.text, explanation.llm) == ("words for water.", "scripted:test")
    assert simulation is not None
    assert [s.expected is not None for s in simulation.spans] == [True, True, False, False]
    assert scores[0].value is not None
    assert 0 < scores[0].coverage < 1
    assert scores[0].n_tokens == sum(len(s.span) for s in held_out.spans[:2])


def test_a_failed_explanation_is_not_simulated(
    build: Build, evidence: Evidence, held_out: HeldOut
) -> None:
    explainer = create("explainer", "token-activation", {}, build.scripted(" "))
    watcher = Watcher()
    explanation, simulation, scores = flow(evidence, held_out, explainer, watcher)
    assert explanation.status == "failed"
    assert (simulation, scores, watcher.handed) == (None, (), [])


def test_the_simulator_never_sees_an_activation(evidence: Evidence, held_out: HeldOut) -> None:
    watcher = Watcher()
    explainer = create("explainer", "fixed", {"text": "words for water"})
    explanation, _, scores = flow(evidence, held_out, explainer, watcher)
    assert watcher.handed == [explanation, *(s.span for s in held_out.spans)]
    assert {type(x) for x in watcher.handed} == {Explanation, TokenSpan}
    assert scores[0].value is not None


def test_a_pair_that_does_not_fit_is_refused(evidence: Evidence, held_out: HeldOut) -> None:
    explainer = create("explainer", "fixed", {"text": "words"})
    with pytest.raises(PluginError, match=r'"ngram" reads .* not of "fixed"'):
        flow(evidence, held_out, explainer, create("simulator", "ngram", {}))


def test_a_dead_neuron_has_no_floor(build: Build, held_out: HeldOut) -> None:
    dead = build.evidence([build.exemplar(build.span("a river"), [0, 0])])
    spans = [s.span for s in held_out.spans]
    assert floor_simulation(dead, spans) is None
    explainer = create("explainer", "fixed", {"text": "words for water"})
    _, _, scores = flow(dead, held_out, explainer, Watcher())
    assert scores[0].value is not None
    assert scores[0].floor is None


@pytest.mark.parametrize("polarity", [1, -1])
def test_the_floor_is_the_token_tables_explanation_simulated(build: Build, polarity: int) -> None:
    random = np.random.default_rng(0)
    words = [[f"w{i}" for i in random.zipf(1.3, 30) % 700] for _ in range(60)]
    exemplars = [
        build.exemplar(build.span(w, first=1), polarity * random.gamma(0.2, size=30), kind=kind)
        for w, kind in zip(words, ["top", "random"] * 20, strict=False)
    ]
    evidence = build.evidence(exemplars, polarity=polarity, n_spans=400)
    spans = [build.span(w, first=1) for w in words[20:]]
    explanation = asyncio.run(create("explainer", "token-table", {}).explain(evidence, seed=0))
    expected = asyncio.run(create("simulator", "token-table", {}).simulate(explanation, spans))
    found = floor_simulation(evidence, spans)
    assert found is not None
    assert (found.simulator, found.settings) == (expected.simulator, expected.settings)
    for ours, theirs in zip(found.spans, expected.spans, strict=True):
        assert ours.span is theirs.span
        assert ours.expected is not None
        assert theirs.expected is not None
        assert ours.expected.dtype == theirs.expected.dtype == np.float32
        assert ours.expected.tolist() == theirs.expected.tolist()


def test_nulls_are_of_other_explanations(
    build: Build, evidence: Evidence, held_out: HeldOut
) -> None:
    simulator = create("simulator", "ngram", {})
    own = asyncio.run(create("explainer", "ngram", {}).explain(evidence, seed=0))
    random = np.random.default_rng(0)
    nulls = [build.simulation(held_out, [random.random(len(s.span)) for s in held_out.spans])] * 20
    found = score_explanation(
        asyncio.run(simulator.simulate(own, [s.span for s in held_out.spans])),
        held_out,
        None,
        scorers=[create("scorer", "correlation", {})],
        nulls=nulls,
        config=CONFIG,
    )
    assert (found[0].null_n, found[0].p_value) == (20, 1 / 21)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(LLMPermanentError, "llm_refused"), (LLMUnavailableError, "llm_unavailable")],
)
def test_what_no_reply_was_had_for_is_a_failure(
    evidence: Evidence, held_out: HeldOut, kind: type[LLMError], reason: str
) -> None:
    error = kind("the server said no", raw="{}")
    explanation = unexplained(
        evidence.neuron, evidence.scale, "token-activation", "openai:any", error
    )
    assert (explanation.status, explanation.text, explanation.llm) == ("failed", "", "openai:any")
    spans = [s.span for s in held_out.spans]
    simulation = unsimulated(spans, "sparse", "openai:any", error)
    assert [s.span for s in simulation.spans] == spans
    assert simulation.coverage == 0
    assert explanation.failure == Failure("explain", reason, "the server said no", "{}")
    expected = Failure("simulate", reason, "the server said no", "{}")
    assert all(s.failure == expected for s in simulation.spans)
