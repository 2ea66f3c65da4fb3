"""Explanations, scores and reviews of a generated catalogue, as rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroexplain.catalogue.storage import codec
from neuroexplain.testing.catalogue_corpus import SEQ_LEN
from neuroexplain.testing.catalogue_texts import Sentences

EXPLANATION = (
    *("id", "key", "collection_id", "neuron_id", "polarity", "method_id", "prompt_sha256", "text", "data"),
    *("scale", "status", "reason", "message", "raw_reply", "run_id", "created_ms"),
)  # fmt: skip
SIMULATION = (
    "id",
    "explanation_id",
    "key",
    "split",
    "method_id",
    "n",
    "spans",
    "expected",
    "run_id",
    "created_ms",
)
SCORE = (
    *("explanation_id", "simulation_id", "key", "measure_id", "value", "reason", "ci_low", "ci_high", "null_mean", "null_own"),
    *("null_n", "p_value", "null_reason", "floor", "n_tokens", "n_nonzero", "coverage", "run_id", "created_ms"),
)  # fmt: skip
REVIEW = ("id", "explanation_id", "reviewer", "verdict", "note", "seconds", "created_at")
VERDICTS = ("correct", "partly", "wrong", "cannot-tell")
TAGS = ("syntax", "names", "numbers", "polysemantic", "check-again")
SECOND = "detection"
"""Scorer beside correlation."""
_FAILED, _REDONE, _UNDEFINED = 0.02, 0.01, 0.01
_FAILURES = (
    ("no_sentence", "the reply has no sentence", "I cannot tell what these texts have in common."),
    ("truncated", "the reply was cut off", "This neuron activates on several kinds of"),
    ("filtered", "the server withheld the reply", ""),
)
_FIRES = 0.1
"""Share of tokens that a simulation gives a level above 0."""
_BEGIN_MS = 1_780_000_000_000


@dataclass(frozen=True)
class Pass:
    """One explainer, with one language model, over some neurons on one side."""

    explainer: str
    llm: str | None
    polarity: int
    share: float
    """Of all explanations."""
    mean: float
    """Of the correlation scores."""


PASSES = (
    Pass("token-activation", "gpt-4o-mini", 1, 0.3, 0.32),
    Pass("keywords", None, 1, 0.3, 0.24),
    Pass("token-activation", "qwen2.5-7b-instruct", 1, 0.18, 0.27),
    Pass("highlight", "gpt-4o-mini", 1, 0.08, 0.35),
    Pass("token-activation", "gpt-4o-mini", -1, 0.14, 0.12),
)


@dataclass(frozen=True)
class Explained:
    """What a pass left behind; arrays are [explanation]."""

    first: int
    """Row of the first; the others follow."""
    failed: NDArray[np.bool_]

    @property
    def ids(self) -> NDArray[np.int64]:
        """Rows of the good ones."""
        return self.first + np.flatnonzero(~self.failed)


@dataclass(frozen=True)
class Results:
    """Makes the rows of a catalogue's results.

    Args:
        neurons: rows of the neurons, in order.
        sentences: writes the texts.
        seed: decides the rest.
    """

    neurons: NDArray[np.int64]
    sentences: Sentences
    seed: int

    def chosen(self, nth: int, n: int) -> NDArray[np.int64]:
        """Places of the neurons of a pass, in order; some twice where there are more explanations than neurons."""
        rng = np.random.default_rng([self.seed, 4, nth])
        times, rest = divmod(n, len(self.neurons))
        some = rng.permutation(len(self.neurons))[:rest]
        whole = np.tile(np.arange(len(self.neurons)), times)
        return np.sort(np.concatenate([whole, some]))

    def explained(self, nth: int, n: int, first: int) -> Explained:
        """Which explanations of a pass fail."""
        rng = np.random.default_rng([self.seed, 5, nth])
        return Explained(first, rng.random(n) < _FAILED)

    def explanations(
        self, nth: int, made: Explained, method_id: int, run_id: int
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of a pass, in the order of EXPLANATION; some are made again, and replace earlier ones of their key."""
        part, n = PASSES[nth], len(made.failed)
        rng = np.random.default_rng([self.seed, 6, nth])
        places = self.chosen(nth, n)
        versions = np.arange(n)
        again = 2 * rng.permutation(n // 2)[: round(n * _REDONE)] + 1
        # One that is made again has the neuron and the key of the one before it.
        places[again], versions[again] = places[again - 1], versions[again - 1]
        scales = np.exp(rng.normal(1.3, 0.35, n)).tolist()
        kinds = rng.integers(0, len(_FAILURES), n).tolist()
        texts = self.sentences.about(places, nth)
        asked = part.llm is not None
        rows = zip(
            places.tolist(), versions.tolist(), scales, kinds, made.failed.tolist(), texts, strict=True
        )  # fmt: skip
        for i, (place, version, scale, kind, failed, text) in enumerate(rows):
            key = _hash("explanation", self.seed, nth, version)
            reason, message, reply = _FAILURES[kind] if failed else (None, None, None)
            yield (
                made.first + i, key, 1, int(self.neurons[place]), part.polarity, method_id,
                _hash("prompt", self.seed, nth, version) if asked else None,
                "" if failed else text, None if asked or failed else _data(text),
                scale, "failed" if failed else "ok", reason, message, reply or None, run_id,
                _BEGIN_MS + made.first + i,
            )  # fmt: skip

    def simulations(
        self, spans: Iterable[tuple[int, bytes]], method_id: int, run_id: int
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of simulations, in the order of SIMULATION, of explanations with the numbers of their spans, packed."""
        rng = np.random.default_rng([self.seed, 10])
        for i, (number, blob) in enumerate(spans):
            n = len(blob) // 4
            levels = (rng.random(n * SEQ_LEN) < _FIRES) * rng.uniform(0, 10, n * SEQ_LEN)
            key = _hash("simulation", self.seed, number)
            yield (i + 1, number, key, "test", method_id, n, blob, codec.halves(levels), run_id, _BEGIN_MS + number)  # fmt: skip

    def scores(
        self,
        nth: int,
        made: Explained,
        measure_id: int,
        run_id: int,
        simulated: Mapping[int, int],
        share: float = 1.0,
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of one scorer, in the order of SCORE, for a share of a pass's good explanations.

        `simulated` has the rows of simulations, by explanation.
        """
        rng = np.random.default_rng([self.seed, 7, nth, measure_id])
        ids = made.ids[rng.random(len(made.ids)) < share]
        n = len(ids)
        values = np.tanh(rng.normal(np.arctanh(PASSES[nth].mean), 0.28, n))
        width = rng.uniform(0.03, 0.2, n)
        columns = zip(
            ids.tolist(), values.tolist(), (rng.random(n) < _UNDEFINED).tolist(),
            (values - width).tolist(), (values + width).tolist(), rng.normal(0, 0.03, n).tolist(),
            (rng.geometric(np.clip(values, 0.05, 1)) / 21).clip(0, 1).tolist(),
            np.tanh(rng.normal(0.45, 0.2, n)).tolist(), rng.integers(700, 960, n).tolist(),
            rng.integers(10, 500, n).tolist(), strict=True,
        )  # fmt: skip
        for row in columns:
            number, value, undefined, low, high, null, p, floor, tokens, nonzero = row
            key = _hash("score", self.seed, number, measure_id)
            known: tuple[Any, ...] = (value, None, low, high, null, value, 20, p, None)
            if undefined:
                known = (None, "constant_simulation", None, None, None, None, 0, None, "the score is undefined")  # fmt: skip
            yield (number, simulated.get(number), key, measure_id, *known, floor, tokens, nonzero, 1.0, run_id, _BEGIN_MS + number)  # fmt: skip

    def reviews(self, ids: NDArray[np.int64], n: int) -> Iterator[tuple[Any, ...]]:
        """Rows of reviews of some explanations, in the order of REVIEW."""
        rng = np.random.default_rng([self.seed, 8])
        chosen = np.sort(rng.permutation(ids)[:n]).tolist()
        verdicts = rng.choice(len(VERDICTS), n, p=(0.4, 0.3, 0.2, 0.1)).tolist()
        for i, (number, verdict) in enumerate(zip(chosen, verdicts, strict=False)):
            yield i + 1, number, f"reviewer {i % 3}", VERDICTS[verdict], "", 8.0 + i % 7, "2026-06-01T12:00:00.000+00:00"  # fmt: skip

    def tags(self, n: int) -> Iterator[tuple[int, str]]:
        """Rows of tags: one or two on every other review."""
        rng = np.random.default_rng([self.seed, 9])
        for number in range(1, n + 1, 2):
            for tag in rng.permutation(len(TAGS))[: 1 + number % 4 // 2].tolist():
                yield number, TAGS[tag]


def _hash(*parts: Any) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def _data(text: str) -> bytes:
    """What `keywords` keeps of its words."""
    words = [[word, round(3 + len(word) * 0.7, 3)] for word in text.split()[-5:]]
    return codec.packed_text(json.dumps({"words": words, "cased": False}))
