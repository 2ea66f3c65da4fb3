"""Good replies with a few things changed at random, read by everything that reads replies: a valid result, or the error it raises for bad ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from neuroexplain.errors import LLMError
from neuroexplain.explainers.base import MAX_TEXT
from neuroexplain.explainers.replies import sentence
from neuroexplain.llm import alternatives, replies
from neuroexplain.llm.answers import parse_levels
from neuroexplain.llm.base import Reply
from neuroexplain.llm.batch_files import read_results
from neuroexplain.llm.echo import NoEchoError, read_echo
from neuroexplain.records import Failure
from neuroexplain.scorers.synthetic import LONGEST, parse_texts
from neuroexplain.simulators.lines import Shown
from neuroexplain.simulators.per_token import level_masses
from neuroexplain.simulators.quoting import parse_quotes

TIMES = 400
"""Mutations of each good reply."""

NUMBERS = ("-1", "0", "11", "99", "4.5", "1990", "1e999", "-1e999", "NaN", "-Infinity", "9" * 400, "9" * 5000, "true", "null", '"7"')  # fmt: skip
BRACKETS = "[]{}()\"'“”,:"
ODDITIES = ("\0", "\r\n", "\t", " ", "\u2028", "\u200f", "\ufeff", "é", "🧊", "“", "\\", '"', "\\ud83e", "\\u0000", "```", "\ud83e", "<think>", "</think>", "null", "[" * 3000)  # fmt: skip
ROUND = ("Sure:\n{}", "{}\nI hope this helps.", "```json\n{}\n```", "```\n{}", " \r\n{}\t", "[{}]", '{{"answer": {}}}', "{}{}", "{0}\n{0}")  # fmt: skip
EXTREMES = {
    *("", " ", "\0", "null", "NaN", "-Infinity", "1990", "4.5 kg", '"', "[]", "{}", "[[]]", "\ud83e", "[" * 100_000, "9" * 100_000),
    *('{"choices": ' + "[" * 100_000, '{"fires": [[1, ' + "[" * 900 + "]" * 900 + "]]}", "“" * 10_000, "U.S. " * 10_000),
}  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 11, 4.5, 10**40, 10**400, math.nan, math.inf, -math.inf, "", " ", "1990s", "4.5 kg", "\ud83e", "\0",
    "x" * 600, [], [[]], [None], {}, {"é": 1}, [1, 2], [1, "a", 3],
)  # fmt: skip


def cut(text: str, random: Random) -> str:
    return text[: random.randrange(len(text))]


def without(text: str, random: Random) -> str:
    start, end = sorted(random.choices(range(len(text) + 1), k=2))
    return text[:start] + text[end:]


def twice(text: str, random: Random) -> str:
    start, end = sorted(random.choices(range(len(text) + 1), k=2))
    return text[:end] + text[start:]


def inserted(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(ODDITIES) + text[at:]


def other_bracket(text: str, random: Random) -> str:
    places = [i for i, c in enumerate(text) if c in BRACKETS]
    at = random.choice(places) if places else 0
    return text[:at] + random.choice(BRACKETS) + text[at + 1 :]


def other_number(text: str, random: Random) -> str:
    places = [i for i, c in enumerate(text) if c.isdigit()]
    at = random.choice(places) if places else len(text)
    return text[:at] + random.choice(NUMBERS) + text[at + 1 :]


def wrapped(text: str, random: Random) -> str:
    return random.choice(ROUND).format(text, text)


def other_value(text: str, random: Random) -> str:
    """Another value, key or repetition somewhere in the JSON; a text that is none is left as it is."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    holders = list(_holders(data))
    if not holders:
        return json.dumps(random.choice(VALUES))
    holder, key = random.choice(holders)
    match random.randrange(3):
        case 0:
            holder[key] = random.choice(VALUES)
        case 1 if isinstance(holder, list):
            holder.insert(key, holder[key])
        case _:
            del holder[key]
    return json.dumps(data)


def _holders(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: what holds it, and under which key."""
    if isinstance(data, dict | list):
        for key in list(data) if isinstance(data, dict) else range(len(data)):
            yield data, key
            yield from _holders(data[key])


MUTATIONS = (cut, without, twice, inserted, other_bracket, other_number, wrapped, other_value)


def mutated(text: str, seed: int) -> str:
    """A text with one to three things changed."""
    random = Random(f"{seed} {text}")
    for _ in range(random.randint(1, 3)):
        text = random.choice(MUTATIONS)(text, random) if text else text
    return text


@dataclass(frozen=True)
class Reader:
    """Something that reads replies."""

    good: tuple[str, ...]
    read: Callable[[str], bool]
    """Whether a reply is taken; checks that the result is valid, or that the error is the one for bad replies."""


def levels(text: str) -> bool:
    try:
        found = parse_levels(text, 6)
    except ValueError as error:
        return check_message(error)
    assert found.shape == (6,)
    check_levels(found)
    # What is said is what is found: a list in JSON, perhaps within a fence or an object.
    data = json.loads(unfenced(text))
    pairs = dict(data["fires"] if isinstance(data, dict) else data)
    assert found.tolist() == [np.float32(pairs.get(n, 0)) for n in range(1, 7)]
    return True


SHOWN = [
    Shown([" The", " cat", " and", " the", " dog"]),
    Shown(["a", "日", "", "", " 1990s", "\n"]),
]


def quotes(text: str) -> bool:
    try:
        found = parse_quotes(text, SHOWN)
    except ValueError as error:
        return check_message(error)
    assert [f.shape for f in found] == [(5,), (6,)]
    check_levels(*found)
    return True


def texts(text: str) -> bool:
    try:
        found = parse_texts(text, 6)
    except ValueError as error:
        return check_message(error)
    assert 3 <= len(found.texts) <= found.wanted == 6
    assert found.failure is None and len({*found.texts}) == len(found.texts)
    said = {*strings(json.loads(unfenced(text)))}
    for one in found.texts:
        assert one in said and one.strip() and len(one) <= LONGEST
        assert one.encode() and "\0" not in one
    return True


def explanation(text: str) -> bool:
    accepted = False
    for finish in ("stop", "length", "content_filter"):
        found = sentence(Reply(text, 1, 1, 0.0, finish))
        if isinstance(found, Failure):
            assert (found.stage, found.raw_reply) == ("explain", text)
            assert found.reason and found.message
            continue
        assert (
            0 < len(found) <= MAX_TEXT and found == found.strip() and len(found.splitlines()) == 1
        )
        assert finish != "content_filter"
        # It stands in the reply, as it is or as JSON writes it.
        assert any(form in text for form in (found, *spelled(found)))
        accepted = True
    return accepted


def logprobs(text: str) -> bool:
    try:
        found = alternatives.read(text)
    except ValueError as error:
        return check_message(error)
    assert all(isinstance(t, str) and math.isfinite(p) and p <= 0.01 for t, p in found)
    masses = level_masses(found)
    assert masses.shape == (11,) and np.isfinite(masses).all() and (masses >= 0).all()
    return True


def response(text: str, status: int = 200) -> replies.Response:
    return replies.Response("http://here/v1", status, {"content-type": "application/json"}, text)


def completion(text: str) -> bool:
    accepted = False
    for top in (False, True):
        try:
            found = replies.completion(response(text), top_logprobs=top)
        except LLMError as error:
            check_error(error, text)
            continue
        assert found.text.encode() is not None and isinstance(found.finish_reason, str)
        counts = (found.usage.prompt, found.usage.completion, found.usage.cached)
        assert all(n is None or 0 <= n < 2**31 for n in counts)
        assert not top or logprobs(found.text) in (True, False)
        accepted = True
    return accepted


def error_body(text: str) -> bool:
    for status in (400, 401, 404, 413, 422, 429, 500, 503):
        check_error(replies.failure(response(text, status)), text)
        replies.refused_parameter(response(text, status), ["seed", "temperature"])
    return True


def echo(text: str) -> bool:
    try:
        found = read_echo(response(text))
    except NoEchoError as error:
        assert error.raw == text and str(error)
        return False
    assert len(found.tokens) == len(found.logprobs) == len(found.alternatives)
    listed = [p for top in found.alternatives for p in top.values()]
    assert all(p is None or p <= 0.01 for p in (*found.logprobs, *listed))
    return True


def check_levels(*found: np.ndarray) -> None:
    for one in found:
        assert one.dtype == np.float32 and np.isfinite(one).all()
        assert (one >= 0).all() and (one <= 10).all()


def check_message(error: ValueError) -> bool:
    """It is told to the model, and stored: it has to be text."""
    assert str(error)
    return False


def check_error(error: LLMError, body: str) -> None:
    assert error.raw == body and error.reason
    message = str(error)
    assert message.isprintable() and len(message) < 700


def spelled(text: str) -> list[str]:
    """A text within JSON."""
    return [json.dumps(text, ensure_ascii=ascii)[1:-1] for ascii in (False, True)]


def unfenced(text: str) -> str:
    return text.strip().removeprefix("```json").strip("`").strip()


def strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from strings(part)


GOOD = {
    "message": {"role": "assistant", "content": "words for ice", "refusal": None},
    "finish_reason": "stop",
    "logprobs": {"content": [{"token": "7", "logprob": -0.1, "top_logprobs": [{"token": "7", "logprob": -0.1}]}]},
}  # fmt: skip
COMPLETION = {"model": "m", "choices": [GOOD], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}  # fmt: skip
ECHO = {"tokens": ["a", "b"], "token_logprobs": [None, -0.5], "top_logprobs": [None, {"7": -0.1}]}
READERS: dict[str, Reader] = {
    "levels": Reader(('{"fires": [[1, 7], [4, 10]]}', "[[2, 0.5], [6, 3]]", "```json\n[[3, 1]]\n```"), levels),
    "quotes": Reader(('{"fires":[[1,"cat",7],[0,"the",3]]}', '[[2,"日",9],[2,"1990s",10],[2,"\\\\n",4]]'), quotes),
    "texts": Reader((json.dumps({"texts": ["1990s", "4.5 kg", "the U.S.", "Theater", "日", "a\tb"]}),), texts),
    "explanation": Reader(
        ('{"explanation": "U.S. presidents, e.g. in 1990s"}', "**Explanation:** 4.5 kg. And “ice”, 氷.", "Here it is:\nTheater", '["Allergies"]'),
        explanation,
    ),
    "logprobs": Reader(('[["7",-0.25],["X",-2.5],["\\ud83e",-9.0]]',), logprobs),
    "completion": Reader((json.dumps(COMPLETION),), completion),
    "error": Reader(('{"error": {"message": "seed is not supported", "code": 429, "param": "seed"}}', '{"message": ["no"]}'), error_body),
    "echo": Reader((json.dumps({"choices": [{"logprobs": ECHO}], "usage": {"prompt_tokens": 2}}),), echo),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_a_mutated_reply_is_valid_or_refused(name: str) -> None:
    reader = READERS[name]
    assert all(map(reader.read, reader.good))
    changed = {mutated(good, seed) for good in reader.good for seed in range(TIMES)} | EXTREMES
    taken = [*map(reader.read, changed)]
    # Both happen, or the mutations say nothing; every error body is an error.
    assert taken.count(True) >= 15
    assert taken.count(False) >= 15 or name == "error"


def test_a_mutated_line_of_a_batch_is_an_answer_or_a_problem(tmp_path: Path) -> None:
    sent = {"status_code": 200, "request_id": "r", "body": COMPLETION}
    line = json.dumps({"id": "x", "custom_id": "ab", "response": sent, "error": None})
    bad = json.dumps({"id": "x", "custom_id": "ab", "response": None, "error": {"code": 400}})
    path, answers, problems = tmp_path / "results.jsonl", 0, 0
    for seed in range(TIMES):
        for good in (line, bad):
            changed = mutated(good, seed).replace("\n", " ").encode(errors="surrogatepass")
            path.write_bytes(changed + b"\n")
            for piece in read_results(path, 0):
                answers, problems = answers + len(piece.answers), problems + len(piece.problems)
                assert piece.read == len(changed) + 1
                for answer in piece.answers:
                    assert isinstance(answer.status, int) and isinstance(answer.body, str)
                    reads = completion if answer.status < 300 else error_body
                    reads(answer.body)
    assert answers >= 50 and problems >= 50
