"""`sparse`: a chat model names only the tokens that it expects to fire, with their levels, several spans a call."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuroexplain.errors import LLMReplyError
from neuroexplain.levels import MAX_LEVEL
from neuroexplain.llm.base import LLM, Request
from neuroexplain.records import Explanation, Failure, Floats, Simulation, SpanSimulation, TokenSpan
from neuroexplain.registry import chosen, register
from neuroexplain.templates import Message, render, template_hash

TEMPLATE = "sparse"
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
        for at in range(0, len(spans), self.spans_per_call):
            simulated += await self._call(explanation, spans[at : at + self.spans_per_call])
        return Simulation("sparse", tuple(simulated), llm=self.llm.spec, settings=chosen(self))

    async def _call(
        self, explanation: Explanation, spans: Sequence[TokenSpan]
    ) -> list[SpanSimulation]:
        request = Request(
            messages=(
                Message("system", render(f"{TEMPLATE}/system.jinja")),
                Message(
                    "user",
                    render(f"{TEMPLATE}/user.jinja", explanation=explanation.text, spans=spans),
                ),
            ),
            purpose="simulate",
            max_tokens=self.max_tokens,
        )
        total = sum(map(len, spans))
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
    """Levels [token] from a reply: a JSON list of `[number, level]`, alone or in one code fence; the rest are 0.

    >>> parse("[[2, 7], [3, 10]]", 4).tolist()
    [0.0, 7.0, 10.0, 0.0]

    Raises:
        ValueError: anything else, with what is wrong in words that the model can act on.
    """
    stripped = text.strip()
    fenced = _FENCED.fullmatch(stripped)
    try:
        pairs = json.loads(fenced[1] if fenced else stripped)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the reply is not a JSON list alone: {error}") from None
    if not isinstance(pairs, list):
        raise ValueError("the reply is not a JSON list")
    levels = np.zeros(n_tokens, dtype=np.float32)
    seen: set[int] = set()
    for pair in pairs:
        number, level = _pair(pair, n_tokens)
        if number in seen:
            raise ValueError(f"token {number} is listed twice")
        seen.add(number)
        levels[number - 1] = level
    return levels


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
