"""What a collection keeps comes back exactly, and only whole collections are kept."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.errors import CatalogueError
from neuroexplain.levels import side
from neuroexplain.recorded import (
    ExemplarBlock,
    LayerCollection,
    SubjectInfo,
    TokenCorpus,
    TokenTable,
)
from neuroexplain.records import SPLITS, Explanation, NeuronId


def kept(block: ExemplarBlock, index: int) -> list[int]:
    return [r for r, span in enumerate(block.spans[index].tolist()) if span >= 0]


def test_collection_describes_what_was_saved(
    collection: Collection, subject: SubjectInfo, corpus: TokenCorpus
) -> None:
    assert collection.subject == subject
    assert collection.corpus == corpus.info
    assert collection.layers == (0, 2)
    assert collection.config == {"top_k": 4}
    assert collection.spans == {"explain": 9, "select": 9, "test": 9}


def test_spans_are_those_of_the_corpus(
    catalogue: Catalogue, collection: Collection, corpus: TokenCorpus
) -> None:
    numbers = list(range(len(corpus.span_start)))
    for _ in range(2):  # read from the file, then from memory
        assert catalogue.spans(collection, numbers) == {n: corpus.span(n) for n in numbers}
    with pytest.raises(CatalogueError, match="no span 99"):
        catalogue.spans(collection, [0, 99])


def tolerance(block: ExemplarBlock, index: int) -> float:
    """Half a step of int8, as the explain split is kept: 1/254 of the strongest activation that counts."""
    values = np.ldexp(block.activations[index].astype(np.float32), block.exponents[index][:, None])
    return float(np.abs(values[kept(block, index), 1:]).max()) / 254 * (1 + 1e-5)


@pytest.mark.parametrize("polarity", [1, -1])
def test_exemplars_come_back_exactly_where_they_are_scored(
    catalogue: Catalogue,
    collection: Collection,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
    polarity: int,
) -> None:
    for layer in layers:
        for index in range(4):
            neuron = NeuronId("tiny", layer.layer, index, polarity)
            for split in SPLITS:
                found = iter(catalogue.exemplars(collection, neuron, split))
                for block in layer.blocks:
                    if block.split != split or block.polarity not in (polarity, 0):
                        continue
                    for rank in kept(block, index):
                        exemplar = next(found)
                        assert exemplar.span == corpus.span(int(block.spans[index, rank]))
                        assert (exemplar.kind, exemplar.rank) == (block.kind, rank)
                        n = len(exemplar.span)
                        stored = block.activations[index, rank, :n].astype(np.float32)
                        wanted = np.ldexp(stored, block.exponents[index, rank])
                        assert exemplar.activations.dtype == np.float32
                        error = np.abs(exemplar.activations - wanted)
                        assert error.max() <= (tolerance(block, index) if split == "explain" else 0)
                        assert error[0] == 0, "leading tokens that do not count are exact"
                        if (split, block.polarity * polarity) != ("explain", 0) or polarity > 0:
                            assert exemplar.peak == max(wanted[1:] * polarity) * polarity
                        assert exemplar.peak == max(exemplar.activations[1:] * polarity) * polarity
                        assert exemplar.peak_position >= exemplar.span.first
                        assert exemplar.activations[exemplar.peak_position] == exemplar.peak
                        assert exemplar.inclusion_probability == block.inclusion_probability
                assert next(found, None) is None


def test_evidence_is_the_explain_split_of_one_side(
    catalogue: Catalogue, collection: Collection, layers: list[LayerCollection]
) -> None:
    neuron = NeuronId("tiny", 2, 3, -1)
    evidence = catalogue.evidence(collection, neuron)
    assert {e.split for e in evidence.exemplars} == {"explain"}
    assert {e.kind for e in evidence.exemplars} == {"top", "quantile", "random"}
    peaks = [side(e.activations[1:], -1).max() for e in evidence.exemplars if e.kind == "top"]
    assert evidence.scale == max(peaks) > 0
    assert evidence.n_spans == 9
    assert evidence.statistics.mean == layers[1].mean[3]
    assert evidence.statistics.troughs_excluded == 4
    assert evidence.statistics.n_tokens == 12


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tiny/1/0+", "layers 0, 2"),
        ("tiny/2/4+", "0 to 3"),
        ("tinny/2/0+", 'unknown subject "tinny"; known: tiny'),
    ],
)
def test_unknown_neurons_name_the_valid_ones(
    catalogue: Catalogue, collection: Collection, address: str, message: str
) -> None:
    with pytest.raises(CatalogueError, match=message):
        catalogue.evidence(collection, NeuronId.parse(address))
    with pytest.raises(CatalogueError, match=message):
        catalogue.show(NeuronId.parse(address))


def test_view_unpacks_the_arrays(
    catalogue: Catalogue,
    collection: Collection,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    wanted = set()
    for layer in layers:
        for block in layer.blocks:
            for index in range(4):
                for rank in kept(block, index):
                    span = corpus.span(int(block.spans[index, rank]))
                    wanted.add(
                        (
                            *(layer.layer, index, block.polarity, block.split, block.kind, rank),
                            *(span.document, span.start, float(block.peaks[index, rank])),
                            *(int(block.peak_positions[index, rank]), block.inclusion_probability),
                            span.text,
                        )
                    )
    columns = "polarity, split, kind, rank, document, start, peak, peak_position, inclusion_probability, text"
    query = f"SELECT layer, idx, {columns} FROM v_exemplars JOIN v_neurons USING (neuron_id)"
    with sqlite3.connect(catalogue.path) as connection:
        rows = connection.execute(query).fetchall()
    connection.close()
    assert len(rows) == len(wanted)
    assert set(rows) == wanted


@pytest.mark.parametrize("value", [0.0, -0.5, 6e-8, 6.1e-5, 65504.0, -65504.0, 1.0009765625, -3.25])
def test_view_reads_every_sort_of_float16(
    catalogue: Catalogue,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
    value: float,
) -> None:
    block = layers[0].blocks[0]
    place = np.zeros_like(block.peak_positions)
    full = np.full_like(block.activations, value)
    exponents = np.full_like(block.exponents, 100)
    changed = replace(block, activations=full, exponents=exponents, peak_positions=place)
    catalogue.save_collection("k", {}, subject, corpus, [replace(layers[0], blocks=(changed,))])
    connection = sqlite3.connect(catalogue.path)
    peaks = {p for (p,) in connection.execute("SELECT peak FROM v_exemplars")}
    connection.close()
    assert peaks == {float(np.float16(value)) * 2.0**100}


def test_newest_collection_is_current_and_shares_rows(
    catalogue: Catalogue,
    collection: Collection,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    seen: list[int] = []
    catalogue.save_collection("newer", {}, subject, corpus, layers[:1], seen.append)
    assert seen == [0]
    newer = catalogue.collection("tiny")
    assert newer.key == "newer"
    assert newer.corpus_id == collection.corpus_id
    assert catalogue.find_collection("collection-key") == collection
    assert catalogue.find_collection("nothing") is None
    connection = sqlite3.connect(catalogue.path)
    counts = [
        connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
        for t in ("subject", "corpus", "document", "neuron", "v_neurons")
    ]
    connection.close()
    assert counts == [1, 1, 9, 8, 4]
    again = catalogue.save_collection("newer", {}, subject, corpus, layers)
    assert again == newer.id


def test_tokens_that_neurons_peak_on_are_counted(
    catalogue: Catalogue,
    collection: Collection,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    wanted = Counter(
        (layer.layer, index, block.polarity, token)
        for layer in layers
        for block in layer.blocks
        if (block.split, block.kind) == ("explain", "top")
        for index in range(4)
        for rank in kept(block, index)
        for span in [corpus.span(int(block.spans[index, rank]))]
        if (token := span.tokens[block.peak_positions[index, rank]].strip())
    )
    query = (
        "SELECT layer, idx, polarity, token, n FROM peak_token "
        "JOIN neuron ON neuron.id = peak_token.neuron_id"
    )
    with closing(sqlite3.connect(catalogue.path)) as connection:
        found = {tuple(place): n for *place, n in connection.execute(query)}
    assert found == wanted


def test_layers_without_neurons_and_other_sites(
    catalogue: Catalogue,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    site = "model.layers.{}.x:output"
    changed = replace(subject, name="tiny.resid", site=site, widths=(4, 0, 4))
    empty = without_neurons(replace(layers[0], layer=1))
    catalogue.save_collection("k", {}, changed, corpus, [layers[0], empty, layers[1]])
    found = catalogue.collection("tiny.resid")
    assert (found.subject, found.layers) == (changed, (0, 1, 2))
    with pytest.raises(CatalogueError, match=r"layer 1 of tiny\.resid has no neurons"):
        catalogue.evidence(found, NeuronId("tiny.resid", 1, 0))
    address = NeuronId.parse("tiny.resid/2/3-")
    assert catalogue.show(address)["neuron"]["site"] == site
    assert len(catalogue.fingerprint(found)) == 64
    assert {n.layer for n, _ in catalogue.similar(address, limit=9)} <= {0, 2}
    run = catalogue.begin_run("r", "explain", {}, {})
    catalogue.save_explanation(run, found, "k", Explanation(address, "fixed", "ice", 1.0))
    (row,) = catalogue.search("subject:tiny.resid ice").rows
    assert row.neuron == "tiny.resid/2/3-"


def without_neurons(layer: LayerCollection) -> LayerCollection:
    def none(record: Any, names: Iterable[str]) -> dict[str, Any]:
        return {name: getattr(record, name)[:0] for name in names}

    per_neuron = ("spans", "peaks", "peak_positions", "activations", "exponents")
    assert layer.sketch is not None
    table = layer.sketch.token_table
    moments = ("n_tokens", "mean", "std", "min", "max", "frac_positive")
    return replace(
        layer,
        **none(layer, (*moments, "peaks_excluded", "troughs_excluded")),
        blocks=tuple(replace(block, **none(block, per_neuron)) for block in layer.blocks),
        sketch=replace(
            layer.sketch,
            **none(layer.sketch, ("quantiles", "directions")),
            token_table=TokenTable(*(getattr(table, f.name)[:, :0] for f in fields(table))),
        ),
    )


def test_an_interrupted_collection_leaves_nothing(
    catalogue: Catalogue, subject: SubjectInfo, corpus: TokenCorpus, layers: list[LayerCollection]
) -> None:
    def stop_after_one() -> Iterator[LayerCollection]:
        yield layers[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalogue.save_collection("k", {}, subject, corpus, stop_after_one())
    assert catalogue.find_collection("k") is None
    connection = sqlite3.connect(catalogue.path)
    assert connection.execute("SELECT count(*) FROM document").fetchone() == (0,)
    connection.close()
    with pytest.raises(CatalogueError, match="empty"):
        catalogue.collection()


def test_one_name_stands_for_one_set_of_weights(
    catalogue: Catalogue,
    collection: Collection,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    other = replace(subject, weights_sha256="b" * 64)
    with pytest.raises(CatalogueError, match="--name"):
        catalogue.save_collection("k", {}, other, corpus, layers)
    catalogue.save_collection("k", {}, replace(other, name="other"), corpus, layers)
    with pytest.raises(CatalogueError, match="other, tiny"):
        catalogue.collection()
    assert catalogue.collection("tiny") == collection


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_must_be_finite(
    catalogue: Catalogue,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
    value: float,
) -> None:
    wrong = replace(layers[0], mean=np.array([0, value, 0, 0]))
    with pytest.raises(CatalogueError, match="neuron 1: mean is"):
        catalogue.save_collection("k", {}, subject, corpus, [wrong])
    block = layers[0].blocks[0]
    activations = block.activations.copy()
    activations[3, 0, 0] = value
    wrong = replace(layers[0], blocks=(replace(block, activations=activations),))
    with pytest.raises(CatalogueError, match="NaN or infinite"):
        catalogue.save_collection("k", {}, subject, corpus, [wrong])
    assert catalogue.find_collection("k") is None
