"""`logprob`: the expected level at every token from one pass over the text (Bills et al. 2023, all at once).

The prompt holds all tokens, each followed by a tab and an unknown marker. At every marker the model's probabilities of
exactly the eleven answers, renormalised, give the expected value E = sum of k p(k).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neuroexplain.errors import LLMReplyError, PluginError
from neuroexplain.levels import MAX_LEVEL, escape
from neuroexplain.llm.base import LLM, AnswersMarked
from neuroexplain.records import Explanation, Failure, Simulation, SpanSimulation, TokenSpan
from neuroexplain.registry import chosen, register
from neuroexplain.templates import examples, render, template_hash

TEMPLATE = "logprob"
EXAMPLES = "neurons"
MARKER = "unknown"


@register("simulator", "logprob")
@dataclass(frozen=True)
class LogprobSimulator:
    """Predict levels from a model's probabilities of 0-10. It runs in process, or its server gives those of a text."""

    reads_probabilities: ClassVar[bool] = True
    """Whether a server has to give the probabilities of a text's own tokens."""
    llm: LLM
    examples: int = 3
    """Few-shot neurons in the prompt."""

    def __post_init__(self) -> None:
        if self.examples < 0:
            raise ValueError("examples must be at least 0")
        if not isinstance(self.llm, AnswersMarked):
            raise ValueError(
                f"{self.llm.spec} gives no probabilities of answers; use --llm local:SUBJECT, or the simulator sparse"
            )

    @property
    def template_sha256(self) -> str:
        """Version of the prompts."""
        return template_hash(TEMPLATE, EXAMPLES)

    async def simulate(self, explanation: Explanation, spans: Sequence[TokenSpan]) -> Simulation:
        """Run one pass per span; the few-shot prefix is the same for all of them and computed once.

        A span for which the server gives no probabilities is failed.

        Raises:
            LLMReplyError: it gives none for the first one.
        """
        assert isinstance(self.llm, AnswersMarked)
        answers = await self.answers()
        prefix = render(
            f"{TEMPLATE}/prefix.jinja",
            examples=examples(EXAMPLES)[: self.examples],
            answers=answers,
        )
        simulated: list[SpanSimulation] = []
        for span in spans:
            head = render(f"{TEMPLATE}/query.jinja", explanation=explanation.text)
            shown = [escape(token) for token in span.tokens]
            segments = [f"{head if i == 0 else chr(10)}{token}\t" for i, token in enumerate(shown)]
            try:
                probabilities = await self.llm.distributions(prefix, segments, MARKER, answers)
            except LLMReplyError as error:
                if not simulated:
                    raise  # most often it is a limit of the server, which all texts would meet with
                failure = Failure("simulate", error.reason, str(error), error.raw)
                simulated.append(SpanSimulation(span, None, failure))
                continue
            expected = probabilities @ np.arange(MAX_LEVEL + 1, dtype=np.float32)
            simulated.append(SpanSimulation(span, expected.astype(np.float32)))
        return Simulation("logprob", tuple(simulated), llm=self.llm.spec, settings=chosen(self))

    async def answers(self) -> list[str]:
        """What stands for the levels 0 to 10, each one token of this model; X stands for 10 where "10" is two.

        Raises:
            PluginError: the model's tokenizer splits a single digit.
        """
        assert isinstance(self.llm, AnswersMarked)
        digits = [str(level) for level in range(MAX_LEVEL)]
        candidates = [*digits, "10", "X"]
        single = dict(zip(candidates, await self.llm.single_tokens(candidates), strict=True))
        ten = "10" if single["10"] else "X"
        if not all(single[answer] for answer in [*digits, ten]):
            raise PluginError(
                f"{self.llm.spec} does not write every digit as one token; use the simulator sparse"
            )
        return [*digits, ten]
