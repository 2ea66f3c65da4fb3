from __future__ import annotations

import pytest

from neuroexplain.errors import ConfigError, LLMPermanentError
from neuroexplain.llm.addresses import OPENAI_URL, Address, addresses, name_of


def test_a_plain_url() -> None:
    assert Address.parse(" http://a:8000/v1/ ") == Address("http://a:8000/v1")


def test_every_setting() -> None:
    found = Address.parse("https://a/v1,weight=2.5,key=KEY_A,name=cluster,rpm=500,tpm=90000")
    assert found == Address("https://a/v1", 2.5, "KEY_A", "cluster", 500, 90000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://a/v1,wait=2", 'unknown setting "wait"; known: key, name, rpm, tpm, weight'),
        ("http://a/v1,weight=0", 'weight must be a number above 0, not "0"'),
        ("http://a/v1,rpm=many", 'rpm must be a number above 0, not "many"'),
        ("http://a/v1,key=", 'unknown setting "key"'),
        ("a/v1", "is no web address"),
        ("http://me:pw@a/v1,weight=1", "holds a password or a query"),
    ],
)
def test_wrong_ones(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Address.parse(text)
    assert message in str(caught.value)
    assert "pw" not in str(caught.value)


def test_without_any_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://b/v1,weight=2")
    assert addresses(None) == (Address("http://b/v1", 2.0),)
    assert addresses("http://c/v1") == (Address("http://c/v1"),)
    assert [a.url for a in addresses(["http://c/v1", "http://d/v1"])] == [
        "http://c/v1",
        "http://d/v1",
    ]
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert addresses(()) == (Address(OPENAI_URL),)


def test_servers_that_answer_alike_have_one_name() -> None:
    """So a sweep can go on with other machines, and nothing is bought twice."""
    assert name_of(addresses(["http://a/v1", "http://b/v1"])) == "http://a/v1"
    assert name_of(addresses(["http://b/v1", "http://a/v1,name=ours"])) == "ours"


def test_every_server_has_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-main")
    monkeypatch.setenv("KEY_A", " sk-a ")
    assert Address.parse("http://a/v1").secret() == "sk-main"
    assert Address.parse("http://a/v1,key=KEY_A").secret() == "sk-a"
    with pytest.raises(LLMPermanentError, match="variable KEY_B holds no key"):
        Address.parse("http://a/v1,key=KEY_B").secret()
    monkeypatch.setenv("KEY_A", "sk-\u00e9")
    with pytest.raises(LLMPermanentError, match="KEY_A holds characters") as caught:
        Address.parse("http://a/v1,key=KEY_A").secret()
    assert "sk-" not in str(caught.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(LLMPermanentError, match="needs a key: set OPENAI_API_KEY"):
        Address(OPENAI_URL).secret()
