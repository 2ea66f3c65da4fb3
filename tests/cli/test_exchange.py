"""`export` and `import` as a user meets them: every format there and back, what they say, and how they end."""

from __future__ import annotations

import json
import shutil
from itertools import count
from pathlib import Path

import pytest

from neuroexplain import exporting
from neuroexplain.catalogue import Catalogue
from neuroexplain.exporting import FORMATS as EXPORTS
from neuroexplain.importing import FORMATS as IMPORTS
from neuroexplain.recorded import SubjectInfo
from tests.catalogue.conftest import Sweep, make_corpus, make_layer, make_score
from tests.catalogue.exchanges import VIEWS, exported, fill, plain, view
from tests.program import Result, neuroexplain


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small catalogue with something of everything."""
    path = tmp_path_factory.mktemp("source") / "c.sqlite"
    corpus = make_corpus()
    subject = SubjectInfo("tiny", "dir/tiny", "a" * 64, "bert", "mlp", (4, 4, 4))
    with Catalogue(path) as catalogue:
        layers = [make_layer(corpus, n) for n in (0, 2)]
        catalogue.save_collection("key", {"top_k": 4}, subject, corpus, layers)
        fill(Sweep(catalogue, catalogue.collection()))
    return path


def run(command: str, *arguments: str | Path, catalogue: Path) -> Result:
    return neuroexplain(command, *map(str, arguments), "--catalogue", str(catalogue))


def export(source: Path, format: str, out: Path, *arguments: str) -> Result:
    return run("export", *arguments, "--format", format, "--out", out, catalogue=source)


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_there_and_back(format: str, source: Path, tmp_path: Path) -> None:
    out, target = tmp_path / "out", tmp_path / "t.sqlite"
    done = export(source, format, out)
    assert (done.code, done.out) == (0, "")
    assert f"tiny: 16 neurons, 5 explanations, 5 scores, in {out}" in done.err
    done = run("import", out, "--format", format, catalogue=target)
    assert done.code == 0, done.err
    assert "run 1: tiny: 8 neurons, 5 explanations, 5 scores, 4 simulations" in done.err
    with Catalogue(source, read_only=True) as theirs, Catalogue(target, read_only=True) as ours:
        assert plain(exported(ours)) == plain(exported(theirs))
        assert ours.collection().config == {"top_k": 4}
        (run_,) = ours.runs()
    assert (run_["command"], run_["state"]) == ("import", "done")
    for name in set(VIEWS) - {"v_explanations"}:
        assert view(target, name) == view(source, name)
    again = run("import", out, "--format", format, catalogue=target)
    assert again.code == 0
    assert "explanations" not in again.err and "batches that were there" in again.err


@pytest.mark.parametrize("format", ["neuronpedia", "openai"])
def test_formats_of_others_hold_what_they_can(format: str, source: Path, tmp_path: Path) -> None:
    out, target = tmp_path / "out", tmp_path / "t.sqlite"
    assert export(source, format, out).code == 0
    done = run("import", out, "--format", format, catalogue=target)
    assert done.code == 0, done.err
    with Catalogue(source, read_only=True) as theirs, Catalogue(target, read_only=True) as ours:
        wanted = {str(r.neuron): r for r in exported(theirs)}
        found = {str(r.neuron): r for r in exported(ours)}
    assert found.keys() == wanted.keys()
    good = {
        name: [(e.text, e.explainer, e.key) for e in r.explanations if e.status == "ok"]
        for name, r in wanted.items()
    }
    assert {n: [(e.text, e.explainer, e.key) for e in r.explanations] for n, r in found.items()} == good  # fmt: skip
    scores = [s.score for e in wanted["tiny/0/0+"].explanations for s in e.scores]
    assert [s.score for e in found["tiny/0/0+"].explanations for s in e.scores] == scores
    for name, record in found.items():
        kept = {s.tokens for s in record.spans}
        assert kept == {s.tokens for s in wanted[name].spans}


def test_pages_are_written(source: Path, tmp_path: Path) -> None:
    done = export(source, "html", tmp_path, "river")
    assert done.code == 0
    assert "tiny: 1 neurons, 1 pages" in done.err
    assert "the river “froze”" in (tmp_path / "index.html").read_text(encoding="utf-8")


# Which neurons


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["river"], ["tiny/0/0+"]),
        (["score>=0.7"], ["tiny/0/0-"]),
        (["score>=-1"], ["tiny/0/0+", "tiny/0/0-"]),
        (["score>=-1 limit:1"], ["tiny/0/0-"]),
        (["state:failed"], ["tiny/2/3+"]),
        (["--neurons", "2:1-2,0:3-"], ["tiny/0/3-", "tiny/2/1+", "tiny/2/2+"]),
        (["score>=-1", "--neurons", "0:*-"], ["tiny/0/0-"]),
    ],
)
def test_neurons_are_chosen(
    arguments: list[str], wanted: list[str], source: Path, tmp_path: Path
) -> None:
    assert export(source, "jsonl", tmp_path, *arguments).code == 0
    lines = (tmp_path / "neurons.jsonl").read_text().splitlines()
    rows = map(json.loads, lines)
    sides = [f"{r['subject']}/{r['layer']}/{r['index']}{'+' if r['polarity'] > 0 else '-'}" for r in rows]  # fmt: skip
    assert sides == wanted


def test_a_query_of_many_pages(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_PAGE", 1)
    done = export(source, "jsonl", tmp_path, "state:any")
    assert "tiny: 4 neurons, 5 explanations" in done.err


MISTAKES: dict[str, tuple[list[str], str]] = {
    "nothing matches": (["zebra"], "no neuron of tiny matches; nothing was written"),
    "query": (["score>=high"], "at column"),
    "subject": (["--subject", "tony"], 'unknown subject "tony"; known: tiny'),
    "neurons": (["--neurons", "7:1"], "layer 7 is not recorded"),
    "parts": (["--parts", "neurons,words"], 'unknown part "words"; known: explanations, neurons, simulations'),
    "no parts": (["--parts", "simulations"], "wanted neurons, explanations, or both"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name: str, source: Path, tmp_path: Path) -> None:
    arguments, message = MISTAKES[name]
    out = tmp_path / "out"
    done = export(source, "parquet", out, *arguments)
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert done.err.strip().splitlines()[-1].startswith("Error: ")
    assert not out.exists()


def test_parts_are_of_our_own_formats(source: Path, tmp_path: Path) -> None:
    done = export(source, "openai", tmp_path, "--parts", "explanations")
    assert "parts can be left out of jsonl and parquet, not of openai" in done.err


def test_a_folder_that_cannot_be_written_to(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for format in EXPORTS:
        done = export(source, format, tmp_path / "file")
        assert done.code == 1, format
        assert f"{tmp_path}/file" in done.err and "Traceback" not in done.err


# Bringing explanations home


def test_explanations_from_another_machine(source: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here.sqlite", tmp_path / "there.sqlite"
    for path in (here, there):
        shutil.copy(source, path)
    with Catalogue(there) as catalogue:
        sweep = Sweep(catalogue, catalogue.collection())
        sweep.score(sweep.explain("tiny/2/0+", "from there"), make_score(0.5))
    out = tmp_path / "out"
    assert export(there, "jsonl", out, "--parts", "explanations,simulations").code == 0
    assert not (out / "neurons.jsonl").exists()
    done = run("import", out, "--format", "jsonl", "--json", catalogue=here)
    assert done.code == 0, done.err
    assert "added to the collection that it had: 1 explanations, 1 scores, 1 simulations" in done.err  # fmt: skip
    assert done.json["attached"] is True
    counts = done.json["counts"]
    assert (counts["explanations"], counts["explanations that were there"]) == (1, 5)
    with Catalogue(here, read_only=True) as ours, Catalogue(there, read_only=True) as theirs:
        assert plain(exported(ours)) == plain(exported(theirs))
        assert [r.text for r in ours.search("from there").rows] == ["from there"]


def test_a_new_collection_under_another_name(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "t.sqlite"
    shutil.copy(source, target)
    out = tmp_path / "out"
    export(source, "parquet", out)
    done = run("import", out, "--format", "parquet", "--subject", "other", catalogue=target)
    assert done.code == 0, done.err
    with Catalogue(target, read_only=True) as catalogue:
        found = exported(catalogue, "other")
        assert {r.neuron.subject for r in found} == {"other"}
        assert len(found) == len(exported(catalogue, "tiny")) == 16


# Bad files


def broken(source: Path, out: Path) -> Path:
    """An export of which the fifth of nine batches is bad."""
    export(source, "jsonl", out)
    path = out / "neurons.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    many = [*lines, *map(_renumbered, lines * 70, count(600))]
    many[600] = many[600].replace('"polarity":', '"side":')
    path.write_text("".join(many))
    return out


def _renumbered(line: str, index: int) -> str:
    row = json.loads(line)
    return json.dumps({**row, "index": index, "spans": row["spans"][:1]}) + "\n"


def test_a_bad_batch_stops_the_import_or_is_skipped(source: Path, tmp_path: Path) -> None:
    out, target = broken(source, tmp_path / "out"), tmp_path / "t.sqlite"
    stopped = run("import", out, "--format", "jsonl", catalogue=target)
    assert stopped.code == 1
    assert "Error: neurons.jsonl, line 601: polarity: missing" in stopped.err
    assert "Traceback" not in stopped.err
    skipped = run("import", out, "--format", "jsonl", "--on-error", "skip", catalogue=target)
    assert skipped.code == 3
    assert "4 batches that were there, 1 batches refused" in skipped.err
    assert "refused: neurons.jsonl, line 601: polarity: missing" in skipped.err
    with Catalogue(target, read_only=True) as catalogue:
        states = [(r["state"], r["counts"].get("batches refused")) for r in catalogue.runs()]
        kept = len(exported(catalogue))
    assert states == [("done", 1), ("failed", None)]
    assert kept == 16 + 70 * 16 - 128
    path = out / "neurons.jsonl"
    path.write_text(path.read_text().replace('"side":', '"polarity":'))
    mended = run("import", out, "--format", "jsonl", "--on-error", "skip", catalogue=target)
    assert mended.code == 0, mended.err
    assert "128 neurons, 1 batches, 9 batches that were there" in mended.err
    path.write_text(path.read_text().replace('"polarity": 1', '"polarity": -1', 1))
    changed = run("import", out, "--format", "jsonl", "--on-error", "skip", catalogue=target)
    assert changed.code == 3
    assert "refused: neurons.jsonl#" in changed.err
    assert "has changed since it was imported; --into current adds" in changed.err


@pytest.mark.parametrize("format", IMPORTS)
def test_nothing_to_import(format: str, tmp_path: Path) -> None:
    target = tmp_path / "t.sqlite"
    for path, message in (("none", "there is no such file or folder"), ("empty", str(tmp_path))):
        (tmp_path / "empty").mkdir(exist_ok=True)
        done = run("import", tmp_path / path, "--format", format, catalogue=target)
        assert done.code == 1, done.err
        assert message in done.err and "Traceback" not in done.err


def test_explanations_of_a_subject_that_is_not_there(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(source, "jsonl", out, "--parts", "explanations")
    done = run("import", out, "--format", "jsonl", catalogue=tmp_path / "t.sqlite")
    assert done.code == 1
    assert 'unknown subject "tiny"; known: none' in done.err


def test_help_names_every_format() -> None:
    for command, formats in (("export", EXPORTS), ("import", IMPORTS)):
        text = neuroexplain(command, "--help").out
        assert "|".join(formats) in text
