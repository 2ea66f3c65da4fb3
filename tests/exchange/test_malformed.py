"""Malformed files: one line with file, line and key; nothing of the batch comes in; reading goes on or stops as asked."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange import neuronpedia, openai_explainer, saedashboard
from neuroexplain.exchanged import About
from tests.exchange.made import neuron
from tests.exchange.test_saedashboard import batch

Change = Callable[[Any], Any]
GONE = object()


def put(key: str, value: Any) -> Change:
    """Set what stands under a way of keys and places."""

    def change(row: Any) -> Any:
        *way, last = [int(k) if k.isdigit() else k for k in key.split(".")]
        at = row
        for step in way:
            at = at[step]
        if value is GONE:
            del at[last]
        else:
            at[last] = value
        return row

    return change


def export(folder: Path) -> None:
    neuronpedia.write([neuron(i) for i in range(4)], folder, About("minilm", widths=(1536,) * 6), batch_size=2)  # fmt: skip


NEURONPEDIA: dict[str, tuple[str, Change, str]] = {
    "no index": ("features", put("index", GONE), "index: missing"),
    "index of words": ("features", put("index", "two"), "index: a whole number, not 'two'"),
    "index as a fraction": ("features", put("index", 1.5), r"index: a whole number, not 1\.5"),
    "index below 0": ("features", put("index", -1), "index: at least 0, not -1"),
    "index beyond the layer": ("features", put("index", "1536"), "index: below 1536, not 1536"),
    "index of 5,000 digits": ("features", put("index", "9" * 5000), "index: a whole number, not '9999"),
    "a neuron twice": ("features", put("index", "0"), r"index: a neuron once; minilm/5/0\+ is in line 1 already"),
    "a layer that is none": ("features", put("layer", "e-res"), "layer: a layer's number, .*not 'e-res'"),
    "layer null": ("features", put("layer", None), "layer: a text, not null"),
    "logits without tokens": ("features", put("pos_str", GONE), "pos_str: missing"),
    "logits NaN": ("features", put("pos_values", [1, float("nan")]), r"pos_values: finite numbers, not nan \(item 1\)"),
    "site of numbers": ("features", put("hookName", 3), "hookName: a text, not 3"),
    "share infinite": ("features", put("frac_nonzero", float("inf")), "frac_nonzero: a finite number, not inf"),
    "no tokens": ("activations", put("tokens", GONE), "tokens: missing"),
    "empty tokens": ("activations", lambda row: row | {"tokens": [], "values": []}, "tokens: at least one token"),
    "tokens a text": ("activations", put("tokens", "a b"), "tokens: a list, not 'a b'"),
    "tokens of numbers": ("activations", put("tokens", [1, 2, 3, 4, 5]), "tokens: a list of texts, not of 1"),
    "values of texts": ("activations", put("values", ["1"] * 5), "values: a list of numbers, not of '1'"),
    "values of null": ("activations", put("values", [None] * 5), "values: a list of numbers, not of null"),
    "values of booleans": ("activations", put("values", [True] * 5), "values: a list of numbers, not of True"),
    "value NaN": ("activations", put("values.2", float("nan")), r"values: finite numbers, not nan \(item 2\)"),
    "value infinite": ("activations", put("values.0", float("-inf")), r"values: finite numbers, not -inf \(item 0\)"),
    "value beyond float32": ("activations", put("values.0", 1e300), r"values: finite numbers, not 1e\+300"),
    "value beyond floats": ("activations", put("values.0", 10**400), "values: finite numbers, not larger"),
    "a value too few": ("activations", put("values.4", GONE), "values: 5 numbers, as many as tokens, not 4"),
    "explanation null": ("explanations", put("description", None), "description: a text, not null"),
    "explanation blank": ("explanations", put("description", " \n"), "description: a text"),
    "an id twice": ("explanations", lambda row: row | {"id": "same"}, "id: an id once"),
    "notes of ours, broken": ("explanations", put("notes", '{"neuroexplain": {"scores": 3}}'), r"notes\.neuroexplain\..*: "),
    "a score's value as text": ("explanation_scores", put("value", "0.5"), "value: a number, not '0.5'"),
    "a score of nobody": ("explanation_scores", put("explanationId", "x"), "explanationId: the id of an explanation"),
    "a score of NaN": ("explanation_scores", put("value", float("nan")), "value: a finite number, not nan"),
}  # fmt: skip


def changed(path: Path, change: Change) -> int:
    """Change the last line of a table, or all where the change is a function; returns the last line's number."""
    lines = gzip.decompress(path.read_bytes()).splitlines()
    places = range(len(lines)) if change.__name__ == "<lambda>" else [len(lines) - 1]
    for place in places:
        lines[place] = json.dumps(change(json.loads(lines[place]))).encode()
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    return len(lines)


@pytest.mark.parametrize(("table", "change", "wanted"), NEURONPEDIA.values(), ids=NEURONPEDIA)
def test_rows_of_neuronpedia(table: str, change: Change, wanted: str, tmp_path: Path) -> None:
    export(tmp_path)
    line = changed(tmp_path / f"minilm/5/{table}/batch-0.jsonl.gz", change)
    where = rf"^minilm/5/{table}/batch-0\.jsonl\.gz, line ({line}|1|2): "
    _refused(neuronpedia.read, tmp_path, where + wanted, "minilm/5/features/batch-0.jsonl.gz", [2, 3])  # fmt: skip


def _refused(read: Any, folder: Path, wanted: str, name: str, left: list[int], **more: Any) -> None:
    """Reading stops with the line that is wanted; told of it, goes on with the other batches."""
    with pytest.raises(ExchangeError, match=wanted) as caught:
        list(read(folder, **more))
    assert caught.value.batch == name
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    told: list[ExchangeError] = []
    found = list(read(folder, on_error=told.append, **more))
    assert [str(error) for error in told] == [str(caught.value)]
    assert [r.neuron.index for b in found for r in b.records] == left


BYTES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "gzip cut off": (lambda data: data[: len(data) // 2], r", line \d+: the gzip file is cut off"),
    "gzip damaged": (lambda data: data[:30] + b"\x00" * 200 + data[230:], r", line \d+: is no gzip file|: is no "),
    "no gzip": (lambda data: gzip.decompress(data), ", line 1: is no gzip file"),
    "no bytes": (lambda _: b"", ": is empty"),
    "no lines": (lambda _: gzip.compress(b""), ": is empty"),
    "no UTF-8": (lambda _: gzip.compress(b'{"\xff": 1}\n'), ", line 1: is no UTF-8 at byte 3"),
    "no JSON": (lambda data: gzip.compress(gzip.decompress(data) + b'{"a": }\n'), r", line \d+: is no JSON: Expecting value at character 7"),
    "a list": (lambda _: gzip.compress(b"[1, 2]\n"), ", line 1: value: an object, not a list"),
    "nested": (lambda _: gzip.compress(b'{"a": ' + b"[" * 50_000 + b"\n"), ", line 1: is nested too deeply"),
    "a number of digits": (lambda _: gzip.compress(b'{"a": ' + b"1" * 10_000 + b"}\n"), ", line 1: is no JSON that can be read"),
    "a long line": (lambda _: gzip.compress(b'{"a": "' + b"x" * 70_000), ", line 1: is longer than 60,000 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("table", ["features", "explanations"])
@pytest.mark.parametrize(("change", "wanted"), BYTES.values(), ids=BYTES)
def test_bytes_of_neuronpedia(
    change: Callable[[bytes], bytes], wanted: str, table: str, tmp_path: Path
) -> None:
    export(tmp_path)
    path = tmp_path / f"minilm/5/{table}/batch-0.jsonl.gz"
    path.write_bytes(change(path.read_bytes()))
    where = rf"^minilm/5/{table}/batch-0\.jsonl\.gz({wanted})"
    _refused(neuronpedia.read, tmp_path, where, "minilm/5/features/batch-0.jsonl.gz", [2, 3], max_line=60_000)  # fmt: skip


TOP, SCORED = "most_positive_activation_records.0", "scored_explanations.0"
SEQUENCE = f"{SCORED}.scored_simulation.scored_sequence_simulations.0"
OPENAI: dict[str, tuple[str, Change, str]] = {
    "no id": ("collated-activations", put("neuron_id", GONE), "neuron_id: missing"),
    "another id": ("collated-activations", put("neuron_id.neuron_index", 9), r"neuron_id\.neuron_index: 0, as the file's name has it"),
    "no records": ("collated-activations", put("random_sample", GONE), "random_sample: missing"),
    "a record a list": ("collated-activations", put(TOP, []), r"most_positive_activation_records\[0\]: an object, not a list"),
    "an activation NaN": ("collated-activations", put(f"{TOP}.activations.1", float("nan")), r"most_positive_activation_records\[0\]\.activations: finite numbers, not nan \(item 1\)"),
    "an activation too few": ("collated-activations", put(f"{TOP}.activations.1", GONE), r"\[0\]\.activations: 5 numbers, as many as tokens, not 4"),
    "quantiles of numbers": ("collated-activations", put("random_sample_by_quantile", [1]), r"random_sample_by_quantile\[0\]: a list, not 1"),
    "fewer spans than ours": ("collated-activations", put(TOP, GONE), r"spans: 20 of them, as collated-activations/5/0\.json has"),
    "no explanations": ("explanations", put("scored_explanations", GONE), "scored_explanations: missing"),
    "fewer explanations than ours": ("explanations", put(SCORED, GONE), r"scored: \d of them, as explanations/5/0\.jsonl has"),
    "explanation a number": ("explanations", put(f"{SCORED}.explanation", 3), r"scored_explanations\[0\]\.explanation: a text, not 3"),
    "prediction too long": ("explanations", put(f"{SEQUENCE}.simulation.expected_activations", [0.0] * 6), r"expected_activations: 5 numbers, as many as tokens, not 6"),
    "truth NaN": ("explanations", put(f"{SEQUENCE}.true_activations.0", float("nan")), r"true_activations: finite numbers, not nan"),
    "strengths too few": ("related-tokens/weight-based", put("output_positive.strengths", [1.0]), r"output_positive\.strengths: 2 numbers"),
    "ours without statistics' count": ("neuroexplain", put("statistics.peaks_excluded", GONE), r"statistics\.peaks_excluded: missing"),
    "ours with another place": ("neuroexplain", put("spans.0", "nowhere"), "spans: a place, not 'nowhere'"),
    "ours with another split": ("neuroexplain", put("scored.0.of.1", "train"), r"scored\[0\]\.of\.split: one of explain, select, test, not 'train'"),
}  # fmt: skip


@pytest.mark.parametrize(("tree", "change", "wanted"), OPENAI.values(), ids=OPENAI)
def test_files_of_neuron_explainer(tree: str, change: Change, wanted: str, tmp_path: Path) -> None:
    openai_explainer.write([neuron(0), neuron(64)], tmp_path)
    ending = "jsonl" if tree == "explanations" else "json"
    path = tmp_path / tree / "5" / f"0.{ending}"
    path.write_text(json.dumps(change(json.loads(path.read_bytes()))), encoding="utf-8")
    file = r"neuroexplain/5/0\.json" if " ours" in wanted or "of them" in wanted else rf"{tree}/5/0\.{ending}"  # fmt: skip
    _refused(openai_explainer.read, tmp_path, rf"^{file}(, line 1)?: .*{wanted}", "5#0-63", [64])


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", ": is empty"),
        (b"{}\n{}\n", ": holds 2 lines; wanted one"),
        (b"\n\n", ": holds 0 lines; wanted one"),
        (b'{"neuron_id": \xff}', ", line 1: is no UTF-8"),
    ],
)
def test_explanations_of_neuron_explainer_are_one_line(
    content: bytes, wanted: str, tmp_path: Path
) -> None:
    openai_explainer.write([neuron(0), neuron(64)], tmp_path)
    (tmp_path / "explanations/5/0.jsonl").write_bytes(content)
    _refused(openai_explainer.read, tmp_path, r"^explanations/5/0\.jsonl" + wanted, "5#0-63", [64])


SPAN = "features.1.activations.2"
DASHBOARD: dict[str, tuple[Change, str]] = {
    "no layer": (put("layer", GONE), "layer: missing"),
    "layer of words": (put("layer", "five"), "layer: a whole number, not 'five'"),
    "no features": (put("features", GONE), "features: missing"),
    "no index": (put("features.1.feature_index", GONE), r"features\[1\]\.feature_index: missing"),
    "a latent twice": (put("features.1.feature_index", 0), r"features\[1\]\.feature_index: a latent once; 0 is there"),
    "a value NaN": (put(f"{SPAN}.values.3", float("nan")), r"features\[1\]\.activations\[2\]\.values: finite numbers, not nan \(item 3\)"),
    "a token too many": (put(f"{SPAN}.tokens", ["a"] * 5), r"features\[1\]\.activations\[2\]\.values: 5 numbers, as many as tokens, not 4"),
    "logits too few": (put("features.1.pos_values", [1]), r"features\[1\]\.pos_values: 2 numbers"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "wanted"), DASHBOARD.values(), ids=DASHBOARD)
def test_files_of_saedashboard(change: Change, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "batch-0.json").write_text(json.dumps(change(batch(0, 1))))
    (tmp_path / "batch-1.json").write_text(json.dumps(batch(2)))
    _refused(saedashboard.read, tmp_path, rf"^batch-0\.json: {wanted}", "batch-0.json", [2])


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "is empty"),
        (b'{"model_id": "a",\n "layer"', r"is no JSON: Expecting ':' delimiter at character \d+ \(line 2\)"),
        (b"\xff\xfe", "is no UTF-8 at byte 1"),
    ],
)  # fmt: skip
def test_bytes_of_saedashboard(content: bytes, wanted: str, tmp_path: Path) -> None:
    (tmp_path / "batch-0.json").write_bytes(content)
    (tmp_path / "batch-1.json").write_text(json.dumps(batch(2)))
    _refused(saedashboard.read, tmp_path, rf"^batch-0\.json: {wanted}", "batch-0.json", [2])


@pytest.mark.parametrize(
    ("reader", "path"),
    [
        ("neuronpedia", "minilm/5/features/batch-0.jsonl"),
        ("openai_explainer", "explanations/5/0.jsonl"),
        ("openai_explainer", "collated-activations/5/0.json"),
        ("saedashboard", "batch-0.json"),
    ],
)
def test_a_line_of_a_gigabyte_is_refused_before_it_is_in_memory(
    reader: str, path: str, tmp_path: Path
) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as hole:
        hole.truncate(1 << 30)
    code = (
        "import resource, sys\nfrom pathlib import Path\n"
        f"from neuroexplain.exchange import {reader}\n"
        "from neuroexplain.errors import ExchangeError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"told = []\nassert list({reader}.read(Path({str(tmp_path)!r}), on_error=told.append)) == []\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print((after - before) // 1024, told[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)  # fmt: skip
    megabytes, _, said = done.stdout.partition(" ")
    assert "is longer than" in said and path in said
    assert int(megabytes) < 200
