"""The page of one neuron: what earlier versions showed, whatever is not known, and few statements."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.cli.heat import render
from neuroexplain.explainers.base import dead
from neuroexplain.recorded import LayerCollection, SubjectInfo, TokenCorpus
from neuroexplain.records import SPLITS, NeuronId, Statistics
from tests.catalogue.conftest import Sweep, make_score

OLD = Path(__file__).parents[1] / "data" / "catalogues"
NEURON = NeuronId.parse("tiny/0/1+")


@contextmanager
def changed(catalogue: Catalogue) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        yield connection


def test_pages_are_those_that_version_5_showed(tmp_path: Path) -> None:
    """`shown_5.json` has what the last version before schema 6 said of `schema_5.sql`."""
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((OLD / "schema_5.sql").read_text(encoding="utf-8"))
    pages = json.loads((OLD / "shown_5.json").read_text(encoding="utf-8"))
    assert sum(len(page["explanations"]) for page in pages) == 6
    with Catalogue(path) as catalogue:
        for _ in range(2):  # read from the file, then with spans from memory
            for page in pages:
                place = page["neuron"]
                address = (place[name] for name in ("subject", "layer", "index", "polarity"))
                shown = catalogue.show(NeuronId(*address))
                assert json.dumps(shown) == json.dumps(page), "keys in the same order too"


def test_exemplars_on_the_page_are_those_that_explainers_get(
    catalogue: Catalogue, collection: Collection
) -> None:
    for polarity in (1, -1):
        neuron = NeuronId("tiny", 2, 2, polarity)
        shown = catalogue.show(neuron)["exemplars"]
        kept = [
            exemplar
            for split in SPLITS
            for exemplar in catalogue.exemplars(collection, neuron, split)
        ]
        assert len(shown) == len(kept) == 36
        for entry, exemplar in zip(shown, kept, strict=True):
            span = exemplar.span
            assert entry == {
                **{"split": exemplar.split, "kind": exemplar.kind, "rank": exemplar.rank},
                **{"document": span.document, "start": span.start, "first": span.first},
                **{"tokens": list(span.tokens), "activations": exemplar.activations.tolist()},
                **{"peak": exemplar.peak, "peak_position": exemplar.peak_position},
                "inclusion_probability": exemplar.inclusion_probability,
            }


MOMENTS = ("n_tokens", "mean", "std", "min", "max", "frac_positive", "n_spans")


@pytest.mark.parametrize("kept", [True, False], ids=["a row of nulls", "no row"])
def test_moments_that_an_import_does_not_tell_are_null(
    catalogue: Catalogue, collection: Collection, kept: bool
) -> None:
    nulls = ", ".join(f"{name} = NULL" for name in (*MOMENTS, "quantiles"))
    with changed(catalogue) as connection:
        connection.execute(f"UPDATE statistics SET {nulls}" if kept else "DELETE FROM statistics")
    shown = catalogue.show(NEURON)
    statistics = shown["statistics"]
    assert [statistics[name] for name in MOMENTS] == [None] * len(MOMENTS)
    assert statistics["quantiles"] == {}
    assert len(shown["exemplars"]) == 30, (
        "one rank fewer in each of its rows, but for the random spans"
    )
    text = "\n".join(str(part) for part in render(shown, 1, 2, colour=False))
    assert "mlp, – tokens: mean –, std –, – to –, above 0 on –" in text


def test_a_neuron_of_unknown_moments_is_dead_only_if_it_never_fires(
    catalogue: Catalogue, collection: Collection
) -> None:
    with changed(catalogue) as connection:
        connection.execute("UPDATE statistics SET std = NULL")
    evidence = catalogue.evidence(collection, NEURON)
    assert evidence.statistics.std is None
    assert evidence.statistics == Statistics(**{**vars(evidence.statistics), "std": None})
    assert evidence.scale > 0
    assert dead(evidence) is None


def statements(catalogue: Catalogue, neuron: NeuronId) -> list[str]:
    """What the database is asked for one page."""
    seen: list[str] = []
    with catalogue._database.reading() as connection:
        driver: Any = connection.connection.dbapi_connection
    driver.set_trace_callback(seen.append)  # the pool has this one connection
    catalogue.show(neuron)
    driver.set_trace_callback(None)
    return [text for text in seen if text.startswith("SELECT")]


def test_a_page_takes_as_many_statements_however_much_is_on_it(sweep: Sweep) -> None:
    catalogue = sweep.catalogue
    for count in (1, 4):
        for number in range(count):
            explanation = sweep.explain(str(NEURON), f"fires on {count} {number}")
            for simulator in ("sparse", "logprob"):
                sweep.score(explanation, make_score(0.5), simulator=simulator)
    other = NeuronId.parse("tiny/0/3+")
    sweep.score(sweep.explain(str(other), "fires"), make_score(0.1))
    assert len(catalogue.show(NEURON)["explanations"]) == 5
    assert len(catalogue.show(other)["explanations"]) == 1
    few, many = statements(catalogue, other), statements(catalogue, NEURON)
    assert len(few) == len(many) < 16, "spans are in memory by now"


def test_the_newest_collection_is_shown_as_soon_as_there_is_one(
    catalogue: Catalogue,
    collection: Collection,
    subject: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    assert catalogue.collection() is catalogue.collection("tiny")
    catalogue.save_collection("newer", {"top_k": 1}, subject, corpus, layers[:1])
    newer = catalogue.collection()
    assert (newer.key, newer.layers, newer.config) == ("newer", (0,), {"top_k": 1})
    catalogue.make_current(collection)
    assert catalogue.collection().key == collection.key


def test_spans_that_an_import_adds_are_counted(
    catalogue: Catalogue, collection: Collection
) -> None:
    assert collection.spans == {"explain": 9, "select": 9, "test": 9}
    with changed(catalogue) as connection:
        connection.execute(
            "INSERT INTO span SELECT corpus_id, 27, document_id, start, length, char_start, char_end, split "
            "FROM span WHERE number = 0"
        )
    assert catalogue.collection().spans == {"explain": 10, "select": 9, "test": 9}


def test_peaks_of_the_page_are_the_largest_of_what_counts(
    catalogue: Catalogue, collection: Collection
) -> None:
    for polarity in (1, -1):
        shown = catalogue.show(NeuronId("tiny", 0, 2, polarity))
        for span in shown["exemplars"]:
            counted = np.array(span["activations"][span["first"] :]) * polarity
            assert span["peak"] * polarity == counted.max()
            assert span["peak_position"] == span["first"] + counted.argmax()
