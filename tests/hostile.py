"""Replies of language models that are of no use, or only look it, and servers that give them to some neurons among others."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import neuroexplain as nx
from neuroexplain.levels import MAX_LEVEL
from neuroexplain.templates import prompt_sha256
from neuroexplain.testing import Response, completion
from tests import lives
from tests.program import Result, neuroexplain
from tests.sweeps import Sweeps

Body = dict[str, Any]
Made = str | Body | Response
ABOUT = re.compile(r"[Nn]euron responds to: (.*)")
"""The explanation in a question about what it predicts."""
ITEM = re.compile(r"^(\d+): ", re.MULTILINE)
LONG = "ice, снег, 氷 — “frost”\r\n\t🧊 " * 400
"""More than 10 kB."""


@dataclass(frozen=True)
class Sent:
    """What a server sends in place of a good reply, and what has to become of it."""

    make: Callable[[Body, str], Made]
    """From the request, and the reply that would have been good."""
    reason: str = ""
    """Of the failure; empty where the reply is as good as the good one."""
    raw: str = ""
    """What the failure has to keep, byte for byte."""
    is_reply: bool = True
    """Whether a text came, which the ledger has from then on."""
    text: str | None = None
    """The explanation that comes of it, where it is not the good reply."""


def said(text: str, reason: str = "", *, finish: str = "stop", explains: str | None = None) -> Sent:
    """The assistant says something else."""

    def make(body: Body, _: str) -> Response:
        made = completion("", body)
        made["choices"][0]["message"]["content"] = text
        made["choices"][0]["finish_reason"] = finish
        return Response(json.dumps(made, ensure_ascii=False))

    return Sent(make, reason, raw=text, text=explains)


def sent(body: str, reason: str, *, status: int = 200) -> Sent:
    """Something comes that is no reply."""
    return Sent(lambda *_: Response(body, status), reason, raw=body, is_reply=False)


def odd(**changes: Any) -> Sent:
    """A good reply in a completion of which other parts are odd."""

    def make(body: Body, good: str) -> Body:
        made = completion(good, body)
        made["choices"][0] |= {k: v for k, v in changes.items() if k in made["choices"][0]}
        return made | {k: v for k, v in changes.items() if k in made}

    return Sent(make)


def _choice(message: str, finish: str = '"stop"') -> str:
    """A completion as no serialiser of ours would write it."""
    return f'{{"model":"m",\r\n\t"choices" :[ {{"message":{message},"finish_reason":{finish}}}]}}\n'


ODD: dict[str, Sent] = {
    "an end for no known reason": odd(finish_reason=["stop", {"é": None}]),
    "an end for a number": odd(finish_reason=10**40),
    "more tokens than there are": odd(usage={"prompt_tokens": 10**40, "completion_tokens": -1}),
    "no count of tokens": odd(usage="many"),
    "a model without a name": odd(model={"half": "\ud83e"}),
}
NO_REPLY: dict[str, Sent] = {
    "null": sent(_choice('{"content": null}'), "no_text"),
    "parts": sent(_choice('{"content": [{"type": "text", "text": "ice"}]}'), "no_text"),
    "a number": sent(_choice('{"content": 1990}'), "no_text"),
    "no message": sent('{"choices":[{}],"é":"\\u0000 “ice”"}', "no_text"),
    "a refusal": sent(_choice('{"content": null, "refusal": "désolé — no \\u001b[2J\\ud83e"}'), "refusal"),
    "a refusal that is no text": sent(_choice('{"refusal": {"why": ["\\ud83e"]}}'), "refusal"),
    "a filter": sent(_choice('{"content": "words ab"}', '"content_filter"'), "filtered"),
    "the limit": sent(_choice('{"content": ""}', '"length"'), "truncated"),
    "half a pair": sent(_choice('{"content": "ice \\ud83e"}'), "bad_text"),
    "no choices": sent('\t{"choices": [],\r\n"usage": {"prompt_tokens": 7, "completion_tokens": 0}}', "no_choices"),
    "null choices": sent('{"choices": null}', "no_choices"),
    "a long prompt": sent('{"error": {"message": "zu lang", "code": "context_length_exceeded"}}', "prompt_too_long", status=400),
    "a filtered prompt": sent('{"error": {"message": "né", "code": "content_policy_violation"}}', "filtered", status=400),
}  # fmt: skip
"""A server answers, and there is no reply in it."""
NO_ANSWER: dict[str, Sent] = {
    "an error in place of a reply": sent('{"error": {"message": "jamais – ❄"}}', "llm_refused"),
    "broken JSON": sent('{"choices": [{"message": {"content": "ic', "broken_reply"),
    "too deep JSON": sent('{"choices": ' + "[" * 100_000, "broken_reply"),
    "an error": sent('{"error": {"message": "später\\u0007"}}', "server_error", status=500),
}
"""A server does not answer; it may do so another time."""


def good(body: Body) -> Made:
    """A reply that hangs on the question alone, and can be used."""
    text, kind = question(body), zlib.crc32(json.dumps(body["messages"][:2]).encode())
    if "JSON list of [line" in text:
        return lives.answer({"messages": body["messages"][:2]})
    if "JSON list of [number" in text:
        pairs = [[n, kind // n % MAX_LEVEL + 1] for n in map(int, ITEM.findall(text)) if n % 2]
        return json.dumps({"fires": pairs})
    if "Level of its last token" in text:
        levels = {str(kind % 10): 0.75, str(kind // 10 % 10): 0.25}
        return completion("0", body, alternatives=levels)
    if " texts, as {" in text:
        return json.dumps({"texts": [f"text {kind} of {n} words" for n in range(20)]})
    return lives.answer(body)


def question(body: Body) -> str:
    """The user's turn, before anything was repaired; of an explainer with examples, that of the first example."""
    text: str = body["messages"][1]["content"]
    return text


def explains(body: Body) -> bool:
    """Whether an explanation is asked for."""
    return ABOUT.search(question(body)) is None


@dataclass
class Spoilt:
    """Answers well, but for questions of one kind about some neurons.

    Args:
        neurons: by the hash of the prompt by which they are explained, and by their explanations.
        sent: to which neuron what.
        explaining: whether it comes in place of explanations, or of what follows from them.
        patient: neurons whose bad replies wait until some other neuron is explained.
        from_: number of the first question about a neuron that is answered so; repairs are no questions.
    """

    neurons: Mapping[str, int]
    sent: Mapping[int, Sent]
    explaining: bool = True
    patient: frozenset[int] = frozenset()
    from_: int = 0
    _asked: dict[int, list[str]] = field(default_factory=dict)
    _explained: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, body: Body) -> Made | Awaitable[Made]:
        """The reply to a chat."""
        made = good(body)
        if not explains(body):
            self._explained.set()
        if explains(body) != self.explaining:
            return made
        neuron = self._neuron(body)
        bad = None if neuron is None else self.sent.get(neuron)
        if neuron is None or bad is None or self._number(neuron, body) < self.from_:
            return made
        text = made if isinstance(made, str) else ""
        if neuron in self.patient:
            return self._later(bad.make(body, text))
        return bad.make(body, text)

    def _neuron(self, body: Body) -> int | None:
        if self.explaining:
            return self.neurons.get(prompt_sha256(json.dumps(body["messages"])))
        found = ABOUT.search(question(body))
        return None if found is None else self.neurons.get(found[1])

    def _number(self, neuron: int, body: Body) -> int:
        asked = self._asked.setdefault(neuron, [])
        if question(body) not in asked:
            asked.append(question(body))
        return asked.index(question(body))

    async def _later(self, made: Made) -> Made:
        async with asyncio.timeout(60):
            await self._explained.wait()
        return made


class Explanation(NamedTuple):
    """A row about one neuron."""

    neuron: int
    """Its index."""
    number: int
    text: bytes
    status: str
    reason: str | None
    message: str | None
    raw: bytes | None
    prompt_sha256: str | None


class FailedSpan(NamedTuple):
    """A span of one neuron that has no prediction."""

    neuron: int
    simulation: int
    span: int
    reason: str
    message: str
    raw: bytes


class Score(NamedTuple):
    """A score of one neuron."""

    neuron: int
    scorer: str
    value: float | None
    reason: str | None
    coverage: float
    n_tokens: int
    floor: float | None


# As bytes: what is no UTF-8, or ends at a NUL for some function, would show.
_EXPLANATIONS = """
    SELECT n.idx, e.id, CAST(e.text AS BLOB), e.status, e.reason, e.message, CAST(e.raw_reply AS BLOB), e.prompt_sha256
    FROM explanation e JOIN neuron n ON n.id = e.neuron_id ORDER BY n.idx, e.id
"""
_FAILED = """
    SELECT n.idx, s.id, f.span, f.reason, f.message, CAST(f.raw_reply AS BLOB) FROM simulation_failure f
    JOIN simulation s ON s.id = f.simulation_id JOIN explanation e ON e.id = s.explanation_id
    JOIN neuron n ON n.id = e.neuron_id ORDER BY n.idx, s.id, f.span
"""
_SCORES = """
    SELECT n.idx, s.scorer, s.value, s.reason, s.coverage, s.n_tokens, s.floor FROM score s
    JOIN explanation e ON e.id = s.explanation_id JOIN neuron n ON n.id = e.neuron_id
    WHERE s.split = 'test' ORDER BY n.idx, s.scorer, s.id
"""
_SIMULATIONS = """
    SELECT n.idx, s.id FROM simulation s JOIN explanation e ON e.id = s.explanation_id
    JOIN neuron n ON n.id = e.neuron_id ORDER BY s.id
"""


@dataclass(frozen=True)
class Catalogue:
    """What a catalogue holds, read by SQL; the file is found sound first."""

    path: Path

    def __post_init__(self) -> None:
        lives.content(self.path)

    @property
    def explanations(self) -> list[Explanation]:
        return [Explanation(*row) for row in self.rows(_EXPLANATIONS)]

    @property
    def failed_spans(self) -> list[FailedSpan]:
        return [FailedSpan(*row) for row in self.rows(_FAILED)]

    @property
    def scores(self) -> list[Score]:
        return [Score(*row) for row in self.rows(_SCORES)]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()

    def levels(self) -> dict[int, dict[int, np.ndarray | None]]:
        """Predicted levels of every span of every neuron's newest simulation; None where it failed."""
        with nx.Catalogue(self.path, read_only=True) as opened:
            return {
                neuron: {s.span.span: s.expected for s in opened.simulation(number).spans}
                for neuron, number in self.rows(_SIMULATIONS)
            }

    def about(self, neurons: set[int]) -> dict[str, list[tuple[Any, ...]]]:
        """Explanations, simulations and scores of some neurons."""
        places = dict(self.rows("SELECT id, idx FROM neuron"))
        content = lives.content(self.path)
        del content["calls"]
        return {
            name: [row for row in rows if places[row[0]] in neurons]
            for name, rows in content.items()
        }


class Wholly:
    """Sweeps of the tiny subject by the command line.

    Args:
        sweeps: has the subject, and has collected it.
        options: of all these sweeps.
    """

    def __init__(self, sweeps: Sweeps, *options: str) -> None:
        self._command = (
            "sweep",
            *sweeps.collecting,
            "--llm",
            "openai:test-model",
            "--no-probe",
            *options,
        )

    def __call__(self, path: Path, url: str, *more: str) -> Result:
        """Such a sweep; no call is tried twice."""
        server = ("--base-url", f"{url},name=here", "--tries", "1")
        return neuroexplain(
            *self._command, *server, "--catalogue", str(path), *more, OPENAI_API_KEY="none"
        )


def reasons(result: Result) -> dict[str, int]:
    """Failures by reason as a command has printed them."""
    lines = re.findall(r"^  (\d+) failed: (\w+)$", result.err, re.MULTILINE)
    return {reason: int(n) for n, reason in lines}


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts(part)
