"""Faults one by one, as a client meets them, and as a mix."""

from __future__ import annotations

import http.client
import json
import random
from collections import Counter
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from neuroexplain.testing import FAULTS, Answer, Response, completion, faulty, serve
from tests.testing.wire import BODY, CHAT, post

Met = tuple[int, dict[str, str], bytes]


def meet(answer: Answer, timeout: float = 20.0) -> Met:
    """Status, headers and body of what a server answers."""
    with serve(answer) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=timeout)
        try:
            connection.request("POST", CHAT, json.dumps(BODY))
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()


def choice(met: Met) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(met[2])["choices"][0]
    return found


def test_rate_limits() -> None:
    without, seconds, date = (
        meet(FAULTS[name]) for name in ("rate_limit", "rate_limit_seconds", "rate_limit_date")
    )
    assert without[0] == seconds[0] == date[0] == 429
    assert "Retry-After" not in without[1]
    assert seconds[1]["Retry-After"] == "1"
    wait = parsedate_to_datetime(date[1]["Retry-After"]) - parsedate_to_datetime(date[1]["Date"])
    assert 0 < wait.total_seconds() <= 3
    assert json.loads(without[2])["error"]["code"] == "rate_limit_exceeded"


def test_servers_in_trouble() -> None:
    assert meet(FAULTS["server_error"])[0] == 500
    status, headers, body = meet(FAULTS["unavailable_html"])
    assert (status, headers["Content-Type"], body[:6]) == (503, "text/html", b"<html>")


@pytest.mark.parametrize("name", ["hang", "drip"])
def test_servers_without_haste(name: str) -> None:
    with pytest.raises(TimeoutError):
        meet(FAULTS[name], timeout=0.03)


def test_answers_that_break_off() -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        meet(FAULTS["reset"])
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(meet(FAULTS["truncated_json"])[2])


def test_answers_with_something_wrong() -> None:
    assert isinstance(json.loads(meet(FAULTS["wrong_json"])[2]), list)
    assert json.loads(meet(FAULTS["no_choices"])[2])["choices"] == []
    assert choice(meet(FAULTS["null_content"]))["message"]["content"] is None
    refused = choice(meet(FAULTS["refusal"]))["message"]
    assert refused["content"] is None and refused["refusal"]
    assert choice(meet(FAULTS["length"]))["finish_reason"] == "length"
    assert json.loads(meet(FAULTS["wrong_model"])[2])["model"] != BODY["model"]
    assert "usage" not in json.loads(meet(FAULTS["no_usage"])[2])


def test_there_is_a_test_of_every_fault() -> None:
    assert set(FAULTS) == {
        "rate_limit", "rate_limit_seconds", "rate_limit_date", "server_error", "unavailable_html", "hang", "drip",
        "reset", "truncated_json", "wrong_json", "no_choices", "null_content", "refusal", "length", "wrong_model",
        "no_usage",
    }  # fmt: skip


def bodies(n: int) -> list[dict[str, Any]]:
    return [BODY | {"seed": i} for i in range(n)]


def test_faults_hang_on_the_request_and_not_on_the_order() -> None:
    def made(order: list[int], seed: int) -> dict[int, list[Any]]:
        answer = faulty(lambda body: "fine", 0.5, seed, ["wrong_json", "refusal", "server_error"])
        found: dict[int, list[Any]] = {}
        for i in order:
            found.setdefault(i, []).append(answer(BODY | {"seed": i}))
        return found

    order = [i for i in range(50) for _ in range(4)]
    shuffled = random.Random(0).sample(order, len(order))
    assert made(order, 1) == made(shuffled, 1)
    assert made(order, 1) != made(order, 2)
    assert all(
        "fine" in answers for answers in made([i for i in order for _ in range(3)], 1).values()
    )


def test_the_mix_is_even() -> None:
    kinds = ["wrong_json", "no_choices", "server_error"]
    answer = faulty(lambda body: "fine", 0.3, kinds=kinds)
    found = Counter(str(answer(body))[:40] for body in bodies(10_000))
    fine = found.pop("fine")
    assert 6_700 < fine < 7_300
    assert len(found) == 3 and all(850 < n < 1_150 for n in found.values())
    assert {faulty(lambda body: "fine", 0.0)(body) for body in bodies(100)} == {"fine"}
    always = faulty(lambda body: "fine", 1.0, kinds=["no_usage"])
    assert all("usage" not in always(body) for body in bodies(100))  # type: ignore[operator]


def test_a_spoilt_answer_is_the_true_one() -> None:
    async def answer(body: dict[str, Any]) -> str:
        return "the truth"

    met = meet(faulty(answer, 1.0, kinds=["no_usage"]))
    assert choice(met)["message"]["content"] == "the truth"
    assert "usage" not in json.loads(met[2])
    met = meet(faulty(lambda body: completion("so it is", body), 1.0, kinds=["wrong_model"]))
    assert choice(met)["message"]["content"] == "so it is"
    assert meet(faulty(lambda body: Response({"a": 1}, 418), 1.0, kinds=["length"]))[0] == 418


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown faults: fire\. Known: rate_limit, "):
        faulty(lambda body: "x", 0.5, kinds=["fire"])


def test_a_client_that_tries_again_gets_there() -> None:
    kinds = [name for name in FAULTS if name not in ("hang", "drip", "reset", "truncated_json")]

    def tries(body: dict[str, Any]) -> int:
        """Requests until a good answer comes."""
        for number in range(1, 40):
            status, made = post_any(server, body)
            if status == 200 and isinstance(made, dict) and made.get("usage"):
                return number
        raise AssertionError("never")

    with serve(faulty(lambda body: "fine", 0.5, kinds=kinds)) as server:
        needed = [tries(body) for body in bodies(30)]
    assert 1 == min(needed) < max(needed), "some met a fault, and some did not"


def post_any(server: Any, body: dict[str, Any]) -> tuple[int, Any]:
    """What comes back; None for what is no JSON."""
    try:
        return post(server, body)
    except ValueError:
        return 503, None
