from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from neuroexplain.explainers.base import wants
from neuroexplain.explainers.ensemble import Ensemble
from neuroexplain.records import Evidence

TEXTS = "Texts:\n1: In t0 the {{ice0}} broke\n2: In t1 the {{ice1}} broke\n3: Of q0 the {{snow0}} fell\n"
QUESTION = "What does this neuron respond to?\n"


def small(llm: Any) -> Ensemble:
    return Ensemble(llm, examples=2, weaker=1, promoted=3, suppressed=1, ngrams=2)


def test_texts_and_output_tokens_go_into_one_call(everything: Evidence, asked: Any) -> None:
    llm = asked()
    found = asyncio.run(small(llm).explain(everything, seed=0))
    (request,) = llm.requests
    assert found.text == "words for ice"
    assert request.messages[-1].text == (
        f"{TEXTS}\nMade more likely:\n up0\n up1\n up2\n\nMade less likely:\n down0\n\n{QUESTION}"
    )


def test_of_an_encoder_ngrams_take_their_place(everything: Evidence, asked: Any) -> None:
    encoder = replace(everything, output_tokens=None)
    text = small(asked()).prompt(encoder).messages[-1].text
    assert text == f"{TEXTS}\nPhrases:\ngram 0\ngram 1\n\n{QUESTION}"


def test_it_wants_ngrams_only_where_there_can_be_no_output_tokens() -> None:
    assert wants(Ensemble) == {"output_tokens"}
    assert wants(Ensemble, lacking={"output_tokens"}) == {"ngrams"}
    assert wants(Ensemble, lacking={"look_alikes"}) == {"output_tokens"}


def test_texts_alone_are_no_ensemble(everything: Evidence, asked: Any) -> None:
    llm = asked()
    evidence = replace(everything, output_tokens=None, ngrams=())
    found = asyncio.run(Ensemble(llm).explain(evidence, seed=0))
    assert found.failure is not None
    assert (found.text, found.failure.reason, llm.requests) == ("", "no_output_tokens", [])


@pytest.mark.parametrize(("setting", "least"), [("promoted", 1), ("suppressed", 0), ("ngrams", 1)])
def test_settings_out_of_range(asked: Any, setting: str, least: int) -> None:
    values: dict[str, Any] = {setting: least - 1}
    with pytest.raises(ValueError, match=f"{setting} must be at least {least}, not {least - 1}"):
        Ensemble(asked(), **values)
