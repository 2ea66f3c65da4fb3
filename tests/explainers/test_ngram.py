"""By hand; `test_planted.py` has what it finds in a made-up corpus."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from neuroexplain.errors import PluginError
from neuroexplain.records import Evidence, Explanation
from neuroexplain.registry import create

Build = Any  # of conftest.py, which cannot be imported


def explain(evidence: Evidence, **params: Any) -> Explanation:
    explanation: Explanation = asyncio.run(
        create("explainer", "ngram", params).explain(evidence, seed=0)
    )
    return explanation


def test_the_entries_are_in_the_subjects_units(build: Build) -> None:
    exemplar = build.exemplar(build.span("go stop go stop", first=1), [9, 2, 0, 4])
    explanation = explain(build.evidence([exemplar]), orders=1, prior=0)
    assert explanation.data is not None
    assert explanation.data["default"] == 5.0
    assert explanation.data["ngrams"] == [[["stop"], 7.5], [["go"], 0.0]]
    assert explanation.data["strongest"] == [
        {"text": "stop", "mean_response": 3.0, "max_response": 4.0, "count": 2}
    ]
    assert explanation.text == "the n-grams “stop” (7.5)"  # what is silent is not named


def test_longer_ngrams_are_shown_where_they_tell_more(build: Build) -> None:
    span = build.span("old ran the ran a ran old ran the sea")
    values = [0, 10, 0, 0, 0, 0, 0, 10, 0, 5]
    explanation = explain(build.evidence([build.exemplar(span, values)]), prior=0)
    # "the sea" does not say more than "sea", and "ran" alone says less than "old ran".
    assert explanation.text == "the n-grams “old ran” (10.0), “ran” (5.0), “sea” (5.0)"


def test_rare_ngrams_are_doubted(build: Build) -> None:
    evidence = build.evidence([build.exemplar(build.span("a b c d"), [0, 0, 0, 8])])
    levels = [
        level
        for p in (0, 2, 50)
        for tokens, level in _entries(explain(evidence, prior=p))
        if tokens == ["d"]
    ]
    assert levels == [10.0, 5.0, pytest.approx(2.647)]


def _entries(explanation: Explanation) -> list[tuple[list[str], float]]:
    assert explanation.data is not None
    entries: list[tuple[list[str], float]] = explanation.data["ngrams"]
    return entries


def test_a_dead_neuron_has_no_explanation(build: Build) -> None:
    silent = build.exemplar(build.span("The river"), [-1, 0])
    explanation = explain(build.evidence([silent]))
    assert explanation.failure is not None
    assert (explanation.text, explanation.data) == ("", None)
    assert explanation.failure.reason == "dead_neuron"


@pytest.mark.parametrize("wrong", [{"orders": 0}, {"size": 0}, {"prior": -1}])
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match="orders and size must be at least 1, prior at least 0"):
        create("explainer", "ngram", wrong)
