"""Asking a language model for an explanation: all that an explainer with one does beside writing out its evidence.

The first candidate of a neuron is written from its strongest evidence as it is. Every other one is shown three fifths of what
there is, drawn by seed and candidate (as SASC draws 30 of 50 n-grams, Singh et al. 2023): at temperature 0 the same prompt
would bring the same sentence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar, TypeVar

from neuroexplain.explainers.base import dead
from neuroexplain.explainers.replies import sentence
from neuroexplain.llm.base import LLM, Request
from neuroexplain.records import Evidence, Explanation, Failure
from neuroexplain.registry import chosen
from neuroexplain.templates import Message, Prompt, template_hash

T = TypeVar("T")

SHARE = 0.6
"""Of the evidence that there is, what a candidate after the first is shown."""


@dataclass(frozen=True)
class Asking(ABC):
    """An explainer that shows a language model its evidence, and takes one sentence for an answer.

    A subclass has a `name`, which is also the folder of its templates, its own settings, and writes the `messages`.
    """

    name: ClassVar[str]
    few_shot: ClassVar[tuple[str, ...]] = ()
    """Files of `prompts/examples` that go into the prompt."""

    llm: LLM
    max_tokens: int = 100
    """Tokens of the reply."""
    temperature: float = 0.0

    def __post_init__(self) -> None:
        at_least(self, 1, "max_tokens")
        at_least(self, 0, "temperature")

    @property
    def template_sha256(self) -> str:
        """Version of the prompts."""
        return template_hash(self.name, *self.few_shot)

    async def explain(self, evidence: Evidence, *, seed: int, sample: int = 0) -> Explanation:
        """Ask once; a reply that is no sentence becomes a failure with the reply kept.

        Raises:
            LLMError: no reply could be had at all.
        """
        failure = dead(evidence) or self.lacking(evidence)
        if failure is not None:
            return self._explanation(evidence, None, failure)
        request = Request(
            messages=self.messages(evidence, draw(evidence, seed, sample)),
            purpose="explain",
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=seed,
            sample=sample,
        )
        found = sentence(await self.llm.chat(request))
        return self._explanation(evidence, request.prompt_sha256, found)

    def lacking(self, evidence: Evidence) -> Failure | None:
        """The failure of a neuron about which there is nothing to show; None where there is."""
        return None

    @abstractmethod
    def messages(self, evidence: Evidence, random: Random | None) -> tuple[Message, ...]:
        """The chat: what all neurons share first, then this neuron's evidence.

        Args:
            evidence: of a neuron that is not dead and about which nothing is lacking.
            random: for `drawn`; None for the first candidate.
        """

    def prompt(self, evidence: Evidence) -> Prompt:
        """The rendered prompt of the first candidate."""
        return Prompt(self.messages(evidence, None), self.name, self.template_sha256)

    def _explanation(
        self, evidence: Evidence, prompt_sha256: str | None, found: str | Failure
    ) -> Explanation:
        return Explanation(
            neuron=evidence.neuron,
            explainer=self.name,
            text=found if isinstance(found, str) else "",
            scale=evidence.scale,
            llm=self.llm.spec,
            settings=chosen(self),
            template_sha256=self.template_sha256,
            prompt_sha256=prompt_sha256,
            failure=None if isinstance(found, str) else found,
        )


def at_least(plugin: object, least: float, *settings: str) -> None:
    """Refuse a plug-in whose settings are too small.

    Raises:
        ValueError: one is below `least`.
    """
    for name in settings:
        if getattr(plugin, name) < least:
            raise ValueError(f"{name} must be at least {least}, not {getattr(plugin, name)}")


def draw(evidence: Evidence, seed: int, sample: int) -> Random | None:
    """What decides the evidence that a candidate is shown: nothing but its neuron, seed and number; None for the first."""
    return Random(f"{evidence.neuron} {seed} {sample}") if sample > 0 else None


def drawn(
    items: Sequence[T], n: int, random: Random | None, *, of: int | None = None
) -> Sequence[T]:
    """Evidence as a candidate is shown it, strongest first.

    >>> drawn("abcdefgh", 3, None)
    'abc'
    >>> drawn("abcdefgh", 3, Random("a neuron 0 1"))
    ['a', 'd', 'e']

    Args:
        items: strongest first.
        n: shown at most.
        random: of the candidate, as by `draw`.
        of: the strongest, of which candidates after the first are shown some; so many that `n` is three fifths of them,
            unless given.
    """
    if random is None:
        return items[:n]
    pool = items[: round(n / SHARE) if of is None else of]
    shown = min(n, max(round(SHARE * len(pool)), 1), len(pool))
    return [pool[i] for i in sorted(random.sample(range(len(pool)), shown))]
