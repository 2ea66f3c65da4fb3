"""The explainers without a language model find a word or a phrase that was planted, and predict it elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from neuroexplain.config import ScoreConfig
from neuroexplain.explainers.base import levels, quoted, weighted
from neuroexplain.records import Evidence, Explanation, Floats
from neuroexplain.registry import create
from neuroexplain.scorers.base import score
from neuroexplain.scorers.correlation import Correlation

Build = Any  # of conftest.py, which cannot be imported
Rule = Callable[[list[str]], Floats]

VOCABULARY = [
    " the",
    " river",
    " River",
    "\n",
    "]]",
    " naïve",
    "\t",
    " 河",
    '"',
    "\\",
    " old",
    " ran",
    ".",
]
LENGTH = 16


def words(random: np.random.Generator, n: int) -> list[list[str]]:
    return [list(random.choice(VOCABULARY, LENGTH)) for _ in range(n)]


def word(target: str) -> Rule:
    """Fires on one token."""
    return lambda tokens: np.array([3.0 * (t == target) for t in tokens], np.float32)


def phrase(before: str, target: str) -> Rule:
    """Fires on a token behind another, and on neither elsewhere."""
    return lambda tokens: np.array(
        [3.0 * (i > 0 and tokens[i - 1 : i + 1] == [before, target]) for i in range(len(tokens))],
        np.float32,
    )


def planted(
    build: Build, rule: Rule, *, polarity: int = 1, first: int = 1, n: int = 30
) -> Evidence:
    """Top, quantile and random spans of 200; the uncounted first token has a huge activation."""
    random = np.random.default_rng(0)
    spans = []
    for tokens in words(random, n):
        values = polarity * rule(tokens) + random.normal(0, 0.1, LENGTH)
        values[:first] = 1000 * polarity
        spans.append((build.span(tokens, first=first), values))
    spans.sort(key=lambda s: -float((s[1][first:] * polarity).max()))
    kinds = ["top"] * 10 + ["quantile", "random"] * n
    exemplars = [
        build.exemplar(span, values, kind=kind, rank=i, polarity=polarity)
        for i, ((span, values), kind) in enumerate(zip(spans, kinds, strict=False))
    ]
    evidence: Evidence = build.evidence(exemplars, polarity=polarity, n_spans=200)
    return evidence


def explain(name: str, evidence: Evidence, **params: Any) -> Explanation:
    explanation: Explanation = asyncio.run(
        create("explainer", name, params).explain(evidence, seed=0)
    )
    return explanation


def predict(build: Build, explanation: Explanation, rule: Rule) -> float:
    """Correlation of the simulator of the same name with the rule, on spans that were not explained from."""
    tokens = words(np.random.default_rng(1), 40)
    truth = build.held_out([rule(t) for t in tokens], first=1)
    simulator = create("simulator", explanation.explainer, {})
    spans = [build.span(t, first=1) for t in tokens]
    simulation = asyncio.run(simulator.simulate(explanation, spans))
    assert all(
        s.expected.dtype == np.float32 and s.expected.shape == (LENGTH,) for s in simulation.spans
    )
    again = build.simulation(truth, [s.expected for s in simulation.spans])
    value = score(
        Correlation(), again, truth, nulls=(), floor=None, config=ScoreConfig(bootstrap=0)
    ).value
    assert value is not None
    return value


@pytest.mark.parametrize("name", ["ngram", "token-table"])
@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (" the", '"the"'),
        ("\n", '"\\n"'),
        (" 河", '"河"'),
        ("\\", '"\\\\"'),
        ("]]", '"]]"'),
        ('"', '"""'),
    ],
)
def test_a_planted_word(build: Build, name: str, polarity: int, target: str, shown: str) -> None:
    explanation = explain(name, planted(build, word(target), polarity=polarity))
    if not (name == "ngram" and target == "\n"):  # n-grams do not tell blank tokens apart
        kind = "n-grams" if name == "ngram" else "tokens"
        assert explanation.text.startswith(f"the {kind} {shown} (")
        assert predict(build, explanation, word(target)) > 0.9
    assert "\n" not in explanation.text
    assert len(explanation.text) <= 512


def test_a_planted_phrase_needs_ngrams(build: Build) -> None:
    rule = phrase(" old", " ran")
    evidence = planted(build, rule, n=90)
    grams = explain("ngram", evidence)
    assert grams.text.startswith('the n-grams "old ran" (')
    assert predict(build, grams, rule) > 0.9
    assert predict(build, explain("token-table", evidence), rule) < 0.7
    assert predict(build, explain("ngram", evidence, orders=1), rule) < 0.7


def test_ngrams_ignore_case_and_spaces(build: Build) -> None:
    either: Rule = lambda tokens: word(" river")(tokens) + word(" River")(tokens)  # noqa: E731
    explanation = explain("ngram", planted(build, either))
    assert explanation.data is not None
    assert explanation.text.casefold().startswith('the n-grams "river" (')
    assert predict(build, explanation, either) > 0.9


def test_the_entries_are_in_the_subjects_units(build: Build) -> None:
    exemplar = build.exemplar(build.span("go stop go stop", first=1), [9, 2, 0, 4])
    explanation = explain("ngram", build.evidence([exemplar]), orders=1, prior=0)
    assert explanation.data is not None
    assert explanation.data["default"] == 5.0
    (stop, go) = sorted(explanation.data["ngrams"], key=lambda e: -e["level"])
    assert stop == {
        "tokens": ["stop"], "text": "stop", "level": 7.5,
        "mean_response": 3.0, "max_response": 4.0, "count": 2,
    }  # fmt: skip
    assert (go["tokens"], go["level"], go["count"]) == (["go"], 0.0, 1)
    assert explanation.text == 'the n-grams "stop" (7.5)'  # what is silent is not named


def test_the_table_is_weighted_by_what_spans_stand_for(build: Build) -> None:
    top, drawn = build.span(["a", "b"]), build.span(["a", "c"])
    exemplars = [build.exemplar(top, [4, 0]), build.exemplar(drawn, [0, 0], kind="random")]
    explanation = explain("token-table", build.evidence(exemplars, n_spans=9))
    assert explanation.data is not None
    assert explanation.data["table"][str(top.token_ids[0])] == 1.0  # (1 * 10 + 9 * 0) / (1 + 9)
    assert explanation.data["default"] == 0.5
    assert explanation.text == 'the tokens "a" (1.0), "b" (0.0), "c" (0.0)'


def test_a_span_of_two_kinds_counts_once(build: Build) -> None:
    spans = [build.span("a b") for _ in range(3)]
    exemplars = [
        build.exemplar(spans[0], [1, 2]),
        build.exemplar(spans[0], [1, 2], kind="random"),
        build.exemplar(spans[1], [1, 2], kind="random", rank=1),
        build.exemplar(spans[2], [1, 2], kind="quantile"),
    ]
    found = [(e.span.span, w) for e, w in weighted(build.evidence(exemplars, n_spans=12))]
    assert found == [(spans[0].span, 1.0), (spans[1].span, 4.0), (spans[2].span, 4.0)]


@pytest.mark.parametrize("name", ["ngram", "token-table"])
def test_only_the_strongest_entries_are_kept(build: Build, name: str) -> None:
    explanation = explain(name, planted(build, word(" the")), size=2)
    assert explanation.data is not None
    assert len(explanation.data["ngrams" if name == "ngram" else "table"]) == 2
    assert predict(build, explanation, word(" the")) > 0.9


@pytest.mark.parametrize("name", ["ngram", "token-table"])
def test_a_dead_neuron_has_no_explanation(build: Build, name: str) -> None:
    silent = build.exemplar(build.span("The river"), [-1, 0])
    explanation = explain(name, build.evidence([silent]))
    assert explanation.failure is not None
    assert (explanation.text, explanation.data) == ("", None)
    assert explanation.failure.reason == "dead_neuron"


def test_levels_of_the_smallest_scale_are_finite(build: Build) -> None:
    # The collector keeps peaks down to 2^-126; 10 over that is no float32.
    exemplar = build.exemplar(build.span("a b c"), [2.0**-126, 2.0**-127, 0])
    found = levels(exemplar, build.evidence([exemplar]))
    assert found.tolist() == [10, 5, 0]
    assert found.dtype == np.float32


def test_quoted_keeps_blank_tokens_visible() -> None:
    assert quoted([(" \n", 9.96), (" a\tb ", 0)]) == '" \\n" (10.0), "a\\tb" (0.0)'
