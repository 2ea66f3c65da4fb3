"""What a server can do and what it leaves out, with and without probes."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from neuroexplain.testing import ALL, FEATURES, completion, serve
from neuroexplain.testing.probes import instance
from tests.testing.wire import BODY, post, probe

SCHEMA = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "enum": ["mauve", "teal"]},
        "sizes": {"type": "array", "items": {"$ref": "#/$defs/size"}, "minItems": 2},
        "spare": {"type": "string"},
    },
    "required": ["colour", "sizes"],
    "additionalProperties": False,
    "$defs": {"size": {"type": "integer", "minimum": 3}},
}
FORMS: dict[str, dict[str, Any]] = {
    "json_schema": {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}},
    "json_object": {"type": "json_object"},
}


def said(made: dict[str, Any]) -> str:
    return str(made["choices"][0]["message"]["content"])


@pytest.mark.parametrize("form", FORMS)
def test_probe_of_a_form(form: str) -> None:
    asked: dict[str, Any] = {"response_format": FORMS[form], "max_completion_tokens": 500}
    with serve(lambda body: pytest.fail("called")) as server:
        held = json.loads(said(probe(server, **asked)))
    with serve(lambda body: pytest.fail("called"), supports=ALL - {form}) as server:
        prose = said(probe(server, **asked))
    assert held == {"json_schema": {"colour": "teal", "sizes": [3, 3]}, "json_object": {}}[form]
    assert prose == "Here you are."


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_probe_of_a_cap(name: str) -> None:
    with serve(lambda body: "x") as server:
        kept = probe(server, **{name: 8})
    with serve(lambda body: "x", supports=ALL - {"max_completion_tokens"}) as server:
        open_end = probe(server, **{name: 8})
    assert said(kept) == "1, 2, 3, 4, 5, 6, 7, 8,"
    assert kept["choices"][0]["finish_reason"] == "length"
    assert kept["usage"]["completion_tokens"] == 8
    ignored = name == "max_completion_tokens"
    assert (open_end["usage"]["completion_tokens"] > 100) == ignored
    assert open_end["choices"][0]["finish_reason"] == ("stop" if ignored else "length")


def test_probe_of_logprobs_and_of_several_replies() -> None:
    asked = {"logprobs": True, "top_logprobs": 3, "n": 2, "max_tokens": 5}
    with serve(lambda body: "x") as server:
        made = probe(server, **asked)
    assert [choice["index"] for choice in made["choices"]] == [0, 1]
    assert made["usage"]["completion_tokens"] == 10
    for choice in made["choices"]:
        entries = choice["logprobs"]["content"]
        assert len(entries) == 5
        assert "".join(entry["token"] for entry in entries) == choice["message"]["content"]
        for entry in entries:
            chances = [math.exp(other["logprob"]) for other in entry["top_logprobs"]]
            assert entry["top_logprobs"][0]["token"] == entry["token"]
            assert len({other["token"] for other in entry["top_logprobs"]}) == 3
            assert chances == sorted(chances, reverse=True) and sum(chances) < 1
    with serve(lambda body: "x", supports=ALL - {"logprobs", "n", "usage"}) as server:
        made = probe(server, **asked)
    (choice,) = made["choices"]
    assert choice["logprobs"] is None
    assert "usage" not in made


def test_what_could_have_begun_a_reply_is_the_tests_to_choose() -> None:
    chances = {"7": 0.25, " 8": 0.5, "9": 0.125}
    asked: dict[str, Any] = BODY | {"logprobs": True, "top_logprobs": 2}
    with serve(lambda body: completion("7 or 8", body, alternatives=chances)) as server:
        first, second, _ = post(server, asked)[1]["choices"][0]["logprobs"]["content"]
    assert [(o["token"], round(math.exp(o["logprob"]), 6)) for o in first["top_logprobs"]] == [
        (" 8", 0.5),
        ("7", 0.25),
    ]
    assert (first["token"], round(math.exp(first["logprob"]), 6)) == ("7", 0.25)
    assert [o["token"] for o in second["top_logprobs"]] == [" or", " or1"]


def test_probes_are_kept_apart() -> None:
    with serve(lambda body: "mine") as server:
        assert said(probe(server)) == "Here you are."
        assert said(post(server)[1]) == "mine"
        assert post(server, {"model": "m"}, X_Neuroexplain="probe")[0] == 400
    assert server.probes == [BODY, {"model": "m"}]
    assert server.chats == [BODY]
    assert [r.headers.get("x-neuroexplain") for r in server.requests] == ["probe", None, "probe"]


@pytest.mark.parametrize("lacking", [f for f in FEATURES if f != "usage"])
def test_the_answer_does_not_see_what_the_server_ignores(lacking: str) -> None:
    sent: dict[str, Any] = BODY | {
        "logprobs": True, "top_logprobs": 2, "n": 2, "max_completion_tokens": 5, "seed": 1, "temperature": 1.0,
        "response_format": FORMS.get(lacking, {"type": "text"}),
    }  # fmt: skip
    seen: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> str:
        seen.append(body)
        return "a b c d e f g"

    with serve(answer, supports=ALL - {lacking}) as server:
        _, made = post(server, sent)
    assert server.chats == [sent]
    gone = {"response_format"} if lacking in FORMS else {lacking}
    gone |= {"top_logprobs"} if lacking == "logprobs" else set()
    assert seen == [{name: value for name, value in sent.items() if name not in gone}]
    assert len(made["choices"]) == (1 if lacking == "n" else 2)
    whole = lacking == "max_completion_tokens"
    assert said(made) == ("a b c d e f g" if whole else "a b c d e")
    assert (made["choices"][0]["logprobs"] is None) == (lacking == "logprobs")


def test_unknown_features_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown features: speed\. Known: json_schema"):
        serve(lambda body: "x", supports=frozenset({"speed"})).__enter__()


def test_a_completion_keeps_its_spaces_up_to_the_cap() -> None:
    assert said(completion(" a\n b  c d", BODY | {"max_tokens": 3})) == " a\n b  c"
    assert said(completion(" a b \n", BODY | {"max_tokens": 2})) == " a b \n"


def test_completions() -> None:
    asked = {"model": "m", "prompt": "one two three"}
    with serve(lambda body: "x", complete=lambda body: f"{body['prompt']} four") as server:
        status, made = post(server, asked, "/v1/completions")
        assert post(server, {"model": "m"}, "/v1/completions")[0] == 400
    assert status == 200
    assert made["choices"][0]["text"] == "one two three four"
    assert made["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert server.chats == []
    with serve(lambda body: "x") as server:
        assert post(server, asked, "/v1/completions")[0] == 404


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 4}, 4),
        ({"enum": [1, 2]}, 2),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, None),
        ({"type": ["string", "null"], "minLength": 3}, "xxx"),
        ({"type": "boolean"}, True),
        ({"type": "integer"}, 1),
        ({"type": "integer", "exclusiveMinimum": 7}, 8),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number", "exclusiveMaximum": 0}, -0.5),
        ({"type": "array"}, []),
        ({"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 3}, [1, 2, 2]),
        ({"type": "object"}, {}),
    ],
)  # fmt: skip
def test_small_values_of_schemas(schema: dict[str, Any], value: Any) -> None:
    assert instance(schema) == value
