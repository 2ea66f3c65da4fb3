"""What could have begun a reply: as text, as servers send it, and as requests ask for it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from neuroexplain.calls import Usage, Waiting
from neuroexplain.errors import LLMPermanentError, LLMReplyError
from neuroexplain.llm.alternatives import read, written
from neuroexplain.llm.base import Request
from neuroexplain.llm.batch import request_of
from neuroexplain.llm.dialect import Dialect
from neuroexplain.llm.replies import Response, completion
from neuroexplain.templates import Message
from neuroexplain.testing import completion as made

ASKED = Request((Message("user", "7?"),), "simulate", 1, temperature=1.0, top_logprobs=20)
BODY: dict[str, Any] = {
    "model": "m", "messages": [{"role": "user", "content": "7?"}], "logprobs": True, "top_logprobs": 3,
}  # fmt: skip


def test_what_is_written_is_read_again() -> None:
    found = [("é\n", -0.25), ("7", -2.0), ("7", -2.0), ("", -3)]
    text = written([found[1], found[0], *found[2:], ("x", -math.inf), ("y", math.nan)])
    assert text.isascii() and " " not in text
    assert read(text) == found
    assert read(written([])) == []


@pytest.mark.parametrize(
    "text",
    ["7", "{}", "[1]", '["7"]', '[["7"]]', '[["7", "x"]]', '[[7, -1]]', '[["7", false]]', '[["7", NaN]]', '[["7", 1]]',
     '[["7", -1, 2]]', "seven", ""],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


def sent(body: dict[str, Any]) -> Response:
    return Response("http://a/v1", 200, {"content-type": "application/json"}, json.dumps(body))


def test_those_of_the_first_token_are_the_reply() -> None:
    """Whatever the text is, and however it ends: here it is empty, and cut off."""
    body = made("7 8", BODY, alternatives={"7": 0.5, "8": 0.25, "9": 0.125, "0": 0.0625})
    body["choices"][0] |= {"finish_reason": "length"}
    body["choices"][0]["message"]["content"] = ""
    found = completion(sent(body), top_logprobs=True)
    shares = [(token, round(math.exp(p), 9)) for token, p in read(found.text)]
    assert shares == [("7", 0.5), ("8", 0.25), ("9", 0.125)]
    assert (found.finish_reason, found.usage) == ("length", Usage(1, 2))


def spoilt(**choice: Any) -> Response:
    body = made("7", BODY)
    body["choices"][0] |= choice
    return sent(body)


NONE_LISTED: dict[str, Any] = {
    "no token": {"content": []},
    "no list": {"content": [{"token": "7", "logprob": -1}]},
    "an empty list": {"content": [{"token": "7", "logprob": -1, "top_logprobs": []}]},
    "no numbers": {"content": [{"top_logprobs": [{"token": "7", "logprob": "high"}, 3]}]},
}


@pytest.mark.parametrize("case", NONE_LISTED)
def test_a_reply_that_lists_none_fails_this_call_only(case: str) -> None:
    with pytest.raises(LLMReplyError, match="without alternatives to the first token") as caught:
        completion(spoilt(logprobs=NONE_LISTED[case]), top_logprobs=True)
    assert (caught.value.reason, caught.value.usage) == ("no_logprobs", Usage(1, 1))
    assert caught.value.raw is not None


@pytest.mark.parametrize("logprobs", [None, {}, {"content": None}, {"tokens": ["7"]}])
def test_a_server_that_gives_none_will_not_do(logprobs: Any) -> None:
    with pytest.raises(LLMPermanentError, match="gives no log probabilities with its replies"):
        completion(spoilt(logprobs=logprobs), top_logprobs=True)


def test_a_refusal_is_one_whatever_was_asked_for() -> None:
    refusal = spoilt(message={"content": None, "refusal": "no"})
    for top_logprobs in (False, True):
        with pytest.raises(LLMReplyError) as caught:
            completion(refusal, top_logprobs=top_logprobs)
        assert caught.value.reason == "refusal"
    with pytest.raises(LLMReplyError) as caught:
        completion(spoilt(finish_reason="content_filter"), top_logprobs=True)
    assert caught.value.reason == "filtered"


def test_they_are_part_of_what_a_request_is_known_by_where_they_are_wanted() -> None:
    plain = replace(ASKED, top_logprobs=0)
    assert plain.as_json() == (
        '{"max_tokens":1,"sample":0,"schema":null,"seed":0,"temperature":1.0,'
        '"messages":[{"role": "user", "content": "7?"}]}'
    ), "as ledgers have known it from the beginning"
    assert len({r.sha256("m") for r in (plain, ASKED, replace(ASKED, top_logprobs=5))}) == 3


@pytest.mark.parametrize("request_", [ASKED, replace(ASKED, top_logprobs=0, schema="{}")])
def test_a_request_that_waits_for_a_batch_is_the_same_afterwards(request_: Request) -> None:
    assert request_of(Waiting("", "", "m", "simulate", request_.as_json())) == request_


def test_a_server_that_gives_fewer_is_asked_for_fewer() -> None:
    dialect = Dialect()
    asked = []
    while True:
        body = dialect.body("m", ASKED)
        asked.append(body["top_logprobs"])
        assert body["logprobs"] is True
        if "top_logprobs" not in dialect.optional(body):
            break
        dialect = dialect.without("top_logprobs")
    assert asked == [20, 10, 5], "fewer say too little"
    assert dialect.body("m", replace(ASKED, top_logprobs=3))["top_logprobs"] == 3
    assert Dialect(top=8).body("m", ASKED)["top_logprobs"] == 8
    assert json.loads(dialect.encoded("m", ASKED))["top_logprobs"] == 5
    assert not Dialect().body("m", replace(ASKED, top_logprobs=0)).keys() & {"logprobs", "top_logprobs"}  # fmt: skip
