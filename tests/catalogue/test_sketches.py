"""Quantiles, token responses and similar neurons, from the catalogue and from its views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Collection, TokenResponse
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import (
    QUANTILE_LEVELS,
    LayerCollection,
    LayerSketch,
    SubjectInfo,
    TokenCorpus,
)
from neuroexplain.records import POLARITIES, Floats, NeuronId


@pytest.fixture
def texts(corpus: TokenCorpus) -> dict[int, str]:
    """Of every token id, the characters of its first occurrence."""
    found: dict[int, str] = {}
    for entry in corpus.documents:
        for number, (start, end) in zip(
            entry.token_ids.tolist(), entry.offsets.tolist(), strict=True
        ):
            found.setdefault(number, entry.document.text[start:end])
    return found


def sketch_of(layer: LayerCollection) -> LayerSketch:
    assert layer.sketch is not None
    return layer.sketch


def neurons(layers: list[LayerCollection]) -> Iterator[tuple[NeuronId, LayerSketch, int]]:
    """Every neuron with its layer's sketch and its side in the token table."""
    for layer in layers:
        for index in range(len(layer.mean)):
            for side, polarity in enumerate(POLARITIES):
                yield NeuronId("tiny", layer.layer, index, polarity), sketch_of(layer), side


def responses(
    sketch: LayerSketch, side: int, index: int, texts: dict[int, str]
) -> list[TokenResponse]:
    table = sketch.token_table
    columns = (table.token_ids, table.means, table.extremes, table.counts)
    rows = zip(*(column[side, index].tolist() for column in columns), strict=True)
    return [TokenResponse(row[0], texts[row[0]], *row[1:]) for row in rows if row[3]]


def rows_of(catalogue: Catalogue, query: str) -> list[Any]:
    with catalogue._database.reading() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_token_ids_of_a_corpus_have_a_text(
    catalogue: Catalogue, collection: Collection, texts: dict[int, str]
) -> None:
    assert dict(rows_of(catalogue, "SELECT token_id, text FROM token")) == texts


def test_quantiles_come_back_exactly(
    catalogue: Catalogue, collection: Collection, layers: list[LayerCollection]
) -> None:
    wanted = []
    for neuron, sketch, _ in neurons(layers):
        pairs = list(zip(QUANTILE_LEVELS, sketch.quantiles[neuron.index].tolist(), strict=True))
        assert list(catalogue.evidence(collection, neuron).statistics.quantiles) == pairs
        shown = catalogue.show(neuron)["statistics"]["quantiles"]
        assert shown == {str(level): value for level, value in pairs}
        wanted += [(neuron.layer, neuron.index, *pair) for pair in pairs if neuron.polarity > 0]
    query = "SELECT layer, idx, level, value FROM v_quantiles JOIN v_neurons USING (neuron_id)"
    assert sorted(rows_of(catalogue, query)) == sorted(wanted)


def test_token_responses_come_back_exactly(
    catalogue: Catalogue,
    collection: Collection,
    layers: list[LayerCollection],
    texts: dict[int, str],
) -> None:
    wanted = []
    for neuron, sketch, side in neurons(layers):
        own = responses(sketch, side, neuron.index, texts)
        assert catalogue.token_responses(collection, neuron) == own
        shown = catalogue.show(neuron)["statistics"]["tokens"]
        names = ("token", "mean", "extreme", "count")
        assert [[t[n] for n in names] for t in shown] == [
            [getattr(r, n) for n in names] for r in own
        ]
        place = (neuron.layer, neuron.index, neuron.polarity)
        wanted += [
            (*place, rank, r.token_id, r.token, r.mean, r.extreme, r.count)
            for rank, r in enumerate(own)
        ]
    columns = "layer, idx, polarity, rank, token_id, token, v.mean, extreme, count"
    query = f"SELECT {columns} FROM v_token_responses AS v JOIN v_neurons USING (neuron_id)"
    assert sorted(rows_of(catalogue, query)) == sorted(wanted)
    assert {len(responses(s, side, n.index, texts)) for n, s, side in neurons(layers)} == {0, 3, 5}


@pytest.mark.parametrize(
    "value",
    [
        0.0,
        1.0,
        -0.1,
        3.4028235e38,
        -1.1754944e-38,
        1e-45,
        1.1754942e-38,
        2.0**60,
        -(2.0**-90),
        7e30,
    ],
)
def test_views_read_every_sort_of_float32(
    catalogue: Catalogue,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
    value: float,
) -> None:
    sketch = sketch_of(layers[0])
    table = replace(
        sketch.token_table,
        means=np.full_like(sketch.token_table.means, value),
        extremes=np.full_like(sketch.token_table.extremes, -value),
    )
    changed = replace(sketch, quantiles=np.full_like(sketch.quantiles, value), token_table=table)
    catalogue.save_collection("k", {}, subject, corpus, [replace(layers[0], sketch=changed)])
    exact = float(np.float32(value))
    assert rows_of(catalogue, "SELECT DISTINCT value FROM v_quantiles") == [(exact,)]
    query = "SELECT DISTINCT mean, extreme FROM v_token_responses"
    assert rows_of(catalogue, query) == [(exact, -exact)]


def test_without_a_sketch_nothing_is_said(
    catalogue: Catalogue,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    bare = [replace(layer, sketch=None) for layer in layers]
    catalogue.save_collection("k", {}, subject, corpus, bare)
    collection, neuron = catalogue.collection(), NeuronId("tiny", 0, 0)
    assert catalogue.evidence(collection, neuron).statistics.quantiles == ()
    assert catalogue.token_responses(collection, neuron) == []
    assert catalogue.similar(neuron) == []
    statistics = catalogue.show(neuron)["statistics"]
    assert (statistics["quantiles"], statistics["tokens"]) == ({}, [])
    for view in ("v_quantiles", "v_token_responses"):
        assert rows_of(catalogue, f"SELECT * FROM {view}") == []


@pytest.mark.parametrize("field", ["quantiles", "means", "extremes"])
def test_sampled_numbers_must_be_finite(
    catalogue: Catalogue,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
    field: str,
) -> None:
    sketch = sketch_of(layers[0])
    table = sketch.token_table
    if field == "quantiles":
        changed = replace(sketch, quantiles=spoilt(sketch.quantiles))
    else:
        wrong: dict[str, Any] = {field: spoilt(getattr(table, field))}
        changed = replace(sketch, token_table=replace(table, **wrong))
    with pytest.raises(CatalogueError, match=r"layer 0: a .* is NaN or infinite"):
        catalogue.save_collection("k", {}, subject, corpus, [replace(layers[0], sketch=changed)])
    assert catalogue.find_collection("k") is None


def spoilt(values: Floats) -> Floats:
    copy = values.copy()
    copy.flat[7] = np.nan
    return copy


@pytest.mark.parametrize("polarity", POLARITIES)
def test_similar_neurons_are_those_of_the_largest_cosines(
    catalogue: Catalogue,
    collection: Collection,
    layers: list[LayerCollection],
    polarity: int,
) -> None:
    stacked = np.concatenate([sketch_of(layer).directions for layer in layers]).astype(np.float64)
    places = [(layer.layer, index) for layer in layers for index in range(4)]
    own = stacked[1]
    wanted = {}
    for place, other in zip(places, stacked, strict=True):
        if place != (0, 1) and other.any():
            cosine = own @ other / np.linalg.norm(own) / np.linalg.norm(other) * polarity
            wanted[NeuronId("tiny", *place, 1 if cosine > 0 else -1)] = abs(cosine)
    found = catalogue.similar(NeuronId("tiny", 0, 1, polarity), limit=100)
    assert [n for n, _ in found] == sorted(wanted, key=lambda n: -wanted[n])
    assert dict(found) == pytest.approx(wanted, abs=1e-6)
    assert len(found) == 5, "neither itself nor the constant neurons"
    assert catalogue.similar(NeuronId("tiny", 0, 1, polarity), limit=2) == found[:2]


def test_similar_finds_planted_twins(
    catalogue: Catalogue,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    first, last = (sketch_of(layer) for layer in layers)
    directions = last.directions.copy()
    directions[0], directions[3] = first.directions[2], -first.directions[2]
    planted = [layers[0], replace(layers[1], sketch=replace(last, directions=directions))]
    catalogue.save_collection("k", {}, subject, corpus, planted)
    found = catalogue.similar(NeuronId.parse("tiny/0/2-"), limit=2)
    assert [(str(n), round(c, 6)) for n, c in found] == [("tiny/2/0-", 1.0), ("tiny/2/3+", 1.0)]
    assert catalogue.similar(NeuronId.parse("tiny/0/3+")) == [], "it is constant"
    with pytest.raises(CatalogueError, match="limit must be at least 1"):
        catalogue.similar(NeuronId.parse("tiny/0/0+"), limit=0)
    with pytest.raises(CatalogueError, match="no such index"):
        catalogue.similar(NeuronId.parse("tiny/0/9+"))
