"""By hand; `tests/explainers/test_planted.py` has it with its explainer."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from neuroexplain.errors import PluginError
from neuroexplain.registry import create, find
from neuroexplain.simulators.base import Simulator

Build = Any  # of conftest.py, which cannot be imported


def test_the_longest_match_wins(build: Build) -> None:
    grams = [
        [["ice"], 4.0],
        [["the", "ice"], 0.0],
        [["on", "the", "ice"], 9.0],
        [["", "]]"], 7.0],
    ]
    explanation = build.explanation(explainer="ngram", data={"ngrams": grams, "default": 0.5})
    span = build.span([" On", " THE", " Ice", " the", "ice ", "Ice", "\n", "]]", "]]"])
    found = asyncio.run(create("simulator", "ngram", {}).simulate(explanation, [span]))
    assert found.spans[0].expected.tolist() == [0.5, 0.5, 9, 0.5, 0, 4, 0.5, 7, 0.5]
    assert found.spans[0].expected.dtype == np.float32
    assert (found.simulator, found.llm, found.coverage) == ("ngram", None, 1.0)


def test_no_ngrams_are_the_default(build: Build) -> None:
    explanation = build.explanation(explainer="ngram", data={"ngrams": [], "default": 2})
    found = asyncio.run(create("simulator", "ngram", {}).simulate(explanation, [build.span("a b")]))
    assert found.spans[0].expected.tolist() == [2, 2]


@pytest.mark.parametrize("data", [None, {"other": 1}])
def test_other_explanations_are_refused(build: Build, data: Any) -> None:
    simulator: Simulator = create("simulator", "ngram", {})
    assert find("simulator", "ngram").reads == "ngram"
    with pytest.raises(PluginError) as caught:
        asyncio.run(simulator.simulate(build.explanation(data=data), [build.span("a")]))
    assert str(caught.value) == (
        'simulator "ngram" reads the explanations of explainer "ngram" only, not of "fixed"; '
        "choose another simulator, for example embedding, sparse or logprob"
    )
