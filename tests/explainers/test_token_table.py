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
        create("explainer", "token-table", params).explain(evidence, seed=0)
    )
    return explanation


def test_the_table_is_weighted_by_what_spans_stand_for(build: Build) -> None:
    top, drawn = build.span(["a", "b"]), build.span(["a", "c"])
    exemplars = [build.exemplar(top, [4, 0]), build.exemplar(drawn, [0, 0], kind="random")]
    explanation = explain(build.evidence(exemplars, n_spans=9))
    assert explanation.data is not None
    assert explanation.data["table"][str(top.token_ids[0])] == 1.0  # (1 * 10 + 9 * 0) / (1 + 9)
    assert explanation.data["default"] == 0.5
    assert explanation.text == "the tokens “a” (1.0), “b” (0.0), “c” (0.0)"


def test_tokens_are_told_apart_by_id(build: Build) -> None:
    span = build.span([" a", "a", "x", "y"], first=1)
    explanation = explain(build.evidence([build.exemplar(span, [9, 2, 0, 0])]))
    assert explanation.data is not None
    table = {str(i): level for i, level in zip(span.token_ids[1:], (10.0, 0.0, 0.0), strict=True)}
    assert explanation.data == {"table": table, "default": 3.333}


def test_a_dead_neuron_has_no_explanation(build: Build) -> None:
    silent = build.exemplar(build.span("The river"), [-1, 0])
    explanation = explain(build.evidence([silent]))
    assert explanation.failure is not None
    assert (explanation.text, explanation.data) == ("", None)
    assert explanation.failure.reason == "dead_neuron"


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(PluginError, match="size must be at least 1"):
        create("explainer", "token-table", {"size": 0})
