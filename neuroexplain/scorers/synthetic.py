"""`synthetic`: a language model writes texts to an explanation, and the subject runs on them (Singh et al. 2023, SASC).

The score is a causal one: do texts that show what the explanation says make the neuron fire? `contrasts` says what they are
compared with, `exchange` what a score has to be better than, and `synthesising` is the stage that brings these together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from neuroexplain.llm.answers import parse_list
from neuroexplain.llm.base import LLM, Reply, Request
from neuroexplain.llm.repairing import understood
from neuroexplain.records import Failure
from neuroexplain.registry import register
from neuroexplain.templates import Message, render, template_hash

NAME = "synthetic"
AUROC = "synthetic_auroc"
"""The same comparison as an area under the ROC curve, which can be compared between neurons."""
LONGEST = 200
"""Characters of a text; the length at which it is no short text any more."""
KEY = "texts"
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {KEY: {"type": "array", "items": {"type": "string"}}},
        "required": [KEY],
        "additionalProperties": False,
    }
)


@dataclass(frozen=True)
class MatchingTexts:
    """Texts that show what an explanation says, or the record of why there are none."""

    texts: tuple[str, ...]
    """As they came, byte for byte."""
    wanted: int
    duplicates: int = 0
    """Texts that were left out because they had come already."""
    unusable: int = 0
    """Texts that were left out because they are empty, far too long or hold what no tokenizer reads."""
    prompt_sha256: str | None = None
    """Of the rendered prompt; None where no language model was asked."""
    failure: Failure | None = None


class TooFewError(ValueError):
    """The reply has the right form, and not enough texts."""


@register("scorer", NAME)
@dataclass(frozen=True)
class Synthetic:
    """Texts written to the explanation make the neuron fire more than texts written to others, in σ and as AUROC."""

    name: ClassVar[str] = NAME
    staged: ClassVar[bool] = True
    """Its scores are made by a stage of its own, for many neurons at once."""
    llm: LLM
    texts: int = 20
    """Texts written to each explanation. Of 10 a side one would miss nearly half of all effects of 1 σ."""
    max_tokens: int = 1000
    """Tokens of the reply."""
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if self.texts < 2 or self.max_tokens < 1:
            raise ValueError("texts must be at least 2, max_tokens at least 1")

    @property
    def template_sha256(self) -> str:
        """Version of the prompts."""
        return template_hash(NAME)

    def request(self, explanation: str, *, seed: int) -> Request:
        """The question, before there is any answer to it."""
        user = render(f"{NAME}/user.jinja", explanation=explanation, n=self.texts)
        return Request(
            messages=(_system(), Message("user", user)),
            purpose="score",
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=seed,
            schema=SCHEMA,
        )

    async def write(self, explanation: str, *, seed: int) -> MatchingTexts:
        """Ask for the texts once, and once more where the reply cannot be used; half of what is wanted will do.

        Raises:
            LLMError: no reply could be had at all.
        """
        request = self.request(explanation, seed=seed)
        asked = request.prompt_sha256
        found = await understood(
            *(self.llm, request),
            lambda reply: parse_texts(reply.text, self.texts, asked),
            lambda error: render(f"{NAME}/repair.jinja", error=error, n=self.texts),
            stage="score",
            reason=_reason,
        )
        if isinstance(found, Failure):
            return MatchingTexts((), self.texts, prompt_sha256=asked, failure=found)
        return found


def parse_texts(reply: str, wanted: int, prompt_sha256: str | None = None) -> MatchingTexts:
    """The texts of a reply `{"texts": ["...", ...]}`, the first of them where there are more than wanted.

    >>> parse_texts('["4.5 kg", "the U.S. in the 1990s", "4.5 KG"]', 2).texts
    ('4.5 kg', 'the U.S. in the 1990s')

    Raises:
        ValueError: the reply has another form, with what is wrong in words that the model can act on.
        TooFewError: there are less than half as many as wanted.
    """
    entries: Sequence[Any] = parse_list(reply, "texts", KEY)
    kept: dict[str, str] = {}
    duplicates = unusable = 0
    for entry in entries:
        if not isinstance(entry, str):
            raise ValueError(f"{json.dumps(entry)[:80]} is not a text in quotation marks")
        same = " ".join(entry.split()).casefold()
        if not _readable(entry):
            unusable += 1
        elif same in kept:
            duplicates += 1
        else:
            kept[same] = entry
    if 2 * len(kept) < wanted:
        raise TooFewError(f"it has {len(kept)} different short texts, and {wanted} are wanted")
    return MatchingTexts(
        tuple(kept.values())[:wanted], wanted, duplicates, unusable, prompt_sha256=prompt_sha256
    )


def _readable(text: str) -> bool:
    # Half a character of a pair, which JSON can spell, is none for a tokenizer.
    broken = "\0" in text or any("\ud800" <= c <= "\udfff" for c in text)
    return bool(text.strip()) and len(text) <= LONGEST and not broken


def _reason(error: ValueError, reply: Reply) -> str:
    if isinstance(error, TooFewError):
        return "too_few_texts"
    return "truncated" if reply.finish_reason == "length" else "parse_failed"


@cache
def _system() -> Message:
    return Message("system", render(f"{NAME}/system.jinja"))
