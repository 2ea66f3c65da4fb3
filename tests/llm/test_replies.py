"""What bodies mean that servers send, in their own words; the requests around them are in test_openai_http.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuroexplain.calls import Usage
from neuroexplain.errors import LLMPermanentError, LLMReplyError, LLMUnavailableError
from neuroexplain.llm.replies import (
    Response,
    completion,
    failure,
    rate_limits,
    refused_parameter,
)

BASE = "http://127.0.0.1:8000/v1"


def response(body: Any, status: int = 200) -> Response:
    return Response(BASE, status, {"content-type": "application/json"}, json.dumps(body))


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


TOO_LONG = {
    "OpenAI": response(error("too many", code="context_length_exceeded", param="messages"), 400),
    "vLLM": response(
        {"object": "error", "message": "The maximum context length is 9 tokens."}, 400
    ),
    "vLLM, parameter": response(
        error("'max_completion_tokens' is too large: 9. The model's context length is only 8."), 400
    ),
    "llama.cpp": response(error("too big", type="exceed_context_size_error", code=500), 500),
    "Anthropic": response(error("prompt is too long: 9 tokens > 8 maximum"), 400),
    "proxy": response("", 413),
}


@pytest.mark.parametrize("server", TOO_LONG)
def test_a_prompt_that_does_not_fit_fails_this_call_only(server: str) -> None:
    got = TOO_LONG[server]
    made = failure(got)
    assert type(made) is LLMReplyError
    assert f"does not fit the model at {BASE} ({got.status})" in str(made)
    assert made.raw == got.body
    assert refused_parameter(got, ["max_completion_tokens", "seed"]) is None


@pytest.mark.parametrize(
    ("message", "status", "kind"),
    [
        ("max_tokens is too large: it must be at most 4096", 400, LLMPermanentError),
        ("the context length is no business of this key", 403, LLMPermanentError),
        ("request too large: 9 tokens per minute, limit 8", 429, LLMUnavailableError),
    ],
)
def test_other_limits_are_what_they_were(message: str, status: int, kind: type) -> None:
    assert type(failure(response(error(message), status))) is kind


def test_a_prompt_that_does_not_fit_said_with_200() -> None:
    with pytest.raises(LLMReplyError, match=r"does not fit the model at .* \(400\)"):
        completion(response(error("it exceeds the context window", code=400)))


@pytest.mark.parametrize("content", [None, ["x"], 3])
def test_no_text(content: Any) -> None:
    choice = {"message": {"content": content}, "finish_reason": "stop"}
    with pytest.raises(LLMReplyError, match=r"without text \(finish_reason stop\)$"):
        completion(response({"choices": [choice]}))
    cut = choice | {"finish_reason": "length"}
    with pytest.raises(LLMReplyError, match=r"\(finish_reason length\); raise max_tokens$"):
        completion(response({"choices": [cut]}))


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"usage": {"prompt_tokens": 7, "completion_tokens": 0}}, Usage(7, 0)),
        ({"usage": {"prompt_tokens": 7}}, Usage(7)),
        ({"usage": {"prompt_tokens": -7, "completion_tokens": True}}, Usage()),
        ({"usage": None}, Usage()),
        ({"usage": "many"}, Usage()),
        ({}, Usage()),
        (
            {
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 5,
                    "prompt_tokens_details": {"cached_tokens": 4},
                    "completion_tokens_details": {"reasoning_tokens": 3},
                }
            },
            Usage(9, 5, 4, 3),
        ),
    ],
)
def test_token_counts_may_be_missing(usage: dict[str, Any], counts: Usage) -> None:
    body = {"choices": [{"message": {"content": "x"}}], "model": "m-2", **usage}
    found = completion(response(body))
    assert (found.text, found.finish_reason, found.served_model) == ("x", "stop", "m-2")
    assert found.usage == counts


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"message": {"content": None, "refusal": "no"}}, "refusal"),
        ({"message": {"content": "x"}, "finish_reason": "content_filter"}, "filtered"),
        ({"message": {"content": None}, "finish_reason": "length"}, "truncated"),
        ({"message": {"content": ""}, "finish_reason": "length"}, "truncated"),
        ({"message": {"content": None}}, "no_text"),
        ({"message": {"content": "\ud800"}}, "bad_text"),
        (None, "no_choices"),
    ],
)
def test_a_reply_that_is_of_no_use_has_a_reason_and_is_paid_for(choice: Any, reason: str) -> None:
    body = {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    with pytest.raises(LLMReplyError) as caught:
        completion(response(body))
    assert caught.value.reason == reason
    assert caught.value.usage == Usage(9, 2)
    assert caught.value.raw == json.dumps(body)


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        ({}, (None, None)),
        ({"x-ratelimit-limit-requests": "500", "x-ratelimit-limit-tokens": "200000"}, (500, 2e5)),
        ({"x-ratelimit-limit-requests": "0", "x-ratelimit-limit-tokens": "1m"}, (None, None)),
    ],
)
def test_limits_that_a_server_tells(headers: dict[str, str], limits: Any) -> None:
    assert rate_limits(headers) == limits
