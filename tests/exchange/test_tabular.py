"""Our own formats, JSONL and Parquet: every field comes back, whatever part of them there is, and bad rows are told of."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange import about as about_
from neuroexplain.exchange import jsonl, parquet
from neuroexplain.exchange.batches import Batch
from neuroexplain.exchange.parquet import columns
from neuroexplain.exchanged import (
    About,
    ExplanationRecord,
    NeuronRecord,
    SimulationRecord,
    SpanLevels,
    SpanRecord,
)
from neuroexplain.recorded import QUANTILE_LEVELS
from neuroexplain.records import NeuronId, Ngram, Statistics
from tests.exchange.made import compared, floats, neuron

ABOUT = About(
    *("minilm", "sub/minilm", "a" * 64, "bert", "mlp", (1536, 0, 1536), "docs", "t" * 64, 64, 1),
    created_at="2026-08-01T10:00:00.123+00:00",
    config={"top_k": 20, "sae": None},
)
FORMATS = pytest.mark.parametrize("module", [jsonl, parquet], ids=["jsonl", "parquet"])


def full(index: int, polarity: int = 1) -> NeuronRecord:
    """A neuron with everything that a record can have."""
    plain = neuron(index, polarity=polarity)
    quantiles = tuple((level, level * 0.1) for level in QUANTILE_LEVELS)
    statistics = Statistics(9, 0.1, 1e-3, -0.3, 8.25, 0.125, 3, 1, 2, quantiles)
    failed = SpanLevels(
        ("a", "b"), None, None, "bad_levels", message="eleven", raw_reply="11", token_ids=(3, 4)
    )
    again = SimulationRecord("embedding", "select", (failed,), key="9c" * 32)
    first = plain.explanations[0]
    scores = (*first.scores, dataclasses.replace(first.scores[0], key="77" * 32, llm=None))
    explanation = dataclasses.replace(
        first, scores=scores, simulations=(*first.simulations, again), message="none"
    )
    return dataclasses.replace(
        plain,
        statistics=statistics,
        spans=(*plain.spans, SpanRecord(("x",), floats(0.1), token_ids=(2**32 - 1,))),
        explanations=(explanation, *plain.explanations[1:]),
        ngrams=(Ngram("on ice", 1.5, 2.25, 7), Ngram("über", 0.1, 0.3, 1)),
    )


def sides() -> Iterator[NeuronRecord]:
    """In order: three neurons, the second with both sides, the third with nothing."""
    yield full(1)
    yield full(2)
    yield full(2, -1)
    yield NeuronRecord(NeuronId("minilm", 9, 0), explanations=(ExplanationRecord("ice", "ngram"),))
    yield NeuronRecord(NeuronId("minilm", 9, 1))


def merged(batches: Iterator[Batch]) -> dict[NeuronId, NeuronRecord]:
    """Neurons, with their explanations where these came in a batch of their own."""
    found: dict[NeuronId, NeuronRecord] = {}
    for batch in batches:
        for record in batch.records:
            known = found.get(record.neuron)
            found[record.neuron] = (
                dataclasses.replace(known, explanations=record.explanations) if known else record
            )
    return found


@FORMATS
def test_every_field_comes_back(module: ModuleType, tmp_path: Path) -> None:
    written = module.write(sides(), tmp_path, ABOUT)
    assert (written.neurons, written.explanations, written.scores) == (5, 10, 12)
    files = frozenset(p.name for p in tmp_path.iterdir()) - {"about.json"}
    assert about_.load(tmp_path) == (ABOUT, files)
    found = merged(module.read(tmp_path))
    assert [compared(found[r.neuron]) for r in sides()] == [compared(r) for r in sides()]
    assert len(found) == 5


@FORMATS
def test_explanations_alone(module: ModuleType, tmp_path: Path) -> None:
    module.write(sides(), tmp_path, ABOUT, neurons=False)
    assert not module.has_neurons(tmp_path)
    found = merged(module.read(tmp_path))
    explained = [r for r in sides() if r.explanations]
    wanted = [NeuronRecord(r.neuron, explanations=r.explanations) for r in explained]
    assert [compared(r) for r in found.values()] == [compared(r) for r in wanted]


@FORMATS
def test_what_an_earlier_export_left_is_not_read(module: ModuleType, tmp_path: Path) -> None:
    module.write(sides(), tmp_path, ABOUT)
    assert module.has_neurons(tmp_path)
    module.write([full(9)], tmp_path, ABOUT, neurons=False)
    assert [r.neuron.index for batch in module.read(tmp_path) for r in batch.records] == [9]


@FORMATS
def test_the_same_records_give_the_same_bytes(module: ModuleType, tmp_path: Path) -> None:
    for name in "ab":
        module.write(sides(), tmp_path / name, ABOUT)
    assert len(list((tmp_path / "a").iterdir())) > 2
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@FORMATS
def test_an_export_that_fails_leaves_no_file_under_its_name(
    module: ModuleType, tmp_path: Path
) -> None:
    def broken() -> Iterator[NeuronRecord]:
        yield full(1)
        raise ExchangeError("the disk is full")

    with pytest.raises(ExchangeError, match="full"):
        module.write(broken(), tmp_path, ABOUT)
    assert list(tmp_path.iterdir()) == []


@FORMATS
def test_nothing_to_read(module: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match=r"there is no neurons\..* and no explanations\."):
        list(module.read(tmp_path))


@FORMATS
def test_a_later_version_is_refused(module: ModuleType, tmp_path: Path) -> None:
    module.write([full(1)], tmp_path, ABOUT)
    path = tmp_path / "about.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ExchangeError, match=r"about\.json: version: 1 or less; a later version"):
        list(module.read(tmp_path))


# JSONL


def change(path: Path, line: int, edit: Callable[[dict[str, Any]], object]) -> None:
    lines = path.read_text().splitlines(keepends=True)
    row = json.loads(lines[line - 1])
    edit(row)
    lines[line - 1] = json.dumps(row) + "\n"
    path.write_text("".join(lines))


BAD_LINES: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "no layer": ("neurons", lambda r: r.pop("layer"), "layer: missing"),
    "polarity 0": ("neurons", lambda r: r.update(polarity=0), "polarity: 1 or -1, not 0"),
    "index -1": ("neurons", lambda r: r.update(index=-1), "index: at least 0, not -1"),
    "no spans": ("neurons", lambda r: r.pop("spans"), "spans: missing"),
    "mean NaN": ("neurons", lambda r: r.update(mean=float("nan")), "mean: a finite number, not nan"),
    "fewer levels": ("neurons", lambda r: r["quantile_levels"].pop(), "quantiles: 14 numbers, as many as quantile_levels"),
    "logits of words": ("neurons", lambda r: r.update(promoted_logits=["a", "b"]), "promoted_logits: a list of numbers"),
    "activation NaN": ("neurons", lambda r: r["spans"][3]["activations"].__setitem__(1, float("nan")), r"spans\[3\]\.activations: finite numbers"),
    "activation missing": ("neurons", lambda r: r["spans"][3]["activations"].pop(), r"spans\[3\]\.activations: 5 numbers, as many as tokens, not 4"),
    "no tokens": ("neurons", lambda r: r["spans"][0].update(tokens=[], activations=[]), r"spans\[0\]\.tokens: at least one token"),
    "token id": ("neurons", lambda r: r["spans"][22].update(token_ids=[2**32]), r"spans\[22\]\.token_ids: numbers from 0 to 2\^32 - 1"),
    "token ids": ("neurons", lambda r: r["spans"][22].update(token_ids=[1, 2]), r"spans\[22\]\.token_ids: 1 numbers, as many as tokens, not 2"),
    "unknown kind": ("neurons", lambda r: r["spans"][0].update(kind="best"), r"spans\[0\]\.kind: one of top, quantile, random, contrastive, not 'best'"),
    "unknown split": ("explanations", lambda r: r["simulations"][0].update(split="dev"), r"simulations\[0\]\.split: one of explain, select, test, not 'dev'"),
    "text of a number": ("explanations", lambda r: r.update(text=3), "text: a text, not 3"),
    "failed for no reason": ("explanations", lambda r: r.update(status="failed"), "reason: a code of the failure"),
    "score of a text": ("explanations", lambda r: r["scores"][0].update(value="high"), r"scores\[0\]\.value: a number, not 'high'"),
    "level missing": ("explanations", lambda r: r["simulations"][0]["spans"][0]["expected"].pop(), r"spans\[0\]\.expected: 5 numbers, as many as tokens, not 4"),
    "no levels": ("explanations", lambda r: r["simulations"][0]["spans"][0].update(expected=None), r"spans\[0\]\.expected: a level for every token, or the reason"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_takes_its_batch_with_it(name: str, tmp_path: Path) -> None:
    file, edit, message = BAD_LINES[name]
    jsonl.write(map(full, range(6)), tmp_path, ABOUT)
    line = 3 if file == "neurons" else 7  # of the third neuron
    change(tmp_path / f"{file}.jsonl", line, edit)
    with pytest.raises(ExchangeError, match=rf"^{file}\.jsonl, line {line}: .*{message}"):
        list(jsonl.read(tmp_path, batch_size=2))
    errors: list[ExchangeError] = []
    found = list(jsonl.read(tmp_path, batch_size=2, on_error=errors.append))
    first = line - (line + 1) % 2
    assert [error.batch for error in errors] == [f"{file}.jsonl#{first}-{first + 1}"]
    assert errors[0].batch not in {batch.name for batch in found}
    assert len(found) == 3 + 9 - 1


def test_a_line_that_is_no_json_is_told_of(tmp_path: Path) -> None:
    jsonl.write(map(full, range(3)), tmp_path, ABOUT)
    path = tmp_path / "neurons.jsonl"
    path.write_text(path.read_text() + '{"subject": "min\n')
    with pytest.raises(ExchangeError, match=r"neurons\.jsonl, line 4: is no JSON"):
        list(jsonl.read(tmp_path))


def test_a_neuron_twice_in_a_batch_is_refused(tmp_path: Path) -> None:
    jsonl.write([full(1), full(1)], tmp_path, ABOUT)
    with pytest.raises(ExchangeError, match=r"line 2: index: another neuron than before, not minilm/5/1\+ again"):  # fmt: skip
        list(jsonl.read(tmp_path))


def test_a_line_longer_than_the_limit_ends_its_file(tmp_path: Path) -> None:
    jsonl.write(map(full, range(5)), tmp_path, ABOUT)
    path = tmp_path / "neurons.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    longest = max(len(line.encode()) for line in lines)
    path.write_text("".join([*lines[:3], f'{{"x": "{"y" * longest}"}}\n', lines[4]]))
    errors: list[ExchangeError] = []
    found = list(jsonl.read(tmp_path, batch_size=2, on_error=errors.append, max_line=longest))
    assert [str(error) for error in errors] == [
        f"neurons.jsonl, line 4: is longer than {longest:,} bytes"
    ]
    assert [batch.name for batch in found if batch.name.startswith("neurons")] == ["neurons.jsonl#1-2"]  # fmt: skip
    assert sum(len(batch.records) for batch in found if batch.name.startswith("expl")) == 10


def test_gzipped_lines_are_read(tmp_path: Path) -> None:
    jsonl.write(sides(), tmp_path / "plain", ABOUT)
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    for path in (tmp_path / "plain").iterdir():
        end = "" if path.suffix == ".json" else ".gz"
        data = path.read_bytes()
        (zipped / (path.name + end)).write_bytes(gzip.compress(data) if end else data)
    plain, found = merged(jsonl.read(tmp_path / "plain")), merged(jsonl.read(zipped))
    assert compared(list(found.values())) == compared(list(plain.values()))
    cut = zipped / "explanations.jsonl.gz"
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(ExchangeError, match=r"explanations\.jsonl\.gz, line \d+: the gzip file is cut off"):  # fmt: skip
        list(jsonl.read(zipped))


# Parquet


def rewrite(path: Path, edit: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(edit(pq.read_table(path)), path)


def put(column: str, row: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    def edit(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        kind = table.schema.field(column).type
        place = table.schema.get_field_index(column)
        return table.set_column(place, column, pa.array(values, kind))

    return edit


BAD_ROWS: dict[str, tuple[str, Callable[[pa.Table], pa.Table], str]] = {
    "polarity": ("neurons", put("polarity", 2, 2), r"neurons\.parquet, line 3: polarity: 1 or -1, not 2"),
    "mean": ("neurons", put("mean", 2, float("inf")), r"neurons\.parquet, line 3: mean: a finite number, not inf"),
    "activations": ("spans", put("activations", 50, [1.0]), r"spans\.parquet, line 51: activations: 5 numbers"),
    "kind": ("spans", put("kind", 50, "x"), r"spans\.parquet, line 51: kind: one of top"),
    "scorer": ("scores", put("scorer", 8, None), r"scores\.parquet, line 9: scorer: a text, not null"),
    "place": ("scores", put("explanation", 8, 3), r"scores\.parquet, line 9: explanation: the place of an explanation, below 3, not 3"),
    "status": ("explanations", put("status", 6, "good"), r"explanations\.parquet, line 7: status: one of ok, failed"),
    "JSON": ("explanations", put("settings", 6, "[1"), r"explanations\.parquet, line 7: settings: is no JSON"),
    "levels": ("simulations", put("expected", 6, None), r"simulations\.parquet, line 7: expected: a level for every token"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_takes_its_batch_with_it(name: str, tmp_path: Path) -> None:
    table, edit, message = BAD_ROWS[name]
    parquet.write(map(full, range(6)), tmp_path, ABOUT)
    rewrite(tmp_path / f"{table}.parquet", edit)
    errors: list[ExchangeError] = []
    if name == "polarity":  # nobody can tell whose row it is
        with pytest.raises(ExchangeError, match=message):
            list(parquet.read(tmp_path, batch_size=2, on_error=errors.append))
        return
    with pytest.raises(ExchangeError, match=message):
        list(parquet.read(tmp_path, batch_size=2))
    found = list(parquet.read(tmp_path, batch_size=2, on_error=errors.append))
    assert [error.batch for error in errors] == ["neurons#3-4"]
    assert [batch.name for batch in found] == ["neurons#1-2", "neurons#5-6"]
    assert [r.neuron.index for batch in found for r in batch.records] == [0, 1, 4, 5]


def test_rows_out_of_order_are_refused(tmp_path: Path) -> None:
    parquet.write(map(full, range(3)), tmp_path, ABOUT)
    rewrite(tmp_path / "explanations.parquet", lambda t: t.take(pa.array([8, *range(8)])))
    with pytest.raises(ExchangeError, match=r"explanations\.parquet: wanted rows in order .*; minilm/5/0 is out of order"):  # fmt: skip
        list(parquet.read(tmp_path))


def test_a_damaged_file_is_told_of(tmp_path: Path) -> None:
    parquet.write([full(1)], tmp_path, ABOUT)
    path = tmp_path / "scores.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ExchangeError, match=r"scores\.parquet: cannot be read: "):
        list(parquet.read(tmp_path))


def test_a_column_that_has_to_be_there_is_named(tmp_path: Path) -> None:
    parquet.write([full(1)], tmp_path, ABOUT)
    rewrite(tmp_path / "explanations.parquet", lambda t: t.drop_columns(["text"]))
    with pytest.raises(ExchangeError, match=r"explanations\.parquet: text: there is no such column"):  # fmt: skip
        list(parquet.read(tmp_path))


def test_columns_have_types(tmp_path: Path) -> None:
    parquet.write([full(1)], tmp_path, ABOUT)
    for table in columns.TABLES:
        assert pq.read_schema(tmp_path / f"{table}.parquet").remove_metadata() == columns.schema(table)  # fmt: skip
    scores = pq.read_table(tmp_path / "scores.parquet")
    assert scores["value"].to_pylist() == [0.25, None, 0.5, 0.25]
    assert str(pq.read_schema(tmp_path / "explanations.parquet").field("created_at").type) == (
        "timestamp[ms, tz=UTC]"
    )


def test_row_groups_are_of_bounded_size(tmp_path: Path) -> None:
    many = dataclasses.replace(
        full(1), ngrams=tuple(Ngram(f"n{i}", 1.0, 1.0, i) for i in range(20_000))
    )
    parquet.write([many], tmp_path, ABOUT)
    file = pq.ParquetFile(tmp_path / "ngrams.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [4_096] * 4 + [3_616]
    assert len(merged(parquet.read(tmp_path))[many.neuron].ngrams) == 20_000
