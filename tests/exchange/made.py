"""Records made small, with everything that a format may have to hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from neuroexplain.exchanged import (
    ExplanationRecord,
    NeuronRecord,
    ScoreRecord,
    SimulationRecord,
    SpanLevels,
    SpanRecord,
)
from neuroexplain.records import SPLITS, Floats, NeuronId, Score, Statistics

TEXTS = (
    (" The", " river", " froze", "\n", "over"),
    (" naïve", " 氷", "", "🧊", " Ġ"),
    (" <script>", "alert(1)", "</script>", " \u202e", "\x00"),
    (" a", ' "quote"', " \\", " <0x0A>", " ▁"),
)


def floats(*values: float) -> Floats:
    return np.array(values, np.float32)


def spans(polarity: int = 1, seed: int = 0) -> tuple[SpanRecord, ...]:
    """Three of the strongest of each split, two of bands, two random ones, and a look-alike."""
    random = np.random.default_rng(seed)
    counts = [
        (split, kind, n)
        for split in SPLITS
        for kind, n in (("top", 3), ("quantile", 2), ("random", 2))
    ]
    counts.append(("explain", "contrastive", 1))
    found: list[SpanRecord] = []
    for split, kind, n in counts:
        for rank in range(n):
            tokens = TEXTS[len(found) % len(TEXTS)]
            values = random.normal(size=len(tokens)).astype(np.float32)
            if kind == "top":
                values[rank] = polarity * (9 - rank)
            found.append(
                SpanRecord(
                    tokens,
                    values,
                    split=split,
                    kind=kind,  # type: ignore[arg-type]
                    rank=rank,
                    inclusion_probability={"top": 1.0, "contrastive": 0.0}.get(kind, 0.0923076923),
                    document=len(found) * 7,
                    start=rank * 64,
                )
            )  # fmt: skip
    return tuple(found)


def score(scorer: str = "correlation", value: float | None = 0.25, **more: Any) -> Score:
    plain = Score(
        scorer=scorer,
        value=value,
        reason=None if value is not None else "constant_simulation",
        ci_low=0.1,
        ci_high=0.375,
        null_mean=0.05,
        null_own=0.2,
        null_n=19,
        p_value=0.05,
        null_reason=None,
        floor=0.3,
        n_tokens=640,
        n_nonzero=31,
        coverage=0.96875,
    )
    return dataclasses.replace(plain, **more)


def neuron(
    index: int = 7, layer: int = 5, polarity: int = 1, subject: str = "minilm"
) -> NeuronRecord:
    """A neuron with two explanations, of which one has a score without a value, and a failed one."""
    kept = spans(polarity, seed=index)
    test = [s for s in kept if s.split == "test" and s.kind == "top"]
    simulation = SimulationRecord(
        "sparse",
        "test",
        tuple(
            SpanLevels(s.tokens, floats(0, 3, 10, 0.5, 0), s.activations, document=s.document, start=s.start)
            for s in test[:2]
        ),
        llm="openai:m",
        settings={"per_call": 5},
    )  # fmt: skip
    good = ExplanationRecord(
        "rivers, and “ice” on them </script>\u202e",
        explainer="token-activation",
        llm="openai:m",
        settings={"spans": 5, "nested": {"a": [1, None]}},
        key=f"{index:02x}" * 32,
        parent="ab" * 32,
        data={"tokens": [["river", 9.5]]},
        scale=9.0,
        template_sha256="cd" * 32,
        prompt_sha256="ef" * 32,
        created_at="2026-08-01T10:00:00.123+00:00",
        scores=(
            ScoreRecord(score(), "sparse", "test", "openai:m"),
            ScoreRecord(score("explained_variance", None), "sparse", "test", "openai:m"),
            ScoreRecord(score("correlation", 0.5), "sparse", "select", "openai:m"),
        ),
        simulations=(simulation,),
    )
    plain = ExplanationRecord("ice", explainer="ngram", key=f"{index + 100:02x}" * 32, scale=9.0)
    failed = ExplanationRecord(
        "", explainer="ngram", status="failed", reason="parse_failed", message="no JSON", raw_reply="…"
    )  # fmt: skip
    return NeuronRecord(
        NeuronId(subject, layer, index, polarity),
        site="mlp",
        statistics=Statistics(10_000, 0.1, 1.5, -9.5, 9.25, 0.4),
        spans=kept,
        explanations=(good, plain, failed),
        promoted=((" ice", 3.25), (" Ġ", 2.5)),
        suppressed=((" fire", -3.5),),
        width=1536,
    )


def compared(record: Any, *, without: Iterable[str] = ()) -> Any:
    """A record as plain values that `==` compares field by field; arrays as dtype and list."""
    left_out = set(without)
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        fields = (f.name for f in dataclasses.fields(record))
        return {name: compared(getattr(record, name), without=left_out) for name in fields if name not in left_out}  # fmt: skip
    if isinstance(record, np.ndarray):
        return str(record.dtype), record.tolist()
    if isinstance(record, tuple | list):
        return [compared(item, without=left_out) for item in record]
    if isinstance(record, dict):
        return {key: compared(value, without=left_out) for key, value in record.items()}
    return record


def neurons(n: int, **more: Any) -> Iterator[NeuronRecord]:
    for index in range(n):
        yield neuron(index, **more)
