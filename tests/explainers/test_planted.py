"""The explainers without a language model find a word or a phrase that was planted, and predict it elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from neuroexplain.config import ScoreConfig
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
    config = ScoreConfig(bootstrap=0)
    (found,) = score([Correlation()], again, truth, nulls=(), floor=None, config=config)
    assert found.value is not None
    return found.value


@pytest.mark.parametrize("name", ["ngram", "token-table"])
@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (" the", "“the”"),
        ("\n", "“\\n”"),
        (" 河", "“河”"),
        ("\\", "“\\\\”"),
        ("]]", "“]]”"),
        ('"', '“"”'),
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
    assert grams.text.startswith("the n-grams “old ran” (")
    assert predict(build, grams, rule) > 0.9
    assert predict(build, explain("token-table", evidence), rule) < 0.7
    assert predict(build, explain("ngram", evidence, orders=1), rule) < 0.7


def test_ngrams_ignore_case_and_spaces(build: Build) -> None:
    either: Rule = lambda tokens: word(" river")(tokens) + word(" River")(tokens)  # noqa: E731
    explanation = explain("ngram", planted(build, either))
    assert explanation.data is not None
    assert explanation.text.casefold().startswith("the n-grams “river” (")
    assert predict(build, explanation, either) > 0.9


@pytest.mark.parametrize("name", ["ngram", "token-table"])
def test_only_the_strongest_entries_are_kept(build: Build, name: str) -> None:
    explanation = explain(name, planted(build, word(" the")), size=2)
    assert explanation.data is not None
    assert len(explanation.data["ngrams" if name == "ngram" else "table"]) == 2
    assert predict(build, explanation, word(" the")) > 0.9
