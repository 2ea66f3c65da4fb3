"""The flow of one neuron. Read this first.

    catalogue ──▶ Evidence ── explainer ──▶ Explanation ── simulator ──▶ Simulation ── scorers ──▶ Score
    (explain split)                         (test split: bare tokens) ──┘    (test split: truth) ──┘

An explainer sees the explain split only; a simulator sees an explanation and bare tokens, never an activation; a scorer
sees both sides of the test split, and no text.

`explain_neuron` is that flow in one piece, for one neuron without a catalogue. A run over many neurons takes the same steps one
by one (`runner`, `scoring`), so that each result is saved before the next step begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neuroexplain.config import ScoreConfig
from neuroexplain.errors import LLMError
from neuroexplain.explainers.base import Explainer, dead
from neuroexplain.explainers.token_table import TokenTable, tabulate
from neuroexplain.records import (
    Evidence,
    Explanation,
    Failure,
    HeldOut,
    NeuronId,
    Score,
    Simulation,
    SpanSimulation,
    TokenSpan,
)
from neuroexplain.scorers.base import score
from neuroexplain.simulators.base import Simulator
from neuroexplain.simulators.token_table import TokenTableSimulator


async def explain_neuron(
    evidence: Evidence,
    held_out: HeldOut,
    *,
    explainer: Explainer,
    simulator: Simulator,
    scorers: Sequence[Any],
    config: ScoreConfig,
) -> tuple[Explanation, Simulation | None, tuple[Score, ...]]:
    """The whole flow for one neuron: explain, simulate, score.

    The scores have no null: that takes the explanations of other neurons, see `score_explanation`.

    Raises:
        LLMError: a language model gave no reply at all.
    """
    explanation = await explainer.explain(evidence, seed=config.seed)
    if explanation.failure is not None:
        return explanation, None, ()
    spans = [s.span for s in held_out.spans]
    # The simulator is handed tokens, not activations.
    simulation = await simulator.simulate(explanation, spans)
    floor = floor_simulation(evidence, spans)
    scores = score_explanation(
        simulation, held_out, floor, scorers=scorers, nulls=(), config=config
    )
    return explanation, simulation, scores


def score_explanation(
    simulation: Simulation,
    held_out: HeldOut,
    floor: Simulation | None,
    *,
    scorers: Sequence[Any],
    nulls: Sequence[Simulation],
    config: ScoreConfig,
    calibration: HeldOut | None = None,
) -> tuple[Score, ...]:
    """Score a simulation beside its floor and its null.

    Args:
        simulation: predictions on the held-out spans.
        held_out: the truth.
        floor: what the neuron's own token table predicts for these spans, see `floor_simulation`.
        scorers: the statistics.
        nulls: simulations of other neurons' explanations on these spans.
        config: bootstrap, null and seed.
        calibration: truth of spans that are not scored, and that all simulations cover too; for scorers that want
            predictions in the subject's units.
    """
    return score(
        *(scorers, simulation, held_out),
        nulls=nulls,
        floor=floor,
        config=config,
        calibration=calibration,
    )


def floor_simulation(evidence: Evidence, spans: Sequence[TokenSpan]) -> Simulation | None:
    """What the neuron's token table predicts: the floor that an explanation has to beat; None for a dead neuron.

    The same as what the simulator `token-table` makes of the explanation by the explainer `token-table`.
    """
    if dead(evidence) is not None:
        return None
    table = tabulate(evidence, TokenTable.size)
    return TokenTableSimulator().look_up(spans, table.ids, table.levels, table.default)


def unexplained(
    neuron: NeuronId, scale: float, explainer: str, llm: str | None, error: LLMError
) -> Explanation:
    """The record of an explanation that no reply could be had for."""
    return Explanation(
        neuron=neuron,
        explainer=explainer,
        text="",
        scale=scale,
        llm=llm,
        failure=Failure("explain", error.reason, str(error), error.raw),
    )


def unsimulated(
    spans: Sequence[TokenSpan], simulator: str, llm: str | None, error: LLMError
) -> Simulation:
    """The record of a simulation that no reply could be had for."""
    failure = Failure("simulate", error.reason, str(error), error.raw)
    failed = tuple(SpanSimulation(span, None, failure) for span in spans)
    return Simulation(simulator, failed, llm=llm)
