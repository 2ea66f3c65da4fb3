from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.collecting import parts_folder
from tests.program import SMALL, Result, neuroexplain, start
from tests.sweeps import Sweeps, error_of

WAIT = 120
FEW = ("--min-count", "3", "--top", "40")
SHORT = ("--top", "10", "--threads", "1")


def ngrams(catalogue: Path, *more: str) -> Result:
    return neuroexplain("ngrams", "--catalogue", str(catalogue), "--json", *more)


@pytest.fixture(scope="module")
def passed(swept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small real catalogue with an n-gram pass of its commonest n-grams; not to be written to."""
    path = Path(shutil.copy(swept, tmp_path_factory.mktemp("passed") / "catalogue.sqlite"))
    result = ngrams(path, *FEW)
    assert result.code == 0, result.err
    return path


def test_a_pass_is_told_and_made_once(passed: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(passed, tmp_path / "c.sqlite"))
    again = ngrams(path, *FEW)
    assert again.code == 0 and again.json["counts"] == {}
    told = again.json
    assert (told["subject"], told["layers"], told["neurons"]) == ("minilm", [0], 1536)
    assert f"minilm: {told['n_ngrams']:,} n-grams through 1,536 neurons, in {path}" in again.err
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT DISTINCT corpus_sha256, set_sha256 FROM v_ngram_moments")
        assert rows.fetchall() == [(told["corpus_sha256"], told["set_sha256"])]
    newest, *_ = neuroexplain("runs", "--catalogue", str(path), "--json").json
    assert (newest["command"], newest["state"]) == ("ngrams", "done")
    assert not parts_folder(path).exists()


def test_show_prints_both_lists(passed: Path) -> None:
    arguments = ("show", "minilm/0/3", "--catalogue", str(passed))
    found = neuroexplain(*arguments, "--json").json["ngrams"]
    by_source = Counter((n["source"], n["aggregator"]) for n in found)
    assert set(by_source) == {("context", None), ("alone", "mean"), ("alone", "max")}
    assert all(n["count"] >= 3 for n in found if n["source"] == "alone")
    out = neuroexplain(*arguments, COLUMNS="400").out
    for aggregator, response in (("mean", "mean_response"), ("max", "max_response")):
        chosen = [n for n in found if n["aggregator"] == aggregator][:3]
        line = ", ".join(f'"{n["ngram"]}" {n[response]:.2f} ({n["count"]})' for n in chosen)
        assert f"n-grams alone, {aggregator} (times): {line}, " in out


def test_keywords_from_pass_to_score(passed: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(passed, tmp_path / "c.sqlite"))
    result = neuroexplain(
        "sweep", *SMALL, "--neurons", "0:0-59", "--explainer", "keywords", "--catalogue", str(path), "--json"
    )  # fmt: skip
    counts = result.json["counts"]
    # One fires in context alone.
    assert (result.code, counts["failed"], counts["failed: no_ngrams"]) == (3, 1, 1), result.err
    assert counts["explained"] + counts["dead"] + counts["failed"] == 60
    assert "n-gram passes" not in counts, "the one that is there will do"
    rows = scored(path)
    texts = [row["text"] for row in rows]
    assert all(text.startswith(("the words “", "the word “")) for text in texts)
    values = [row["value"] for row in rows if row["value"] is not None]
    assert len(values) >= 40 and sum(values) / len(values) > 0.1
    assert {row["reason"] for row in rows if row["value"] is None} <= {"constant_simulation"}


def scored(catalogue: Path) -> list[dict[str, Any]]:
    query = (
        "SELECT text, value, v_scores.reason FROM v_scores JOIN v_explanations USING (explanation_id) "
        "WHERE explainer = 'keywords' AND simulator = 'keywords' AND scorer = 'correlation'"
    )
    with closing(sqlite3.connect(catalogue)) as connection:
        names = ("text", "value", "reason")
        return [dict(zip(names, row, strict=True)) for row in connection.execute(query)]


WRONG = {
    "splits": (("--splits", "explain,tset"), "splits are some of explain, select, test, not tset"),
    "orders": (("--orders", "0"), "orders must be at least 1, not 0"),
    "too rare": (("--min-count", "9999"), "no n-gram occurs 9999 times in these texts; lower --min-count"),
    "subject": (("--subject", "gpt2"), 'unknown subject "gpt2"; known: minilm'),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_the_user_can_mend_is_one_line(passed: Path, tmp_path: Path, what: str) -> None:
    path = Path(shutil.copy(passed, tmp_path / "c.sqlite"))
    arguments, message = WRONG[what]
    assert message in error_of(ngrams(path, *arguments))


def test_an_empty_catalogue_says_what_to_do_first(tmp_path: Path) -> None:
    assert "the catalogue is empty" in error_of(ngrams(tmp_path / "new.sqlite"))


@contextmanager
def begun(catalogue: Path) -> Iterator[Any]:
    """The command in a process of its own, with a first checkpoint made."""
    process = start("ngrams", "--catalogue", str(catalogue), *SHORT, "--checkpoint", "0")
    try:
        deadline = time.monotonic() + WAIT
        while not list(parts_folder(catalogue).glob("*/state.npz")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT)


def content(catalogue: Path) -> list[Any]:
    with closing(sqlite3.connect(catalogue)) as connection:
        rows = connection.execute("SELECT * FROM v_ngrams ORDER BY 1, 7, 8, 9, 2")
        return [*rows, *connection.execute("SELECT * FROM v_ngram_moments ORDER BY 1")]


def test_interrupted_it_goes_on_to_the_same_end(sweeps: Sweeps, tmp_path: Path) -> None:
    whole, path = (sweeps.copy(tmp_path / f"{name}.sqlite") for name in ("whole", "c"))
    assert ngrams(whole, *SHORT).code == 0
    with begun(path) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT)
        assert process.returncode == 130, errors
        assert "the same command goes on with the rest" in errors
    assert list(parts_folder(path).glob("*/state.npz"))
    assert not any(row[7] == "alone" for row in content(path))
    result = ngrams(path, *SHORT)
    assert result.code == 0 and result.json["counts"] == {"n-gram passes": 1}
    assert content(path) == content(whole)
    assert not parts_folder(path).exists()
