from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from neuroexplain.explainers.asking import draw
from neuroexplain.explainers.base import wants
from neuroexplain.explainers.ngram_summary import NgramSummary
from neuroexplain.records import Evidence, Ngram


def shown(explainer: NgramSummary, evidence: Evidence, sample: int = 0) -> list[str]:
    text = explainer.messages(evidence, draw(evidence, 0, sample))[-1].text
    phrases, _, question = text.partition("\n\n")
    assert question == "What does this neuron respond to?\n"
    return phrases.split("\n")


def test_thirty_of_fifty_as_in_sasc(everything: Evidence, asked: Any) -> None:
    assert wants(NgramSummary) == {"ngrams"}
    explainer = NgramSummary(asked())
    assert shown(explainer, everything) == [f"gram {i}" for i in range(30)]
    others = [[int(p[5:]) for p in shown(explainer, everything, n)] for n in range(1, 40)]
    assert all(len(ranks) == 30 and ranks == sorted(set(ranks)) for ranks in others)
    assert {rank for ranks in others for rank in ranks} == set(range(50))
    assert len({tuple(ranks) for ranks in others}) == 39


def test_how_many_are_settings(everything: Evidence, asked: Any) -> None:
    explainer = NgramSummary(asked(), use=2, consider=3)
    assert shown(explainer, everything) == ["gram 0", "gram 1"]
    found = {tuple(shown(explainer, everything, n)) for n in range(1, 30)}
    assert found == {("gram 0", "gram 1"), ("gram 0", "gram 2"), ("gram 1", "gram 2")}


def test_spans_are_not_shown(everything: Evidence, asked: Any) -> None:
    assert "ice" not in NgramSummary(asked()).prompt(everything).messages[-1].text


@pytest.mark.parametrize("ngrams", [(), (Ngram("the river", 0.0, 0.0, 3),)])
def test_without_a_response_there_is_nothing_to_summarise(
    everything: Evidence, asked: Any, ngrams: tuple[Ngram, ...]
) -> None:
    llm = asked()
    evidence = replace(everything, ngrams=ngrams)
    found = asyncio.run(NgramSummary(llm).explain(evidence, seed=0))
    assert found.failure is not None
    assert (found.text, found.failure.reason, found.failure.raw_reply) == ("", "no_ngrams", None)
    assert llm.requests == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"use": 0}, "use must be at least 1, not 0"),
        ({"use": 30, "consider": 29}, "consider must be at least 30, not 29"),
    ],
)
def test_settings_out_of_range(asked: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NgramSummary(asked(), **values)
