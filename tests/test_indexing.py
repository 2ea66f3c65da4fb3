"""The index of meanings, made by MiniLM: what is embedded, how it goes on after a kill, and how much searches by it find."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.searching.meanings import quantised, save
from neuroexplain.catalogue.searching.nearest import Index
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.indexing import Indexing, sentence_model
from neuroexplain.records import Explanation, Failure, NeuronId
from neuroexplain.testing.planted import Noise, PlantedSubject, documents
from tests.program import neuroexplain
from tests.testing.planting import collected

TEXTS = ["rivers", "frozen water", "rivers", "taxes", "rivers", "\u200b", "frozen water", "money"]
DIFFERENT = 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue with an explanation for each of TEXTS, and a failed one."""
    texts = documents(40)
    with Catalogue(tmp_path / "c.sqlite") as catalogue:
        collected(catalogue, PlantedSubject([[Noise(1.0)] * len(TEXTS)], texts), texts)
        explain(catalogue, TEXTS)
        failure = Failure("explain", "parse_failed", "no sentence")
        made = Explanation(NeuronId("planted", 0, 0), "fixed", "", 1.0, failure=failure)
        run = catalogue.begin_run("k", "explain", {}, {})
        catalogue.save_explanation(run, catalogue.collection(), "failed", made)
    return tmp_path / "c.sqlite"


def explain(catalogue: Catalogue, texts: list[str], explainer: str = "fixed") -> None:
    run, collection = catalogue.begin_run("k", "explain", {}, {}), catalogue.collection()
    for index, text in enumerate(texts):
        made = Explanation(NeuronId("planted", 0, index), explainer, text, 1.0)
        catalogue.save_explanation(run, collection, f"{explainer} {index}", made)


def quiet(done: int, note: str = "") -> None:
    """Nobody looks."""


def test_equal_texts_are_embedded_once_and_known_explanations_not_again(path: Path) -> None:
    with Catalogue(path) as catalogue:
        told: list[int] = []
        indexing = Indexing(catalogue, together=3)
        assert len(indexing) == len(TEXTS), "not the failed one"
        done = indexing.run(lambda done, note="": told.append(done))
        assert (done.explanations, done.texts, done.without) == (7, DIFFERENT, 1)
        assert told == [3, 3, 2]
        model = sentence_model("minilm")
        assert catalogue.meaning_model() == model.name == done.model
        for text in set(TEXTS) - {"\u200b"}:
            vector = model.text(text)
            assert vector is not None
            found = catalogue.nearest(vector)
            same = [n + 1 for n, other in enumerate(TEXTS) if other == text]
            assert found.rows[: len(same)].tolist() == same
            assert found.values[: len(same)].tolist() == pytest.approx([1.0] * len(same), abs=1e-3)
        explain(catalogue, ["snow"], "other")
        assert catalogue.nearest(np.ones(384, np.float32)).missing == 1
        done = Indexing(catalogue).run(quiet)
        assert (done.explanations, done.texts, done.without) == (1, 2, 1)


def test_a_killed_run_goes_on_where_it_ended(path: Path) -> None:
    script = f"""
import os, signal
from neuroexplain.catalogue import Catalogue
from neuroexplain.indexing import Indexing
left = [2]
def advance(done, note=""):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
with Catalogue({str(path)!r}) as catalogue:
    Indexing(catalogue, together=2).run(advance)
"""
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    model = sentence_model("minilm").name
    with Catalogue(path) as catalogue:
        assert catalogue.without_meaning(model).tolist() == [5, 6, 7, 8]
    done = neuroexplain("db", "embed", "--catalogue", str(path), "--json")
    assert done.code == 0
    assert done.json == {"model": model, "explanations": 3, "texts": 4, "without": 1}
    with Catalogue(path) as catalogue:
        found = catalogue.nearest(np.ones(384, np.float32))
        assert sorted(found.rows.tolist()) == [1, 2, 3, 4, 5, 7, 8]


def test_many_texts_at_once_have_the_vectors_of_each_by_itself() -> None:
    model = sentence_model("minilm")
    long = "a word and another one " * 80
    texts = ["rivers", "frozen water", "the river froze", " ", "ice", long, "two words"]
    for text, vector in zip(texts, model.texts(texts), strict=True):
        alone = model.text(text)
        assert (vector is None) == (alone is None) == (text == " ")
        if vector is not None and alone is not None:
            np.testing.assert_allclose(vector, alone, atol=1e-5)


def test_few_comparisons_find_the_nearest_of_real_texts(tmp_path: Path) -> None:
    words = re.findall(r"[a-z]+", " ".join(text for _, text in sorted(topics.items())))
    texts = list(dict.fromkeys(" ".join(words[at : at + 5]) for at in range(0, 12_000, 8)))
    found = sentence_model("minilm").texts(texts)
    vectors = np.stack([vector for vector in found if vector is not None])
    database = Database(tmp_path / "index.sqlite", read_only=False)
    with database.writing() as connection:
        save(connection, "minilm", list(range(len(vectors))), quantised(vectors))
    recall = []
    with database.reading() as connection:
        index = Index.read(connection, "minilm")
        for query in vectors[::30]:
            wanted = np.argsort(-vectors @ query)[:20]
            ranking = index.nearest(connection, query, near=400, exact=150)
            recall.append(np.isin(wanted, ranking.rows[:20]).mean())
    database.close()
    assert len(vectors) > 1000
    assert np.mean(recall) >= 0.98
