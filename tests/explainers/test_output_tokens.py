from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from neuroexplain.explainers.base import wants
from neuroexplain.explainers.output_tokens import OutputTokens
from neuroexplain.records import Evidence
from neuroexplain.records import OutputTokens as Written


def test_what_it_promotes_and_suppresses(everything: Evidence, asked: Any) -> None:
    assert wants(OutputTokens) == {"output_tokens"}
    explainer = OutputTokens(asked(), promoted=3, suppressed=2)
    assert explainer.prompt(everything).messages[-1].text == (
        "Promoted:\n up0\n up1\n up2\n\nSuppressed:\n down0\n down1\n\n"
        "What does this neuron stand for?\n"
    )


def test_fifty_each_unless_said_otherwise(everything: Evidence, asked: Any) -> None:
    text = OutputTokens(asked()).prompt(everything).messages[-1].text
    assert text.count(" up") == text.count(" down") == 50
    few = OutputTokens(asked(), suppressed=0).prompt(everything).messages[-1].text
    assert few.count(" down") == 0


@pytest.mark.parametrize("written", [None, Written((), ())])
def test_an_encoder_has_none(everything: Evidence, asked: Any, written: Written | None) -> None:
    llm = asked()
    evidence = replace(everything, output_tokens=written)
    found = asyncio.run(OutputTokens(llm).explain(evidence, seed=0))
    assert found.failure is not None
    assert (found.text, found.status) == ("", "failed")
    assert (found.failure.stage, found.failure.reason) == ("explain", "no_output_tokens")
    assert found.failure.message.startswith("tiny has no output tokens for its neurons")
    assert llm.requests == []


@pytest.mark.parametrize(("setting", "least"), [("promoted", 1), ("suppressed", 0)])
def test_settings_out_of_range(asked: Any, setting: str, least: int) -> None:
    values: dict[str, Any] = {setting: least - 1}
    with pytest.raises(ValueError, match=f"{setting} must be at least {least}, not {least - 1}"):
        OutputTokens(asked(), **values)
