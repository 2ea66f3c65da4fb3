"""`per-token`: a call for every token, whose expected level is read off the model's probabilities (Bills et al. 2023, one by one).

A call shows the explanation, the text up to the token, and the token, and asks for one character: 0 to 9, or X for ten. These
are one token for every model, and in order; "10" is one token for some models and two for others, for which its "1" could not
be told from level 1. Where it comes as one token it is taken for ten all the same. With p over exactly these levels,
renormalised, the expected value is E = sum of k p(k).

A prompt ends with the token in question, so that each begins like the one before it: servers that cache prefixes, and models in
process, read the rest once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neuroexplain.errors import LLMReplyError, PostponedError
from neuroexplain.levels import MAX_LEVEL
from neuroexplain.llm import alternatives
from neuroexplain.llm.alternatives import Alternatives
from neuroexplain.llm.base import LLM, Request
from neuroexplain.records import Explanation, Failure, Simulation, SpanSimulation, TokenSpan
from neuroexplain.registry import chosen, register
from neuroexplain.templates import Message, render, template_hash

TEMPLATE = "per-token"
LEVELS = {str(level): level for level in range(MAX_LEVEL + 1)} | {"X": MAX_LEVEL}
"""What the answers mean; spaces round them mean nothing."""


@register("simulator", "per-token")
@dataclass(frozen=True)
class PerTokenSimulator:
    """Predict levels by a call per token, from the probabilities of 0-10. Expensive: to compare with, and for small runs."""

    reads_alternatives: ClassVar[bool] = True
    """Whether a server's replies have to come with alternatives and their probabilities."""
    llm: LLM
    top: int = 20
    """Most probable tokens that are asked for; a server that gives fewer is asked for those."""
    min_mass: float = 0.5
    """Probability that the levels among them have together at least; with less, the span fails as `off_scale`."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ValueError("top must be at least 1")
        if not 0 < self.min_mass <= 1:
            raise ValueError("min_mass must be above 0 and at most 1")

    @property
    def template_sha256(self) -> str:
        """Version of the prompts."""
        return template_hash(TEMPLATE)

    async def simulate(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        """Ask about every token of every span; a span fails with the first of its tokens that gets no level."""
        simulated: list[SpanSimulation] = []
        postponed: PostponedError | None = None
        for span in spans:
            try:
                simulated.append(await self._span(explanation.text, span))
            except PostponedError as error:
                postponed = error  # the calls after it go into the same batch
        if postponed is not None:
            raise postponed
        return Simulation("per-token", tuple(simulated), llm=self.llm.spec, settings=chosen(self))

    async def _span(self, explanation: str, span: TokenSpan) -> SpanSimulation:
        requests = [self._request(explanation, span.tokens[: i + 1]) for i in range(len(span))]
        # The first call shows whether the model keeps to the scale, before the others are bought. It also leaves in a server's
        # cache what all of them begin with.
        found = await _all(map(self._level, requests[:1]))
        if not isinstance(found[0], Failure):
            found += await _all(map(self._level, requests[1:]))
        for one in found:
            if isinstance(one, Failure):
                return SpanSimulation(span, None, one)
        for one in found:
            if isinstance(one, PostponedError):
                raise one
        return SpanSimulation(span, np.array(found, dtype=np.float32))

    def _request(self, explanation: str, tokens: Sequence[str]) -> Request:
        # Of a character that is split over several tokens the first has the text, and stands for the others.
        token = next((token for token in reversed(tokens) if token), "")
        text = render(f"{TEMPLATE}/user.jinja", explanation=explanation, tokens=tokens, token=token)
        return Request(
            messages=(_system(), Message("user", text)),
            purpose="simulate",
            max_tokens=1,
            # The model's own probabilities: some servers divide by the temperature before they report any.
            temperature=1.0,
            top_logprobs=self.top,
        )

    async def _level(self, request: Request) -> float | Failure:
        """The expected level that a reply gives, or why there is none."""
        try:
            reply = await self.llm.chat(request)
        except LLMReplyError as error:
            return Failure("simulate", error.reason, str(error), error.raw)
        try:
            found = alternatives.read(reply.text)
        except ValueError as error:
            return Failure("simulate", "parse_failed", str(error), reply.text)
        masses = level_masses(found)
        total = float(masses.sum())
        if total < self.min_mass:
            return Failure("simulate", "off_scale", _instead(found, total), reply.text)
        return float(masses @ np.arange(MAX_LEVEL + 1)) / total


def level_masses(found: Alternatives) -> NDArray[np.float64]:
    """[level 0-10]; the probability of each level among a reply's alternatives, 0 for one that is not listed.

    >>> float(level_masses([("X", -0.5), (" 10", -1.5), ("The", -2.0)])[10].round(3))
    0.83
    """
    masses = np.zeros(MAX_LEVEL + 1)
    for token, logprob in found:
        level = LEVELS.get(token.strip())
        if level is not None:
            masses[level] += math.exp(logprob)
    return masses


def _instead(found: Alternatives, total: float) -> str:
    shown = ", ".join(f'"{token}" {math.exp(p):.0%}' for token, p in found[:3])
    return f"the levels have {total:.0%} of the probability; most probable are {shown or 'none'}"


async def _all(
    levels: Iterable[Coroutine[Any, Any, float | Failure]],
) -> list[float | Failure | PostponedError]:
    """What comes of some calls, all of which are waited for; an error other than a postponement is raised then."""
    found = await asyncio.gather(*levels, return_exceptions=True)
    settled: list[float | Failure | PostponedError] = []
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, PostponedError):
            raise one
        settled.append(one)
    return settled


@cache
def _system() -> Message:
    return Message("system", render(f"{TEMPLATE}/system.jinja"))
