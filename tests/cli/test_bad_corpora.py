"""A corpus that cannot be used: one line that says why, and nothing written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.program import TEXT, Result, neuroexplain

CONVERSATION = {"messages": [{"role": "user", "content": "Who?"}]}


def collect(corpus: Path, *more: str) -> Result:
    return neuroexplain(
        "collect", "--corpus", str(corpus), "--tokens", "8000", "--layers", "0", *more,
        "--catalogue", str(corpus.parent / "catalogue.sqlite"), cwd=corpus.parent,
    )  # fmt: skip


def stories(count: int) -> str:
    return "\n\n".join(TEXT.read_text(encoding="utf-8").split("\n\n")[:count])


BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("a.txt", lambda: b"", "holds no text"),
    "blank": ("a.txt", lambda: b" \r\n\n\t\n", "holds no text"),
    "only a byte order mark": ("a.txt", lambda: b"\xef\xbb\xbf", "holds no text"),
    "one document": ("a.txt", lambda: stories(1).encode(), "blank lines part them"),
    "documents of one token": ("a.txt", lambda: b"a\n\nb\n\nc\n\nd\n\ne\n\nf", "2 tokens at least"),
    "a line of 10 MB": ("a.txt", lambda: b"the river " * 1_000_000, "raise --tokens"),
    "a packed line of 10 MB": (
        "a.jsonl.gz",
        lambda: gzip.compress(json.dumps({"text": "the river " * 1_000_000}).encode(), 1),
        "raise --tokens",
    ),
    "a word of 2 MB": ("a.txt", lambda: b"ab" * 1_000_000, "2 tokens at least"),
    "alike": (
        "a.txt",
        lambda: "\n\n".join(f"{stories(3).replace(chr(10), ' ')} {i}" for i in range(9)).encode(),
        "nearly alike",
    ),
    "not UTF-8": ("a.txt", lambda: "one\n\ncafé".encode("latin-1"), "byte 8 (line 3) is not UTF-8"),
    "JSON not UTF-8": ("a.jsonl", lambda: b'{"text": "caf\xe9"}', "byte 13 (line 1) is not UTF-8"),
    "cut short": ("a.txt.gz", lambda: gzip.compress(stories(9).encode())[:-20], "cannot be read"),
    "not packed": ("a.txt.gz", lambda: b"plain", "cannot be read"),
    "bad JSON": ("a.jsonl", lambda: b'{"text": "a"}\n{', "a.jsonl:2: bad JSON"),
    "no field": ("a.jsonl", lambda: b'{"body": "a"}', "--text-field"),
    "conversation": ("a.jsonl", lambda: json.dumps(CONVERSATION).encode(), "--chat-template"),
    "not Parquet": ("a.parquet", lambda: b"PAR1", "cannot be read as Parquet"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_line_and_nothing_written(name: str, tmp_path: Path) -> None:
    file, content, hint = BAD[name]
    corpus = tmp_path / file
    corpus.write_bytes(content())
    result = collect(corpus)
    assert result.code == 1, result.err
    last = result.err.strip().splitlines()[-1]
    assert last.startswith("Error: ") and str(corpus) in last and hint in last, result.err
    assert "Traceback" not in result.err
    if (tmp_path / "catalogue.sqlite").exists():
        found = neuroexplain("search", "--catalogue", str(tmp_path / "catalogue.sqlite"), "--json")
        assert not found.out or found.json == []


def test_a_huge_line_among_others_is_collected(tmp_path: Path) -> None:
    corpus = tmp_path / "a.txt"
    corpus.write_text(stories(20) + "\n\n" + "the river froze " * 700_000, encoding="utf-8")
    result = collect(corpus, "--json")
    assert result.code == 0, result.err
