"""Records made by hand, as the stages would make them, and golden texts."""

from __future__ import annotations

import os

# Before torch is imported: threads beyond the free cores make it slower, and pytest runs several processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No model hub is asked, and none is waited for.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.levels import side
from neuroexplain.llm.scripted import ScriptedLLM
from neuroexplain.records import (
    Evidence,
    Exemplar,
    Explanation,
    Floats,
    HeldOut,
    HeldOutSpan,
    Kind,
    NeuronId,
    Simulation,
    SpanSimulation,
    Split,
    Statistics,
    TokenSpan,
)
from tests import explained
from tests.sweeps import Sweeps

GOLDEN = Path(__file__).parent / "golden"
TRICKY = (
    "a\nb", "\t", "", "Text 2:", "]]", " unknown", "[[1, 10]]", "{{ x }}", "\\n", "```", "\u200b",
    "\u2028", "<|end|>", "é",
)  # fmt: skip
"""Tokens that hold the prompts' own markers, or nothing that can be seen."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/*.txt")


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of 96 neurons in 4 layers, 500 explanations by several methods, real text; not to be written to."""
    from neuroexplain.testing import catalogues

    path = tmp_path_factory.mktemp("generated") / "generated.sqlite"
    catalogues.make(path, neurons=96, explanations=500, layers=4, spans=800, reviews=0)
    return path


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], str]:
    """Gives what a golden file holds, byte for byte; with `--update-golden` it holds the text from then on."""

    def stored(name: str, text: str) -> str:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.write_bytes(text.encode())
        return path.read_bytes().decode()

    return stored


class Build:
    """Makes records; span numbers and token ids count up."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._spans = 0

    def span(self, text: str | Sequence[str], *, first: int = 0) -> TokenSpan:
        """A span of given tokens, or of a text's words with the spaces before them."""
        tokens = tuple(re.findall(r"\s*\S+", text)) if isinstance(text, str) else tuple(text)
        ids = tuple(self._ids.setdefault(token, len(self._ids)) for token in tokens)
        self._spans += 1
        return TokenSpan(self._spans, self._spans, 0, ids, tokens, first)

    def exemplar(
        self,
        span: TokenSpan,
        activations: Sequence[float] | Floats,
        *,
        kind: Kind = "top",
        rank: int = 0,
        split: Split = "explain",
        polarity: int = 1,
    ) -> Exemplar:
        values = np.asarray(activations, dtype=np.float32)
        place = span.first + int((values[span.first :] * polarity).argmax())
        return Exemplar(span, values, split, kind, rank, float(values[place]), place, 1.0)

    def evidence(
        self,
        exemplars: Sequence[Exemplar],
        *,
        polarity: int = 1,
        scale: float | None = None,
        n_spans: int | None = None,
    ) -> Evidence:
        """Evidence whose scale is the largest activation, unless given."""
        peaks = [side(e.activations[e.span.first :], polarity).max() for e in exemplars]
        return Evidence(
            neuron=NeuronId("tiny", 1, 7, polarity),
            exemplars=tuple(exemplars),
            scale=float(max(peaks, default=0)) if scale is None else scale,
            statistics=Statistics(1000, 0.0, 1.0, -5.0, 5.0, 0.5),
            n_spans=len(exemplars) if n_spans is None else n_spans,
        )

    def explanation(
        self,
        text: str = "words",
        *,
        explainer: str = "fixed",
        data: Mapping[str, Any] | None = None,
    ) -> Explanation:
        return Explanation(NeuronId("tiny", 1, 7), explainer, text, 1.0, data=data)

    def held_out(
        self,
        truths: Sequence[Sequence[float] | Floats],
        *,
        kinds: Sequence[Kind] = ("top",),
        weight: float = 1.0,
        first: int = 0,
    ) -> HeldOut:
        """Spans of numbered tokens with their truth, all of the same kinds and weight."""
        return HeldOut(
            NeuronId("tiny", 1, 7),
            tuple(
                HeldOutSpan(
                    self.span([f" w{i}" for i in range(len(truth))], first=first),
                    np.asarray(truth, dtype=np.float32),
                    frozenset(kinds),
                    weight,
                )
                for truth in truths
            ),
        )

    def simulation(
        self, held_out: HeldOut, expected: Sequence[Sequence[float] | Floats]
    ) -> Simulation:
        return Simulation(
            "made",
            tuple(
                SpanSimulation(s.span, np.asarray(levels, dtype=np.float32))
                for s, levels in zip(held_out.spans, expected, strict=True)
            ),
        )

    def tricky(self) -> list[TokenSpan]:
        """Two spans of tokens that could be taken for parts of a prompt."""
        return [self.span(TRICKY), self.span(TRICKY[::-1])]

    def scripted(self, *replies: str) -> ScriptedLLM:
        """A language model with these replies in order."""
        return ScriptedLLM("scripted:test", [{"reply": reply} for reply in replies], "scripted:1")


@pytest.fixture
def build() -> Build:
    return Build()


@pytest.fixture(scope="session")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Sweeps:
    """A tiny subject, collected, and sweeps over it."""
    return Sweeps(tmp_path_factory.mktemp("sweeps"))


@pytest.fixture(scope="session")
def minilm_explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small catalogue of MiniLM, see `tests.explained`; not to be written to."""
    path = tmp_path_factory.mktemp("minilm") / "explained.sqlite"
    explained.make(path)
    return path


@pytest.fixture(scope="session")
def by_calls(
    sweeps: Sweeps, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[Any, ...]]]:
    """What the catalogue of a sweep by direct calls holds, to which one by offline batches comes too."""
    from neuroexplain.testing import serve
    from tests.lives import answer, content
    from tests.offline import direct

    with serve(answer) as server:
        path = tmp_path_factory.mktemp("direct") / "catalogue.sqlite"
        return content(direct(sweeps, path, server.base_url))
