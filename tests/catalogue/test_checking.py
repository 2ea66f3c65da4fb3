"""`db check` finds exactly what is broken, and `--repair` mends what follows from the rest."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.care.checking import Fault
from neuroexplain.errors import CatalogueError
from tests.contents import contents
from tests.disks import make_read_only, small_disk
from tests.program import neuroexplain
from tests.released import upgraded


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with a few rows of everything, not to be written to."""
    path = upgraded(5, tmp_path_factory.mktemp("sound") / "c.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("INSERT INTO import_batch VALUES (1, 'part-0', ?)", ("a" * 64,))
        connection.execute(
            "INSERT INTO embedding VALUES (1, 'm', 2, X'01000000000000000200000000000000', zeroblob(96), zeroblob(8))"
        )
        connection.execute("INSERT INTO review_tag VALUES (1, 'place')")
    return path


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "c.sqlite"))


def faults(path: Path) -> list[Fault]:
    with Catalogue(path, read_only=True) as catalogue:
        return list(catalogue.check())


def broken(path: Path, *statements: str) -> None:
    """Change rows as nothing that this package writes could."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.create_function("patched", 2, lambda blob, new: new + blob[len(new) :])
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, statement


BREAKS: dict[str, tuple[str, str, str, str]] = {
    "a row that another refers to is gone": (
        "DELETE FROM llm_probe; DELETE FROM llm_source WHERE id = 1",
        "llm_call", "1", "refers to a row of llm_source that is not there",
    ),
    "a document's text": (
        "UPDATE document SET text = 'T' || substr(text, 2) WHERE id = 3",
        "document", "3", "has a text of another hash",
    ),
    "a document's tokens": (
        "UPDATE document SET token_ids = X'00' WHERE id = 3",
        "document", "3", "has tokens that cannot be unpacked",
    ),
    "fewer tokens than places": (
        "UPDATE document SET token_ids = (SELECT offsets FROM document WHERE id = 4) WHERE id = 3",
        "document", "3", "has tokens that are not in its text",
    ),
    "a span beyond its document": (
        "UPDATE span SET length = 60 WHERE number = 5",
        "span", "corpus 1, number 5", "reaches beyond its document",
    ),
    "a span of another split": (
        "UPDATE span SET split = 0 WHERE number = 4",
        "span", "corpus 1, number 4", "is of another corpus or split than its document",
    ),
    "no collection is current": (
        "UPDATE collection SET current = 0",
        "subject", "tiny", "has collections, and none of them is current",
    ),
    "more spans than the collection says": (
        "UPDATE collection SET kept = 1 WHERE id = 2",
        "collection", "2", "has rows of exemplars with more spans than it says",
    ),
    "no pass is current": (
        "UPDATE ngram_pass SET current = 0",
        "collection", "2", "has n-gram passes, and none of them is current",
    ),
    "an infinite mean": (
        "UPDATE statistics SET mean = 9e999 WHERE neuron_id = 2 AND collection_id = 2",
        "statistics", "neuron 2, collection 2", "has a number that is not finite",
    ),
    "a quantile that is no number": (
        "UPDATE statistics SET quantiles = patched(quantiles, X'7fc00000') WHERE neuron_id = 2 AND collection_id = 2",
        "statistics", "neuron 2", "has a number that is not finite",
    ),
    "infinite moments": (
        "UPDATE ngram_moments SET max_std = 9e999 WHERE neuron_id = 1",
        "ngram_moments", "neuron 1, pass 1", "has a number that is not finite",
    ),
    "an n-gram is gone": (
        "DELETE FROM ngram_text WHERE number = 14",
        "ngram_set", "1", "has more or fewer n-grams than it says",
    ),
    "an n-gram set of another hash": (
        "UPDATE ngram_set SET sha256 = 'x'",
        "ngram_pass", "1", "has another hash of its set, corpus or weights than these have",
    ),
    "other weights": (
        "UPDATE subject SET weights_sha256 = 'x'",
        "ngram_pass", "1", "has another hash of its set, corpus or weights than these have",
    ),
    "activations that cannot be unpacked": (
        "UPDATE exemplar SET activations = X'01' WHERE id = 61",
        "exemplar", "neuron 1, collection 2, split explain, polarity 1", "cannot be unpacked",
    ),
    "activations of other spans": (
        "UPDATE exemplar SET activations = (SELECT activations FROM exemplar WHERE n = 3) WHERE id = 61",
        "exemplar", "neuron 1, collection 2, split explain, polarity 1", "bytes of numbers instead of",
    ),
    "exemplars of another split": (
        "UPDATE exemplar SET spans = patched(spans, X'00000003') WHERE id = 61",
        "exemplar", "neuron 1, collection 2, split explain, polarity 1", "has spans that are not of its corpus and split",
    ),
    "a peak beyond its span": (
        "UPDATE exemplar SET peak_positions = patched(peak_positions, X'0009') WHERE id = 61",
        "exemplar", "neuron 1, collection 2, split explain, polarity 1", "has a peak beyond the end of its span",
    ),
    "a span that is not there": (
        "UPDATE look_alike SET spans = patched(spans, X'00000fff') WHERE n = 3",
        "look_alike", "neuron 4, collection 2, split explain, polarity -1", "has spans that are not of its corpus and split",
    ),
    "an infinite likeness": (
        "UPDATE look_alike SET likeness = patched(likeness, X'7c00') WHERE n = 3",
        "look_alike", "neuron 4", "has a number that is not finite",
    ),
    "a direction is missing": (
        "UPDATE layer_sketch SET directions = zeroblob(256) WHERE collection_id = 2",
        "layer_sketch", "collection 2, layer 0", "has not one direction for every neuron",
    ),
    "levels of other spans": (
        "UPDATE simulation SET expected = (SELECT expected FROM simulation WHERE n = 2) WHERE id = 1",
        "simulation", "1", "bytes of numbers instead of",
    ),
    "a simulation of spans of another split": (
        "UPDATE simulation SET split = 'select' WHERE id = 1",
        "simulation", "1", "has spans that are not of its corpus and split",
    ),
    "data that is no JSON": (
        "UPDATE explanation SET data = X'00' WHERE data IS NOT NULL AND id = 1",
        "explanation", "1", "has data that cannot be read",
    ),
    "messages that are no JSON": (
        "UPDATE llm_call SET messages = '[' WHERE id = 2",
        "llm_call", "2", "has messages that cannot be read",
    ),
    "texts that are no JSON": (
        "UPDATE text_set SET texts = '[' WHERE id = 1",
        "text_set", "1", "has texts that cannot be read",
    ),
    "an explanation of another subject's neuron": (
        "INSERT INTO subject VALUES (2, 'other', '', '', ''); UPDATE neuron SET subject_id = 2 WHERE id = 3",
        "explanation", "6", "is of a neuron of another subject than its collection",
    ),
    "a failure without a reason": (
        "UPDATE explanation SET reason = NULL WHERE id = 4",
        "explanation", "4", "has both or neither of a good status and a reason why it failed",
    ),
    "a negative scale": (
        "UPDATE explanation SET scale = -1 WHERE id = 1",
        "explanation", "1", "has a scale that is negative or not finite",
    ),
    "neither value nor reason": (
        "UPDATE score SET value = NULL WHERE id = 4",
        "score", "4", "has both or neither of a value and a reason why there is none",
    ),
    "an infinite interval": (
        "UPDATE score SET ci_high = 9e999 WHERE id = 4",
        "score", "4", "has a number that is not finite",
    ),
    "a simulation of another explanation": (
        "UPDATE simulation SET explanation_id = 6 WHERE id = 1",
        "score", "1", "is of a simulation of another explanation",
    ),
    "a short key": (
        "UPDATE simulation SET key = X'00' WHERE id = 1",
        "simulation", "1", "has a key that is no hash",
    ),
    "an import without a hash": (
        "UPDATE import_batch SET sha256 = ''",
        "import_batch", "part-0", "has no hash of its file",
    ),
    "fewer vectors than explanations": (
        "UPDATE embedding SET vectors = X'00'",
        "embedding", "1", "has not one vector for every explanation",
    ),
    "an entry is missing": (
        "DELETE FROM entry WHERE id = 1",
        "entry", "(1,)", "is not what follows from its explanation: missing",
    ),
    "an entry too many": (
        "INSERT INTO entry SELECT 3, neuron_id, subject_id, layer, idx, polarity, method_id, state, run_id, density, score, "
        "p_value, cell FROM entry WHERE id = 1",
        "entry", "(3,)", "is not what follows from its explanation: stands for nothing",
    ),
    "an entry with an older score": (
        "UPDATE entry SET score = 0.5 WHERE id = 1",
        "entry", "(1,)", "is not what follows from its explanation: wrong score",
    ),
    "a standing is missing": (
        "DELETE FROM standing WHERE explanation_id = 2",
        "standing", "", "is not what follows from its explanation: missing",
    ),
    "a text without its words in the index": (
        "DROP TRIGGER explanation_changed; UPDATE explanation SET text = 'rivers and the lake' WHERE id = 1",
        "explanation_fts", "", "does not fit the texts of explanations",
    ),
    "a word is missing": (
        "DELETE FROM explanation_word WHERE word = 'paris'",
        "explanation", "3", "has a word that is not in the word list: paris",
    ),
    "a value where none may be missing": (
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'reviewer TEXT NOT NULL', 'reviewer TEXT') "
        "WHERE name = 'review'; PRAGMA writable_schema = RESET; UPDATE review SET reviewer = NULL WHERE id = 1; "
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'reviewer TEXT', 'reviewer TEXT NOT NULL') "
        "WHERE name = 'review'; PRAGMA writable_schema = RESET",
        "file", "", "NULL value in review.reviewer",
    ),
}  # fmt: skip
"""Statements that break something; table and row of the fault, and what is said of it."""
DERIVED = {"entry", "standing", "explanation_fts"}


def test_a_sound_catalogue_has_no_fault(path: Path) -> None:
    assert [str(fault) for fault in faults(path)] == []
    result = neuroexplain("db", "check", str(path))
    assert (result.code, result.out) == (0, f"{path}: no fault\n")


@pytest.mark.parametrize("kind", BREAKS)
def test_what_is_broken_is_found(path: Path, kind: str) -> None:
    statements, table, row, what = BREAKS[kind]
    broken(path, *statements.split(";"))
    found = faults(path)
    (fault,) = [f for f in found if f.table == table and what in f.what and row in (f.row, "")][:1]
    assert fault.derived == (table in DERIVED or "word list" in what)
    result = neuroexplain("db", "check", str(path), "--json")
    assert result.code == 1
    assert vars(fault) in result.json["faults"]
    lines = neuroexplain("db", "check", str(path)).out.splitlines()
    assert len(lines) == len(found)
    assert f"{fault.table}\t{fault.row}\t{fault.what}" in lines


def test_a_damaged_page_is_found_and_the_other_checks_go_on(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'score_run_id'"
        (page,) = connection.execute(query).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)
    broken(path, "UPDATE llm_call SET messages = '[' WHERE id = 2")
    found = faults(path)
    assert any(f.table == "file" for f in found)
    assert any(f.table == "llm_call" for f in found)
    result = neuroexplain("db", "check", str(path))
    assert result.code == 1 and "Traceback" not in result.err


DERIVED_BREAKS = [
    kind for kind, (_, table, _, what) in BREAKS.items() if table in DERIVED or "word list" in what
]


@pytest.mark.parametrize("kind", DERIVED_BREAKS)
def test_what_follows_from_other_rows_is_made_anew(sound: Path, path: Path, kind: str) -> None:
    broken(path, *BREAKS[kind][0].split(";"))
    before = contents(path)
    result = neuroexplain("db", "check", str(path))
    assert result.code == 1
    assert "--repair mends what follows from other rows" in result.err
    result = neuroexplain("db", "check", str(path), "--repair")
    assert (result.code, result.out) == (0, f"{path}: no fault\n")
    assert contents(path) == before, "nothing else is touched"
    if "TRIGGER" not in BREAKS[kind][0]:
        everything = ("schema_migration", "embedding")
        assert contents(path, without=everything) == contents(sound, without=everything)


def test_what_nothing_follows_from_is_not_mended(path: Path) -> None:
    broken(path, "UPDATE score SET value = NULL WHERE id = 4")
    result = neuroexplain("db", "check", str(path), "--repair")
    assert result.code == 1
    assert "score\t4\thas both or neither" in result.out
    assert "--repair" not in result.err


def test_a_run_that_was_interrupted_is_no_fault(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        (state,) = connection.execute("SELECT state FROM run WHERE id = 2").fetchone()
        assert state == "running"
        connection.execute("UPDATE run SET state = 'interrupted' WHERE id = 1")
    assert faults(path) == []


def test_a_file_that_cannot_be_written_is_checked_but_for_its_full_text(
    tmp_path: Path, path: Path
) -> None:
    statements, *_ = BREAKS["a text without its words in the index"]
    with small_disk(tmp_path, 8) as disk:
        copy = Path(shutil.copy(path, disk / "c.sqlite"))
        broken(copy, *statements.split(";"), "UPDATE entry SET score = 0.5 WHERE id = 1")
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
        make_read_only(disk)
        result = neuroexplain("db", "check", str(copy))
        assert result.code == 1
        tables = {line.split("\t")[0] for line in result.out.splitlines()}
        assert tables == {"entry", "explanation"}  # the word, too, is not in its list
        result = neuroexplain("db", "check", str(copy), "--repair")
        assert result.code == 1
        assert len(result.err.splitlines()) == 1 and "read-only" in result.err


def test_others_may_write_while_a_catalogue_is_checked(path: Path) -> None:
    writes = 0

    def write(_: str) -> None:
        nonlocal writes
        with closing(sqlite3.connect(path, timeout=0.1)) as connection, connection:
            connection.execute("UPDATE run SET message = message || 'x' WHERE id = 1")
        writes += 1

    with Catalogue(path, read_only=True) as catalogue:
        assert list(catalogue.check(write)) == []
    with closing(sqlite3.connect(path)) as connection:
        (message,) = connection.execute("SELECT message FROM run WHERE id = 1").fetchone()
    assert message == "x" * writes and writes > 20


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "no catalogue"),
    "no SQLite": (lambda path: path.write_bytes(os.urandom(5000)), "is no SQLite file"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_cannot_be_checked_is_one_line(path: Path, kind: str) -> None:
    spoil, message = UNUSABLE[kind]
    spoil(path)
    result = neuroexplain("db", "check", str(path))
    assert result.code == 1
    assert message in result.err and len(result.err.splitlines()) == 1


def test_a_catalogue_that_is_open_for_reading_is_not_mended(path: Path) -> None:
    with (
        Catalogue(path, read_only=True) as catalogue,
        pytest.raises(CatalogueError, match="open for reading only"),
    ):
        catalogue.repair()
