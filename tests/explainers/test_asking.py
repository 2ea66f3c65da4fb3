"""What every explainer with a language model does beside writing out its evidence."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from neuroexplain.errors import LLMUnavailableError
from neuroexplain.explainers.asking import Asking, drawn
from neuroexplain.llm.tokens import estimate_chat
from neuroexplain.records import Evidence, Explanation, NeuronId
from neuroexplain.registry import BUILT_IN, create, find, needs_llm, settings

NAMES = [name for name in BUILT_IN["explainer"] if issubclass(find("explainer", name), Asking)]


def explain(name: str, llm: Any, evidence: Evidence, **candidate: int) -> Explanation:
    explainer = create("explainer", name, {}, llm)
    found: Explanation = asyncio.run(explainer.explain(evidence, **{"seed": 0} | candidate))
    return found


def test_all_that_need_a_model_ask_in_the_same_way() -> None:
    assert {n for n in BUILT_IN["explainer"] if needs_llm(find("explainer", n))} == {*NAMES}
    assert {"token-activation", "highlight", "contrastive", "ensemble"} < {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_reply_becomes_an_explanation(
    asked: Callable[..., Any], everything: Evidence, name: str
) -> None:
    llm = asked("Explanation: words for ice")
    found = explain(name, llm, everything, seed=7, sample=2)
    (request,) = llm.requests
    assert (found.text, found.explainer, found.status) == ("words for ice", name, "ok")
    assert (found.neuron, found.scale) == (everything.neuron, everything.scale)
    assert (found.llm, found.settings) == (llm.spec, settings(find("explainer", name)))
    assert (found.prompt_sha256, len(found.template_sha256 or "")) == (request.prompt_sha256, 64)
    assert (request.purpose, request.seed, request.sample) == ("explain", 7, 2)
    assert (request.max_tokens, request.temperature) == (100, 0.0)
    assert request.messages[0].role == "system"
    assert request.messages[-1].role == "user"


@pytest.mark.parametrize("name", NAMES)
def test_a_useless_reply_is_a_failure_that_keeps_it(
    asked: Callable[..., Any], everything: Evidence, name: str
) -> None:
    llm = asked("I'm sorry, but I can't help with that.")
    found = explain(name, llm, everything)
    assert found.failure is not None
    assert (found.text, found.status, found.failure.reason) == ("", "failed", "refusal")
    assert found.failure.raw_reply == llm.reply.text
    assert found.prompt_sha256 == llm.requests[0].prompt_sha256


@pytest.mark.parametrize("name", NAMES)
def test_a_dead_neuron_costs_no_call(
    asked: Callable[..., Any], everything: Evidence, name: str
) -> None:
    llm = asked()
    found = explain(name, llm, replace(everything, scale=0.0))
    assert found.failure is not None
    assert (found.failure.reason, found.failure.raw_reply) == ("dead_neuron", None)
    assert (found.text, found.prompt_sha256, llm.requests) == ("", None, [])


@pytest.mark.parametrize("name", NAMES)
def test_no_reply_at_all_is_raised(
    asked: Callable[..., Any], everything: Evidence, name: str
) -> None:
    llm = asked()
    llm.reply = LLMUnavailableError("the server is gone")
    with pytest.raises(LLMUnavailableError, match="the server is gone"):
        explain(name, llm, everything)


@pytest.mark.parametrize("name", NAMES)
def test_candidates_see_other_evidence_of_the_same_neuron(
    asked: Callable[..., Any], everything: Evidence, name: str
) -> None:
    def user(evidence: Evidence, seed: int, sample: int) -> str:
        llm = asked()
        explain(name, llm, evidence, seed=seed, sample=sample)
        shared, own = llm.requests[0].messages[:-1], llm.requests[0].messages[-1]
        opening.add(shared)
        text: str = own.text
        return text

    opening: set[Any] = set()
    first = user(everything, 0, 0)
    assert user(everything, 1, 0) == first  # the strongest evidence is not drawn
    others = [user(everything, 0, sample) for sample in range(1, 6)]
    assert len({first, *others}) == 6
    assert [user(everything, 0, sample) for sample in range(1, 6)] == others
    assert user(everything, 1, 1) != others[0]
    other = replace(everything, neuron=NeuronId("tiny", 1, 8))
    assert user(other, 0, 0) == first
    assert user(other, 0, 1) != others[0]
    assert len(opening) == 1  # so that a server reads what comes before it once


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_stays_in_order(
    asked: Callable[..., Any], everything: Evidence, name: str
) -> None:
    for sample in range(4):
        llm = asked()
        explain(name, llm, everything, sample=sample)
        text = llm.requests[0].messages[-1].text
        for word in ("t", "up", "down", "gram "):
            ranks = [int(n) for n in re.findall(rf"(?<!\w){word}(\d+)", text)]
            ranks = list(dict.fromkeys(ranks))  # `token-activation` may name a token twice
            assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("there", "n", "of", "shown", "among"),
    [
        (50, 30, 50, 30, 50),  # as in SASC
        (100, 30, None, 30, 50),
        (20, 5, None, 5, 8),
        (5, 5, None, 3, 5),  # fewer than there are, else all candidates would see the same
        (3, 5, None, 2, 3),
        (2, 5, None, 1, 2),
        (1, 5, None, 1, 1),
        (0, 5, None, 0, 0),
        (9, 0, None, 0, 0),
    ],
)
def test_three_fifths_are_drawn(there: int, n: int, of: int | None, shown: int, among: int) -> None:
    assert list(drawn(range(there), n, None, of=of)) == list(range(min(n, there)))
    seen = [drawn(range(there), n, Random(seed), of=of) for seed in range(200)]
    assert {len(one) for one in seen} == {shown}
    assert all(one == sorted(set(one)) for one in map(list, seen))
    assert {i for one in seen for i in one} == set(range(among))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "token-activation"])
def test_a_prompt_costs_at_most_900_tokens(
    build: Any, asked: Callable[..., Any], everything: Evidence, name: str
) -> None:
    text = "the river had frozen over night and nobody in that town could remember such a winter"
    words = text.split()

    def long(exemplar: Any) -> Any:
        rank = exemplar.rank
        tokens = [f" {words[i * (rank + 3) % len(words)]}" for i in range(64)]
        values = [exemplar.peak if i % 16 == rank % 16 else 0.0 for i in range(64)]
        return build.exemplar(build.span(tokens), values, kind=exemplar.kind, rank=rank)

    evidence = replace(
        everything,
        exemplars=[long(e) for e in everything.exemplars],
        look_alikes=[long(e) for e in everything.look_alikes],
        ngrams=[replace(n, text="buildings were razed") for n in everything.ngrams],
        output_tokens=None if name == "ensemble" else everything.output_tokens,
    )
    llm = asked()
    explain(name, llm, evidence)
    assert 200 < estimate_chat(llm.requests[0].messages) <= 900


@pytest.mark.parametrize("name", NAMES)
def test_settings_out_of_range_are_refused(asked: Callable[..., Any], name: str) -> None:
    cls = find("explainer", name)
    with pytest.raises(ValueError, match=r"^max_tokens must be at least 1, not 0$"):
        cls(asked(), max_tokens=0)
    with pytest.raises(ValueError, match=r"^temperature must be at least 0, not -0\.5$"):
        cls(asked(), temperature=-0.5)
