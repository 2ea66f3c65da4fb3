"""Reading probabilities from what completion endpoints return, without a server; see test_other_servers for real ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pytest

from neuroexplain.errors import LLMPermanentError, LLMReplyError
from neuroexplain.llm.base import MarkedRequest
from neuroexplain.llm.echo import Echo, NoEchoError, read_echo
from neuroexplain.llm.marked import _places, _row
from neuroexplain.llm.replies import Response


def echo(*tokens: str) -> Echo:
    return Echo(tokens, (None,) * len(tokens), ({},) * len(tokens))


def response(
    tokens: Sequence[str],
    logprobs: Sequence[float | None],
    tops: Sequence[Mapping[str, float] | None] | None,
) -> Response:
    made = {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": tops, "text_offset": []}
    body = {"choices": [{"logprobs": made}], "usage": {"prompt_tokens": 7}}
    return Response("http://a/v1", 200, {}, json.dumps(body))


def test_tokens_with_their_probabilities() -> None:
    found = read_echo(response(["a", "b"], [None, -1.5], [None, {"b": -1.5, "c": -2.0}]))
    assert found.tokens == ("a", "b")
    assert found.logprobs == (None, -1.5)
    assert found.alternatives == ({}, {"b": -1.5, "c": -2.0})
    assert (found.text, found.starts, found.prompt_tokens) == ("ab", [0, 1], 7)
    assert read_echo(response(["a"], [None], None)).alternatives == ({},)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"choices": []}',
        '{"choices": [{"logprobs": null}]}',
        '{"choices": [{"text": "a"}]}',
        '{"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": ["x"]}}]}',
        '{"choices": [{"logprobs": {"tokens": ["a", "b"], "token_logprobs": [null]}}]}',
    ],
)
def test_servers_that_ignore_the_question(body: str) -> None:
    with pytest.raises(NoEchoError):
        read_echo(Response("http://a/v1", 200, {}, body))


def test_leading_special_tokens_and_generated_ones_are_left_out() -> None:
    found = echo("<s>", "the", " cat", " sat")
    assert found.spelling("the cat").tokens == ("the", " cat")
    assert found.spelling("the cat").starts == [0, 3]
    with pytest.raises(NoEchoError, match="do not spell"):
        found.spelling("the c")
    with pytest.raises(NoEchoError, match="do not spell"):
        echo("a", "\ufffd", "b").spelling("aéb")


def asked(*segments: str, prefix: str = "levels\n") -> MarkedRequest:
    return MarkedRequest(prefix, segments, "unknown", ("0", "1"), 20)


def test_the_places_of_the_markers() -> None:
    request = asked("the\t", "\ncat\t")
    assert request.text == "levels\nthe\tunknown\ncat\tunknown"
    found = echo("levels", "\n", "the", "\t", "unk", "nown", "\n", "cat", "\t", "unk", "nown")
    assert _places(found.spelling(request.text), request, "u") == [4, 9]


def test_markers_that_are_joined_with_what_stands_before_them() -> None:
    request = asked("the\t", "\ncat\t")
    joined = echo("levels", "\n", "the", "\tunknown", "\ncat", "\tunknown")
    with pytest.raises(LLMPermanentError, match="joins the marker"):
        _places(joined, request, "u")
    once = echo("levels", "\n", "the", "\tunknown", "\ncat", "\t", "unknown")
    with pytest.raises(LLMReplyError, match="1 of 2 markers"):
        _places(once, request, "u")


def test_answers_that_are_not_listed() -> None:
    listed = {"0": math.log(0.9), "1": math.log(0.09), "x": math.log(0.0001)}
    assert _row(listed, ("0", "1", "2"), "u") == [listed["0"], listed["1"], None]
    with pytest.raises(LLMReplyError, match="may matter"):
        _row({"0": math.log(0.9), "x": math.log(0.05)}, ("0", "1"), "u")
    with pytest.raises(LLMReplyError, match="may matter"):
        _row({"x": -1.0, "y": -2.0}, ("0", "1"), "u")
    with pytest.raises(LLMReplyError, match="may matter"):
        _row({}, ("0", "1"), "u")
