"""Neuron puzzles: invented neurons with their true explanation and false ones beside it (Bills et al. 2023).

A simulator is good where the true explanation scores above each false one. The puzzles are a file of their own, which is not
part of this package: a JSON object of puzzles with `explanation`, `false_explanations` and `sentences`, lists of tokens;
a token is a text, or `[text, level]`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroexplain.config import ScoreConfig
from neuroexplain.errors import ConfigError, LLMReplyError
from neuroexplain.levels import discretise
from neuroexplain.pipeline import score_explanation, unsimulated
from neuroexplain.records import (
    Evidence,
    Exemplar,
    Explanation,
    Floats,
    HeldOut,
    HeldOutSpan,
    NeuronId,
    Simulation,
    SpanSimulation,
    Statistics,
    TokenSpan,
)
from neuroexplain.registry import create
from neuroexplain.simulators.base import Simulator

TRUE, PERFECT, TABLE = "true", "perfect", "of other spans"
"""Kinds of simulation beside the false ones: by the true explanation, by the truth itself, by what other spans show."""
_CONFIG = ScoreConfig(scorers=("correlation",), null=0, bootstrap=0)


@dataclass(frozen=True, eq=False)
class Puzzle:
    """An invented neuron."""

    name: str
    explanation: str
    false: tuple[str, ...]
    truth: HeldOut
    """Every token of every span, with its level."""


@dataclass(frozen=True)
class PuzzleScore:
    """What one explanation of a puzzle scores."""

    puzzle: str
    kind: str
    """`true`, `false`, or one of the others above."""
    explanation: str
    value: float | None
    reason: str | None
    """Why `value` is None."""
    coverage: float


def load(path: Path) -> list[Puzzle]:
    """Read a file of puzzles.

    Raises:
        ConfigError: it cannot be read, or is of another form; the message names the puzzle.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict) or not found:
        raise ConfigError(f"{path} holds no JSON object of puzzles")
    ids: dict[str, int] = {}
    return [_puzzle(path, name, entry, ids) for name, entry in found.items()]


def _puzzle(path: Path, name: str, entry: Any, ids: dict[str, int]) -> Puzzle:
    try:
        spans = []
        for number, sentence in enumerate(entry["sentences"]):
            pairs = [(t, 0.0) if isinstance(t, str) else (t[0], float(t[1])) for t in sentence]
            spans.append(_span(number, pairs, ids))
        explanation, false = entry["explanation"], tuple(entry["false_explanations"])
        if not all(isinstance(text, str) for text in (explanation, *false)):
            raise TypeError
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise ConfigError(
            f'{path}: puzzle "{name}" has no explanation, false_explanations and sentences of tokens or [token, level] pairs'
        ) from None
    scale = max((float(s.truth.max(initial=0.0)) for s in spans), default=0.0)
    return Puzzle(name, explanation, false, HeldOut(NeuronId("puzzles", 0, 0), tuple(spans), scale))


def _span(number: int, pairs: Sequence[tuple[str, float]], ids: dict[str, int]) -> HeldOutSpan:
    tokens = tuple(text for text, _ in pairs)
    # One id whatever case and spaces: a table of twenty sentences would else know hardly any token.
    numbers = tuple(ids.setdefault(t.strip().lower(), len(ids)) for t in tokens)
    span = TokenSpan(number, number, 0, numbers, tokens)
    truth = np.array([level for _, level in pairs], np.float32)
    return HeldOutSpan(span, truth, frozenset({"random"}), 1.0)


async def play(puzzle: Puzzle, simulator: Simulator, text: str, kind: str) -> PuzzleScore:
    """What an explanation of a puzzle scores with a simulator.

    Raises:
        LLMError: no reply could be had at all.
    """
    explanation = Explanation(puzzle.truth.neuron, "fixed", text, puzzle.truth.scale)
    spans = [s.span for s in puzzle.truth.spans]
    try:
        simulation = await simulator.simulate(explanation, spans)
    except LLMReplyError as error:
        simulation = unsimulated(spans, type(simulator).__name__, None, error)
    return _scored(puzzle, simulation, kind, text)


async def play_table(puzzle: Puzzle, name: str) -> PuzzleScore:
    """What is said of every span by an explainer without language model that has seen the others.

    Args:
        puzzle: which.
        name: of explainer and simulator: `token-table` or `ngram`.
    """
    explainer, simulator = create("explainer", name, {}), create("simulator", name, {})
    found: list[SpanSimulation] = []
    for left_out in puzzle.truth.spans:
        others = [s for s in puzzle.truth.spans if s is not left_out]
        explanation = await explainer.explain(_evidence(puzzle, others), seed=0)
        found += (await simulator.simulate(explanation, [left_out.span])).spans
    return _scored(puzzle, Simulation(name, tuple(found)), TABLE, "")


def perfect(puzzle: Puzzle) -> PuzzleScore:
    """What the truth itself scores, as levels."""
    scale = puzzle.truth.scale
    levels = [discretise(s.truth, scale).astype(np.float32) for s in puzzle.truth.spans]
    spans = zip(puzzle.truth.spans, levels, strict=True)
    simulation = Simulation(PERFECT, tuple(SpanSimulation(s.span, level) for s, level in spans))
    return _scored(puzzle, simulation, PERFECT, "")


def _evidence(puzzle: Puzzle, spans: Sequence[HeldOutSpan]) -> Evidence:
    exemplars = tuple(
        Exemplar(
            s.span, s.truth, "explain", "top", rank, _peak(s.truth), int(s.truth.argmax()), 1.0
        )
        for rank, s in enumerate(spans)
    )
    n_tokens = sum(len(s.span) for s in spans)
    return Evidence(
        neuron=puzzle.truth.neuron,
        exemplars=exemplars,
        scale=puzzle.truth.scale,
        statistics=Statistics(n_tokens, 0.0, 1.0, 0.0, puzzle.truth.scale, 0.0),
        n_spans=len(spans),
    )


def _peak(truth: Floats) -> float:
    return float(truth.max(initial=0.0))


def _scored(puzzle: Puzzle, simulation: Simulation, kind: str, text: str) -> PuzzleScore:
    (score,) = score_explanation(
        *(simulation, puzzle.truth, None),
        scorers=[create("scorer", "correlation", {})],
        nulls=(),
        config=_CONFIG,
    )
    return PuzzleScore(puzzle.name, kind, text, score.value, score.reason, score.coverage)


def won(scores: Sequence[PuzzleScore]) -> tuple[float, int]:
    """Pairs of a true and a false explanation in which the true one scores higher, and pairs in all.

    Equal scores are half a pair won. What is undefined is worth 0, as a simulation without skill.
    """
    true = {s.puzzle: s.value or 0.0 for s in scores if s.kind == TRUE}
    false = [s for s in scores if s.kind == "false"]
    points = [
        0.5 * ((true[s.puzzle] > (s.value or 0.0)) + (true[s.puzzle] >= (s.value or 0.0)))
        for s in false
    ]
    return sum(points), len(points)
