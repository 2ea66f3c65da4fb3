"""N-gram passes: what went in comes out, by the API and by the views, and nothing of another corpus, set or subject does."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Collection, NewPass
from neuroexplain.errors import CatalogueError
from neuroexplain.lifts import PRIOR
from neuroexplain.recorded import AGGREGATORS, Aggregator, LayerNgrams, NgramMoments, NgramSet
from neuroexplain.records import POLARITIES, NeuronId, Ngram
from neuroexplain.thinning import thinned
from tests.catalogue.conftest import WIDTH

KEPT = 6
TEXTS = (
    "the", "river", "the river", "naïve", "the river froze", "in", "in paris", "'quotes'", "河", "ice 🧊",
    "ice", "cold ice", "the ice", "of the ice", "ice melts",
)  # fmt: skip
VIEW = "ngram, mean_response, max_response, count, polarity, source, aggregator, corpus_sha256, set_sha256"


def make_set(
    collection: Collection, texts: Sequence[str] = TEXTS, sha256: str = "5" * 64
) -> NgramSet:
    lengths = np.array([len(text.split()) for text in texts])
    return NgramSet(
        sha256, collection.corpus.sha256, tuple(texts), np.arange(len(texts), 0, -1), lengths,
        np.arange(lengths.sum(), dtype=np.uint32),
    )  # fmt: skip


def make_layer(layer: int, n: int = len(TEXTS), unit: float = 1.0) -> LayerNgrams:
    """Random lists in falling order; neuron 1 has fewer, neuron 3 none on the lower side."""
    random = np.random.default_rng(layer)
    shape = (2, 2, WIDTH, KEPT)
    numbers = random.permuted(np.tile(np.arange(n), (2, 2, WIDTH, 1)), axis=3)[..., :KEPT]
    means = np.sort(random.random(shape))[..., ::-1].astype(np.float32)
    maxima = np.sort(random.random(shape))[..., ::-1].astype(np.float32) + 1
    numbers[:, :, 1, 4:] = numbers[1, :, 3] = -1
    means[0, 1, 2, -1] = -0.25  # by the largest activation, the mean may be below 0
    for array in (means, maxima):
        array[numbers < 0] = 0
        array *= np.float32(unit)
    columns: list[Any] = [
        unit * (random.random(WIDTH) - 0.5 * (place % 2 == 0)) for place in range(6)
    ]
    counts = random.integers(0, n, (2, WIDTH))
    return LayerNgrams(layer, NgramMoments(n, *columns, *counts), numbers, means, maxima)


def make_pass(collection: Collection, **changes: Any) -> NewPass:
    made = NewPass(
        key="pass-key",
        config={"splits": ["explain"], "orders": 3},
        weights_sha256=collection.subject.weights_sha256,
        ngrams=make_set(collection),
        layers=[make_layer(0), make_layer(2)],
    )
    return replace(made, **changes)


@pytest.fixture
def saved(catalogue: Catalogue, collection: Collection) -> Collection:
    catalogue.save_ngram_pass(collection, make_pass(collection))
    return collection


def listed(
    layer: LayerNgrams, index: int, polarity: int, aggregator: Aggregator
) -> list[tuple[str, float, float, int]]:
    """What should come out of a list that went in."""
    counts = range(len(TEXTS), 0, -1)
    rows = zip(*(array[index].tolist() for array in layer.of(polarity, aggregator)), strict=True)
    return [
        (TEXTS[number], mean, high, counts[number]) for number, mean, high in rows if number >= 0
    ]


def plain(ngrams: Sequence[Ngram]) -> list[tuple[str, float, float, int]]:
    return [(n.text, n.mean_response, n.max_response, n.count) for n in ngrams]


def assert_close(
    found: Sequence[Sequence[Any]], wanted: Sequence[tuple[str, float, float, int]]
) -> None:
    """Equal texts and counts, responses to float16's digits of the list's largest."""
    assert [(row[0], row[3]) for row in found] == [(row[0], row[3]) for row in wanted]
    largest = max((abs(x) for row in wanted for x in row[1:3]), default=0)
    for place in (1, 2):
        one, two = (np.array([row[place] for row in rows]) for rows in (found, wanted))
        np.testing.assert_allclose(one, two, rtol=2**-11, atol=largest * 2**-24)


@pytest.mark.parametrize("unit", [1.0, 1e-30, 7e4, 1e30])
def test_lists_come_out_as_they_went_in_by_the_api_and_by_the_view(
    catalogue: Catalogue, collection: Collection, unit: float
) -> None:
    layers = [make_layer(0, unit=unit), make_layer(2, unit=unit)]
    catalogue.save_ngram_pass(collection, make_pass(collection, layers=layers))
    with closing(sqlite3.connect(catalogue.path)) as connection:
        for layer in layers:
            for index in range(WIDTH):
                for polarity in POLARITIES:
                    for aggregator in AGGREGATORS:
                        neuron = NeuronId("tiny", layer.layer, index, polarity)
                        found = catalogue.ngram_list(collection, neuron, aggregator)
                        assert_close(plain(found), listed(layer, index, polarity, aggregator))
                        rows = connection.execute(
                            f"SELECT {VIEW}, rank FROM v_ngrams JOIN v_neurons USING (neuron_id) "
                            "WHERE layer = ? AND idx = ? AND polarity = ? AND aggregator = ? ORDER BY rank",
                            (layer.layer, index, polarity, aggregator),
                        ).fetchall()
                        assert [row[:4] for row in rows] == plain(found)
                        hashes = collection.corpus.sha256, "5" * 64
                        assert {row[4:9] for row in rows} <= {
                            (polarity, "alone", aggregator, *hashes)
                        }
                        assert [row[9] for row in rows] == list(range(len(found)))


def test_moments_come_out_as_they_went_in(catalogue: Catalogue, saved: Collection) -> None:
    for number in (0, 2):
        found, made = catalogue.ngram_moments(saved, number), make_layer(number).moments
        assert found.n == len(TEXTS)
        for field in fields(made):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(made, field.name))
        np.testing.assert_array_equal(found.mean("mean", -1), -made.mean_mean)
        np.testing.assert_array_equal(found.mean("max", -1), -made.min_mean)
        np.testing.assert_array_equal(found.std("max", -1), made.min_std)
        np.testing.assert_array_equal(found.std("max"), made.max_std)
    with closing(sqlite3.connect(catalogue.path)) as connection:
        rows = connection.execute(
            "SELECT idx, n_ngrams, mean_std, min_std, peaks_excluded, set_sha256 FROM v_ngram_moments "
            "JOIN v_neurons USING (neuron_id) WHERE layer = 2 ORDER BY idx"
        ).fetchall()
    made = make_layer(2).moments
    columns = (made.mean_std, made.min_std, made.peaks_excluded)
    wanted = zip(range(WIDTH), *(c.tolist() for c in columns), strict=True)
    assert rows == [(i, len(TEXTS), *row, "5" * 64) for i, *row in wanted]


def test_the_pass_says_what_it_is_of(catalogue: Catalogue, saved: Collection) -> None:
    found = catalogue.ngram_pass(saved)
    assert found is not None
    assert (found.key, found.n_ngrams, found.set_sha256) == ("pass-key", len(TEXTS), "5" * 64)
    assert found.corpus_sha256 == saved.corpus.sha256
    assert found.config == {"splits": ["explain"], "orders": 3}


def test_the_list_as_evidence_is_thinned_has_lifts_and_nothing_below_0(
    catalogue: Catalogue, collection: Collection
) -> None:
    texts = [f"{word} ice" for word in "abcdefgh"] + ["ice", "the x", "the y", "the"]
    n = len(texts)
    numbers = np.tile(np.arange(n), (2, 2, WIDTH, 1))
    numbers[:, :, 1:, :] = -1
    falling = np.where(numbers >= 0, np.arange(n, 0, -1) - 2.0, 0).astype(np.float32)
    layer = replace(make_layer(0, n), numbers=numbers, means=falling - 5, maxima=falling)
    made = make_pass(
        collection, ngrams=make_set(collection, texts), layers=[layer, make_layer(2, n)]
    )
    catalogue.save_ngram_pass(collection, made)
    neuron = NeuronId("tiny", 0, 0)
    found = catalogue.ngrams(collection, neuron, "max")
    assert [g.text for g in found] == [*(f"{word} ice" for word in "abcde"), "the x", "the y"]
    raw = catalogue.ngram_list(collection, neuron, "max")
    assert [g.text for g in found] == [g.text for g in thinned(raw)]
    assert [g.mean_response for g in found] == [5, 4, 3, 2, 1, 0, 0]
    assert [g.mean_response for g in raw][-2:] == [-5, -6]
    # The whole set is in the list, so that no word is more common there.
    assert {lift for g in found for lift in g.lifts} == {1.0}
    assert [len(g.lifts) for g in found] == [2] * len(found)


def test_lifts_are_taken_over_the_list_and_the_set(catalogue: Catalogue, saved: Collection) -> None:
    neuron = NeuronId("tiny", 0, 2)
    texts = [g.text for g in catalogue.ngram_list(saved, neuron)]
    for ngram in catalogue.ngrams(saved, neuron):
        for word, lift in zip(ngram.text.split(), ngram.lifts, strict=False):
            held, everywhere = (sum(word in t.split() for t in some) for some in (texts, TEXTS))
            if word.isalpha():
                expected = len(texts) * everywhere / len(TEXTS)
                assert lift == pytest.approx((held + PRIOR) / (expected + PRIOR))


def test_a_pass_over_other_splits_is_no_evidence(
    catalogue: Catalogue, collection: Collection
) -> None:
    config = {"splits": ["explain", "test"]}
    catalogue.save_ngram_pass(collection, make_pass(collection, config=config))
    neuron = NeuronId("tiny", 0, 0)
    with pytest.raises(
        CatalogueError, match=r"over the splits explain, test, and an explainer may"
    ):
        catalogue.ngrams(collection, neuron)
    assert catalogue.ngram_list(collection, neuron)


def test_without_a_pass_there_is_nothing(catalogue: Catalogue, collection: Collection) -> None:
    assert catalogue.ngram_pass(collection) is None
    assert catalogue.ngrams(collection, NeuronId("tiny", 0, 0)) == []
    assert catalogue.ngram_list(collection, NeuronId("tiny", 0, 0)) == []
    with pytest.raises(
        CatalogueError, match=r"no n-gram pass of tiny; make one by neuroexplain ngrams"
    ):
        catalogue.ngram_moments(collection, 0)


def test_wrong_places_are_named(catalogue: Catalogue, saved: Collection) -> None:
    with pytest.raises(CatalogueError, match=r"no such layer 1; tiny has layers 0, 2"):
        catalogue.ngram_moments(saved, 1)
    with pytest.raises(CatalogueError, match="no such index"):
        catalogue.ngrams(saved, NeuronId("tiny", 0, 99))


def test_the_newest_pass_is_read_and_an_older_one_can_be_again(
    catalogue: Catalogue, saved: Collection
) -> None:
    texts = tuple(f"other {n}" for n in range(len(TEXTS)))
    other = make_pass(saved, key="other-key", ngrams=make_set(saved, texts, "6" * 64))
    catalogue.save_ngram_pass(saved, other)
    neuron = NeuronId("tiny", 0, 0)
    assert {g.text[:5] for g in catalogue.ngram_list(saved, neuron)} == {"other"}
    assert catalogue.use_ngram_pass(saved, "pass-key")
    assert not {g.text[:5] for g in catalogue.ngram_list(saved, neuron)} & {"other"}
    assert not catalogue.use_ngram_pass(saved, "no such key")
    catalogue.save_ngram_pass(saved, other)
    found = catalogue.ngram_pass(saved)
    assert found is not None and found.key == "other-key"
    with closing(sqlite3.connect(catalogue.path)) as connection:
        for table, rows in (("ngram_set", 2), ("ngram_pass", 2), ("ngram_text", 2 * len(TEXTS))):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows,)


def test_a_set_that_is_there_is_not_written_again(catalogue: Catalogue, saved: Collection) -> None:
    catalogue.save_ngram_pass(
        saved, make_pass(saved, key="more", config={"splits": ["explain"], "top": 9})
    )
    with closing(sqlite3.connect(catalogue.path)) as connection:
        assert connection.execute("SELECT count(*) FROM ngram_set").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM ngram_list").fetchone() == (
            2 * 2 * 2 * 2 * WIDTH,
        )


Spoil = Callable[[NewPass, Collection], NewPass]
FOREIGN: dict[str, tuple[Spoil, str]] = {
    "corpus": (
        lambda made, c: replace(made, ngrams=replace(made.ngrams, corpus_sha256="f" * 64)),
        r"its corpus {corpus}, theirs ffffffffffff",
    ),
    "subject": (
        lambda made, c: replace(made, weights_sha256="e" * 64),
        r"its weights aaaaaaaaaaaa, theirs eeeeeeeeeeee",
    ),
    "larger set": (
        lambda made, c: replace(made, ngrams=make_set(c, TEXTS[:8])),
        r"layer 0 answered to 15 n-grams, the highest listed 14, and the set has 8: it is another set",
    ),
    "smaller set": (
        lambda made, c: replace(made, ngrams=make_set(c, [*TEXTS, "one more"])),
        r"and the set has 16: it is another set",
    ),
    "no number": (
        lambda made, c: replace(
            made,
            layers=[make_layer(0), replace(make_layer(2), means=make_layer(2).means * np.float32(math.nan))],
        ),
        r"layer 2: a response to an n-gram is NaN or infinite",
    ),
    "no moment": (
        lambda made, c: replace(
            made,
            layers=[
                replace(make_layer(0), moments=replace(make_layer(0).moments, max_std=np.full(WIDTH, np.inf)))
            ],
        ),
        r"layer 0: a response to an n-gram is NaN or infinite",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_not_of_the_collection_is_refused_and_leaves_nothing(
    catalogue: Catalogue, collection: Collection, what: str
) -> None:
    spoil, message = FOREIGN[what]
    message = message.format(corpus=collection.corpus.sha256[:12])
    with pytest.raises(CatalogueError, match=message):
        catalogue.save_ngram_pass(collection, spoil(make_pass(collection), collection))
    with closing(sqlite3.connect(catalogue.path)) as connection:
        for table in (
            "ngram_set",
            "ngram_text",
            "ngram_word",
            "ngram_pass",
            "ngram_list",
            "ngram_moments",
        ):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


TAMPERED = {
    "another set": (
        "UPDATE ngram_set SET sha256 = 'ab' || substr(sha256, 3)",
        r"are of set 555555555555, and stand beside set ab5555555555",
    ),
    "another corpus": (
        "UPDATE ngram_pass SET corpus_sha256 = 'other corpus'",
        r"its corpus {corpus}, theirs other corpus",
    ),
    "another subject": (
        "UPDATE subject SET weights_sha256 = 'other weights'",
        r"its weights other weight, theirs aaaaaaaaaaaa",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_file_whose_parts_do_not_belong_together_is_never_joined(
    catalogue: Catalogue, saved: Collection, what: str
) -> None:
    statement, message = TAMPERED[what]
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        connection.execute(statement)
    message = message.format(corpus=saved.corpus.sha256[:12])
    collection = catalogue.collection()
    neuron = NeuronId("tiny", 0, 0)
    for read in (
        lambda: catalogue.ngram_pass(collection),
        lambda: catalogue.ngrams(collection, neuron),
        lambda: catalogue.ngram_list(collection, neuron),
        lambda: catalogue.ngram_moments(collection, 0),
        lambda: catalogue.show(neuron),
    ):
        with pytest.raises(CatalogueError, match=message):
            read()
    with closing(sqlite3.connect(catalogue.path)) as connection:
        rows = connection.execute("SELECT count(*) FROM v_ngrams").fetchone()
    assert rows == (0,) or what == "another subject", "a view cannot say why, but shows nothing"


def test_texts_are_those_of_the_splits_as_far_as_they_were_read(
    catalogue: Catalogue, collection: Collection
) -> None:
    texts = catalogue.texts(collection, ["explain"])
    with closing(sqlite3.connect(catalogue.path)) as connection:
        query = "SELECT text FROM document WHERE split = 0 ORDER BY position"
        assert texts == [text for (text,) in connection.execute(query)]
    assert len(catalogue.texts(collection, ["explain", "test"])) == 6


def test_a_changed_document_is_an_error_with_both_hashes(
    catalogue: Catalogue, collection: Collection
) -> None:
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        (own,) = connection.execute("SELECT sha256 FROM document WHERE position = 3").fetchone()
        connection.execute("UPDATE document SET text = text || '.' WHERE position = 3")
    assert catalogue.texts(collection, ["test"])
    with pytest.raises(
        CatalogueError,
        match=rf"document 3 of made is [0-9a-f]{{12}}, and was collected as {own[:12]}",
    ):
        catalogue.texts(collection, ["explain"])


def test_show_has_both_lists_beside_what_was_found_in_context(
    catalogue: Catalogue, saved: Collection
) -> None:
    neuron = NeuronId("tiny", 2, 0)
    catalogue.save_ngrams(saved, neuron, [Ngram("frozen river", 2, 3, 4)])
    shown = catalogue.show(neuron)["ngrams"]
    first, *others = shown
    assert first == {
        "ngram": "frozen river", "mean_response": 2, "max_response": 3, "count": 4, "source": "context",
        "aggregator": None,
    }  # fmt: skip
    for aggregator in AGGREGATORS:
        found = [n for n in others if n["aggregator"] == aggregator]
        assert {n["source"] for n in found} == {"alone"}
        names = ("ngram", "mean_response", "max_response", "count")
        wanted = plain(catalogue.ngrams(saved, neuron, aggregator))
        assert [tuple(n[name] for name in names) for n in found] == wanted
