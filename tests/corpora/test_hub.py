from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from neuroexplain.corpora import hub, sources
from neuroexplain.errors import CorpusError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split, texts in (("train", ["one", "two"]), ("test", ["three"])):
        rows = "".join(json.dumps({"text": t, "label": 0}) + "\n" for t in texts)
        (tmp_path / f"{split}.jsonl").write_text(rows, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("hf:a/b", ("a/b", None, "train")),
        ("hf:a/b:validation", ("a/b", None, "validation")),
        ("hf:a/b:en", ("a/b", "en", "train")),
        ("hf:a/b:en:test", ("a/b", "en", "test")),
        ("hf:a/b::extra", ("a/b", None, "extra")),
    ],
)
def test_parse(spec: str, expected: tuple[str, str | None, str]) -> None:
    assert hub.parse(spec) == expected


@pytest.mark.parametrize("spec", ["hf:", "hf:a:b:c:d"])
def test_parse_refuses_other_forms(spec: str) -> None:
    with pytest.raises(CorpusError, match=r"hf:NAME\[:CONFIG\]\[:SPLIT\]"):
        hub.parse(spec)


def test_local_directory_is_streamed(folder: Path) -> None:
    spec = f"hf:{folder}"
    found = [(t.text, t.source) for t in sources.read(spec)]
    assert found == [("one", f"{spec} row 1"), ("two", f"{spec} row 2")]
    assert [t.text for t in sources.read(f"{spec}:test")] == ["three"]


def test_reading_stops_when_nobody_asks_for_more(folder: Path) -> None:
    # The library reads blocks of ten megabytes.
    rows = "".join(json.dumps({"text": f"{i} " + "x" * 20_000}) + "\n" for i in range(1200))
    (folder / "train.jsonl").write_text(rows + "not JSON\n", encoding="utf-8")
    texts = sources.read(f"hf:{folder}")
    assert [next(texts).text[:2] for _ in range(3)] == ["0 ", "1 ", "2 "]


@pytest.mark.parametrize(
    ("suffix", "field", "message"),
    [
        ("::nosuch", "text", "Bad split: nosuch"),
        (":nosuch", "text", "'nosuch' not found"),
        ("", "body", 'row 1: no field "body"; fields present: text, label'),
        ("", "label", 'field "label" is of type int, not text'),
        ("/no/such/folder", "text", "cannot be read"),
    ],
)
def test_errors(folder: Path, suffix: str, field: str, message: str) -> None:
    with pytest.raises(CorpusError) as caught:
        list(sources.read(f"hf:{folder}{suffix}", text_field=field))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_datasets_names_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match=r"pip install 'neuroexplain\[datasets\]'"):
        list(sources.read(f"hf:{folder}"))
