"""The tables that are merged, in an order in which whatever is referred to comes first, and what hangs on their rows."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from neuroexplain.catalogue import tables
from neuroexplain.catalogue.care.merge_kinds import Added, Kind, both, later, one_reply
from neuroexplain.catalogue.care.merge_rows import read
from neuroexplain.catalogue.searching import entries, sql
from neuroexplain.catalogue.searching.sql import Sql
from neuroexplain.catalogue.storage.rows import add

_MADE = frozenset({"run_id", "created_ms", "created_at"})
_IDS = "IN (SELECT id FROM {} AS listed)"


def _numbers(source: Connection, column: str, values: list[int]) -> tuple[str, tuple[object, ...]]:
    table = sql.numbers(source, values)
    return f"WHERE {column} {_IDS.format(table.text)}", table.values


def _parts(part: Kind, column: str) -> Callable[[Connection, Connection, Added], None]:
    """Has the rows that are parts of a row, and not known by themselves, go in with it."""

    def after(source: Connection, target: Connection, added: Added) -> None:
        numbers = {row["id"]: new["id"] for row, new in added}
        found = read(source, part, *_numbers(source, column, list(numbers)))
        add(target, part.table, [row | {column: numbers[row[column]]} for row in found])

    return after


def _with_entries(_source: Connection, target: Connection, added: Added) -> None:
    entries.add_words(target, (new["text"] for _, new in added))
    entries.refresh(target, [new["id"] for _, new in added])


def _with_scores(_source: Connection, target: Connection, added: Added) -> None:
    scorers = dict(sql.fetch(target, Sql("SELECT id, scorer_id FROM measure WHERE split = 'test'")))
    entries.note_scores(
        target,
        [
            entries.ScoreEntry(scorers[measure], new["explanation_id"], new["id"], new["value"], new["p_value"])
            for _, new in added
            if (measure := new["measure_id"]) in scorers
        ],
    )  # fmt: skip


def _with_density(_source: Connection, target: Connection, added: Added) -> None:
    """Statistics of neurons that were explained before, as those of an import may be."""
    neurons = [new["neuron_id"] for _, new in added]
    known = _numbers(target, "neuron_id", neurons)
    found = sql.fetch(target, Sql(f"SELECT id FROM explanation {known[0]}", known[1]))
    entries.refresh(target, [number for (number,) in found])


_FAILURES = _parts(
    Kind(tables.SimulationFailure, ("simulation_id", "span")), column="simulation_id"
)
_TAGS = _parts(Kind(tables.ReviewTag, ("review_id", "tag")), column="review_id")
_NEURON = ("neuron_id", "collection_id")

RECORDED: tuple[Kind, ...] = (
    Kind(tables.Subject, ("name",), free=frozenset({"spec"})),
    Kind(tables.Corpus, ("sha256",), free=frozenset({"spec"}), arrives="sha256"),
    Kind(tables.Document, ("corpus_id", "position")),
    Kind(tables.Span, ("corpus_id", "number")),
    Kind(tables.Token, ("corpus_id", "token_id")),
    Kind(
        tables.Collection,
        ("key",),
        free=frozenset({"created_at", "current", "widths", "layers", "kept", "responses"}),
        arrives="key",
        changed={"current": 0},
    ),
    Kind(tables.Neuron, ("subject_id", "site", "layer", "idx")),
    Kind(tables.Statistics, _NEURON, after=_with_density),
    Kind(tables.Exemplar, (*_NEURON, "split", "kind", "polarity")),
    Kind(tables.PeakToken, ("token", "collection_id", "neuron_id", "polarity")),
    Kind(tables.TokenResponse, (*_NEURON, "polarity")),
    Kind(tables.LayerSketch, ("collection_id", "layer")),
    Kind(tables.Ngram, (*_NEURON, "polarity"), whole=True),
    Kind(tables.LookAlike, (*_NEURON, "polarity")),
    Kind(tables.OutputToken, ("neuron_id",)),
    Kind(tables.Vocabulary, ("subject_id", "token_id")),
    Kind(tables.NgramSet, ("corpus_id", "sha256"), arrives="sha256"),
    Kind(tables.NgramText, ("set_id", "number")),
    Kind(tables.NgramWord, ("set_id", "word")),
    Kind(
        tables.NgramPass,
        ("key",),
        free=frozenset({"created_at", "current", "kept"}),
        arrives="key",
        changed={"current": 0},
    ),
    Kind(tables.NgramList, ("neuron_id", "pass_id", "polarity", "aggregator")),
    Kind(tables.NgramMoments, ("neuron_id", "pass_id")),
)
"""Subjects, and what was recorded of them."""

MADE: tuple[Kind, ...] = (
    Kind(
        tables.Run,
        ("run_key", "started_at", "host", "pid"),
        indexed=1,
        free=frozenset({"seen_at", "progress", "waiting"}),
        changed={"waiting": 0},
    ),
    Kind(tables.LlmSource, ("model", "endpoint")),
    Kind(
        tables.LlmCall,
        ("request",),
        free=frozenset({"run_id", "source_id", "prompt", "messages", "purpose", "latency_ms"}),
        judge=one_reply,
    ),
    Kind(tables.LlmProbe, ("source_id", "created_ms"), free=_MADE, judge=both),
    Kind(tables.Method, ("plugin", "llm", "settings", "template_sha256"), indexed=1),
    Kind(tables.Scorer, ("name",)),
    Kind(tables.Measure, ("scorer_id", "simulator", "llm", "split"), indexed=1),
    Kind(
        tables.Explanation,
        ("key",),
        free=frozenset({"run_id", "created_ms", "parent_id", "prompt_sha256", "template_sha256"}),
        judge=later,
        after=_with_entries,
    ),
    Kind(
        tables.Simulation,
        ("explanation_id", "key"),
        indexed=1,
        free=_MADE,
        judge=both,
        after=_FAILURES,
    ),
    Kind(tables.TextSet, ("explanation_id", "key"), indexed=1, free=_MADE, judge=both),
    Kind(
        tables.Score,
        ("explanation_id", "measure_id", "key"),
        indexed=2,
        free=_MADE | {"simulation_id"},
        after=_with_scores,
    ),
    Kind(tables.Review, ("explanation_id", "reviewer", "created_at"), indexed=1, after=_TAGS),
    Kind(tables.ImportBatch, ("collection_id", "name")),
)
"""What was made of it."""

LEFT: tuple[tuple[str, str], ...] = (
    ("batch_request", "waits for an offline batch; finish it where it was begun, and merge again"),
    ("batch_result", "belongs to a folder of offline batches"),
)
"""Tables that are not merged, and why."""
