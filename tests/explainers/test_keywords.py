from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from neuroexplain.errors import PluginError
from neuroexplain.explainers.base import wants
from neuroexplain.explainers.keywords import Keywords, keywords
from neuroexplain.records import Evidence, Explanation, Ngram
from neuroexplain.registry import create
from tests.conftest import Build

FOUND = (
    Ngram("the river", 1.5, 2.0, 3, (1.1, 8.0)),
    Ngram("river bank", 1.0, 1.0, 1, (8.0, 3.0)),
    Ngram("a stream", 0.5, 0.75, 2, (0.8, 5.0)),
    Ngram("of the", 0.25, 0.5, 9, (0.5, 1.1)),
)


def evidence(build: Build, ngrams: Sequence[Ngram] = FOUND, **settings: Any) -> Evidence:
    """Of a neuron whose largest activation in context is 2."""
    made = build.evidence([build.exemplar(build.span("a river"), [0, 2])], **settings)
    return replace(made, ngrams=tuple(ngrams))


def explain(found: Evidence, **settings: Any) -> Explanation:
    return asyncio.run(Keywords(**settings).explain(found, seed=0))


def test_words_of_the_highest_lift_first(build: Build) -> None:
    explanation = explain(evidence(build))
    assert explanation.text == "the words “river”, “stream”, “bank”, “the”"
    assert explanation.failure is None and explanation.llm is None
    assert explanation.settings == {"size": 5} and explanation.scale == 2


def test_levels_are_means_of_the_largest_responses_on_the_evidences_scale(build: Build) -> None:
    explanation = explain(evidence(build))
    assert explanation.data == {
        "words": [["river", 7.5], ["stream", 3.75], ["bank", 5.0], ["the", 6.25]],
        "cased": False,
    }
    above = explain(evidence(build, [Ngram("ice", 9, 9, 1, (3.0,))]))
    assert above.data is not None and above.data["words"] == [["ice", 10]]
    assert above.text == "the word “ice”"


def test_as_many_words_as_asked_for(build: Build) -> None:
    assert explain(evidence(build), size=2).text == "the words “river”, “stream”"
    with pytest.raises(PluginError, match="size must be at least 1"):
        create("explainer", "keywords", {"size": "0"})


def test_what_is_no_more_common_than_elsewhere_is_no_keyword() -> None:
    assert "of" not in keywords(FOUND, 9) and "a" not in keywords(FOUND, 9)
    assert keywords([Ngram("of a", 1, 1, 1, (0.5, 0.9))], 5) == ["a"], (
        "unless there is nothing else"
    )


def test_of_equal_lifts_that_of_the_stronger_ngram_first() -> None:
    both = [Ngram("ice", 2, 2, 1, (4.0,)), Ngram("ash", 1, 1, 1, (4.0,))]
    assert keywords(both, 2) == ["ice", "ash"]
    assert keywords([replace(ngram, lifts=()) for ngram in both], 2) == ["ice"]


def test_capitals_say_that_case_matters(build: Build) -> None:
    explanation = explain(evidence(build, [Ngram("the US", 1, 1, 1, (1.0, 4.0))]))
    assert explanation.data == {"words": [["US", 5.0]], "cased": True}


def test_text_that_could_break_a_line_is_escaped(build: Build) -> None:
    explanation = explain(evidence(build, [Ngram("a\u200db", 1, 1, 1, (4.0,))]))
    assert explanation.text == "the word “a\\u200db”"


SILENT = {
    "a neuron that never fires": ({"scale": 0.0}, FOUND, "dead_neuron"),
    "no n-grams": ({}, (), "no_ngrams"),
    "n-grams without a response": ({}, [Ngram("ice", 0.0, 0.0, 3, (1.0,))], "no_ngrams"),
}


@pytest.mark.parametrize("what", SILENT)
def test_without_a_response_there_is_a_failure_and_no_text(build: Build, what: str) -> None:
    settings, ngrams, reason = SILENT[what]
    explanation = explain(evidence(build, ngrams, **settings))
    assert explanation.failure is not None and explanation.failure.reason == reason
    assert explanation.text == "" and explanation.data is None


def test_it_wants_ngrams() -> None:
    assert wants(Keywords) == {"ngrams"}
