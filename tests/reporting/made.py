"""Catalogues with results made by hand: eight neurons in two layers of a tiny subject, and any scores for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuroexplain.catalogue import Catalogue
from neuroexplain.recorded import SubjectInfo
from neuroexplain.records import (
    Explanation,
    Failure,
    NeuronId,
    Score,
    Simulation,
    SpanSimulation,
    Split,
)
from tests.catalogue.conftest import make_corpus, make_layer

LAYERS = (0, 2)
WIDTH = 4


def score(value: float | None, *, p: float | None = None, **changes: Any) -> Score:
    """A score with a null of 20 others around 0 and a floor of 0.3, unless changed."""
    fields: dict[str, Any] = {
        "scorer": "correlation", "value": value, "reason": None if value is not None else "dead_neuron",
        "ci_low": None, "ci_high": None, "null_mean": 0.0, "null_own": value, "null_n": 20, "p_value": p,
        "null_reason": None, "floor": 0.3, "n_tokens": 24, "n_nonzero": 7, "coverage": 1.0,
    }  # fmt: skip
    return Score(**{**fields, **changes})


class Made:
    """A catalogue, and what writes results into it as a runner does.

    Args:
        folder: takes the file.
        name: of the subject.
    """

    def __init__(self, folder: Path, name: str = "tiny") -> None:
        self.catalogue = Catalogue(folder / "c.sqlite")
        self.name = name
        self.collect_again("first")

    def collect_again(self, key: str = "second") -> None:
        """Another collection of the subject, from which neurons are explained from now on."""
        subject = SubjectInfo(self.name, f"dir/{self.name}", "a" * 64, "bert", "mlp", (WIDTH,) * 3)
        corpus = make_corpus()
        layers = [make_layer(corpus, layer) for layer in LAYERS]
        self.catalogue.save_collection(key, {"top_k": 4}, subject, corpus, layers)
        self.collection = self.catalogue.collection(self.name)

    def run(self, key: str = "sweep", *, state: str = "done", **config: Any) -> int:
        """A run that has ended."""
        number = self.catalogue.begin_run(key, "sweep", config, {})
        self.catalogue.finish_run(number, state, {})
        return number

    def explain(
        self, run: int, place: str, text: str = "words", *, explainer: str = "fixed", **more: Any
    ) -> int:
        """An explanation of a neuron, by LAYER/INDEX and a sign; the same text again replaces it."""
        neuron = NeuronId.parse(f"{self.name}/{place}")
        made = Explanation(neuron, explainer, text, 1.5, **more)
        key = f"{self.collection.key} {place} {explainer} {text}"
        return self.catalogue.save_explanation(run, self.collection, key, made)

    def fail(self, run: int, place: str, reason: str = "parse_failed") -> int:
        """The record of a failed explanation."""
        failure = Failure("explain", reason, "no sentence", "raw")
        neuron = NeuronId.parse(f"{self.name}/{place}")
        made = Explanation(neuron, "fixed", "", 1.5, failure=failure)
        return self.catalogue.save_explanation(run, self.collection, f"{place} failed", made)

    def score(
        self,
        run: int,
        explanation: int,
        *scores: Score,
        simulator: str = "made",
        llm: str | None = None,
        split: Split = "test",
        failed: Sequence[str] = (),
    ) -> None:
        """Scores of a simulation with some failed spans."""
        simulation = self._simulation(simulator, llm, failed)
        key = f"{run} {explanation} {simulator} {llm} {split}"
        row = self.catalogue.save_simulation(run, explanation, key, split, simulation)
        self.catalogue.save_scores(run, explanation, row, key, split, scores, simulation)

    def _simulation(self, simulator: str, llm: str | None, failed: Sequence[str]) -> Simulation:
        numbers = [26, 8, 7]
        found = self.catalogue.spans(self.collection, numbers)
        spans = [
            SpanSimulation(found[n], np.zeros(len(found[n]), dtype=np.float32)) for n in numbers
        ]
        for place, reason in enumerate(failed):
            failure = Failure("simulate", reason, "eleven", "11")
            spans[place] = SpanSimulation(spans[place].span, None, failure)
        return Simulation(simulator, tuple(spans), llm)
