"""Revision: the texts on which an explanation predicts worst go back to the language model that wrote it.

The texts come from the select split: nothing that a score is reported on is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from neuroexplain.explainers.replies import sentence
from neuroexplain.explainers.spans import Pairs, around, highlighted
from neuroexplain.levels import MAX_LEVEL
from neuroexplain.llm.base import LLM, Request
from neuroexplain.records import Explanation, Floats, HeldOut, Simulation, TokenSpan
from neuroexplain.templates import Message, render, template_hash

TEMPLATE = "revise"
WORST = 3
"""Tokens of each span that are named with their error, in either direction."""
TELLING = 2.0
"""Levels by which a prediction has to be wrong to be named."""


@dataclass(frozen=True)
class Residual:
    """A span on which an explanation predicts something else than the neuron does."""

    span: TokenSpan
    truth: Floats
    """[token]; level 0-10, not rounded."""
    expected: Floats
    """[token]; level 0-10."""

    @property
    def error(self) -> Floats:
        """[token]; expected minus true level, 0 on tokens that count for nothing."""
        error: Floats = self.expected - self.truth
        error[: self.span.first] = 0
        return error


def residuals(simulation: Simulation, held_out: HeldOut, n: int) -> tuple[Residual, ...]:
    """The spans with the largest squared error of their levels, half of them missed and half expected in vain.

    Where there are too few of one direction the other has its places. Spans whose simulation failed are left out, and
    those on which nothing is wrong by `TELLING` levels. The worst come first.

    Args:
        simulation: of the explanation, on the spans of `held_out`.
        held_out: the truth, of the select split.
        n: spans at most.
    """
    truths = {s.span.span: s.truth for s in held_out.spans}
    found = []
    for made in simulation.spans:
        truth = truths.get(made.span.span)
        if made.expected is not None and truth is not None and held_out.scale > 0:
            levels = np.minimum(truth.astype(np.float64) / held_out.scale, 1) * MAX_LEVEL
            found.append(Residual(made.span, levels.astype(np.float32), made.expected))
    telling = [r for r in found if np.abs(r.error).max(initial=0) >= TELLING]
    missed = [r for r in telling if _squared(r, -1) >= _squared(r, 1)]
    vain = [r for r in telling if _squared(r, -1) < _squared(r, 1)]
    missed.sort(key=lambda r: -_squared(r, -1))
    vain.sort(key=lambda r: -_squared(r, 1))
    of_missed = max(n - n // 2, n - len(vain))
    chosen = missed[:of_missed] + vain[: n - min(of_missed, len(missed))]
    return tuple(sorted(chosen, key=lambda r: -_squared(r, 1) - _squared(r, -1)))


def _squared(residual: Residual, sign: int) -> float:
    """Squared error in one direction: +1 of what was expected in vain, -1 of what was missed."""
    return float((np.maximum(residual.error * sign, 0) ** 2).sum())


async def revise(
    llm: LLM,
    explanation: Explanation,
    counters: Sequence[Residual],
    *,
    seed: int,
    sample: int = 0,
    max_tokens: int = 100,
    temperature: float = 0.0,
    window: int = 24,
    quantile: float = 0.9,
) -> Explanation:
    """Ask for a better explanation; a reply that is no sentence becomes a failure with the reply kept.

    Args:
        llm: is asked.
        explanation: a good one, by whatever explainer.
        counters: the spans on which it is worst, see `residuals`; at least one.
        seed: of the request.
        sample: number of the round, or of the candidate: keeps replies apart.
        max_tokens: of the reply.
        temperature: of the reply.
        window: tokens shown of each span, round its largest error.
        quantile: of the levels shown, from which tokens are marked.

    Raises:
        LLMError: no reply could be had at all.
    """
    request = Request(
        messages=messages(explanation.text, counters, window=window, quantile=quantile),
        purpose="revise",
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        sample=sample,
    )
    found = sentence(await llm.chat(request))
    return replace(
        explanation,
        text=found if isinstance(found, str) else "",
        data=None,
        llm=llm.spec,
        template_sha256=template_hash(TEMPLATE),
        prompt_sha256=request.prompt_sha256,
        failure=None if isinstance(found, str) else found,
    )


def messages(
    text: str, counters: Sequence[Residual], *, window: int, quantile: float
) -> tuple[Message, ...]:
    """The chat: instructions, the explanation, then every span with the tokens on which it errs most."""
    spans: list[Pairs] = []
    shown = []
    for residual in counters:
        worst = int(np.abs(residual.error).argmax())
        inside = around(worst, len(residual.span), window)
        levels = residual.truth.astype(np.int64)[inside].tolist()
        spans.append(list(zip(residual.span.tokens[inside], levels, strict=True)))
        shown.append((_named(residual, -1, inside), _named(residual, 1, inside)))
    entries = [
        {"runs": runs, "missed": missed, "vain": vain}
        for runs, (missed, vain) in zip(highlighted(spans, quantile), shown, strict=True)
    ]
    return (
        Message("system", render(f"{TEMPLATE}/system.jinja")),
        Message("user", render(f"{TEMPLATE}/user.jinja", explanation=text, residuals=entries)),
    )


def _named(residual: Residual, sign: int, inside: slice) -> list[tuple[str, int, int]]:
    """The worst tokens of a window in one direction, in its order: text, true and expected level."""
    error = residual.error * sign
    places = [i for i in range(*inside.indices(len(residual.span))) if error[i] >= TELLING]
    worst = sorted(sorted(places, key=lambda i: -error[i])[:WORST])
    return [
        (
            residual.span.tokens[i].strip() or residual.span.tokens[i],
            round(float(residual.truth[i])),
            round(float(residual.expected[i])),
        )
        for i in worst
    ]
