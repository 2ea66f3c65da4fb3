"""Files of OpenAI's neuron-explainer, both ways, and Transluce's variant of them."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange import openai_explainer
from neuroexplain.exchanged import NeuronRecord, SimulationRecord, SpanLevels, SpanRecord
from neuroexplain.records import NeuronId, Statistics
from tests.exchange.made import compared, floats, neuron

ALL = [neuron(index, polarity=polarity) for index in range(3) for polarity in (1, -1)]

# Fields of their dataclasses; a key more is a TypeError there.
FIELDS = {
    "NeuronRecord": "neuron_id random_sample random_sample_by_quantile quantile_boundaries mean variance skewness kurtosis"
    " most_positive_activation_records",
    "ActivationRecord": "tokens activations",
    "NeuronId": "layer_index neuron_index",
    "NeuronSimulationResults": "neuron_id scored_explanations",
    "ScoredExplanation": "explanation scored_simulation",
    "ScoredSimulation": "scored_sequence_simulations ev_correlation_score rsquared_score absolute_dev_explained_score",
    "ScoredSequenceSimulation": "simulation true_activations ev_correlation_score rsquared_score absolute_dev_explained_score",
    "SequenceSimulation": "tokens expected_activations activation_scale distribution_values distribution_probabilities"
    " uncalibrated_simulation",
    "WeightBasedSummaryOfNeuron": "input_positive input_negative output_positive output_negative",
    "TokensAndWeights": "tokens strengths",
}
NO_PLACE = ("token_ids", "ngrams", "raw_reply")


def objects(value: Any) -> list[dict[str, Any]]:
    """All objects within a value."""
    if isinstance(value, list):
        return [found for item in value for found in objects(item)]
    if isinstance(value, dict):
        return [value, *(found for item in value.values() for found in objects(item))]
    return []


def read(folder: Path, **more: Any) -> dict[NeuronId, NeuronRecord]:
    return {r.neuron: r for b in openai_explainer.read(folder, **more) for r in b.records}


def held(record: NeuronRecord) -> NeuronRecord:
    """As much of a record as the files hold."""
    good = tuple(e for e in record.explanations if e.status == "ok")
    spans = tuple(s for s in record.spans if s.kind != "contrastive")
    return replace(record, explanations=good, spans=spans)


def ordered(record: NeuronRecord) -> NeuronRecord:
    return replace(record, spans=tuple(sorted(record.spans, key=lambda s: (s.split, s.kind, s.rank))))  # fmt: skip


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("openai")
    counts = openai_explainer.write(ALL, out)
    assert counts == openai_explainer.Written(6, 12, failed=6, look_alikes=6, predictions=0)
    return out


def test_every_object_is_a_dataclass_of_theirs_with_exactly_its_fields(export: Path) -> None:
    paths = [p for p in export.rglob("*.json*") if "neuroexplain" not in p.parts]
    assert len(paths) == 18
    found = [one for path in paths for one in objects(json.loads(path.read_bytes()))]
    for one in found:
        name = one.pop("dataclass_name")
        assert sorted(one) == sorted(FIELDS[name].split()), name
    assert {"NeuronSimulationResults", "TokensAndWeights"} <= FIELDS.keys()


def test_what_is_written_is_read_again(export: Path) -> None:
    found = read(export)
    assert list(found) == [NeuronId("minilm", 5, i, p) for p in (1, -1) for i in range(3)]
    for record in ALL:
        got, wanted = ordered(found[record.neuron]), ordered(held(record))
        assert compared(got, without=NO_PLACE) == compared(wanted, without=NO_PLACE)


def test_a_second_export_is_the_same_byte_for_byte(export: Path, tmp_path: Path) -> None:
    openai_explainer.write(ALL, tmp_path)
    paths = sorted(p.relative_to(export) for p in export.rglob("*.json*"))
    assert sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*.json*")) == paths
    assert all((tmp_path / p).read_bytes() == (export / p).read_bytes() for p in paths)


def test_files_of_an_earlier_export_that_tell_no_more_go(tmp_path: Path) -> None:
    openai_explainer.write([neuron(0)], tmp_path)
    bare = replace(neuron(0), explanations=(), promoted=(), suppressed=())
    openai_explainer.write([bare], tmp_path)
    found = read(tmp_path)[neuron(0).neuron]
    assert (found.explanations, found.promoted) == ((), ())
    assert sum(1 for p in tmp_path.rglob("*.json*")) == 2


def test_neurons_are_read_in_blocks_of_indices(tmp_path: Path) -> None:
    openai_explainer.write([neuron(i) for i in (0, 1, 3, 70)], tmp_path)
    batches = list(openai_explainer.read(tmp_path, batch_size=2))
    assert [b.name for b in batches] == ["5#0-1", "5#2-3", "5#70-71"]
    assert [[r.neuron.index for r in b.records] for b in batches] == [[0, 1], [3], [70]]
    assert len({b.sha256 for b in batches}) == 3


def test_slices_of_theirs_hold_out_what_is_held_out_here(tmp_path: Path) -> None:
    counts = {"explain": 20, "select": 10, "test": 10}
    spans = [
        SpanRecord((f" {split}", f" {kind}", f" {rank}"), floats(9 - rank / 9, 0, 0), split, kind, rank)  # type: ignore[arg-type]
        for kind in ("top", "random")
        for split, n in counts.items()
        for rank in range(n if kind == "top" else n // 2)
    ]  # fmt: skip
    openai_explainer.write([NeuronRecord(NeuronId("minilm", 0, 0), spans=tuple(spans))], tmp_path)
    row = json.loads((tmp_path / "collated-activations/0/0.json").read_bytes())
    top = [r["tokens"][0].strip() for r in row["most_positive_activation_records"]]
    random = [r["tokens"][0].strip() for r in row["random_sample"]]
    n = 5  # as many test spans as there are in pairs
    for at, split in enumerate(("explain", "select", "test", "test")):
        assert set(top[at : 4 * n : 4]) == {split}
    assert set(top[4 * n :]) == {"explain", "select"}
    for at, split in enumerate(("select", "test", "test")):
        assert set(random[at : 3 * 2 : 3]) == {split}


def test_their_files_without_ours_are_read_by_their_rules(export: Path, tmp_path: Path) -> None:
    shutil.copytree(export, tmp_path / "gpt2", ignore=shutil.ignore_patterns("neuroexplain"))
    found = read(tmp_path / "gpt2")[NeuronId("gpt2", 5, 0)]
    assert found.statistics == Statistics(None, 0.1, 1.5, None, None, None, n_spans=None)
    own = ordered(held(ALL[0]))
    splits = {s.tokens + tuple(s.activations.tolist()): s.split for s in own.spans if s.kind == "top"}  # fmt: skip
    top = [s for s in found.spans if s.kind == "top"]
    assert len(top) == 9 and len(found.spans) == 21
    agreeing = sum(s.split == splits[s.tokens + tuple(s.activations.tolist())] for s in top)
    assert agreeing >= 4  # one round of four; the rest stands behind it
    first, second = found.explanations
    assert (first.text, first.explainer, first.key) == (own.explanations[0].text, "neuron-explainer", None)  # fmt: skip
    ((scored),) = first.scores
    assert (scored.score.scorer, scored.score.value, scored.split) == ("correlation", 0.25, "test")
    assert (scored.score.n_tokens, scored.score.null_reason) == (10, "not_in_file")
    (simulation,) = first.simulations
    assert compared(simulation.spans[0].expected) == compared(floats(0, 3, 10, 0.5, 0))
    assert second.scores == ()


def test_scores_of_a_sequence_are_its_own_and_null_where_undefined(tmp_path: Path) -> None:
    record = neuron(0)
    spans = (
        SpanLevels((" a", " b", " c"), floats(0, 5, 10), floats(0, 1, 2)),
        SpanLevels((" a", " b", " c"), floats(1, 1, 1), floats(0, 1, 2)),
        SpanLevels((" a",), None, floats(1), reason="parse_failed"),
    )
    own = replace(record.explanations[1], simulations=(SimulationRecord("logprob", "test", spans),))
    counts = openai_explainer.write([replace(record, explanations=(own,))], tmp_path)
    assert counts.predictions == 1
    line = json.loads((tmp_path / "explanations/5/0.jsonl").read_bytes())
    scored = line["scored_explanations"][0]["scored_simulation"]["scored_sequence_simulations"]
    assert [row["ev_correlation_score"] for row in scored] == [pytest.approx(1), None]


def _theirs(folder: Path, record: dict[str, Any] | None, results: dict[str, Any] | None) -> None:
    for tree, ending, value in (("collated-activations", "json", record), ("explanations", "jsonl", results)):  # fmt: skip
        if value is not None:
            path = folder / tree / "3" / f"8.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value), encoding="utf-8")


ID = {"layer_index": 3, "neuron_index": 8}


def test_moments_may_be_nan_and_pieces_become_texts(tmp_path: Path) -> None:
    record = {
        "neuron_id": ID, "mean": math.nan, "variance": None, "skewness": math.nan, "kurtosis": math.nan,
        "random_sample": [{"tokens": ["Ġa", "Ġb"], "activations": [0, -0.5]}] * 3, "quantile_boundaries": None,
        "random_sample_by_quantile": [
            [{"tokens": ["low"], "activations": [0.1]}], [{"tokens": ["high"], "activations": [0.9]}],
        ],
        "most_positive_activation_records": [
            {"tokens": ["Ġfroze", "Ċ"], "activations": [4 - i, 0], "token_ids": [7, 8]} for i in range(4)
        ],
    }  # fmt: skip
    _theirs(tmp_path / "gpt2-xl", record, None)
    found = read(tmp_path / "gpt2-xl")[NeuronId("gpt2-xl", 3, 8)]
    assert found.statistics is None
    top = [s for s in found.spans if s.kind == "top"]
    assert [(s.split, s.rank, s.token_ids) for s in top] == [
        ("explain", 0, (7, 8)), ("select", 0, (7, 8)), ("test", 0, (7, 8)), ("test", 1, (7, 8)),
    ]  # fmt: skip
    assert top[0].tokens == (" froze", "\n")
    assert sorted(s.split for s in found.spans if s.kind == "random") == ["select", "test", "test"]
    assert [s.tokens for s in found.spans if s.kind == "quantile"] == [("high",), ("low",)]


@pytest.mark.parametrize("calibrated", [False, True])
def test_levels_are_those_before_calibration(calibrated: bool, tmp_path: Path) -> None:
    levels = {"tokens": ["a", "b"], "expected_activations": [0, 7.5],
              "activation_scale": "simulated_normalized_activations"}  # fmt: skip
    units = {"tokens": ["a", "b"], "expected_activations": [0.1, 0.3], "activation_scale": "neuron_activations",
             "uncalibrated_simulation": levels if calibrated else None}  # fmt: skip
    sequence = {"simulation": units, "true_activations": [0, 1], "ev_correlation_score": math.nan}
    scored = {"scored_sequence_simulations": [sequence], "ev_correlation_score": math.nan, "rsquared_score": 0.5}  # fmt: skip
    results = {"neuron_id": ID, "scored_explanations": [{"explanation": "b", "scored_simulation": scored}]}  # fmt: skip
    _theirs(tmp_path / "x", None, results)
    (own,) = read(tmp_path / "x")[NeuronId("x", 3, 8)].explanations
    (span,) = own.simulations[0].spans
    if calibrated:
        assert compared(span.expected) == compared(floats(0, 7.5))
    else:
        assert (span.expected, span.reason) == (None, "other_scale")
    assert {(s.score.scorer, s.score.value, s.score.reason) for s in own.scores} == {
        ("correlation", None, "not_in_file"), ("explained_variance", 0.5, None),
    }  # fmt: skip


def test_an_explanation_that_is_scored_twice_is_one(tmp_path: Path) -> None:
    entry = {"explanation": "ice", "scored_simulation": {"scored_sequence_simulations": [], "ev_correlation_score": 0.5}}  # fmt: skip
    _theirs(tmp_path / "x", None, {"neuron_id": ID, "scored_explanations": [entry, entry]})
    (own,) = read(tmp_path / "x")[NeuronId("x", 3, 8)].explanations
    assert [(s.score.value, s.score.coverage) for s in own.scores] == [(0.5, 1)]


def test_explanations_of_transluce_come_by_sign_and_split(tmp_path: Path) -> None:
    def sequence(true: list[float], levels: list[float]) -> dict[str, Any]:
        simulation = {"tokens": ["a", "b"], "expected_activations": levels, "activation_scale": "simulated_normalized_activations"}  # fmt: skip
        return {"simulation": simulation, "true_activations": true, "ev_correlation_score": 1}

    def simulations(sign: int) -> dict[str, Any]:
        ranks = {"0": sequence([0, sign], [0, 9]), "4": sequence([sign * 2, 0], [8, 0])}
        return {
            "valid": {"simulation_data": ranks, "ev_correlation_score": 0.75},
            "random_valid": {"simulation_data": {"0": ranks["0"]}, "ev_correlation_score": 0.25},
        }

    results = {
        "neuron_id": ID,
        "explanations": {
            "pos": [{"explanation": "ice", "simulations": simulations(1)}],
            "neg": [{"explanation": "fire", "simulations": simulations(-1)}, {"explanation": "bare", "simulations": None}],
        },
        "explanation_generation_metadata": {"pos": {"ranks": [0], "num_refusals": 2, "num_format_failures": 1}, "neg": None},
    }  # fmt: skip
    _theirs(tmp_path / "llama", None, results)
    found = read(tmp_path / "llama")
    assert [(n.polarity, [e.text for e in r.explanations]) for n, r in found.items()] == [
        (-1, ["fire", "bare"]), (1, ["ice"]),
    ]  # fmt: skip
    (ice,) = found[NeuronId("llama", 3, 8)].explanations
    assert ice.settings == {"num_refusals": 2, "num_format_failures": 1}
    (simulation,) = ice.simulations
    assert (simulation.split, len(simulation.spans)) == ("select", 3)
    assert {(s.score.scorer, s.split, s.score.value) for s in ice.scores} == {
        ("correlation", "select", 0.75), ("correlation_random", "select", 0.25),
    }  # fmt: skip
    fire = found[NeuronId("llama", 3, 8, -1)].explanations[0]
    truth = fire.simulations[0].spans[0].activations
    assert truth is not None and np.array_equal(truth, floats(0, -1))
    assert fire.scores[0].score.n_nonzero == 2


def test_a_folder_without_neurons_is_refused(tmp_path: Path) -> None:
    (tmp_path / "collated-activations" / "x").mkdir(parents=True)
    with pytest.raises(ExchangeError, match="holds no neurons; wanted collated-activations/LAYER"):
        list(openai_explainer.read(tmp_path))
