"""`sparse`: a chat model names only the tokens that it expects to fire, with their levels, several spans a call."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np

from neuroexplain.errors import AwaitedError, LLMReplyError
from neuroexplain.levels import MAX_LEVEL
from neuroexplain.llm.base import LLM, Request
from neuroexplain.records import Explanation, Failure, Floats, Simulation, SpanSimulation, TokenSpan
from neuroexplain.registry import chosen, register
from neuroexplain.templates import Message, render, template_hash

TEMPLATE = "sparse"
KEY = "fires"
"""Of the reply's list."""
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            KEY: {
                "type": "array",
                "items": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0},
                    "minItems": 2,
                    "maxItems": 2,
                },
            }
        },
        "required": [KEY],
        "additionalProperties": False,
    }
)
"""The wanted reply as a strict JSON schema. `parse` is stricter still, but a server prepares a schema once, not for each length."""
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL)


@register("simulator", "sparse")
@dataclass(frozen=True)
class SparseSimulator:
    """Predict levels through any chat server: the reply lists only the tokens expected to fire."""

    llm: LLM
    spans_per_call: int = 5
    max_tokens: int = 1000
    """Tokens of the reply."""

    def __post_init__(self) -> None:
        if self.spans_per_call < 1 or self.max_tokens < 1:
            raise ValueError("spans_per_call and max_tokens must be at least 1")

    @property
    def template_sha256(self) -> str:
        """Version of the prompts."""
        return template_hash(TEMPLATE)

    async def simulate(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        """Ask about a few spans at a time; spans of a call whose reply stays unreadable are failed."""
        simulated: list[SpanSimulation] = []
        awaited: AwaitedError | None = None
        for at in range(0, len(spans), self.spans_per_call):
            try:
                simulated += await self._call(explanation, spans[at : at + self.spans_per_call])
            except AwaitedError as error:
                awaited = error  # the calls after it go into the same batch
        if awaited is not None:
            raise awaited
        return Simulation("sparse", tuple(simulated), llm=self.llm.spec, settings=chosen(self))

    async def _call(
        self, explanation: Explanation, spans: Sequence[TokenSpan]
    ) -> list[SpanSimulation]:
        total = sum(map(len, spans))
        request = Request(
            messages=_messages(explanation.text, spans),
            purpose="simulate",
            max_tokens=self.max_tokens,
            schema=SCHEMA,
        )
        try:
            reply = await self.llm.chat(request)
            try:
                levels = parse(reply.text, total)
            except ValueError as error:
                reply = await self.llm.chat(_repair(request, reply.text, str(error), total))
                levels = parse(reply.text, total)
        except ValueError as error:
            failure = Failure("simulate", "parse_failed", str(error), reply.text)
            return [SpanSimulation(span, None, failure) for span in spans]
        except LLMReplyError as error:
            failure = Failure("simulate", error.reason, str(error), error.raw)
            return [SpanSimulation(span, None, failure) for span in spans]
        ends = np.cumsum([len(span) for span in spans])[:-1]
        return [
            SpanSimulation(span, part)
            for span, part in zip(spans, np.split(levels, ends), strict=True)
        ]


def parse(text: str, n_tokens: int) -> Floats:
    """Levels [token] from a reply; tokens that it does not name are 0.

    A reply is `{"fires": [[number, level], ...]}` or the list alone, with nothing round it but one code fence.

    >>> parse('{"fires": [[2, 7], [3, 10]]}', 4).tolist()
    [0.0, 7.0, 10.0, 0.0]

    Raises:
        ValueError: anything else, with what is wrong in words that the model can act on.
    """
    stripped = text.strip()
    fenced = _FENCED.fullmatch(stripped)
    try:
        found = json.loads(fenced[1] if fenced else stripped, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the reply is not JSON alone: {error}") from None
    if isinstance(found, dict) and found.keys() != {KEY}:
        keys = ", ".join(map(json.dumps, found))[:80] or "none"
        raise ValueError(f'the only key is "{KEY}"; the reply has {keys}')
    pairs = found[KEY] if isinstance(found, dict) else found
    if not isinstance(pairs, list):
        raise ValueError("the reply holds no list of [number, level] pairs")
    levels = np.zeros(n_tokens, dtype=np.float32)
    seen: set[int] = set()
    for pair in pairs:
        number, level = _pair(pair, n_tokens)
        if number in seen:
            raise ValueError(f"token {number} is listed twice")
        seen.add(number)
        levels[number - 1] = level
    return levels


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(members)
    if len(made) < len(members):
        raise ValueError("an object has a key twice")
    return made


def _pair(pair: object, n_tokens: int) -> tuple[int, float]:
    match pair:
        case [int() as number, int() | float() as level] if not (
            isinstance(number, bool) or isinstance(level, bool)
        ):
            if not 1 <= number <= n_tokens:
                raise ValueError(f"there is no token {number}; tokens are 1 to {n_tokens}")
            if not 0 <= level <= MAX_LEVEL:
                raise ValueError(
                    f"level {level} of token {number} is not between 0 and {MAX_LEVEL}"
                )
            return number, float(level)
    raise ValueError(f"{json.dumps(pair)[:80]} is not a [number, level] pair")


def _messages(explanation: str, spans: Sequence[TokenSpan]) -> tuple[Message, ...]:
    """The question; the tokens are numbered from 1 through all spans."""
    starts = accumulate(map(len, spans), initial=1)
    numbered = [_numbered(span, start) for start, span in zip(starts, spans, strict=False)]
    user = render(f"{TEMPLATE}/user.jinja", explanation=explanation, spans=numbered)
    return _system(), Message("user", user)


def _numbered(span: TokenSpan, start: int) -> str:
    """The tokens of a span, numbered from somewhere. Neurons share spans, and so the same text is wanted again and again."""
    known = span.kept.get((TEMPLATE, start))
    if known is None:
        numbers = range(start, start + len(span))
        known = render(f"{TEMPLATE}/span.jinja", numbers=numbers, tokens=span.tokens).rstrip("\n")
        span.kept[TEMPLATE, start] = known
    return known


@cache
def _system() -> Message:
    return Message("system", render(f"{TEMPLATE}/system.jinja"))


def _repair(request: Request, reply: str, error: str, n_tokens: int) -> Request:
    """The same question with the bad reply and what is wrong with it."""
    return replace(
        request,
        purpose="repair",
        messages=(
            *request.messages,
            Message("assistant", reply),
            Message("user", render(f"{TEMPLATE}/repair.jinja", error=error, n_tokens=n_tokens)),
        ),
    )
