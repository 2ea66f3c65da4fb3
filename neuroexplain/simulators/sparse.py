"""`sparse`: a chat model quotes only the pieces of numbered lines that it expects to fire, all spans of a neuron in one call.

The prompt begins with what neurons share, the instructions and the random spans, and ends with the explanation: servers that
cache prefixes read the first part once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from neuroexplain.errors import AwaitedError
from neuroexplain.llm.base import LLM, Reply, Request
from neuroexplain.llm.repairing import understood
from neuroexplain.records import Explanation, Failure, Floats, Simulation, SpanSimulation, TokenSpan
from neuroexplain.registry import chosen, register
from neuroexplain.simulators.lines import Shown
from neuroexplain.simulators.quoting import SCHEMA, parse_quotes
from neuroexplain.templates import Message, render, template_hash

TEMPLATE = "sparse"


@register("simulator", "sparse")
@dataclass(frozen=True)
class SparseSimulator:
    """Predict levels through any chat server: the reply quotes only what is expected to fire."""

    llm: LLM
    spans_per_call: int = 15
    """All that are scored by default: instructions and explanation are paid for once."""
    max_tokens: int = 2000
    """Tokens of the reply."""

    def __post_init__(self) -> None:
        if self.spans_per_call < 1 or self.max_tokens < 1:
            raise ValueError("spans_per_call and max_tokens must be at least 1")

    @property
    def template_sha256(self) -> str:
        """Version of the prompts."""
        return template_hash(TEMPLATE)

    async def simulate(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        """Ask about some spans at a time; spans of a call whose reply stays unreadable are failed."""
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
        shown = [_shown(span) for span in spans]
        request = Request(
            messages=_messages(explanation.text, spans),
            purpose="simulate",
            max_tokens=self.max_tokens,
            schema=SCHEMA,
        )
        levels = await understood(
            *(self.llm, request),
            lambda reply: _levels(reply, shown),
            lambda error: _ask_again(error, shown),
            stage="simulate",
        )
        if isinstance(levels, Failure):
            return [SpanSimulation(span, None, levels) for span in spans]
        return [SpanSimulation(span, part) for span, part in zip(spans, levels, strict=True)]


def _levels(reply: Reply, shown: Sequence[Shown]) -> list[Floats]:
    try:
        return parse_quotes(reply.text, shown)
    except ValueError:
        if reply.finish_reason == "length":
            raise ValueError("the reply was cut off; it has to be shorter") from None
        raise


def _messages(explanation: str, spans: Sequence[TokenSpan]) -> tuple[Message, ...]:
    """The question; lines are numbered from 1 through all spans."""
    starts = accumulate((len(_shown(span).lines) for span in spans), initial=1)
    numbered = [_numbered(span, start) for start, span in zip(starts, spans, strict=False)]
    user = render(f"{TEMPLATE}/user.jinja", explanation=explanation, spans=numbered)
    return _system(), Message("user", user)


def _shown(span: TokenSpan) -> Shown:
    """A span's lines. Neurons share spans, and so the same ones are wanted again and again."""
    known: Shown | None = span.kept.get(TEMPLATE)
    if known is None:
        known = span.kept[TEMPLATE] = Shown(span.tokens)
    return known


def _numbered(span: TokenSpan, start: int) -> str:
    """The lines of a span, numbered from somewhere."""
    known: str | None = span.kept.get((TEMPLATE, start))
    if known is None:
        lines = _shown(span).lines
        numbers = range(start, start + len(lines))
        known = render(f"{TEMPLATE}/span.jinja", numbers=numbers, lines=lines).rstrip("\n")
        span.kept[TEMPLATE, start] = known
    return known


@cache
def _system() -> Message:
    return Message("system", render(f"{TEMPLATE}/system.jinja"))


def _ask_again(error: str, shown: Sequence[Shown]) -> str:
    n_lines = sum(len(s.lines) for s in shown)
    return render(f"{TEMPLATE}/repair.jinja", error=error, n_lines=n_lines)
