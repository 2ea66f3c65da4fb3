"""Keys and addresses: what is sent where, and what nobody may see."""

from __future__ import annotations

import traceback

import pytest

from neuroexplain.errors import (
    ConfigError,
    LLMError,
    LLMPermanentError,
)
from neuroexplain.llm import create
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.testing import Response, serve
from tests.llm.asking import KEY, chat, error, in_turn, refusing

pytestmark = pytest.mark.usefixtures("openai_key")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500])
def test_the_key_is_in_no_error(status: int) -> None:
    leak = Response(error(f"bad key {KEY}; you sent Authorization: Bearer {KEY}"), status)
    with serve(in_turn(leak), models=[]) as server, pytest.raises(LLMError) as caught:
        chat(server.base_url, tries=2)
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown + repr(caught.value) + str(caught.value.raw)


@pytest.mark.parametrize("key", ["pw-1", "x"])
def test_a_short_key_is_in_no_error_either(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    leak = Response(error(f"the context got Bearer {key}."), 400)
    with serve(in_turn(leak)) as server, pytest.raises(LLMError) as caught:
        chat(server.base_url)
    assert "the context got Bearer [key]." in str(caught.value)
    assert f" {key}." not in str(caught.value.raw)


def test_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with serve(lambda body: "x") as server:
        chat(server.base_url)
    assert server.requests[0].headers["authorization"] == "Bearer none"
    with pytest.raises(
        LLMPermanentError, match=r"https://api.openai.com/v1 needs a key: set OPENAI"
    ):
        create("openai:m")


def test_a_key_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-\n\u00e9")
    with pytest.raises(LLMPermanentError) as caught:
        create("openai:m")
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:80/v1", "http://", "ftp://a/v1", "http://a:x/v1"])
def test_bad_url(url: str) -> None:
    with pytest.raises(ConfigError, match="is no web address"):
        OpenAIChat("m", base_url=url)


@pytest.mark.parametrize("url", ["http://me:pw@a/v1", "me:pw@a/v1", "http://a/v1?key=pw"])
def test_no_secrets_in_the_url(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAIChat("m", base_url=url)
    assert "pw" not in str(caught.value)


def test_identity_holds_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/")
    assert OpenAIChat("m").identity == "openai:m@http://127.0.0.1:9/v1"
    assert OpenAIChat("m", base_url="http://127.0.0.1:8/v1").identity.endswith(":8/v1")
    assert OpenAIChat("m").spec == "openai:m"


def test_a_word_in_place_of_a_key_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with serve(refusing("max_completion_tokens")) as server:
        (reply,) = chat(server.base_url)
    assert reply.text
    assert "max_tokens" in server.chats[-1]
