from __future__ import annotations

import json

from neuroexplain.llm.base import Request
from neuroexplain.llm.dialect import Dialect
from neuroexplain.templates import Message

SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
ASKED = Request(
    (Message("user", "Hi"),), "explain", 9, 0.5, seed=3, sample=2, schema=json.dumps(SCHEMA)
)


def test_everything_is_asked_for_at_first() -> None:
    assert Dialect().body("m", ASKED) == {
        "model": "m",
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "seed": 5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA},
        },
    }


def test_refusals_lead_down_step_by_step() -> None:
    dialect = Dialect()
    names = ["max_completion_tokens", "response_format", "temperature", "seed", "response_format"]
    formats = []
    for name in names:
        assert name in dialect.optional(dialect.body("m", ASKED))
        dialect = dialect.without(name)
        formats.append(dialect.body("m", ASKED).get("response_format", {}).get("type"))
    assert formats == ["json_schema", "json_object", "json_object", "json_object", None]
    body = dialect.body("m", ASKED)
    assert body.keys() == {"model", "max_tokens"}
    assert dialect.optional(body) == []


def test_what_the_user_sets_wins() -> None:
    body = Dialect().body("m", ASKED, {"temperature": 1, "service_tier": "flex"})
    assert (body["temperature"], body["service_tier"]) == (1, "flex")


def test_a_request_without_a_schema_is_held_to_no_form() -> None:
    plain = Request(ASKED.messages, "explain", 9)
    assert "response_format" not in Dialect().body("m", plain)


def test_the_body_that_is_sent_has_the_messages_too() -> None:
    dialect = Dialect()
    found = json.loads(dialect.encoded("m", ASKED, {"x": "\u00e9"}))
    expected = dialect.body("m", ASKED, {"x": "\u00e9"})
    assert found == {**expected, "messages": [{"role": "user", "content": "Hi"}]}
    assert json.loads(ASKED.as_json())["messages"] == found["messages"]
