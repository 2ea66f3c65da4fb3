"""Generated catalogues: what is in them, that they hold together, and that an equal seed makes equal ones."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.searching import entries
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.records import NeuronId
from neuroexplain.testing import catalogues
from neuroexplain.testing.__main__ import main
from neuroexplain.testing.catalogues import make

NEURONS, EXPLANATIONS, LAYERS, SPANS, REVIEWS = 96, 1_500, 4, 600, 40
SIZES = {"neurons": NEURONS, "explanations": EXPLANATIONS, "layers": LAYERS, "spans": SPANS}
Connection = sqlite3.Connection


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "made.sqlite"
    make(made, **SIZES, reviews=REVIEWS)
    return made


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as opened:
        yield opened


def one(connection: Connection, query: str) -> Any:
    return connection.execute(query).fetchone()[0]


def test_it_holds_together(connection: Connection, path: Path) -> None:
    assert one(connection, "PRAGMA integrity_check") == "ok"
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    database = Database(path, read_only=True)
    with database.reading() as reading:
        assert list(entries.differences(reading)) == []
    database.close()


def test_the_schema_is_that_of_any_catalogue(connection: Connection, tmp_path: Path) -> None:
    Catalogue(tmp_path / "new.sqlite").close()
    schema = (
        "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%' ORDER BY 1, 2"
    )
    with closing(sqlite3.connect(tmp_path / "new.sqlite")) as new:
        assert connection.execute(schema).fetchall() == new.execute(schema).fetchall()
    assert one(connection, "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'entry'") >= 4
    assert one(connection, "PRAGMA journal_mode") == "wal"


def test_the_full_text_and_the_words_are_of_all_explanations(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(":memory:")) as copy:
        source.backup(copy)
        # Raises where the index is not that of the texts.
        copy.execute(
            "INSERT INTO explanation_fts (explanation_fts, rank) VALUES ('integrity-check', 1)"
        )
        texts = [text for (text,) in copy.execute("SELECT text FROM explanation")]
        known = {word for (word,) in copy.execute("SELECT word FROM explanation_word")}
    plain = " ".join(texts).lower().translate(str.maketrans(",:", "  "))
    assert known == set(plain.split())


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("SELECT count(*) FROM neuron", NEURONS),
        ("SELECT count(DISTINCT layer) FROM neuron", LAYERS),
        ("SELECT count(*) FROM statistics WHERE length(quantiles) = 60", NEURONS),
        ("SELECT count(*) FROM explanation", EXPLANATIONS),
        ("SELECT count(DISTINCT neuron_id) FROM explanation", NEURONS),
        ("SELECT count(DISTINCT polarity) FROM explanation", 2),
        ("SELECT count(DISTINCT method_id) FROM explanation", 4),
        ("SELECT count(DISTINCT run_id) FROM explanation", 5),
        ("SELECT count(DISTINCT key) FROM explanation", EXPLANATIONS - 14),  # one in a hundred again
        ("SELECT count(*) FROM review", REVIEWS),
        ("SELECT count(DISTINCT verdict) FROM review", 4),
        ("SELECT count(*) FROM explanation WHERE status = 'failed' AND text <> ''", 0),
        ("SELECT count(*) FROM exemplar WHERE split = 0", NEURONS),
        ("SELECT count(*) FROM exemplar WHERE split = 0 AND unit IS NULL", 0),
        ("SELECT count(*) FROM exemplar WHERE split > 0 AND unit IS NOT NULL", 0),
        ("SELECT count(DISTINCT neuron_id) FROM exemplar WHERE split = 2", NEURONS // LAYERS),
        ("SELECT count(*) FROM layer_sketch WHERE length(directions) = 24 * 256", 1),
        ("SELECT count(DISTINCT neuron_id) FROM token_response", NEURONS // LAYERS),
    ],
)  # fmt: skip
def test_there_is_as_much_as_was_asked_for(connection: Connection, query: str, number: int) -> None:
    assert one(connection, query) == number


@pytest.mark.parametrize(
    ("query", "least", "most"),
    [
        ("SELECT avg(status = 'failed') FROM explanation", 0.01, 0.03),
        ("SELECT avg(text GLOB 'words *') FROM explanation WHERE status = 'ok'", 0.28, 0.38),
        ("SELECT avg(value IS NULL) FROM score", 0.002, 0.02),
        ("SELECT avg(score) FROM entry", 0.2, 0.35),
        ("SELECT count(*) * 1.0 / (SELECT count(*) FROM entry WHERE score IS NOT NULL) FROM standing", 0.28, 0.39),
        ("SELECT avg(frac_positive) FROM statistics", 0.1, 0.3),
    ],
)  # fmt: skip
def test_shares_are_as_they_should_be(
    connection: Connection, query: str, least: float, most: float
) -> None:
    assert least <= one(connection, query) <= most


def test_explanations_have_8_to_20_words(connection: Connection) -> None:
    texts = connection.execute("SELECT text FROM explanation WHERE status = 'ok'").fetchall()
    lengths = {len(text.split()) for (text,) in texts}
    assert min(lengths) >= 8 and max(lengths) <= 20


def test_explanations_of_a_neuron_share_words(connection: Connection) -> None:
    texts = connection.execute(
        "SELECT neuron_id, text FROM explanation WHERE text <> ''"
    ).fetchall()
    counts = Counter(word for _, text in texts for word in set(text.split()))
    rare = {word for word, n in counts.items() if n < len(texts) / 50}
    found: dict[int, list[set[str]]] = {}
    for neuron, text in texts:
        found.setdefault(neuron, []).append(rare & set(text.split()))
    firsts = [some[0] for _, some in sorted(found.items())]
    own = [len(a & b) for some in found.values() for a, b in pairwise(some)]
    others = [len(a & b) for a, b in pairwise(firsts)]
    assert np.mean(own) > 10 * np.mean(others) and np.mean(own) > 0.2


def test_only_the_first_neurons_can_be_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogues, "SCORED", 3)
    make(tmp_path / "few.sqlite", neurons=8, explanations=40, layers=2, spans=SPANS)
    query = "SELECT DISTINCT idx FROM neuron JOIN {} ON {} WHERE layer = 0 ORDER BY 1"
    with closing(sqlite3.connect(tmp_path / "few.sqlite")) as connection:
        for tables in (
            ("exemplar", "exemplar.neuron_id = neuron.id AND split > 0 AND n > 0"),
            ("explanation e ON e.neuron_id = neuron.id JOIN simulation", "e.id = explanation_id"),
        ):
            assert connection.execute(query.format(*tables)).fetchall() == [(0,), (1,), (2,)]
    with Catalogue(tmp_path / "few.sqlite", read_only=True) as catalogue:
        shown = catalogue.show(NeuronId("made", 0, 3))["exemplars"]
    assert {e["split"] for e in shown} == {"explain"}


def test_scores_have_reasons_or_values(connection: Connection) -> None:
    reasons = connection.execute("SELECT DISTINCT reason FROM score WHERE value IS NULL").fetchall()
    assert reasons == [("constant_simulation",)]
    failed = "SELECT count(*) FROM score JOIN explanation e ON e.id = explanation_id WHERE e.status = 'failed'"
    assert one(connection, failed) == 0


def test_pages_of_neurons_are_whole(path: Path) -> None:
    with Catalogue(path, read_only=True) as catalogue:
        scored = catalogue.show(NeuronId("made", 0, 3))
        other = catalogue.show(NeuronId("made", 3, 5))
    tops = {
        split: [e for e in scored["exemplars"] if (e["split"], e["kind"]) == (split, "top")]
        for split in ("explain", "select", "test")
    }
    assert {split: len(some) for split, some in tops.items()} == {"explain": 20, "select": 10, "test": 10}  # fmt: skip
    assert [e["split"] for e in other["exemplars"]] == ["explain"] * 20
    for exemplar in (*tops["explain"], *tops["test"], *other["exemplars"]):
        assert len(exemplar["tokens"]) == len(exemplar["activations"]) == 64
        assert max(exemplar["activations"]) == exemplar["peak"]
        assert exemplar["activations"][exemplar["peak_position"]] == exemplar["peak"]
    peaks = [e["peak"] for e in tops["explain"]]
    assert peaks == sorted(peaks, reverse=True)
    assert scored["statistics"]["max"] == pytest.approx(peaks[0], rel=1e-3)
    simulated = [len(e["simulations"]) for e in scored["explanations"] if e["status"] == "ok"]
    assert set(simulated) == {10} and len(other["explanations"]) > 3
    assert {len(e["simulations"]) for e in other["explanations"]} == {0}


def test_peak_tokens_are_those_of_the_spans(path: Path, connection: Connection) -> None:
    counted = dict(
        connection.execute(
            "SELECT token, peak_token.n FROM peak_token JOIN neuron ON neuron.id = neuron_id "
            "WHERE layer = 2 AND idx = 7"
        )
    )
    with Catalogue(path, read_only=True) as catalogue:
        shown = catalogue.show(NeuronId("made", 2, 7))["exemplars"]
    found: dict[str, int] = {}
    for exemplar in shown:
        token = exemplar["tokens"][exemplar["peak_position"]].strip()
        found[token] = found.get(token, 0) + 1
    assert counted == found and max(found.values()) > 1


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows but those that tell when the file was made."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('collection', 'schema_migration')"
        ).fetchall()
        return {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr)
            for (name,) in names
        }


def test_an_equal_seed_makes_equal_contents(path: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again.sqlite", tmp_path / "other.sqlite"
    make(again, **SIZES, reviews=REVIEWS)
    make(other, **SIZES, reviews=REVIEWS, seed=1)
    first, second, third = map(contents, (path, again, other))
    assert [name for name in first if first[name] != second[name]] == []
    for name in ("document", "exemplar", "explanation", "score", "entry", "review", "statistics"):
        assert first[name] != third[name], name


def test_a_file_is_replaced_by_a_complete_one_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept.sqlite"
    kept.write_bytes(b"mine")
    with pytest.raises(ValueError, match="neurons must be a multiple of layers: 97 of 4"):
        make(kept, **{**SIZES, "neurons": 97})
    with pytest.raises(ValueError, match="negative"):
        make(kept, neurons=8, explanations=-100, layers=2, spans=SPANS)
    assert kept.read_bytes() == b"mine"
    make(kept, neurons=8, explanations=20, layers=2, spans=SPANS)
    assert [file.name for file in tmp_path.iterdir()] == ["kept.sqlite"]
    with Catalogue(kept, read_only=True) as catalogue:
        assert (
            len(catalogue.search("state:unreviewed OR state:reviewed OR state:failed").rows) >= 19
        )


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "out.sqlite"
    sizes = ("--explanations", "30", "--layers", "2", "--spans", "600")
    odd = CliRunner().invoke(main, ["catalogue", str(out), "--neurons", "7", *sizes])
    assert odd.exit_code == 2 and "7 is no multiple of 2 layers" in odd.output
    done = CliRunner().invoke(main, ["catalogue", str(out), "--neurons", "8", *sizes])
    assert done.exit_code == 0 and done.output == f"{out}: {out.stat().st_size / 1e6:,.0f} MB\n"
    with closing(sqlite3.connect(out)) as connection:
        assert one(connection, "SELECT count(*) FROM explanation") == 30
