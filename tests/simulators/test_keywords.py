from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from neuroexplain.errors import PluginError
from neuroexplain.records import TokenSpan
from neuroexplain.scoring import default_simulator
from neuroexplain.simulators.keywords import KeywordsSimulator
from tests.conftest import Build

WORDS = {"words": [["river", 7.5], ["4.5", 3.0], ["'s", 1.0]]}

# Tokens, data, and the level of each token.
TEXTS: dict[str, tuple[tuple[str, ...], Mapping[str, Any], list[float]]] = {
    "one token a word": (("The", " river", " froze"), WORDS, [0, 7.5, 0]),
    "several tokens a word": (("The", " ri", "v", "er", "."), WORDS, [0, 7.5, 7.5, 7.5, 0]),
    "every occurrence": ((" river", " to", " river"), WORDS, [7.5, 0, 7.5]),
    "whole words alone": ((" river", "bank", " rivers", " up", "river"), WORDS, [0, 0, 0, 0, 0]),
    "beside marks": (("(", "river", ")", ",river", "."), WORDS, [0, 7.5, 0, 7.5, 0]),
    "whatever the case": ((" RIVER", " River"), WORDS, [7.5, 7.5]),
    "in its case": (
        (" US", " us", " Us"), {"words": [["US", 4.0]], "cased": True}, [4, 0, 0],
    ),
    "numbers are words": ((" 4", ".", "5", " kg", " 4", ".", "5", "1"), WORDS, [3, 3, 3, 0, 0, 0, 0, 0]),
    "no part of a word with an apostrophe": ((" father", "'", "s", " 's"), WORDS, [0, 0, 0, 1]),
    "tokens of a split character": (("na", "ï", "", "ve", "", " ï"), {"words": [["naïve", 2.0]]}, [2, 2, 2, 2, 2, 0]),
    "a token over two words": ((" the river", " of"), WORDS, [7.5, 0]),
    "the higher level where words share a token": (
        (" ice river",), {"words": [["ice", 9.0], ["river", 2.0]]}, [9],
    ),
    "spaces that belong to the next token": (("a", "  \n river"), WORDS, [0, 7.5]),
    "cut at both ends": (("iver", " of", " riv"), WORDS, [0, 0, 0]),
    "an empty text": (("", ""), WORDS, [0, 0]),
}  # fmt: skip


def simulate(span: TokenSpan, build: Build, data: Mapping[str, Any]) -> list[float]:
    explanation = build.explanation(explainer="keywords", data=data)
    (found,) = asyncio.run(KeywordsSimulator().simulate(explanation, [span])).spans
    assert found.expected is not None and found.failure is None
    return found.expected.tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("what", TEXTS)
def test_a_word_gives_its_level_to_its_tokens(build: Build, what: str) -> None:
    tokens, data, levels = TEXTS[what]
    assert simulate(build.span(tokens), build, data) == levels


def test_a_span_that_neurons_share_is_read_for_each(build: Build) -> None:
    span = build.span([" Ice", " and", " ice"])
    assert simulate(span, build, {"words": [["ice", 5.0]]}) == [5, 0, 5]
    assert simulate(span, build, {"words": [["Ice", 5.0]], "cased": True}) == [5, 0, 0]
    assert simulate(span, build, {"words": [["and", 1.0]]}) == [0, 1, 0]


def test_it_reads_keywords_alone(build: Build) -> None:
    with pytest.raises(PluginError, match='reads the explanations of explainer "keywords" only'):
        simulate(build.span("ice"), build, {"table": {}})
    assert default_simulator("keywords", "none") == "keywords"
    assert default_simulator("keywords", "openai:m") == "keywords"
