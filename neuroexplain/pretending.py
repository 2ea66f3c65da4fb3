"""A language model that is not there: it counts what it is asked, as the real one would count, and answers nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from neuroexplain.catalogue import Catalogue
from neuroexplain.llm import alternatives
from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.tokens import Ratio, estimate, estimate_chat
from neuroexplain.records import Evidence, Floats, Ngram, OutputTokens
from neuroexplain.templates import Message

LEARN = 300
"""Earlier calls of each stage from which it is learnt how a model counts."""
_TEXT = "words and phrases about a place in which something of a certain kind happens, most often at the end of a clause"
"""Stands for an explanation that is not there yet: as long as they are on average."""


@dataclass
class Stage:
    """Calls of one purpose."""

    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    cached_tokens: float = 0.0
    """Prompt tokens that the server will have in its cache, as far as earlier calls tell."""
    cost_usd: float | None = None
    most: float = 0.0
    """Completion tokens that the calls may have together."""


class Pretender:
    """Counts what it is asked instead of answering.

    Args:
        catalogue: has the model's earlier calls.
        identity: what its ledger knows the model by.
        use_ledger: take replies that are there instead of counting.
    """

    spec = "none"

    def __init__(self, catalogue: Catalogue, identity: str, use_ledger: bool) -> None:
        self.identity = identity
        self._catalogue = catalogue
        self._use_ledger = use_ledger
        self._ratios = _ratios(catalogue, identity)
        self.stages: dict[str, Stage] = {}
        self.prompts: dict[str, str] = {}

    def begin(self) -> None:
        """Count from nothing."""
        self.stages = {}

    async def chat(self, request: Request) -> Reply:
        """The ledger's reply where it has one, for that would cost nothing; else count."""
        if self._use_ledger:
            known = self._catalogue.find_reply(request.sha256(self.identity))
            if known is not None:
                return known
        tokens = estimate_chat(request.messages)
        if request.schema is not None and not self._ratios[request.purpose].n:
            tokens += estimate(request.schema)  # what was learnt of earlier calls has it in it
        self._count(request.purpose, tokens, request.max_tokens)
        self.prompts.setdefault(
            request.purpose, "\n\n".join(f"[{m.role}]\n{m.text}" for m in request.messages)
        )
        if request.top_logprobs:
            return Reply(alternatives.written([("0", 0.0)]), None, None, 0.0)
        writes = request.purpose in ("explain", "revise") and not request.schema
        return Reply(_TEXT if writes else "[]", None, None, 0.0)

    async def distributions(
        self, prefix: str, segments: Sequence[str], marker: str, answers: Sequence[str]
    ) -> Floats:
        """Count a text; every answer is as probable as the others."""
        text = prefix + "".join(f"{segment}{marker}" for segment in segments)
        self._count("simulate", estimate(text), 1)
        self.prompts.setdefault("simulate", text)
        return np.full((len(segments), len(answers)), 1 / len(answers), dtype=np.float32)

    async def single_tokens(self, candidates: Sequence[str]) -> list[bool]:
        """All of them."""
        return [True] * len(candidates)

    def stop(self) -> None:
        """Nothing waits."""

    async def close(self) -> None:
        """Nothing to free."""

    def _count(self, purpose: str, tokens: int, most: int) -> None:
        stage = self.stages.setdefault(purpose, Stage())
        stage.calls += 1
        stage.most += most
        stage.prompt_tokens += tokens * self._ratios[purpose].factor


def completed(evidence: Evidence, wanted: Set[str]) -> Evidence:
    """Evidence in which words of the spans stand for what has not been made yet: prompts become as long as they will be."""
    tokens = [t.strip() for e in evidence.of_kind("top") for t in e.span.tokens if t.strip()]
    if "ngrams" in wanted and not evidence.ngrams:
        texts = [" ".join(tokens[i : i + 3]) for i in range(0, min(len(tokens), 150), 3)]
        evidence = replace(evidence, ngrams=[Ngram(text, 1.0, 1.0, 1) for text in texts])
    if "output_tokens" in wanted and evidence.output_tokens is None:
        listed = tuple((token, 1.0) for token in tokens[:50])
        evidence = replace(evidence, output_tokens=OutputTokens(listed, listed))
    return evidence


def _ratios(ledger: Catalogue, model: str) -> dict[str, Ratio]:
    """Tokens that the model's own tokenizer counts for each that is estimated, by purpose."""
    ratios: dict[str, Ratio] = defaultdict(Ratio)
    for purpose, messages, tokens in ledger.sample_calls(model, LEARN):
        turns = [Message(turn["role"], turn["content"]) for turn in json.loads(messages)]
        ratios[purpose].observe(estimate_chat(turns), tokens)
    return ratios
