"""Replies of language models that are of no use, or only look it, and servers that give them to some neurons among others."""

from __future__ import annotations

import asyncio
import json
import math
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from neuroexplain.levels import MAX_LEVEL
from neuroexplain.templates import prompt_sha256
from neuroexplain.testing import Response, completion
from tests import lives

Body = dict[str, Any]
Made = str | Body | Response
ABOUT = re.compile(r"[Nn]euron responds to: (.*)")
"""The explanation in a question about what it predicts."""
ITEM = re.compile(r"^(\d+): ", re.MULTILINE)
TOKEN = re.compile("unknown|10|.", re.DOTALL)
LEVELS = {str(level): math.log(0.005) for level in range(MAX_LEVEL + 1)}
LONG = "ice, снег, 氷 — “frost”\r\n\t🧊 " * 400
"""More than 10 kB."""


@dataclass(frozen=True)
class Sent:
    """What a server sends in place of a good reply, and what has to become of it."""

    make: Callable[[Body, str], Made]
    """From the request, and the reply that would have been good."""
    reason: str = ""
    """Of the failure; empty where the reply is as good as the good one."""
    raw: str | None = ""
    """What the failure has to keep, byte for byte; None where that is nothing: of a whole text's tokens with their
    alternatives, which are megabytes, the message says what is wrong."""
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


def bad(text: str, finish: str = "stop") -> Sent:
    return said(text, "parse_failed", finish=finish)


def repaired(first: str) -> Sent:
    """A bad reply, and a good one when it is asked for once more."""
    return Sent(lambda body, well: well if len(body["messages"]) > 2 else first)


def worse(first: str, second: str) -> Sent:
    """Two bad replies; the last one counts."""
    return replace(bad(second), make=lambda body, _: second if len(body["messages"]) > 2 else first)


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
UNREADABLE: dict[str, Sent] = {
    "nothing": bad(""),
    "blanks": bad(" \r\n\t\u2028"),
    "a NUL": bad('\0{"fires": []}'),
    "null": bad("null"),
    "null inside": bad('{"fires":\r\n\tnull}'),
    "a refusal": bad("I’m sorry, but I can’t help with that — désolé.\r\n"),
    "a thought": bad("<think>“ice”, снег</think>"),
    "prose before": bad('Here you are:\n{"fires": []}'),
    "prose behind": bad('{"fires": []}\r\nI hope this helps! 🧊'),
    "prose alone": bad("The 1990s, 4.5 kg, and the U.S. Theater."),
    "half": bad('{"fires": [[1, 5], [2', finish="length"),
    "half, and nobody says so": bad('{"fires": [[1, "é'),
    "two lists": bad("[]\n[]"),
    "1990": bad("1990"),
    "4.5 kg": bad("4.5 kg"),
    "a text": bad('"fires"'),
    "another key": bad('{"levels": []}'),
    "a key twice": bad('{"fires": [], "fires": []}'),
    "a key beside it": bad('{"fires": [], "why": "“ice”"}'),
    "numbers alone": bad('{"fires": [1, 2, 3]}'),
    "too long a list": bad('{"fires": [[1, 2, 3, 4]]}'),
    "an empty list": bad('{"fires": [[]]}'),
    "objects": bad('{"fires": [{"number": 1, "level": 2}]}'),
    "half a pair": bad('{"fires": [["\\ud83e"]]}'),
    "10 kB": bad(LONG),
    "brackets": bad("[" * 10_000),
    "worse": worse('{"fires": 0}', " “null”\t"),
}
"""A text comes that is no list in JSON."""


def good(body: Body) -> Made:
    """A reply that hangs on the question alone, and can be used."""
    if "prompt" in body:
        return echoed(body)
    text, kind = question(body), zlib.crc32(json.dumps(body["messages"][:2]).encode())
    if "JSON list of [line" in text:
        return lives.answer({"messages": body["messages"][:2]})
    if "JSON list of [number" in text:
        pairs = [[n, kind // n % MAX_LEVEL + 1] for n in map(int, ITEM.findall(text)) if n % 2]
        return json.dumps({"fires": pairs})
    if "Level of its last token" in text:
        levels = {str(kind % MAX_LEVEL): 0.75, "X": 0.25}
        return completion("0", body, alternatives=levels)
    if " texts, as {" in text:
        return json.dumps({"texts": [f"text {kind} of {n} words" for n in range(20)]})
    return lives.answer(body)


def echoed(body: Body) -> Body:
    """A completion of a model whose probabilities of levels hang on what stands before them."""
    prompt: str = body["prompt"]
    tokens = [*TOKEN.findall(prompt)] if body["echo"] else []
    tokens += ["a"] * body["max_tokens"]
    listed, at = [], 0
    for token in tokens:
        level = zlib.crc32(prompt[:at].encode()) % MAX_LEVEL
        listed.append({**LEVELS, str(level): math.log(0.9), token: -1.0})
        at += len(token)
    logprobs = {"tokens": tokens, "token_logprobs": [-1.0] * len(tokens), "top_logprobs": listed}
    choice = {"index": 0, "text": "".join(tokens), "logprobs": logprobs, "finish_reason": "length"}
    return {"model": body["model"], "choices": [choice]}


def question(body: Body) -> str:
    """The user's turn, before anything was repaired; of an explainer with examples, that of the first example."""
    text: str = body["prompt"] if "prompt" in body else body["messages"][1]["content"]
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
        answer = bad.make(body, made if isinstance(made, str) else "")
        return self._later(answer) if neuron in self.patient else answer

    def _neuron(self, body: Body) -> int | None:
        if self.explaining:
            return self.neurons.get(prompt_sha256(json.dumps(body["messages"])))
        return self.neurons.get(ABOUT.findall(question(body))[-1])

    def _number(self, neuron: int, body: Body) -> int:
        asked = self._asked.setdefault(neuron, [])
        if question(body) not in asked:
            asked.append(question(body))
        return asked.index(question(body))

    async def _later(self, made: Made) -> Made:
        async with asyncio.timeout(60):
            await self._explained.wait()
        return made
