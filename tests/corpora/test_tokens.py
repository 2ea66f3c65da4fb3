from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from neuroexplain.corpora import tokens
from neuroexplain.errors import ConfigError, CorpusError
from neuroexplain.recorded import TokenCorpus
from neuroexplain.records import SPLITS

from .conftest import make_texts

ALL = 1_000_000


def write(path: Path, texts: list[str]) -> str:
    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    path.write_text(rows, encoding="utf-8")
    return str(path)


def build(
    spec: str,
    tokenizer: PreTrainedTokenizerFast,
    limit: int = ALL,
    seq_len: int = 16,
    first: int = 0,
) -> TokenCorpus:
    return tokens.build(spec, tokenizer, tokens=limit, seq_len=seq_len, first=first)


def test_positions_spans_and_splits_fit(
    tmp_path: Path, texts: list[str], byte_level: PreTrainedTokenizerFast
) -> None:
    corpus = build(write(tmp_path / "a.jsonl", texts), byte_level)
    assert [d.document.position for d in corpus.documents] == list(range(40))
    assert [d.document.text for d in corpus.documents] == texts
    assert corpus.info.n_documents == 40
    assert corpus.info.n_tokens == sum(len(d.token_ids) for d in corpus.documents)
    assert corpus.span_length.max() == corpus.info.seq_len == 16
    for number in range(len(corpus.span_start)):
        document = corpus.documents[corpus.span_document[number]]
        assert SPLITS[corpus.span_split[number]] == document.document.split
        assert len(corpus.span(number)) == corpus.span_length[number] >= 2


@pytest.mark.parametrize("name", ["byte_level", "word_piece", "word_level"])
def test_spans_hold_the_text(
    tmp_path: Path, texts: list[str], name: str, request: pytest.FixtureRequest
) -> None:
    texts = [f"❄️ {text} 日本 🌊🌊 end" for text in texts]
    corpus = build(write(tmp_path / "a.jsonl", texts), request.getfixturevalue(name), seq_len=8)
    joined = dict.fromkeys(range(40), "")
    for number in range(len(corpus.span_start)):
        joined[int(corpus.span_document[number])] += corpus.span(number).text.replace(" ", "")
    for position, text in enumerate(texts):
        # A remnant of one token is no span, so that the very end may be missing.
        assert len(joined[position]) > 0.9 * len(text.replace(" ", ""))
        assert text.replace(" ", "").startswith(joined[position])


def test_exactly_the_wanted_tokens(
    tmp_path: Path, texts: list[str], byte_level: PreTrainedTokenizerFast
) -> None:
    spec = write(tmp_path / "a.jsonl", texts)
    whole, part = build(spec, byte_level), build(spec, byte_level, limit=777)
    assert part.info.n_tokens == 777
    last = part.documents[-1]
    again = whole.documents[last.document.position]
    assert 0 < len(last.token_ids) < len(again.token_ids)
    assert np.array_equal(last.token_ids, again.token_ids[: len(last.token_ids)])
    assert last.document.sha256 == again.document.sha256


def test_progress_reports_tokens(
    tmp_path: Path, texts: list[str], byte_level: PreTrainedTokenizerFast
) -> None:
    seen: list[int] = []
    spec = write(tmp_path / "a.jsonl", texts)
    tokens.build(spec, byte_level, tokens=500, seq_len=16, first=0, progress=seen.append)
    assert seen == [500]


def test_repeated_and_tokenless_documents_are_left_out(
    tmp_path: Path, texts: list[str], word_piece: PreTrainedTokenizerFast
) -> None:
    texts = [*texts, "\u200b\u200b", texts[3], *texts[:2]]
    corpus = build(write(tmp_path / "a.jsonl", texts), word_piece)
    assert corpus.info.n_documents == 40
    assert corpus.info.n_exact_duplicates == 3


def test_near_duplicates_share_a_split(
    tmp_path: Path, texts: list[str], byte_level: PreTrainedTokenizerFast
) -> None:
    changed = [f"{text} changed" for text in texts]
    corpus = build(write(tmp_path / "a.jsonl", texts + changed), byte_level)
    found = [d.document.split for d in corpus.documents]
    assert found[:40] == found[40:]
    assert corpus.info.n_near_duplicates == 40
    assert corpus.info.n_exact_duplicates == 0


def test_near_duplicates_can_be_dropped(
    tmp_path: Path, texts: list[str], byte_level: PreTrainedTokenizerFast
) -> None:
    mixed = [t for text in texts for t in (text, f"{text} changed", f"{text} again", text)]
    spec = write(tmp_path / "a.jsonl", mixed)
    corpus = tokens.build(spec, byte_level, tokens=ALL, seq_len=16, first=0, near_duplicates="drop")
    plain = build(write(tmp_path / "b.jsonl", texts), byte_level)
    assert [d.document.text for d in corpus.documents] == texts
    assert (corpus.info.n_near_duplicates, corpus.info.n_exact_duplicates) == (80, 40)
    assert corpus.info.sha256 == plain.info.sha256
    assert np.array_equal(corpus.span_split, plain.span_split)


def test_dropped_documents_use_no_tokens(
    tmp_path: Path, texts: list[str], byte_level: PreTrainedTokenizerFast
) -> None:
    mixed = [t for text in texts for t in (text, f"{text} changed")]
    spec = write(tmp_path / "a.jsonl", mixed)
    corpus = tokens.build(spec, byte_level, tokens=700, seq_len=16, first=0, near_duplicates="drop")
    assert corpus.info.n_tokens == 700
    assert (
        corpus.info.sha256 == build(write(tmp_path / "b.jsonl", texts), byte_level, 700).info.sha256
    )


def test_hash_depends_on_texts_and_settings_only(
    tmp_path: Path,
    texts: list[str],
    byte_level: PreTrainedTokenizerFast,
    word_piece: PreTrainedTokenizerFast,
) -> None:
    spec = write(tmp_path / "a.jsonl", texts)
    base = build(spec, byte_level).info
    assert build(write(tmp_path / "elsewhere.jsonl", texts), byte_level).info.sha256 == base.sha256
    other = [*texts[:-1], texts[-1] + "."]
    changes = [
        build(write(tmp_path / "b.jsonl", other), byte_level),
        build(write(tmp_path / "c.jsonl", texts[::-1]), byte_level),
        build(spec, byte_level, limit=base.n_tokens - 1),
        build(spec, byte_level, seq_len=15),
        build(spec, byte_level, first=1),
        build(spec, word_piece),
    ]
    assert len({base.sha256, *(c.info.sha256 for c in changes)}) == 7


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_documents(
    tmp_path: Path, texts: list[str], count: int, byte_level: PreTrainedTokenizerFast
) -> None:
    spec = write(tmp_path / "a.jsonl", texts[:count])
    with pytest.raises(CorpusError, match="too little text to split") as caught:
        build(spec, byte_level)
    assert all(split in str(caught.value) for split in SPLITS)


def test_a_split_without_spans(
    tmp_path: Path, texts: list[str], byte_level: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(CorpusError, match=r"0 spans.*raise --tokens"):
        build(write(tmp_path / "a.jsonl", texts), byte_level, limit=60)


@pytest.mark.parametrize(
    ("limit", "seq_len", "first", "message"),
    [
        (0, 16, 0, "tokens must be at least 1"),
        (9, 1, 0, "seq_len must be at least 2"),
        (9, 4, 4, "seq_len must be at least 5"),
        (9, 4, -1, "first must be at least 0"),
    ],
)
def test_settings_that_make_no_sense(
    limit: int, seq_len: int, first: int, message: str, byte_level: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(ConfigError, match=message):
        build("docs", byte_level, limit, seq_len, first)


def test_unknown_way_with_near_duplicates(byte_level: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ConfigError, match='one of keep, drop, not "merge"'):
        tokens.build(
            "docs",
            byte_level,
            tokens=9,
            seq_len=4,
            first=0,
            near_duplicates="merge",  # type: ignore[arg-type]
        )


def too_little(spec: str, tokenizer: PreTrainedTokenizerFast, limit: int = ALL) -> str:
    with pytest.raises(CorpusError, match="too little text to split") as caught:
        build(spec, tokenizer, limit)
    return str(caught.value)


def test_documents_of_one_token(tmp_path: Path, byte_level: PreTrainedTokenizerFast) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join("abcdefghijklmnopqrstuvwxyz0123456789"), encoding="utf-8")
    message = too_little(str(path), byte_level)
    assert "0 spans" in message and "2 tokens at least" in message


def test_all_documents_nearly_alike(tmp_path: Path, byte_level: PreTrainedTokenizerFast) -> None:
    text = " ".join(f"word{i}" for i in range(200))
    spec = write(tmp_path / "a.jsonl", [f"{text} end{i}" for i in range(300)])
    assert "documents that are nearly alike share one; give more" in too_little(spec, byte_level)


def test_one_huge_document(tmp_path: Path, byte_level: PreTrainedTokenizerFast) -> None:
    path = tmp_path / "a.txt"
    path.write_text("river frost " * 200_000, encoding="utf-8")
    began = time.process_time()
    assert "raise --tokens" in too_little(str(path), byte_level, limit=1000)
    assert time.process_time() - began < 10
    path.write_text("river frost " * 10, encoding="utf-8")
    assert "in a .txt file blank lines part them" in too_little(str(path), byte_level)


def test_a_tokenizer_without_a_pad_token(
    tmp_path: Path, texts: list[str], byte_level: PreTrainedTokenizerFast
) -> None:
    assert byte_level.pad_token is None
    assert build(write(tmp_path / "a.jsonl", texts), byte_level).info.n_documents == 40


def test_line_ends_and_byte_order_marks_make_no_difference(
    tmp_path: Path, texts: list[str], byte_level: PreTrainedTokenizerFast
) -> None:
    plain = "\n\n".join(texts)
    found = set()
    for name, content in (
        ("a.txt", plain),
        ("b.txt", "\ufeff" + plain),
        ("c.txt", plain.replace("\n", "\r\n")),
    ):
        (tmp_path / name).write_bytes(content.encode())
        found.add(build(str(tmp_path / name), byte_level).info.sha256)
    assert len(found) == 1


def test_memory_is_that_of_the_texts_that_are_used(
    tmp_path: Path, byte_level: PreTrainedTokenizerFast
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join(make_texts(80_000)), encoding="utf-8")
    tracemalloc.start()
    try:
        corpus = build(str(path), byte_level, limit=3000)
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size / 2
    finally:
        tracemalloc.stop()
    assert corpus.info.n_tokens == 3000


def test_docs_is_a_corpus(byte_level: PreTrainedTokenizerFast) -> None:
    corpus = build("docs", byte_level, limit=20_000, seq_len=64)
    assert corpus.info.n_tokens == 20_000
    assert set(corpus.span_split.tolist()) == {0, 1, 2}
