"""`token-activation`: a language model reads token/level pairs and says what they share (Bills et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

import numpy as np

from neuroexplain.explainers.base import MAX_TEXT, dead
from neuroexplain.levels import discretise
from neuroexplain.llm.base import LLM, Reply, Request
from neuroexplain.records import Evidence, Exemplar, Explanation, Failure
from neuroexplain.registry import chosen, register
from neuroexplain.templates import Message, Prompt, examples, render, template_hash

TEMPLATE = "token-activation"
EXAMPLES = "neurons"
SPARSE = 0.2
"""Below this share of non-zero tokens the non-zero pairs are repeated."""

Pairs = list[tuple[str, int]]


@register("explainer", "token-activation")
@dataclass(frozen=True)
class TokenActivation:
    """Explain a neuron from its strongest texts, shown to a language model as token/level pairs."""

    llm: LLM
    examples: int = 5
    """Top spans shown."""
    window: int = 32
    """Tokens shown of each span, around its peak."""
    shots: int = 3
    """Few-shot neurons shown before it. Small models copy the last one; try 0 with them."""
    max_tokens: int = 100
    """Tokens of the reply."""
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if self.examples < 1 or self.window < 1 or self.max_tokens < 1 or self.shots < 0:
            raise ValueError("examples, window and max_tokens must be at least 1, shots at least 0")

    @property
    def template_sha256(self) -> str:
        """Version of the prompts."""
        return template_hash(TEMPLATE, EXAMPLES)

    async def explain(self, evidence: Evidence, *, seed: int) -> Explanation:
        """Ask once; a reply that is no sentence becomes a failure with the reply kept."""
        failure = dead(evidence)
        if failure is not None:
            return self._explanation(evidence, None, "", failure)
        request = Request(
            messages=self.prompt(evidence).messages,
            purpose="explain",
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=seed,
        )
        reply = await self.llm.chat(request)
        text, reason = first_sentence(reply)
        failure = (
            None if text else Failure("explain", reason, "no sentence in the reply", reply.text)
        )
        return self._explanation(evidence, request.prompt_sha256, text, failure)

    def prompt(self, evidence: Evidence) -> Prompt:
        """The rendered chat: instructions, few-shot neurons, then this neuron's spans."""
        top = evidence.of_kind("top")[: self.examples]
        own = windows(top, evidence, self.window)
        return Prompt(
            messages=(*_opening(self.shots), Message("user", _user(own))),
            template=TEMPLATE,
            template_sha256=self.template_sha256,
        )

    def _explanation(
        self, evidence: Evidence, prompt_sha256: str | None, text: str, failure: Failure | None
    ) -> Explanation:
        return Explanation(
            neuron=evidence.neuron,
            explainer="token-activation",
            text=text,
            scale=evidence.scale,
            llm=self.llm.spec,
            settings=chosen(self),
            template_sha256=self.template_sha256,
            prompt_sha256=prompt_sha256,
            failure=failure,
        )


def windows(exemplars: Sequence[Exemplar], evidence: Evidence, size: int) -> list[Pairs]:
    """The tokens around each exemplar's peak, with their levels."""
    activations = np.concatenate([np.zeros(0, np.float32), *(e.activations for e in exemplars)])
    levels = discretise(activations, evidence.scale, evidence.neuron.polarity)
    found, at = [], 0
    for exemplar in exemplars:
        span = exemplar.span
        shown = levels[at : at + len(span)]
        shown[: span.first] = 0
        start = max(0, min(exemplar.peak_position - size // 2, len(span) - size))
        inside = slice(start, start + size)
        found.append(list(zip(span.tokens[inside], shown[inside].tolist(), strict=True)))
        at += len(span)
    return found


def first_sentence(reply: Reply) -> tuple[str, str]:
    """The reply's first line as an explanation, or an empty text and why there is none."""
    lines = [line.strip() for line in reply.text.splitlines() if line.strip()]
    if not lines:
        return "", "empty_reply"
    text = lines[0]
    if reply.finish_reason == "length" and len(lines) == 1:
        # Cut off by the token limit: whole sentences survive, half of one would be a claim nobody made.
        stop = text.rfind(". ")
        if stop < 0 and not text.endswith("."):
            return "", "truncated"
        text = text if text.endswith(".") else text[: stop + 1]
    return (text, "") if len(text) <= MAX_TEXT else ("", "too_long")


@cache
def _opening(shots: int) -> tuple[Message, ...]:
    """What comes before the neuron's own texts, the same for all neurons: instructions and few-shot neurons."""
    messages = [Message("system", render(f"{TEMPLATE}/system.jinja"))]
    for shot in examples(EXAMPLES)[:shots]:
        messages.append(Message("user", _user(shot["spans"])))
        messages.append(Message("assistant", shot["explanation"]))
    return tuple(messages)


def _user(spans: Sequence[Pairs]) -> str:
    flat = list(chain.from_iterable(spans))
    active = [pair for pair in flat if pair[1] > 0]
    return render(
        f"{TEMPLATE}/user.jinja",
        spans=[tuple(zip(*span, strict=True)) for span in spans],
        repeated=tuple(zip(*active, strict=True)) if len(active) < SPARSE * len(flat) else (),
    )
