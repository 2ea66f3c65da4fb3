"""Evidence of a neuron that fires on ice, with everything that an explainer may want, and a model that keeps its requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from neuroexplain.llm.base import Reply, Request
from neuroexplain.records import Evidence, Ngram, OutputTokens

Build = Any  # of the upper conftest.py, which cannot be imported


@dataclass
class Asked:
    """A language model that answers all with one reply, or raises it, and keeps what it was asked."""

    reply: Reply | Exception
    requests: list[Request] = field(default_factory=list)
    spec: str = "scripted:asked"
    identity: str = "scripted:asked"

    async def chat(self, request: Request) -> Reply:
        self.requests.append(request)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    def stop(self) -> None:
        """Nothing waits."""

    async def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def asked() -> Callable[..., Asked]:
    """Makes a model from its reply and finish reason."""

    def make(text: str = "words for ice", finish: str = "stop") -> Asked:
        return Asked(Reply(text, 1, 1, 0.0, finish))

    return make


@pytest.fixture
def everything(build: Build) -> Evidence:
    """20 top spans, 5 quantile bands, 10 random spans, look-alikes, output tokens and n-grams."""

    def exemplar(words: str, level: float, kind: str, rank: int) -> Any:
        values = [0.0, 0.1, 0.2, level, 0.0]
        return build.exemplar(build.span(words), values, kind=kind, rank=rank)

    exemplars = [exemplar(f"In t{i} the ice{i} broke", 10 - i / 4, "top", i) for i in range(20)]
    exemplars += [exemplar(f"Of q{i} the snow{i} fell", 9 - 2 * i, "quantile", i) for i in range(5)]
    exemplars += [exemplar(f"An r{i} was a day{i}", i / 2, "random", i) for i in range(10)]
    evidence: Evidence = build.evidence(exemplars, n_spans=200)
    return replace(
        evidence,
        look_alikes=[
            exemplar(f"His c{i} cold ice{i} stare", 0.3, "contrastive", i) for i in range(8)
        ],
        output_tokens=OutputTokens(
            tuple((f" up{i}", 5 - i / 20) for i in range(60)),
            tuple((f" down{i}", i / 20 - 5) for i in range(60)),
        ),
        ngrams=[Ngram(f"gram {i}", 5 - i / 20, 6.0, 3) for i in range(60)],
    )
