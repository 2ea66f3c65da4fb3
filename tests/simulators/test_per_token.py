"""A call per token: levels from given probabilities over a real server and from a tiny model in process, and what they cost."""

from __future__ import annotations

import asyncio
import json
import math
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

from neuroexplain import testing
from neuroexplain.errors import LLMPermanentError, PluginError
from neuroexplain.llm.local import LocalLLM
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.records import Simulation, TokenSpan
from neuroexplain.registry import create
from neuroexplain.simulators.per_token import PerTokenSimulator
from neuroexplain.testing import ALL, completion
from tests.lives import answer as explain
from tests.llm import tiny
from tests.offline import WAITING, Offline, respond
from tests.program import Result, neuroexplain
from tests.sweeps import Sweeps, error_of

Build = Any  # of conftest.py, which cannot be imported
Body = dict[str, Any]
SURE = {"7": 0.5, "The": 0.25, "8": 0.25}
"""Of which the levels are 7 and 8, as 2 to 1."""


def token_of(body: Body) -> str:
    """The token that a chat is about."""
    found = re.search(r'Level of its last token, "(.*)":$', body["messages"][-1]["content"])
    assert found is not None, body["messages"]
    return found[1]


def giving(chances: Mapping[str, Mapping[str, float]]) -> Callable[[Body], Body]:
    """A server whose alternatives hang on the token that is asked about."""
    return lambda body: completion("0", body, alternatives=chances[token_of(body).strip()])


def over_http(
    answer: Callable[[Body], Any], build: Build, spans: list[TokenSpan], **settings: Any
) -> tuple[Simulation, list[Body]]:
    async def run(url: str) -> Simulation:
        llm = OpenAIChat("any", base_url=url)
        try:
            simulator = PerTokenSimulator(llm, **settings)
            return await simulator.simulate(build.explanation("ships"), spans)
        finally:
            await llm.close()

    with testing.serve(answer) as server:
        return asyncio.run(run(server.base_url)), server.chats


LEVELS: dict[str, tuple[dict[str, float], float]] = {
    "one": ({"3": 1.0}, 3.0),
    "two": (SURE, (7 * 0.5 + 8 * 0.25) / 0.75),
    "X is ten": ({"X": 0.6, "9": 0.2, "x": 0.2}, (10 * 0.6 + 9 * 0.2) / 0.8),
    "10 is ten": ({"10": 0.5, "1": 0.5}, 5.5),
    "spaces": ({" 4": 0.25, "4": 0.25, "\n4": 0.25, "11": 0.1}, 4.0),
    "all": ({str(level): 1 / 11 for level in range(11)}, 5.0),
}


@pytest.mark.parametrize("case", LEVELS)
def test_the_level_is_the_expected_value_over_the_levels_alone(build: Build, case: str) -> None:
    chances, expected = LEVELS[case]
    found, chats = over_http(giving({"ship": chances}), build, [build.span("ship")])
    assert found.spans[0].expected is not None
    assert found.spans[0].expected.tolist() == pytest.approx([expected], abs=1e-6)
    (body,) = chats
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert (body["max_completion_tokens"], body["temperature"]) == (1, 1.0)


def test_every_token_of_every_span_is_a_call(build: Build) -> None:
    spans = [build.span("a big ship"), build.span("ship a")]
    chances = {"a": {"0": 1.0}, "big": {"2": 0.5, "4": 0.5}, "ship": {"X": 1.0}}
    found, chats = over_http(giving(chances), build, spans)
    assert [s.span for s in found.spans] == spans
    assert [s.expected.tolist() for s in found.spans if s.expected is not None] == [
        [0, 3, 10],
        [10, 0],
    ]
    assert all(s.expected.dtype == np.float32 for s in found.spans if s.expected is not None)
    assert (found.simulator, found.coverage, found.llm) == ("per-token", 1.0, "openai:any")
    assert found.settings == {"top": 20, "min_mass": 0.5}
    assert len(chats) == 5


def test_each_prompt_begins_like_the_one_before_it_as_far_as_their_texts_agree(
    build: Build,
) -> None:
    tokens = ["The", " old", " ship", " sank"]
    chances = {token.strip(): {"0": 1.0} for token in tokens}
    _, chats = over_http(giving(chances), build, [build.span(tokens)])
    systems = {body["messages"][0]["content"] for body in chats}
    assert len(systems) == 1
    prompts = sorted((body["messages"][1]["content"] for body in chats), key=len)
    for end, (one, other) in enumerate(pairwise(prompts), start=1):
        shared = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
        assert one[:shared].endswith(f"responds to: ships\n\nText: {''.join(tokens[:end])}")


def test_tokens_that_look_like_the_prompt_and_parts_of_a_character(build: Build) -> None:
    """The parts of a character are asked about as the first of them, which has its text."""
    tokens = ["a\nb", "é", "", "", '":', "Text: x"]
    found, chats = over_http(
        lambda body: completion("0", body, alternatives={str(len(token_of(body))): 1.0}),
        build,
        [build.span(tokens)],
    )
    assert found.spans[0].expected is not None
    assert found.spans[0].expected.tolist() == [4, 1, 1, 1, 2, 7]
    texts = [body["messages"][1]["content"] for body in chats]
    assert "Text: a\\nbé\n\n" in "".join(texts)
    assert len(set(texts)) == 4


OFF_SCALE = {"The": 0.5, "7": 0.37, "I": 0.13}


def test_a_model_that_answers_something_else_fails_the_span_and_is_not_asked_on(
    build: Build,
) -> None:
    chances = {"a": {"0": 1.0}, "odd": OFF_SCALE, "ship": {"X": 1.0}}
    spans = [build.span("odd a ship a"), build.span("a ship"), build.span("a odd ship")]
    found, chats = over_http(giving(chances), build, spans)
    assert [s.expected is None for s in found.spans] == [True, False, True]
    assert found.coverage == 2 / 9
    for failure in (found.spans[0].failure, found.spans[2].failure):
        assert failure is not None
        assert (failure.stage, failure.reason) == ("simulate", "off_scale")
        assert failure.message == (
            'the levels have 37% of the probability; most probable are "The" 50%, "7" 37%, "I" 13%'
        )
        assert failure.raw_reply is not None
        raw = [(token, round(math.exp(p), 6)) for token, p in json.loads(failure.raw_reply)]
        assert raw == [("The", 0.5), ("7", 0.37), ("I", 0.13)]
    assert len(chats) == 1 + 2 + 3, "of the first span, whose first token tells, one call"


def test_how_much_the_levels_must_have_is_a_setting(build: Build) -> None:
    chances = {"odd": OFF_SCALE}
    found, _ = over_http(giving(chances), build, [build.span("odd")], min_mass=0.36)
    assert found.spans[0].expected is not None
    assert found.spans[0].expected.tolist() == [7.0]


def no_content(body: Body) -> Body:
    made = completion("0", body)
    made["choices"][0]["logprobs"] = {"content": []}
    return made


def positive(body: Body) -> Body:
    made = completion("0", body)
    made["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["logprob"] = 0.5
    return made


BAD: dict[str, tuple[Callable[[Body], Any], str, str]] = {
    "no alternatives": (no_content, "no_logprobs", "without alternatives to the first token"),
    "no alternatives wanted": (
        lambda body: completion("0", body | {"top_logprobs": 0}),
        "no_logprobs",
        "without alternatives",
    ),
    "no log probability": (positive, "parse_failed", '["0", 0.5] is no [token, log probability]'),
    "refusal": (testing.FAULTS["refusal"], "refusal", "refused: I cannot help with that."),
    "no choices": (testing.FAULTS["no_choices"], "no_choices", "without choices"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_reply_that_cannot_be_read_fails_its_span(build: Build, case: str) -> None:
    spoil, reason, said = BAD[case]

    def answer(body: Body) -> Any:
        bad = token_of(body).strip() == "bad"
        return spoil(body) if bad else completion("0", body, alternatives={"5": 1.0})

    spans = [build.span("fine bad fine"), build.span("fine fine")]
    found, _ = over_http(answer, build, spans)
    failure = found.spans[0].failure
    assert found.spans[0].expected is None and failure is not None
    assert (failure.reason, said in failure.message) == (reason, True)
    assert failure.raw_reply, "what came is kept"
    assert found.spans[1].expected is not None
    assert found.spans[1].expected.tolist() == [5, 5]


def test_a_server_without_log_probabilities_is_an_error_not_zeros(build: Build) -> None:
    with pytest.raises(LLMPermanentError, match="gives no log probabilities with its replies"):
        over_http(lambda body: completion("7", body | {"logprobs": False}), build, [build.span("a")])  # fmt: skip


def test_alternatives_that_only_a_few_are_given_of_may_be_enough(build: Build) -> None:
    """The server lists five where twenty are asked for; the levels that are not listed count as nothing."""
    shares = {str(level): (11 - level) / 66 for level in range(11)}
    found, chats = over_http(giving({"a": shares}), build, [build.span("a")], top=5)
    listed = {level: (11 - level) / 66 for level in range(5)}
    expected = sum(level * p for level, p in listed.items()) / sum(listed.values())
    assert found.spans[0].expected is not None
    assert found.spans[0].expected.tolist() == pytest.approx([expected], abs=1e-6)
    assert chats[0]["top_logprobs"] == 5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"top": 0}, "top must be at least 1"),
        ({"min_mass": 0.0}, "min_mass must be above 0 and at most 1"),
        ({"min_mass": 1.5}, "min_mass must be above 0 and at most 1"),
    ],
)
def test_settings(build: Build, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(PluginError, match=said):
        create("simulator", "per-token", settings, build.scripted())


def test_nothing_to_simulate(build: Build) -> None:
    found = asyncio.run(PerTokenSimulator(build.scripted()).simulate(build.explanation(), []))
    assert (found.spans, found.coverage) == ((), 0.0)


def test_a_scripted_model_says_its_alternatives(build: Build) -> None:
    llm = build.scripted('[["2",0.0]]', '[["X",0.0]]', "7")
    spans = [build.span("a b"), build.span("c")]
    found = asyncio.run(PerTokenSimulator(llm).simulate(build.explanation(), spans))
    assert found.spans[0].expected is not None
    assert found.spans[0].expected.tolist() == [2, 10]
    assert found.spans[1].failure is not None
    assert (found.spans[1].failure.reason, found.spans[1].failure.raw_reply) == (
        "parse_failed",
        "7",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model that always says the same; its tokenizer writes every digit as one token."""
    made = tmp_path_factory.mktemp("model")
    tiny.save(made)
    return made


@pytest.fixture(scope="module")
def local(folder: Path) -> LocalLLM:
    """The same with random weights, which say anything."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    config: Any = AutoConfig.from_pretrained(folder)
    config.initializer_range = 0.3
    torch.manual_seed(1)
    model = LlamaForCausalLM(config).eval()
    return LocalLLM("local:tiny", model, tokenizer, "local:1")


def by_hand(llm: LocalLLM, explanation: str, span: TokenSpan) -> tuple[list[float], list[float]]:
    """Levels and what they have of the probability, by a plain pass over each chat as its template writes it."""
    simulator, tokenizer = PerTokenSimulator(llm), llm._tokenizer
    answers = tokenizer.convert_tokens_to_ids([*"0123456789X"])
    expected, mass = [], []
    for end in range(1, len(span) + 1):
        request = simulator._request(explanation, span.tokens[:end])
        ids = tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.text} for m in request.messages],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )["input_ids"]
        with torch.no_grad():
            logits = llm._model(ids, use_cache=False).logits[0, -1].double()
        shares = torch.softmax(logits, -1)[answers]
        mass.append(float(shares.sum()))
        expected.append(float((shares * torch.arange(11)).sum()) / mass[-1])
    return expected, mass


def test_in_process_the_level_equals_a_plain_softmax_over_the_chat(
    local: LocalLLM, build: Build
) -> None:
    spans = [build.span("rain falls on cold rivers"), build.span(["a\nb", " 7", "é", "", " snow"])]
    levels, masses = zip(*(by_hand(local, "rain", span) for span in spans), strict=True)
    least = min(map(min, masses)) / 2
    # All of the vocabulary, so that none of the eleven is left out.
    simulator = PerTokenSimulator(local, top=len(local._tokenizer), min_mass=least)
    found = asyncio.run(simulator.simulate(build.explanation("rain"), spans))
    assert np.ptp([*levels[0], *levels[1]]) > 0.1, (
        "the places differ, so that equality says something"
    )
    for span, expected in zip(found.spans, levels, strict=True):
        assert span.expected is not None
        np.testing.assert_allclose(span.expected, expected, atol=1e-3)


def test_in_process_what_prompts_share_is_read_once(local: LocalLLM, build: Build) -> None:
    """Of 40 prompts of some 500 tokens, all but the last few of each were those of the one before."""
    read: list[int] = []
    network = local._batches.network
    handle = network._model.get_input_embeddings().register_forward_hook(
        lambda _, args, __: read.append(args[0].numel())
    )
    span = build.span(" ".join(f"w{i}" for i in range(40)))
    simulator = PerTokenSimulator(local, top=len(local._tokenizer), min_mass=1e-9)
    try:
        found = asyncio.run(simulator.simulate(build.explanation("rain"), [span]))
    finally:
        handle.remove()
    assert found.coverage == 1.0
    whole = sum(
        len(local._chat_ids(simulator._request("rain", span.tokens[:end]).messages))
        for end in range(1, len(span) + 1)
    )
    assert sum(read) < whole / 4


def test_in_process_a_model_that_says_something_else_is_off_the_scale(
    folder: Path, build: Build
) -> None:
    simulator = PerTokenSimulator(LocalLLM.load(str(folder)))
    found = asyncio.run(simulator.simulate(build.explanation("rain"), [build.span("rain falls")]))
    failure = found.spans[0].failure
    assert failure is not None and failure.reason == "off_scale"
    assert failure.raw_reply is not None
    top = json.loads(failure.raw_reply)
    assert (len(top), top[0][0]) == (20, "rain"), "what the model answers to everything"


SMALL = (
    *("--explainer", "token-activation", "--simulator", "per-token", "--neurons", "0:0-1"),
    *("--score-top", "1", "--score-random", "1", "--score-quantile", "0", "--bootstrap", "20"),
)


def swept(body: Body) -> Any:
    """A model that explains, and says levels."""
    if not body.get("logprobs"):
        return explain(body)
    return completion("0", body, alternatives={str(len(token_of(body)) % 10): 0.75, "0": 0.25})


def sweep(sweeps: Sweeps, catalogue: Path, url: str, *more: str, probe: bool = False) -> Result:
    return neuroexplain(
        *("sweep", *sweeps.collecting, *SMALL, "--llm", "openai:test-model", *more),
        *("--base-url", f"{url},name=here", *(() if probe else ("--no-probe",))),
        *("--catalogue", str(catalogue)),
        OPENAI_API_KEY="none",
    )


def rows(catalogue: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(catalogue)) as connection:
        return connection.execute(query).fetchall()


def test_a_sweep_buys_a_call_a_token_as_its_dry_run_says_and_none_twice(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    catalogue = sweeps.copy(tmp_path / "c.sqlite")
    with testing.serve(swept) as server:
        dry = sweep(sweeps, catalogue, server.base_url, "--dry-run", "--json").json
        assert server.chats == []
        done = sweep(sweeps, catalogue, server.base_url, probe=True)
        bought = server.chats
        again = sweep(sweeps, catalogue, server.base_url, probe=True)
        rescored = sweep(sweeps, catalogue, server.base_url, "--seed", "0", "--bootstrap", "30")
    assert (done.code, again.code, rescored.code) == (0, 0, 0), done.err
    assert len(server.chats) == len(bought)
    simulated = [body for body in bought if body.get("logprobs")]
    assert len({json.dumps(body["messages"]) for body in simulated}) == len(simulated)
    stages = dry["stages"]
    assert stages["explain"]["calls"] == len(bought) - len(simulated) == 2
    assert stages["simulate"]["completion_tokens"] == stages["simulate"]["calls"]
    assert stages["simulate"]["calls"] == len(simulated) == 2 * 2 * 16, "neurons, spans, tokens"
    assert "one character" in dry["prompts"]["simulate"]
    kept = rows(catalogue, "SELECT DISTINCT status, reply FROM v_llm_calls WHERE purpose = 'simulate'")  # fmt: skip
    assert {status for status, _ in kept} == {"ok"}
    assert all(json.loads(reply)[0][1] == pytest.approx(math.log(0.75)) for _, reply in kept if '"0"' not in reply[:5])  # fmt: skip


def test_a_server_without_log_probabilities_is_refused_before_anything_is_bought(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    catalogue = sweeps.copy(tmp_path / "c.sqlite")
    with testing.serve(swept, supports=ALL - {"logprobs"}) as server:
        refused = sweep(sweeps, catalogue, server.base_url, probe=True)
        assert error_of(refused) == (
            f"{server.base_url} gives no log probabilities with its replies; use another simulator, such as sparse"
        )
        assert server.chats == []
        blind = sweep(sweeps, catalogue, server.base_url)
    assert blind.code in (1, 3)
    assert "no log probabilities" in str(
        rows(catalogue, "SELECT error FROM v_llm_calls WHERE status = 'failed'")
    )
    assert rows(catalogue, "SELECT count(*) FROM v_scores WHERE value IS NOT NULL") == [(0,)]


def test_a_sweep_off_the_scale_fails_with_its_replies_which_can_be_asked_for_anew(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    catalogue = sweeps.copy(tmp_path / "c.sqlite")
    odd = True

    def answer(body: Body) -> Any:
        if body.get("logprobs") and odd:
            return completion("Well", body, alternatives={"Well": 0.9, "1": 0.1})
        return swept(body)

    with testing.serve(answer) as server:
        bad = sweep(sweeps, catalogue, server.base_url, "--json")
        assert bad.code == 3
        assert "failed: off_scale" in bad.err
        failures = rows(catalogue, "SELECT DISTINCT reason, raw_reply FROM simulation_failure")
        assert [(reason, json.loads(raw)[0][0]) for reason, raw in failures] == [("off_scale", "Well")]  # fmt: skip
        assert rows(catalogue, "SELECT DISTINCT value, coverage FROM v_scores") == [(None, 0.0)]
        odd = False
        run = str(bad.json["run_id"])
        server_option = ("--base-url", f"{server.base_url},name=here", "--no-probe")
        mended = neuroexplain(
            *("runs", "retry", run, "--reason", "off_scale", "--catalogue", str(catalogue)),
            *server_option,
            OPENAI_API_KEY="none",
        )
    assert mended.code == 0, mended.err
    assert rows(catalogue, "SELECT min(coverage) FROM v_scores WHERE value IS NOT NULL") == [(1.0,)]


def test_by_offline_batches_every_call_is_written_at_once(sweeps: Sweeps, tmp_path: Path) -> None:
    direct = sweeps.copy(tmp_path / "direct.sqlite")
    with testing.serve(swept) as server:
        assert sweep(sweeps, direct, server.base_url).code == 0
    offline = Offline(sweeps, tmp_path / "offline")
    batch = ("--llm", f"batch:{offline.folder}", "--model", "test-model")

    def go_on() -> Result:
        catalogue = ("--catalogue", str(offline.catalogue))
        return neuroexplain("sweep", *sweeps.collecting, *SMALL, *batch, *catalogue)

    assert go_on().code == WAITING
    assert respond(offline, explain) == 2
    assert go_on().code == WAITING
    lines = offline.lines()
    assert {(line.body["logprobs"], line.body["top_logprobs"]) for line in lines} == {(True, 20)}
    results = [
        {"custom_id": line.custom_id, "error": None, "response": {"status_code": 200, "body": swept(line.body)}}
        for line in lines
    ]  # fmt: skip
    text = "".join(f"{json.dumps(result)}\n" for result in results)
    (offline.folder / "results" / "levels.jsonl").write_text(text, encoding="utf-8")
    done = go_on()
    assert done.code == 0, done.err
    query = "SELECT explanation_id, scorer, value FROM v_scores ORDER BY 1, 2"
    assert rows(offline.catalogue, query) == rows(direct, query) != []
