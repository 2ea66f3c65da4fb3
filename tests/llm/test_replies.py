"""What bodies mean that servers send, in their own words; the requests around them are in test_openai_http.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuroexplain.errors import LLMPermanentError, LLMReplyError, LLMUnavailableError
from neuroexplain.llm.replies import Response, completion, failure, refused_parameter

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
        ({"usage": {"prompt_tokens": 7, "completion_tokens": 0}}, (7, 0)),
        ({"usage": {"prompt_tokens": 7}}, (7, None)),
        ({"usage": None}, (None, None)),
        ({"usage": "many"}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_token_counts_may_be_missing(
    usage: dict[str, Any], counts: tuple[int | None, int | None]
) -> None:
    found = completion(response({"choices": [{"message": {"content": "x"}}], **usage}))
    assert (found.text, found.finish_reason) == ("x", "stop")
    assert (found.prompt_tokens, found.completion_tokens) == counts
