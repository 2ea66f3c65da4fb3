from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from neuroexplain.corpora import tokens
from neuroexplain.errors import ConfigError, CorpusError
from neuroexplain.recorded import TokenCorpus
from neuroexplain.records import SPLITS

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


def test_docs_is_a_corpus(byte_level: PreTrainedTokenizerFast) -> None:
    corpus = build("docs", byte_level, limit=20_000, seq_len=64)
    assert corpus.info.n_tokens == 20_000
    assert set(corpus.span_split.tolist()) == {0, 1, 2}
