"""The stage: from a collection of a real, tiny subject to its n-gram pass."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neuroexplain as nx
from neuroexplain.catalogue import Catalogue, NgramPass
from neuroexplain.collecting import parts_folder, recorded_subject
from neuroexplain.collectors.ngram_layer import state_bytes
from neuroexplain.config import NgramConfig
from neuroexplain.errors import CatalogueError, CollectError, ConfigError, SubjectError
from neuroexplain.ngrams import collect_ngrams
from neuroexplain.records import NeuronId
from neuroexplain.run import Execution, Run
from neuroexplain.subjects import Subject
from tests.program import TEXT
from tests.sweeps import WIDTH, Sweeps

FEW = NgramConfig(min_count=2, top=10)


def passed(
    path: Path,
    config: NgramConfig = FEW,
    execution: Execution | None = None,
    subject: Subject | None = None,
) -> tuple[NgramPass, int]:
    """The pass of a catalogue's collection, and how many were made for it."""
    with (
        Catalogue(path) as catalogue,
        Run(catalogue, "ngrams", config, execution or Execution()) as run,
    ):
        found = collect_ngrams(run, catalogue.collection(), config, subject)
        return found, run.counts["n-gram passes"]


def content(path: Path) -> list[tuple[object, ...]]:
    """Everything that a pass left, but for times and rows."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT * FROM v_ngrams WHERE source = 'alone' ORDER BY 1, 7, 9, 2"
        )
        moments = connection.execute("SELECT * FROM v_ngram_moments ORDER BY 1")
        return [*rows, *moments]


def test_responses_are_those_of_the_subject(tmp_path: Path, sweeps: Sweeps) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    found, made = passed(path)
    assert made == 1 and found.config == {
        "orders": 3,
        "min_count": 2,
        "top": 10,
        "splits": ["explain"],
    }
    with Catalogue(path) as catalogue:
        collection = catalogue.collection()
        assert found.corpus_sha256 == collection.corpus.sha256
        subject = recorded_subject(Execution(), collection)
        assert subject.first == 1 and not subject.prefix
        checked = 0
        for index in (0, 7, WIDTH - 1):
            for polarity in (1, -1):
                neuron = NeuronId(collection.subject.name, 0, index, polarity)
                for ngram in catalogue.ngram_list(collection, neuron):
                    if not ngram.text[0].isalnum():
                        continue  # whether a space stands before a mark, the text does not say
                    # Its tokenizer has no BOS, so that the first token, with its space, counts for nothing.
                    values = polarity * subject.activations(f" {ngram.text}", 0)[1:, index]
                    assert ngram.mean_response == pytest.approx(values.mean(), rel=2**-10, abs=1e-5)
                    assert ngram.max_response == pytest.approx(values.max(), rel=2**-10, abs=1e-5)
                    assert ngram.count >= 2
                    checked += 1
    assert checked > 30


def test_ngrams_are_of_the_explain_split_alone(tmp_path: Path, sweeps: Sweeps) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    passed(path)
    with closing(sqlite3.connect(path)) as connection:
        texts = [row[0] for row in connection.execute("SELECT text FROM ngram_text")]
        explain = [
            row[0] for row in connection.execute("SELECT text FROM document WHERE split = 0")
        ]
    plain = [" ".join(text.split()) for text in explain]
    assert texts and all(any(text in document for document in plain) for text in texts)


def test_a_pass_that_is_there_is_not_made_again(tmp_path: Path, sweeps: Sweeps) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    first, _ = passed(path)
    before = content(path)
    # Without a subject to load, nothing can be run.
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE collection SET config = '{}'")
    assert passed(path) == (first, 0)
    assert content(path) == before
    assert not parts_folder(path).exists()


def test_other_settings_are_another_pass_and_the_last_asked_for_is_read(
    tmp_path: Path, sweeps: Sweeps
) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    first, _ = passed(path)
    other, made = passed(path, NgramConfig(orders=1, min_count=2, top=10))
    assert made == 1 and other.set_sha256 != first.set_sha256 and other.n_ngrams < first.n_ngrams
    assert passed(path) == (first, 0)


def test_memory_that_is_too_little_is_said(tmp_path: Path, sweeps: Sweeps) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    with pytest.raises(
        CollectError, match=r"--max-memory 1 MB is too little: layer 0 .* lower --top"
    ):
        passed(path, execution=Execution(max_memory=1 << 20))


def test_another_subject_is_an_error_with_both_hashes(tmp_path: Path, sweeps: Sweeps) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    with Catalogue(path) as catalogue:
        collection = catalogue.collection()
        subject = recorded_subject(Execution(), collection)
    own = collection.subject.weights_sha256
    subject.weights_sha256 = "f" * 64
    with pytest.raises(
        SubjectError, match=rf"other weights \(ffffffffffff\) than .*\({own[:12]}\)"
    ):
        passed(path, subject=subject)
    assert content(path) == []


@pytest.mark.parametrize("made_before", [False, True])
def test_a_changed_document_is_an_error_and_no_silent_join(
    tmp_path: Path, sweeps: Sweeps, made_before: bool
) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    if made_before:
        passed(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE document SET text = 'other' WHERE id = (SELECT min(id) FROM document WHERE split = 0)"
        )
    with pytest.raises(
        CatalogueError, match=r"was collected as .*: the catalogue was changed by hand"
    ):
        passed(path)


@pytest.mark.parametrize(
    "wrong", [{"orders": 0}, {"min_count": 0}, {"top": 0}, {"splits": ()}, {"splits": ("all",)}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"at least 1|explain, select, test"):
        replace(FEW, **wrong)  # type: ignore[arg-type]


def test_a_subject_that_is_loaded_already_gives_the_same(tmp_path: Path, sweeps: Sweeps) -> None:
    one, two = (sweeps.copy(tmp_path / f"{n}.sqlite") for n in "ab")
    with Catalogue(one) as catalogue:
        subject = recorded_subject(Execution(), catalogue.collection())
    passed(one, subject=subject, execution=Execution(checkpoint=0))
    passed(two)
    assert content(one) == content(two) and len(content(one)) > WIDTH


def test_layers_one_after_another_where_memory_is_little(tmp_path: Path) -> None:
    """With MiniLM's layers 0 and 1, in one pass and in two."""
    subject = nx.Subject.load("minilm")
    path = tmp_path / "whole.sqlite"
    with Catalogue(path) as catalogue:
        nx.collect(
            subject, corpus=str(TEXT), catalogue=catalogue, tokens=3000, layers="0-1", top_k=1, held_out_top_k=1,
            random=1, quantile_bands=0, sample_tokens=0,
        )  # fmt: skip
    halves = Path(shutil.copy(path, tmp_path / "halves.sqlite"))
    config = NgramConfig(orders=2, min_count=3, top=3)
    found, _ = passed(path, config, subject=subject)
    limit = state_bytes(1536, 3) * 3 // 2
    assert passed(halves, config, Execution(max_memory=limit), subject)[0] == replace(
        found, created_at=passed(halves, config)[0].created_at
    )
    assert content(path) == content(halves)
    with Catalogue(path) as catalogue:
        collection = catalogue.collection()
        sigma = [catalogue.ngram_moments(collection, layer).mean_std for layer in (0, 1)]
    assert [len(s) for s in sigma] == [1536, 1536] and np.median(sigma) > 0.01
