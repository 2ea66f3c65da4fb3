"""The index of meanings: the nearest vectors against brute force, what is stored, and what makes it anew."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.searching import meanings
from neuroexplain.catalogue.searching.meanings import projection, quantised
from neuroexplain.catalogue.searching.nearest import Index
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.errors import CatalogueError
from neuroexplain.records import Floats
from tests.catalogue.conftest import Sweep

MODEL = f"minilm {'a' * 64}"


def clustered(n: int, dimension: int = 64, seed: int = 0) -> Floats:
    """[n, dimension]; unit vectors with something in common, that vary in a few directions and little in others, as sentences do."""
    random, directions = np.random.default_rng(seed), np.random.default_rng(99)
    few = directions.normal(size=(40, dimension)) / np.arange(1, 41)[:, None] ** 0.5
    vectors = 1 + random.normal(size=(n, 40)) @ few + 0.3 * random.normal(size=(n, dimension))
    unit: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "index.sqlite", read_only=False)


def save(database: Database, vectors: Floats, *, parts: int = 1, model: str = MODEL) -> None:
    """Explanations 10, 20, 30, …, in so many transactions."""
    ids = np.arange(1, len(vectors) + 1) * 10
    for some in np.array_split(np.arange(len(vectors)), parts):
        with database.writing() as connection:
            meanings.save(connection, model, ids[some].tolist(), quantised(vectors[some]))


@pytest.mark.parametrize(("n", "parts"), [(1, 1), (17, 1), (18, 1), (19, 2), (400, 7)])
def test_the_nearest_of_few_are_those_of_the_largest_cosines(
    database: Database, n: int, parts: int
) -> None:
    vectors, query = clustered(n), clustered(1, seed=1)[0] * 3
    save(database, vectors, parts=parts)
    steps = quantised(vectors).astype(np.float64)
    exact = steps @ query / np.linalg.norm(steps, axis=1) / np.linalg.norm(query)
    with database.reading() as connection:
        found = Index.read(connection, MODEL).nearest(connection, query)
    assert (found.rows // 10 - 1).tolist() == np.argsort(-exact, kind="stable").tolist()
    np.testing.assert_allclose(found.values, np.sort(exact)[::-1], atol=1e-6)
    np.testing.assert_allclose(exact, vectors @ query / 3, atol=0.01)
    assert (found.kind, found.name, found.missing) == ("explanation", "cosine", 0)


def test_few_comparisons_find_nearly_all_of_the_nearest(database: Database) -> None:
    vectors, queries = clustered(20_000, 384), clustered(30, 384, seed=2)
    save(database, vectors)
    exact = queries @ vectors.T
    kept = []
    with database.reading() as connection:
        index = Index.read(connection, MODEL)
        for query, cosines in zip(queries, exact, strict=True):
            found = index.nearest(connection, query, near=1_000, exact=200)
            wanted = np.argsort(-cosines)[:20]
            kept.append(np.isin(wanted, found.rows[:20] // 10 - 1).mean())
            assert len(found) == len(set(found.rows.tolist())) == 1_000
            assert (np.diff(found.values) <= 0).all()
            errors = found.values[200:] - cosines[found.rows[200:] // 10 - 1]
            assert np.abs(errors).mean() < 0.1, "estimates"
    assert np.mean(kept) >= 0.97


def test_equal_vectors_are_found_in_order_up_to_the_limit(database: Database) -> None:
    vectors = np.repeat(clustered(1), 50, axis=0)
    save(database, vectors)
    with database.reading() as connection:
        found = Index.read(connection, MODEL).nearest(connection, vectors[0], near=30, exact=20)
    assert found.rows.tolist() == list(range(10, 310, 10))
    assert found.values.tolist() == pytest.approx([1.0] * 30, abs=0.05)


def test_signs_are_the_same_on_every_machine() -> None:
    matrix = projection(384)
    assert matrix.shape == (384, 384)
    assert set(matrix.ravel().tolist()) == {-1.0, 1.0}
    digest = hashlib.sha256(matrix.astype(np.int8).tobytes()).hexdigest()
    assert digest == "3877d7cddbd9a6b3ec2ddb4dab44b7b1d552b58d06043165cc5db2bc4dbf4ab9"
    wide = projection(1000)
    assert np.abs(wide @ wide.T - 1000 * np.eye(384)).max() <= 1000 / 3, "rows hardly overlap"


def test_largest_components_are_127_steps() -> None:
    found = quantised(np.array([[0.5, -0.25, 0.0], [0.001, 0.002, -0.004]], np.float32))
    assert found.tolist() == [[127, -64, 0], [32, 64, -127]]


def test_without_an_index_the_message_says_what_makes_it(catalogue: Catalogue) -> None:
    said = "the catalogue has no index of meanings; `neuroexplain db embed` makes it"
    for ask in (catalogue.meaning_model, lambda: catalogue.nearest(clustered(1)[0])):
        with pytest.raises(CatalogueError) as error:
            ask()
        assert str(error.value) == said


def test_explanations_that_have_no_vector_yet_are_counted(sweep: Sweep) -> None:
    catalogue, vectors = sweep.catalogue, clustered(4)
    numbers = [sweep.explain(f"tiny/0/{n}+", f"text {n}") for n in range(3)]
    assert catalogue.without_meaning(MODEL).tolist() == numbers
    assert catalogue.save_meanings(MODEL, numbers[:2], vectors[:2]) == 2
    assert catalogue.meaning_model() == MODEL
    assert catalogue.nearest(vectors[0]).missing == 1
    assert catalogue.without_meaning(MODEL).tolist() == [numbers[2]]
    sweep.fail("tiny/0/3+")
    again = sweep.explain("tiny/2/0+", "text")
    found = catalogue.nearest(vectors[0])
    assert (found.rows.tolist(), found.missing) == (numbers[:2], 2), "a failure has no meaning"
    assert catalogue.save_meanings(MODEL, [numbers[2], again], vectors[2:]) == 2
    found = catalogue.nearest(vectors[3])
    assert (found.rows[0], found.missing) == (again, 0), "what was read before is read anew"
    assert catalogue.explanation_texts([again, numbers[1]]) == ["text", "text 1"]


def test_a_vector_is_saved_once_whoever_was_first(sweep: Sweep) -> None:
    numbers = [sweep.explain(f"tiny/0/{n}+", f"text {n}") for n in range(3)]
    vectors = clustered(3)
    assert sweep.catalogue.save_meanings(MODEL, numbers[:2], vectors[:2]) == 2
    with Catalogue(sweep.catalogue.location) as other:
        assert other.save_meanings(MODEL, numbers, vectors) == 1
        assert other.save_meanings(MODEL, numbers, vectors) == 0
    assert sorted(sweep.catalogue.nearest(vectors[0]).rows.tolist()) == numbers


def test_an_index_by_another_model_counts_once_it_is_complete(sweep: Sweep) -> None:
    catalogue, other = sweep.catalogue, f"other {'b' * 64}"
    numbers = [sweep.explain(f"tiny/0/{n}+", f"text {n}") for n in range(2)]
    catalogue.save_meanings(MODEL, numbers, clustered(2, 64))
    catalogue.save_meanings(other, numbers[:1], clustered(1, 96))
    assert catalogue.meaning_model() == MODEL
    assert len(catalogue.nearest(clustered(1, 64)[0])) == 2
    assert catalogue.without_meaning(other).tolist() == numbers[1:]
    catalogue.save_meanings(other, numbers[1:], clustered(1, 96))
    catalogue.keep_meanings(other)
    assert catalogue.meaning_model() == other
    assert len(catalogue.nearest(clustered(1, 96)[0])) == 2
    assert catalogue.without_meaning(MODEL).tolist() == numbers
