"""A small synthetic subject, corpus and collection, and a catalogue that holds them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.recorded import (
    QUANTILE_LEVELS,
    CorpusInfo,
    ExemplarBlock,
    LayerCollection,
    LayerSketch,
    SubjectInfo,
    TokenCorpus,
    TokenDocument,
    TokenTable,
)
from neuroexplain.records import (
    KINDS,
    SPLITS,
    Document,
    Evidence,
    Explanation,
    Failure,
    Kind,
    NeuronId,
    Score,
    Simulation,
    SpanSimulation,
    Split,
)

WIDTH, SEQ_LEN, FIRST = 4, 6, 1
WORDS = [
    "the",
    "river",
    "froze",
    "in",
    "Paris",
    "–",
    "naïve",
    "'quotes'",
    "über",
    '"ice"',
    "河",
    "flows;",
    "🧊",
    "melts",
]


@pytest.fixture
def subject() -> SubjectInfo:
    return SubjectInfo("tiny", "dir/tiny", "a" * 64, "bert", "mlp", (WIDTH, WIDTH, WIDTH))


@pytest.fixture
def corpus() -> TokenCorpus:
    return make_corpus()


def make_corpus(seed: int = 0) -> TokenCorpus:
    """Nine documents, three of each split, of words as tokens; the last span of a document is short."""
    random = np.random.default_rng(seed)
    documents = []
    spans: list[tuple[int, int, int, int]] = []
    for position in range(9):
        text = " ".join(random.choice(WORDS, 16))
        offsets = np.array([m.span() for m in re.finditer(r"\S+", text)], dtype=np.uint32)
        split = SPLITS[position % 3]
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        ids = random.integers(0, 70_000, len(offsets)).astype(np.uint32)
        document = Document(position, text, sha256, split, f"made:{position}")
        documents.append(TokenDocument(document, ids, offsets))
        spans += [(position, s, min(SEQ_LEN, 16 - s), position % 3) for s in range(0, 16, SEQ_LEN)]
    columns = np.array(spans).T
    digest = hashlib.sha256("".join(d.document.sha256 for d in documents).encode()).hexdigest()
    info = CorpusInfo("made", digest, "t" * 64, SEQ_LEN, FIRST, 9, 9 * 16, 1, 2)
    return TokenCorpus(
        info, tuple(documents), columns[0], columns[1], columns[2], columns[3].astype(np.int8)
    )


def make_block(
    corpus: TokenCorpus, layer: int, split: Split, kind: Kind, polarity: int
) -> ExemplarBlock:
    """Random activations on up to four spans of the split; one neuron has a span less, one is huge."""
    random = np.random.default_rng([layer, SPLITS.index(split), KINDS.index(kind), polarity + 1])
    choice = np.flatnonzero(corpus.span_split == SPLITS.index(split))
    spans = np.stack([random.permutation(choice)[:4] for _ in range(WIDTH)]).astype(np.int64)
    activations = random.normal(size=(WIDTH, 4, SEQ_LEN)).astype(np.float16)
    exponents = np.zeros((WIDTH, 4), dtype=np.int8)
    exponents[2, 1] = 4
    if kind == "random":
        spans[:] = spans[0]
    else:
        spans[1, 3] = -1
    inside = np.arange(SEQ_LEN) < corpus.span_length[spans][..., None]
    activations[~inside] = 0
    counted = np.where(inside, activations.astype(np.float32), -np.inf * (polarity or 1))
    counted[..., :FIRST] = -np.inf * (polarity or 1)
    positions = (counted * (polarity or 1)).argmax(axis=2).astype(np.int32)
    values = np.ldexp(activations.astype(np.float32), exponents[..., None])
    peaks = np.take_along_axis(values, positions[..., None].astype(np.int64), 2)[..., 0]
    return ExemplarBlock(
        split, kind, polarity, spans, peaks, positions, activations, exponents,
        1.0 if kind == "top" else 0.25,
    )  # fmt: skip


def make_layer(corpus: TokenCorpus, layer: int) -> LayerCollection:
    random = np.random.default_rng(layer)
    sides: list[tuple[Kind, int]] = [
        ("top", 1), ("top", -1), ("quantile", 1), ("quantile", -1), ("random", 0)
    ]  # fmt: skip
    return LayerCollection(
        layer=layer,
        n_tokens=np.array([144, 144, 90, 12]),
        n_spans=27,
        mean=random.normal(size=WIDTH),
        std=random.random(WIDTH),
        min=-random.random(WIDTH).astype(np.float32),
        max=random.random(WIDTH).astype(np.float32),
        frac_positive=np.array([0.05, 0.25, 0.5, 1.0]),
        peaks_excluded=np.arange(WIDTH),
        troughs_excluded=np.arange(WIDTH) + 1,
        blocks=tuple(
            make_block(corpus, layer, split, kind, side) for split in SPLITS for kind, side in sides
        ),
        sketch=make_sketch(corpus, layer),
    )


def make_sketch(corpus: TokenCorpus, layer: int) -> LayerSketch:
    """Random numbers; the last neuron of a layer is constant, and some have fewer token ids than others."""
    random = np.random.default_rng([layer, 1])
    known = np.concatenate([d.token_ids for d in corpus.documents[::3]])
    shape = (2, WIDTH, 5)
    counts = random.integers(1, 9, shape).astype(np.int32)
    counts[0, 1, 3:] = counts[1, 2] = 0
    table = TokenTable(
        random.choice(known, shape),
        random.normal(size=shape).astype(np.float32),
        random.normal(size=shape).astype(np.float32),
        counts,
    )
    quantiles = np.sort(random.normal(size=(WIDTH, len(QUANTILE_LEVELS))), axis=1)
    directions = random.normal(scale=25, size=(WIDTH, 256)).round().astype(np.int8)
    directions[-1] = 0
    return LayerSketch(100, quantiles.astype(np.float32), table, directions)


@pytest.fixture
def layers(corpus: TokenCorpus) -> list[LayerCollection]:
    return [make_layer(corpus, n) for n in (0, 2)]


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue(tmp_path / "c.sqlite") as opened:
        yield opened


@pytest.fixture
def collection(
    catalogue: Catalogue,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> Collection:
    catalogue.save_collection("collection-key", {"top_k": 4}, subject, corpus, layers)
    return catalogue.collection()


def make_score(value: float | None, **changes: object) -> Score:
    fields: dict[str, object] = {
        "scorer": "correlation", "value": value,
        "reason": None if value is not None else "constant_simulation",
        "ci_low": None, "ci_high": None, "null_mean": 0.05, "null_own": None, "null_n": 20, "p_value": 0.25,
        "null_reason": None, "floor": 0.3, "n_tokens": 24, "n_nonzero": 7, "coverage": 1.0,
    }  # fmt: skip
    return Score(**{**fields, **changes})  # type: ignore[arg-type]


@dataclass
class Sweep:
    """Writes results into a catalogue as a runner does."""

    catalogue: Catalogue
    collection: Collection
    run_id: int = field(init=False)

    def __post_init__(self) -> None:
        self.run_id = self.catalogue.begin_run("run-key", "sweep", {"a": 1}, {"numpy": "2"})

    def explain(
        self, address: str, text: str, *, explainer: str = "ngram", llm: str | None = None
    ) -> int:
        made = Explanation(NeuronId.parse(address), explainer, text, 1.5, {"n": [1]}, llm, {"k": 2})
        key = f"{address} {explainer} {text}"
        return self.catalogue.save_explanation(self.run_id, self.collection, key, made)

    def fail(self, address: str, key: str = "failed-key", reason: str = "parse_failed") -> int:
        failure = Failure("explain", reason, "no sentence", "<raw \ud800>")
        made = Explanation(NeuronId.parse(address), "ngram", "", 1.5, failure=failure)
        return self.catalogue.save_explanation(self.run_id, self.collection, key, made)

    def score(
        self,
        explanation_id: int,
        *scores: Score,
        key: str | None = None,
        simulator: str = "sparse",
        split: Split = "test",
    ) -> int:
        key = key or f"{explanation_id} {simulator} {split}"
        simulation = self.simulation(simulator)
        row = self.catalogue.save_simulation(self.run_id, explanation_id, key, split, simulation)
        self.catalogue.save_scores(self.run_id, explanation_id, row, key, split, scores, simulation)
        return row

    def simulation(self, simulator: str = "sparse", failed: int = 0) -> Simulation:
        numbers = [26, 8, 7]
        found = self.catalogue.spans(self.collection, numbers)
        spans = [
            SpanSimulation(found[n], np.linspace(0, 10, len(found[n]), dtype=np.float32))
            for n in numbers
        ]
        for index in range(failed):
            failure = Failure("simulate", "bad_levels", "eleven", "11")
            spans[index] = SpanSimulation(spans[index].span, None, failure)
        return Simulation(simulator, tuple(spans), "openai:m", {"repair": 1})

    def evidence(self, address: str) -> Evidence:
        return self.catalogue.evidence(self.collection, NeuronId.parse(address))


@pytest.fixture
def sweep(catalogue: Catalogue, collection: Collection) -> Sweep:
    return Sweep(catalogue, collection)
