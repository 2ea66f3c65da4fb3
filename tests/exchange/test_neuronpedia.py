"""Neuronpedia's bulk layout: exactly the keys of its tables, the same records back, the same bytes again."""

from __future__ import annotations

import gzip
import json
import logging
import re
import tracemalloc
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.errors import ExchangeError
from neuroexplain.exchange import neuronpedia
from neuroexplain.exchange.neuronpedia.tables import Source
from neuroexplain.exchanged import About, NeuronRecord, ScoreRecord, SimulationRecord, SpanLevels
from neuroexplain.records import NeuronId, Statistics
from tests.exchange.made import compared, floats, neuron, score

ABOUT = About("minilm", corpus="docs", widths=(1536,) * 6, seq_len=64, created_at="2026-08-01T09:00:00+00:00")  # fmt: skip
ALL = [neuron(index, polarity=polarity) for index in range(5) for polarity in (1, -1)]

# As its tools have them: `Feature(**line)` refuses a key more, its importer loses a key less.
FEATURE = """modelId layer index creatorId createdAt maxActApprox hasVector vector vectorLabel vectorDefaultSteerStrength hookName
topkCosSimIndices topkCosSimValues neuron_alignment_indices neuron_alignment_values neuron_alignment_l1 correlated_neurons_indices
correlated_neurons_pearson correlated_neurons_l1 correlated_features_indices correlated_features_pearson correlated_features_l1
neg_str neg_values pos_str pos_values frac_nonzero freq_hist_data_bar_heights freq_hist_data_bar_values logits_hist_data_bar_heights
logits_hist_data_bar_values decoder_weights_dist sourceSetName"""
ACTIVATION = """id tokens index layer modelId maxValue maxValueTokenIndex minValue values creatorId dataSource dataIndex dfaValues
dfaTargetIndex dfaMaxValue createdAt lossValues logitContributions binMin binMax binContains qualifyingTokenIndex zIndices zValues"""
EXPLANATION = """id modelId layer index description authorId embedding triggeredById typeName explanationModelName notes createdAt"""
SCORE = """id initiatedByUserId value explanationId explanationScoreTypeName explanationScoreModelName jsonDetails createdAt"""
SOURCE = """id modelId setName creatorId hasDashboards inferenceEnabled inferenceHosts saelensConfig saelensRelease saelensSaeId hfRepoId
hfFolderId visibility defaultOfModelId hasUmap hasUmapLogSparsity hasUmapClusters num_prompts num_tokens_in_prompt dataset notes
createdAt"""
SOURCE_SET = """modelId name creatorId hasDashboards visibility description type creatorName urls creatorEmail releaseName
defaultOfModelId defaultRange defaultShowBreaks showDfa showCorrelated showHeadAttribution showUmap createdAt"""
RELEASE = """name description creatorName creatorId visibility isNewUi featured descriptionShort urls creatorEmail creatorNameShort
defaultSourceSetName defaultSourceId defaultUmapSourceIds createdAt"""
MODEL = """id instruct creatorId displayNameShort displayName tlensId dimension visibility defaultSourceSetName defaultSourceId
inferenceEnabled layers neuronsPerLayer createdAt owner updatedAt website"""
RECALL = (
    "text str_tokens activations distance ground_truth prediction highlighted correct probability"
)
TYPE = "name displayName description featured isAttention url creatorName creatorId createdAt updatedAt settings"
KEYS = {
    "features/batch-0.jsonl.gz": FEATURE,
    "activations/batch-0.jsonl.gz": ACTIVATION,
    "explanations/batch-0.jsonl.gz": EXPLANATION,
    "explanation_scores/batch-0.jsonl.gz": SCORE,
    "source.jsonl": SOURCE,
    "sourceset.jsonl": SOURCE_SET,
    "release.jsonl": RELEASE,
    "model.jsonl": MODEL,
    "../../config/explanation_type.jsonl": f"{TYPE} explainerModelSettingsId",
    "../../config/explanation_score_type.jsonl": f"{TYPE} scoreDescription scorerModel",
    "../../config/explanation_model_type.jsonl": "name displayName description featured openRouterModelId url creatorName createdAt updatedAt",
    "../../config/explanation_score_model.jsonl": "name displayName description featured openRouterModelId url creatorName createdAt updatedAt",
}  # fmt: skip

# What a record has and the layout does not.
NO_PLACE = ("token_ids", "simulations", "ngrams", "raw_reply")


def rows(path: Path) -> list[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def written(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def read(folder: Path, **more: Any) -> dict[NeuronId, NeuronRecord]:
    return {r.neuron: r for batch in neuronpedia.read(folder, **more) for r in batch.records}


def held(record: NeuronRecord) -> NeuronRecord:
    """As much of a record as the layout holds."""
    known, positive = record.statistics, record.neuron.polarity > 0
    assert known is not None
    kept = Statistics(
        *(None, None, None),
        min=None if positive else known.min,
        max=known.max if positive else None,
        frac_positive=known.frac_positive if positive else None,
        n_spans=None,
    )
    good = tuple(e for e in record.explanations if e.status == "ok")
    return replace(record, statistics=kept, explanations=good)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export")
    counts = neuronpedia.write(ALL, out, ABOUT, batch_size=2)
    assert counts == neuronpedia.Written(10, 220, 20, 20, long=0, failed=10)
    return out


@pytest.mark.parametrize("source", ["5", "5-neurons__negative"])
@pytest.mark.parametrize("file", KEYS)
def test_every_line_has_exactly_the_keys_of_its_table(export: Path, source: str, file: str) -> None:
    lines = rows(export / "minilm" / source / file)
    assert lines
    first = list(lines[0])
    assert all(list(line) == first for line in lines)
    assert sorted(first) == sorted(KEYS[file].split())


def test_tables_have_batches_of_the_same_names_with_the_same_neurons(export: Path) -> None:
    source = export / "minilm" / "5"
    for kind in ("features", "activations", "explanations", "explanation_scores"):
        assert sorted(p.name for p in (source / kind).iterdir()) == [f"batch-{n}.jsonl.gz" for n in range(3)]  # fmt: skip
    for number, wanted in enumerate([{"0", "1"}, {"2", "3"}, {"4"}]):
        for kind in ("features", "activations", "explanations"):
            found = rows(source / kind / f"batch-{number}.jsonl.gz")
            assert {row["index"] for row in found} == wanted
            assert {(row["modelId"], row["layer"]) for row in found} == {("minilm", "5")}


def test_ids_are_unique_and_have_the_form_of_theirs(export: Path) -> None:
    ids = [row["id"] for p in export.rglob("batch-*.gz") for row in rows(p) if "id" in row]
    assert len(ids) == len(set(ids)) == 260
    assert all(re.fullmatch(r"c[0-9a-z]{24}", one) for one in ids)


def test_a_second_export_is_the_same_byte_for_byte(export: Path, tmp_path: Path) -> None:
    first = written(export)
    neuronpedia.write(ALL, tmp_path, ABOUT, batch_size=2)
    assert written(tmp_path) == first
    neuronpedia.write(ALL, tmp_path, ABOUT, batch_size=2)  # over the first
    assert written(tmp_path) == first


def test_what_is_written_is_read_again(export: Path) -> None:
    found = read(export)
    assert list(found) == sorted(found, key=lambda n: (-n.polarity, n.index))
    for record in ALL:
        assert compared(found[record.neuron], without=NO_PLACE) == compared(held(record), without=NO_PLACE)  # fmt: skip


@pytest.mark.parametrize("below", [".", "minilm", "minilm/5"])
def test_any_folder_of_it_can_be_read(export: Path, below: str) -> None:
    batches = list(neuronpedia.read(export / below))
    prefix = {".": "minilm/5/", "minilm": "5/", "minilm/5": ""}[below]
    names = [f"{prefix}features/batch-{n}.jsonl.gz" for n in range(3)]
    assert [batch.name for batch in batches][:3] == names
    assert [len(batch.records) for batch in batches][:3] == [2, 2, 1]


def test_a_batch_is_cut_where_it_has_more_neurons_than_wanted(tmp_path: Path) -> None:
    neuronpedia.write([neuron(index) for index in range(5)], tmp_path, ABOUT)
    whole = next(iter(neuronpedia.read(tmp_path)))
    parts = list(neuronpedia.read(tmp_path, batch_size=2))
    assert [p.name for p in parts] == [f"{whole.name}#{cut}" for cut in ("0-1", "2-3", "4-4")]
    assert {p.sha256 for p in parts} == {whole.sha256}
    assert [r.neuron.index for p in parts for r in p.records] == list(range(5))


def test_lower_sides_are_negated_and_shown_by_their_strongest(export: Path) -> None:
    source = export / "minilm" / "5-neurons__negative"
    (record,) = [r for r in ALL if r.neuron == NeuronId("minilm", 5, 0, -1)]
    first = rows(source / "activations" / "batch-0.jsonl.gz")[0]
    assert first["values"] == (-record.spans[0].activations).tolist()
    assert (first["maxValue"], first["maxValueTokenIndex"]) == (9.0, 0)
    feature = rows(source / "features" / "batch-0.jsonl.gz")[0]
    assert (feature["maxActApprox"], feature["frac_nonzero"]) == (9.5, 0.6)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("5", Source(5, "neurons", 1)),
        ("5-neurons__negative", Source(5, "neurons", -1)),
        ("12-res-jb", Source(12, "res-jb", 1)),
        ("3-gemmascope-res-16k__l0-83", Source(3, "gemmascope-res-16k", 1, "l0-83")),
    ],
)
def test_sources_are_named_as_their_rules_say(name: str, source: Source) -> None:
    assert Source.parse(name) == source
    assert str(source) == name


def test_leading_tokens_that_do_not_count_are_never_the_peak(tmp_path: Path) -> None:
    loud = replace(neuron(0).spans[0], activations=floats(100, 1, 3, 2, 0))
    record = NeuronRecord(NeuronId("gpt2", 0, 0), spans=(loud,))
    neuronpedia.write([record], tmp_path, About("gpt2", first=1))
    (row,) = rows(tmp_path / "gpt2/0/activations/batch-0.jsonl.gz")
    assert (row["maxValue"], row["maxValueTokenIndex"], row["values"][0]) == (3.0, 2, 100.0)
    assert rows(tmp_path / "gpt2/0/features/batch-0.jsonl.gz")[0]["maxActApprox"] == 3.0


def test_long_explanations_are_kept_counted_and_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long = replace(neuron(0).explanations[1], text="x" * 513)
    records = [replace(neuron(index), explanations=(long,)) for index in range(3)]
    with caplog.at_level(logging.WARNING, "neuroexplain"):
        assert neuronpedia.write(records, tmp_path, ABOUT).long == 3
    (said,) = caplog.messages
    assert "512" in said and "minilm/5/0+, 513 characters" in said
    assert all(r.explanations[0].text == "x" * 513 for r in read(tmp_path).values())


def test_scores_without_a_value_stand_in_the_notes_alone(export: Path) -> None:
    explanation = rows(export / "minilm/5/explanations/batch-0.jsonl.gz")[0]
    notes = json.loads(explanation["notes"])["neuroexplain"]
    assert [(s["scorer"], s["value"], s["reason"]) for s in notes["scores"]] == [
        ("correlation", 0.25, None),
        ("explained_variance", None, "constant_simulation"),
        ("correlation", 0.5, None),
    ]
    found = rows(export / "minilm/5/explanation_scores/batch-0.jsonl.gz")
    mine = [row for row in found if row["explanationId"] == explanation["id"]]
    assert [(r["explanationScoreTypeName"], r["value"]) for r in mine] == [("correlation", 0.25), ("correlation", 0.5)]  # fmt: skip
    assert {r["explanationScoreModelName"] for r in mine} == {"sparse openai:m"}


def _judged(simulator: str, scorer: str, levels: Sequence[float]) -> NeuronRecord:
    """A neuron with scale 9 and verdicts on its first held-out span, which peaks at 9, and on a random one."""
    record = neuron(0)
    chosen = [s for s in record.spans if s.split == "test" and s.rank == 0 and s.kind in ("top", "random")]  # fmt: skip
    spans = tuple(
        SpanLevels(s.tokens, floats(*[level] * 5), document=s.document, start=s.start)
        for s, level in zip(chosen, levels, strict=True)
    )
    own = replace(
        record.explanations[0],
        scores=(ScoreRecord(score(scorer, 0.75), simulator, "test", "openai:m"),),
        simulations=(SimulationRecord(simulator, "test", spans, "openai:m"),),
    )
    return replace(record, explanations=(own,))


def _details(record: NeuronRecord, out: Path) -> Any:
    neuronpedia.write([record], out, ABOUT)
    return json.loads(rows(out / "minilm/5/explanation_scores/batch-0.jsonl.gz")[0]["jsonDetails"])


def test_verdicts_of_detection_are_details_of_its_score(tmp_path: Path) -> None:
    strong, weak = _details(_judged("detection", "detection_f1", (9.0, 6.0)), tmp_path)
    assert sorted(strong) == sorted(RECALL.split())
    assert (strong["ground_truth"], strong["prediction"], strong["correct"]) == (True, True, True)
    assert (strong["probability"], strong["distance"]) == (pytest.approx(0.9), 1)
    assert strong["text"] == "".join(strong["str_tokens"])
    assert (weak["ground_truth"], weak["prediction"], weak["correct"]) == (False, True, False)
    assert weak["distance"] > 5


def test_similarities_of_embedding_are_details_of_its_score(tmp_path: Path) -> None:
    strong, weak = _details(_judged("embedding", "correlation", (10.0, 2.5)), tmp_path)
    assert set(strong) == {"text", "str_tokens", "activations", "distance", "similarity"}
    assert (strong["similarity"], weak["similarity"]) == (1.0, 0.5)


@pytest.mark.parametrize("simulator", ["sparse", "fuzzing"])
def test_other_scores_have_no_details(simulator: str, tmp_path: Path) -> None:
    assert _details(_judged(simulator, "correlation", (10.0, 0.0)), tmp_path) == {}


def test_config_keeps_the_names_of_other_exports(export: Path, tmp_path: Path) -> None:
    neuronpedia.write([neuron(0)], tmp_path, ABOUT)
    other = replace(neuron(0).explanations[1], explainer="other")
    neuronpedia.write([NeuronRecord(NeuronId("gpt2", 0, 0), explanations=(other,))], tmp_path, About("gpt2"))  # fmt: skip
    names = [row["name"] for row in rows(tmp_path / "config/explanation_type.jsonl")]
    assert names == ["ngram", "other", "token-activation"]
    assert (tmp_path / "config/eval_type.jsonl").read_bytes() == b""


def test_a_shorter_export_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    neuronpedia.write(ALL, tmp_path, ABOUT, batch_size=1)
    neuronpedia.write([neuron(0)], tmp_path, ABOUT)
    assert [p.name for p in (tmp_path / "minilm/5").glob("*/batch-*")] == ["batch-0.jsonl.gz"] * 4


def test_what_others_wrote_is_not_replaced(tmp_path: Path) -> None:
    theirs = tmp_path / "minilm/5/features/batch-7.jsonl.gz"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    with pytest.raises(ExchangeError, match="minilm/5: holds batches that are no earlier export"):
        neuronpedia.write([neuron(0)], tmp_path, ABOUT)
    assert theirs.read_bytes() == b"theirs"


def test_a_subject_whose_name_comes_to_the_same_is_not_replaced(tmp_path: Path) -> None:
    neuronpedia.write([neuron(0, subject="org/model")], tmp_path, About("org/model"))
    with pytest.raises(ExchangeError, match="no earlier export of org-model"):
        neuronpedia.write([neuron(0, subject="org-model")], tmp_path, About("org-model"))


def test_an_export_that_breaks_off_leaves_no_file_that_looks_whole(tmp_path: Path) -> None:
    def broken() -> Any:
        yield neuron(0)
        yield neuron(1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        neuronpedia.write(broken(), tmp_path, ABOUT, batch_size=1)
    assert sorted(p.name for p in tmp_path.rglob("*batch-*")) == ["batch-0.jsonl.gz"] * 4
    assert list(read(tmp_path)) == [NeuronId("minilm", 5, 0)]


@pytest.mark.parametrize("name", ["../../etc", "Org/Model.1", "..", "a b\x00c", "日本"])
def test_any_subject_has_a_folder_within_the_export(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    record = replace(neuron(0), neuron=NeuronId(name, 0, 0))
    neuronpedia.write([record], out, About(name))
    assert {p.name for p in tmp_path.iterdir()} == {"out"}
    folders = {p.name for p in out.iterdir()} - {"config"}
    assert len(folders) == 1 and re.fullmatch(r"[a-z0-9_-]+", folders.pop())
    assert list(read(out)) == [NeuronId(name, 0, 0)]


# As the public files are: features in order of text, other tables cut elsewhere, pieces, keys that nobody knows.
def _public(folder: Path) -> None:
    source = folder / "gpt2-small" / "5-res-jb"
    key = {"modelId": "gpt2-small", "layer": "5-res-jb"}
    act = {**key, "tokens": ["Ġit", "âĢ", "Ļs", "Ċ"], "binMin": -1.0, "binContains": -1.0}
    tables: dict[str, list[dict[str, Any]]] = {
        "features/batch-0": [
            {**key, "index": index, "pos_str": ["Ġice"], "pos_values": [1.25], "neg_str": [], "neg_values": [],
             "maxActApprox": 2.5, "frac_nonzero": 0.01, "umap_x": 3}
            for index in ("0", "10")
        ],
        "features/batch-1": [{**key, "index": 2}],
        "activations/batch-0": [
            {**act, "index": "10", "values": [0, 0.5, 0, 0]},
            {**act, "index": "10", "values": [0, 2.5, 0, 0], "dataIndex": None},
            {**act, "index": "10", "values": [0, 1, 0, 0], "binMin": 0.5, "binContains": 0.25},
            {**act, "index": "2", "values": [1, 0, 0, 0]},
        ],
        "explanations/batch-0": [
            {**key, "index": "2", "id": "a", "description": "ice", "typeName": "oai_token-act-pair",
             "explanationModelName": "gpt-4o-mini", "notes": "seen", "embedding": [0.5], "createdAt": "2024-01-01"},
        ],
        "explanation_scores/batch-0": [
            {"explanationId": "a", "value": 0.5, "explanationScoreTypeName": "recall_alt",
             "explanationScoreModelName": "claude"},
        ],
    }  # fmt: skip
    for name, lines in tables.items():
        path = source / f"{name}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in lines).encode()))


def test_public_exports_come_in_by_parts(tmp_path: Path) -> None:
    _public(tmp_path)
    first, second = neuronpedia.read(tmp_path)
    name = "gpt2-small-res-jb"
    assert [str(r.neuron) for r in first.records] == [f"{name}/5/{i}+" for i in (0, 2, 10)]
    assert [str(r.neuron) for r in second.records] == [f"{name}/5/2+"]
    bare, two, ten = first.records
    assert (bare.spans, bare.promoted) == ((), ((" ice", 1.25),))
    assert bare.statistics == Statistics(None, None, None, None, 2.5, 0.01, n_spans=None)
    assert [(s.kind, s.rank, float(s.activations.max())) for s in ten.spans] == [
        ("top", 0, 2.5), ("quantile", 0, 1.0), ("top", 1, 0.5),
    ]  # fmt: skip
    assert ten.spans[0].tokens == (" it", "’", "s", "\n")
    (own,) = two.explanations
    assert (own.text, own.explainer, own.llm, own.key) == ("ice", "oai_token-act-pair", "gpt-4o-mini", None)  # fmt: skip
    (scored,) = own.scores
    assert (scored.score.scorer, scored.score.value, scored.simulator) == ("recall_alt", 0.5, "claude")  # fmt: skip
    assert (scored.score.ci_low, scored.score.floor, scored.score.null_reason) == (None, None, "not_in_file")  # fmt: skip


def test_the_subject_can_be_named(tmp_path: Path) -> None:
    _public(tmp_path)
    assert {n.subject for n in read(tmp_path, subject="mine")} == {"mine"}


def test_a_folder_without_batches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError, match=r"holds no batches; wanted \{modelId\}/\{sourceId\}"):
        list(neuronpedia.read(tmp_path))
    with pytest.raises(ExchangeError, match="there is no such folder"):
        list(neuronpedia.read(tmp_path / "not"))


def _peak(work: Callable[[], object]) -> int:
    """Bytes that Python holds at most while something works."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_more_than_a_batch_is_in_memory(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    sizes = {few: 20, many: 120}
    writing = [
        _peak(lambda out=out, n=n: neuronpedia.write(map(neuron, range(n)), out, ABOUT, batch_size=20))  # type: ignore[misc]
        for out, n in sizes.items()
    ]  # fmt: skip
    reading = [
        _peak(lambda out=out: deque((len(b.records) for b in neuronpedia.read(out)), maxlen=0))  # type: ignore[misc]
        for out in sizes
    ]
    assert writing[1] < 1.25 * writing[0]
    assert reading[1] < 2.5 * reading[0]  # the batch that was given, and the next
