from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from neuroexplain.corpora import files, sources
from neuroexplain.errors import CorpusError


def write_jsonl(path: Path, records: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


def write_parquet(path: Path, **columns: list[object]) -> Path:
    parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
    return path


def read_all(spec: str | Path, text_field: str = "text") -> list[tuple[str, str]]:
    return [(t.text, t.source) for t in sources.read(str(spec), text_field=text_field)]


def error_of(spec: str | Path, text_field: str = "text") -> str:
    with pytest.raises(CorpusError) as caught:
        read_all(spec, text_field)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_text_file_has_a_document_per_block(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\n two\r\n \t\r\n\r\nthree é\r\n".encode())
    assert read_all(path) == [("one\n two", f"{path}:1"), ("three é", f"{path}:5")]


def test_jsonl_plain_and_gzipped(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "a.jsonl", [{"text": "one\n\ntwo"}, {"text": "  "}, {"text": "é"}]
    )
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_all(path) == [("one\n\ntwo", f"{path}:1"), ("é", f"{path}:3")]
    assert [text for text, _ in read_all(packed)] == ["one\n\ntwo", "é"]


def test_parquet_over_row_groups(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", body=["one", "two", "three"], number=[1, 2, 3])
    assert read_all(path, text_field="body") == [
        ("one", f"{path}:1"),
        ("two", f"{path}:2"),
        ("three", f"{path}:3"),
    ]


def test_directory_is_read_recursively_in_sorted_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "c.TXT").write_text("four", encoding="utf-8")
    (tmp_path / "notes.md").write_text("not read", encoding="utf-8")
    write_jsonl(tmp_path / "b" / "2.jsonl", [{"text": "two"}])
    write_parquet(tmp_path / "b" / "3.parquet", text=["three"])
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    assert [text for text, _ in read_all(tmp_path)] == ["one", "two", "three", "four"]


def test_what_cannot_be_stored_is_replaced_visibly(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(r'{"text": "a\u0000b \ud800 \ud83c\udf0a"}', encoding="utf-8")
    assert read_all(path)[0][0] == "a\ufffdb \ufffd 🌊"


def test_unknown_form_lists_the_forms(tmp_path: Path) -> None:
    assert "forms: docs, FILE.txt, FILE.jsonl, FILE.parquet, a directory" in error_of("novel.pdf")
    assert "no such file" in error_of(tmp_path / "none.txt")


def test_directory_without_texts(tmp_path: Path) -> None:
    assert ".parquet" in error_of(tmp_path)


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_empty_corpus(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(content, encoding="utf-8")
    assert "holds no text" in error_of(path)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_invalid_utf8_names_the_byte(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(mark + b"ab\xff\n")
    assert f"{path}: byte {len(mark) + 2} (line 1) is not UTF-8" in error_of(path)
    path.write_bytes(mark + b"first line\nab\xff\n")
    assert f"{path}: byte {len(mark) + 13} (line 2) is not UTF-8" in error_of(path)
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(b'{"text": "a"}\n{"text": "\xe9"}\n'))
    assert f"{packed}: byte 24 of the unpacked text (line 2)" in error_of(packed)


def test_utf16_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo", encoding="utf-16")
    assert "byte 0 (line 1) is not UTF-8; save the file as UTF-8" in error_of(path)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.txt.gz"])
def test_a_file_without_an_end_of_document(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LONGEST", 1000)
    path = tmp_path / name
    pack = gzip.compress if name.endswith(".gz") else bytes
    path.write_bytes(pack(b"x" * 2000))
    assert f"{path}:1: a document of more than" in error_of(path)
    if ".txt" in name:
        path.write_bytes(pack(b"short\n\n" + b"a line\n" * 1000))
        assert f"{path}:3: a document of more than" in error_of(path)


@pytest.mark.parametrize("line", ["[" * 100_000, '{"text": ' + "9" * 5000 + "}"])
def test_json_that_python_cannot_hold(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line, encoding="utf-8")
    assert f"{path}:1: JSON that cannot be read" in error_of(path)


CONVERSATION = [{"role": "user", "content": "Who?"}]


@pytest.mark.parametrize("field", ["text", "messages", "talk"])
def test_conversations_only_on_request(tmp_path: Path, field: str) -> None:
    wanted = "talk" if field == "talk" else "text"
    lines = write_jsonl(tmp_path / "a.jsonl", [{field: CONVERSATION}])
    assert f"{lines}:1: a conversation" in (message := error_of(lines, wanted))
    assert "--chat-template" in message
    columns: dict[str, list[object]] = {field: [CONVERSATION]}
    table = write_parquet(tmp_path / "a.parquet", **columns)
    assert "--chat-template" in error_of(table, wanted)


def test_messages_are_not_read_where_another_field_is_asked_for(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"messages": CONVERSATION}])
    assert 'no field "body"; fields present: messages' in error_of(path, "body")


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    content = b"one\n\ntwo\n\n" * 50_000 + b"\xff"
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(content))
    write_parquet(tmp_path / "c.parquet", text=["one", "two"] * 2000 + [None])
    for name in ("a.txt", "b.txt.gz", "c.parquet"):
        texts = sources.read(str(tmp_path / name))
        assert [next(texts).text, next(texts).text] == ["one", "two"]


def test_bad_json_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"text": \n', encoding="utf-8")
    assert f"{path}:2: bad JSON" in error_of(path)


def test_json_that_is_no_object(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [["a"]])
    assert f"{path}:1: a JSON list, not an object" in error_of(path)


def test_missing_field_lists_those_present(tmp_path: Path) -> None:
    lines = write_jsonl(tmp_path / "a.jsonl", [{"text": "a"}, {"body": "a", "id": 1}])
    assert f'{lines}:2: no field "text"; fields present: body, id' in error_of(lines)
    table = write_parquet(tmp_path / "a.parquet", body=["a"])
    assert f'{table}: no field "text"; fields present: body' in error_of(table)


def test_field_that_is_no_text(tmp_path: Path) -> None:
    lines = write_jsonl(tmp_path / "a.jsonl", [{"text": None}])
    assert f'{lines}:1: field "text" is empty, not text' in error_of(lines)
    table = write_parquet(tmp_path / "a.parquet", text=[1, 2])
    assert f'{table}:1: field "text" is of type int, not text' in error_of(table)


def test_broken_files(tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    table.write_bytes(b"not parquet at all")
    assert "cannot be read as Parquet" in error_of(table)
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(b'{"text": "a"}\n' * 99)[:-9])
    assert "cannot be read" in error_of(packed)


def test_parquet_with_invalid_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    raw = pyarrow.array([b"ab\xff"], pyarrow.binary())
    text = pyarrow.Array.from_buffers(pyarrow.string(), 1, raw.buffers())
    parquet.write_table(pyarrow.table({"text": text}), path)
    assert "cannot be read as Parquet" in error_of(path)


def test_missing_pyarrow_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "a.parquet", text=["a"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'neuroexplain[parquet]'" in error_of(path)
