"""Records into a catalogue: field by field, batch by batch, through kills, beside what is there, and what is refused."""

from __future__ import annotations

import dataclasses
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Importer, Target
from neuroexplain.errors import CatalogueError, ExchangeError
from neuroexplain.exchanged import (
    About,
    ExplanationRecord,
    NeuronRecord,
    ScoreRecord,
    SimulationRecord,
    SpanLevels,
    SpanRecord,
)
from neuroexplain.records import NeuronId, Statistics
from tests.catalogue.conftest import Sweep, make_score
from tests.catalogue.exchanges import (
    VIEWS,
    bring,
    exported,
    fill,
    importer,
    life,
    parts,
    plain,
    sound,
    view,
)
from tests.exchange.made import compared, floats

Record = NeuronRecord


@pytest.fixture
def filled(sweep: Sweep) -> Sweep:
    fill(sweep)
    return sweep


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Catalogue]:
    """Another catalogue, empty."""
    with Catalogue(tmp_path / "target.sqlite") as opened:
        yield opened


# Round trips


@pytest.mark.parametrize("n", [1, 3, 100])
def test_every_field_comes_back(filled: Sweep, target: Catalogue, n: int) -> None:
    found = bring(target, filled.catalogue, n)
    assert found.conflicts == []
    assert plain(exported(target)) == plain(exported(filled.catalogue))
    sound(target.path)


@pytest.mark.parametrize("name", VIEWS)
def test_views_show_the_same(filled: Sweep, target: Catalogue, name: str) -> None:
    bring(target, filled.catalogue)
    wanted = view(filled.catalogue.path, name)
    if name == "v_explanations":  # what is superseded is not exported
        wanted = [row for row in wanted if row[9] != "timed_out"]
    assert view(target.path, name) == wanted != []


def test_counts(filled: Sweep, target: Catalogue) -> None:
    found = bring(target, filled.catalogue)
    assert dict(+found.counts) == {
        **{"neurons": 8, "explanations": 5, "scores": 5, "simulations": 4},
        "batches": 6,
    }


def test_searches_find_what_was_imported(filled: Sweep, target: Catalogue) -> None:
    bring(target, filled.catalogue)
    for query in ("river", "score>=0.7", "*roz*", "state:failed", "density>=0.2"):
        rows = [(r.neuron, r.text, r.score) for r in filled.catalogue.search(query).rows]
        assert [(r.neuron, r.text, r.score) for r in target.search(query).rows] == rows != []


def test_evidence_and_truth_are_the_same(filled: Sweep, target: Catalogue) -> None:
    bring(target, filled.catalogue)
    neuron = NeuronId("tiny", 2, 2, -1)
    theirs = filled.catalogue.evidence(filled.collection, neuron)
    ours = target.evidence(target.collection(), neuron)
    assert (ours.scale, ours.statistics) == (theirs.scale, theirs.statistics)
    for own, other in zip(ours.exemplars, theirs.exemplars, strict=True):
        assert own.peak == pytest.approx(other.peak, rel=1e-3)
        assert (own.peak_position, own.span.first) == (other.peak_position, 1)
        assert own.span.tokens == other.span.tokens
    for split in ("select", "test"):
        kept = target.exemplars(target.collection(), neuron, split)
        for own, other in zip(
            kept, filled.catalogue.exemplars(filled.collection, neuron, split), strict=True
        ):
            assert np.array_equal(own.activations, other.activations)


def test_another_export_of_it_gives_the_same_once_more(
    filled: Sweep, target: Catalogue, tmp_path: Path
) -> None:
    bring(target, filled.catalogue)
    with Catalogue(tmp_path / "third.sqlite") as third:
        bring(third, target)
        assert plain(exported(third)) == plain(exported(filled.catalogue))


# Batches, and kills


def test_batches_that_are_there_are_passed_over(filled: Sweep, target: Catalogue) -> None:
    bring(target, filled.catalogue)
    again = bring(target, filled.catalogue)
    assert dict(+again.counts) == {"batches that were there": 6}
    assert plain(exported(target)) == plain(exported(filled.catalogue))


def test_a_batch_that_has_changed_is_refused(filled: Sweep, target: Catalogue) -> None:
    bring(target, filled.catalogue)
    found = importer(target, filled.catalogue)
    records = [dataclasses.replace(exported(target)[0], explanations=())]
    with pytest.raises(ExchangeError, match=r"^file#0: has changed since it was imported; --into current adds") as error:  # fmt: skip
        found.add("file#0", "f" * 64, records)
    assert error.value.batch == "file#0"
    assert plain(exported(target)) == plain(exported(filled.catalogue))


def test_a_kill_at_any_batch_loses_nothing(filled: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "killed.sqlite"
    for n in range(6):
        assert life(filled.catalogue.path, path, kill_at=1 if n == 0 else 2) == -signal.SIGKILL
        sound(path)  # one batch more than in the life before
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM import_batch").fetchone() == (n,)
    assert life(filled.catalogue.path, path, kill_at=2) == 0  # one was left
    with Catalogue(path) as catalogue:
        assert plain(exported(catalogue)) == plain(exported(filled.catalogue))
    for name in VIEWS:
        if name != "v_explanations":
            assert view(path, name) == view(filled.catalogue.path, name)


def test_the_first_collection_is_current_at_once_and_others_at_their_end(
    filled: Sweep, target: Catalogue
) -> None:
    def with_spans() -> int:
        return sum(bool(record.spans) for record in exported(target))

    source = filled.catalogue
    first, other = importer(target, source), importer(target, source, files="others")
    batches = list(parts(exported(source)))
    first.add(*batches[0])
    assert with_spans() == 3
    first.finish()
    for batch in batches:
        other.add(*batch)
    assert with_spans() == 3
    other.finish()
    assert with_spans() == 16


def test_what_two_imports_write_at_once_is_all_there(filled: Sweep, target: Catalogue) -> None:
    source = filled.catalogue
    first, other = importer(target, source), importer(target, source)
    for place, batch in enumerate(parts(exported(source))):
        (first, other)[place % 2].add(*batch)
    assert plain(exported(target)) == plain(exported(source))


# Beside what is there


def side(*explanations: ExplanationRecord, neuron: str = "tiny/0/0+") -> Record:
    return NeuronRecord(NeuronId.parse(neuron), explanations=explanations)


NEW = ExplanationRecord(
    "from another machine",
    "highlight",
    llm="openai:other",
    key="ab" * 32,
    scores=(ScoreRecord(make_score(0.375), "sparse", "test", "openai:other"),),
    created_at="2026-01-02T03:04:05.678+00:00",
)


def test_explanations_attach_to_neurons_that_are_there(filled: Sweep) -> None:
    catalogue = filled.catalogue
    before = {str(r.neuron): r for r in exported(catalogue)}
    found = importer(catalogue, catalogue, attach=True)
    child = dataclasses.replace(NEW, text="revised", key="ac" * 32, parent="ab" * 32)
    assert found.add("e", "1", [side(child, NEW)])
    assert dict(+found.counts) == {"explanations": 2, "scores": 2, "batches": 1}
    after = {str(r.neuron): r for r in exported(catalogue)}
    *old, first, second = after["tiny/0/0+"].explanations
    assert compared(old) == compared(list(before.pop("tiny/0/0+").explanations))
    assert (first.text, second.text, second.parent) == ("from another machine", "revised", "ab" * 32)  # fmt: skip
    assert first.scale == filled.evidence("tiny/0/0+").scale > 0
    assert first.created_at == "2026-01-02T03:04:05.678+00:00"
    assert {name: compared(after[name]) for name in before} == compared(before)
    assert [r.text for r in catalogue.search("another machine").rows] == ["from another machine"]
    sound(catalogue.path)


def test_attaching_twice_adds_nothing(filled: Sweep) -> None:
    catalogue = filled.catalogue
    importer(catalogue, catalogue, attach=True).add("e", "1", [side(NEW)])
    before = plain(exported(catalogue))
    again = importer(catalogue, catalogue, attach=True)
    assert not again.add("e", "1", [side(NEW)])
    assert again.add("e", "2", [side(NEW)])  # another file of the same name
    assert dict(+again.counts) == {
        **{"batches that were there": 1, "batches": 1},
        "explanations that were there": 1,
    }
    assert plain(exported(catalogue)) == before


def test_what_the_catalogue_says_otherwise_stays(filled: Sweep) -> None:
    catalogue = filled.catalogue
    importer(catalogue, catalogue, attach=True).add("e", "1", [side(NEW)])
    before = plain(exported(catalogue))
    found = importer(catalogue, catalogue, attach=True)
    score = ScoreRecord(make_score(0.5), "sparse", "test", "openai:other")
    found.add("f", "1", [side(dataclasses.replace(NEW, text="something else"))])
    found.add("g", "1", [side(dataclasses.replace(NEW, scores=(score,)))])
    found.add("h", "1", [side(NEW, neuron="tiny/0/0-")])
    found.add("i", "1", [side(NEW, neuron="tiny/0/9+")])
    assert found.conflicts == [
        "explanation abababababab of tiny/0/0+: the catalogue says 'from another machine', the file 'something else'",
        "score correlation of tiny/0/0+: the catalogue has 0.375, the file 0.5",
        "explanation abababababab of tiny/0/0-: the catalogue has this key of another neuron",
        "tiny/0/9+: the collection does not have this neuron",
    ]
    assert found.counts["conflicts"] == 4
    assert plain(exported(catalogue)) == before


def test_a_good_explanation_supersedes_the_record_of_a_failure(filled: Sweep) -> None:
    catalogue = filled.catalogue
    (failed,) = next(r for r in exported(catalogue) if str(r.neuron) == "tiny/2/3+").explanations
    good = dataclasses.replace(failed, text="now it works", status="ok", reason=None, message=None)
    found = importer(catalogue, catalogue, attach=True)
    found.add("e", "1", [side(good, neuron="tiny/2/3+")])
    found.add("f", "1", [side(failed, neuron="tiny/2/3+")])
    assert (found.counts["explanations"], found.counts["explanations that were there"]) == (1, 1)
    (now,) = next(r for r in exported(catalogue) if str(r.neuron) == "tiny/2/3+").explanations
    assert (now.text, now.key) == ("now it works", failed.key)
    sound(catalogue.path)


def test_simulations_attach_where_the_corpus_has_their_spans(filled: Sweep) -> None:
    catalogue = filled.catalogue
    span = exported(catalogue)[0].spans[-1]
    here = SpanLevels(span.tokens, floats(*range(len(span.tokens))), document=span.document, start=span.start)  # fmt: skip
    there = dataclasses.replace(here, tokens=("no", "such"), expected=floats(1, 2))
    simulations = tuple(
        SimulationRecord(name, span.split, (levels,), "openai:other")
        for name, levels in (("sparse", here), ("logprob", there))
    )
    found = importer(catalogue, catalogue, attach=True)
    found.add("e", "1", [side(dataclasses.replace(NEW, simulations=simulations))])
    assert found.counts["simulations without their spans"] == 1
    added = exported(catalogue)[0].explanations[-1]
    assert [(s.simulator, compared(s.spans[0].expected)) for s in added.simulations] == [
        ("sparse", compared(here.expected))
    ]
    with closing(sqlite3.connect(catalogue.path)) as connection:
        linked = connection.execute("SELECT simulation_id IS NOT NULL FROM score WHERE value = 0.375").fetchall()  # fmt: skip
    assert linked == [(1 if span.split == "test" else 0,)]


def test_nothing_to_attach_to(target: Catalogue, filled: Sweep) -> None:
    with pytest.raises(ExchangeError, match=r'^e: unknown subject "tiny"; known: none'):
        importer(target, filled.catalogue, attach=True).add("e", "1", [side(NEW)])


def test_other_weights_of_the_name_are_refused(filled: Sweep) -> None:
    catalogue = filled.catalogue
    about = dataclasses.replace(catalogue.about(filled.collection), weights_sha256="b" * 64)
    run = catalogue.begin_run("k", "import", {}, {})
    found = catalogue.importer(run, Target(about, "files", "jsonl"))
    with pytest.raises(ExchangeError, match=r'subject "tiny" with other weights \(aaaaaaaaaaaa, the files bbbbbbbbbbbb\); give this one another name by --subject'):  # fmt: skip
        found.add("e", "1", [side(NEW)])


# What formats do not tell


def fresh(catalogue: Catalogue, **about: Any) -> Importer:
    """An import of a format that tells nothing of its subject."""
    run = catalogue.begin_run("k", "import", {}, {})
    return catalogue.importer(run, Target(About("gpt2", **about), "files", "neuronpedia"))


def shown(*tokens: str, **more: Any) -> SpanRecord:
    return SpanRecord(tokens, floats(*range(1, len(tokens) + 1)), **more)


def neuron(index: int = 0, **more: Any) -> Record:
    return NeuronRecord(NeuronId("gpt2", 3, index, more.pop("polarity", 1)), **more)


def test_spans_without_a_place_are_shared_by_content(target: Catalogue) -> None:
    found = fresh(target)
    found.add("a", "1", [neuron(0, spans=(shown(" the", " river"), shown(" ice", rank=1)))])
    found.add("b", "1", [neuron(1, spans=(shown(" ice"), shown(" ice", split="test")))])
    found.finish()
    first, second = exported(target)
    assert [s.tokens for s in first.spans] == [(" the", " river"), (" ice",)]
    assert {s.document for s in (*first.spans, *second.spans)} == {None}
    assert {s.token_ids for s in first.spans} == {None}
    with closing(sqlite3.connect(target.path)) as connection:
        assert connection.execute("SELECT count(*), max(position) < 0 FROM document").fetchone() == (3, 1)  # fmt: skip
        tokens = connection.execute("SELECT token_id, text FROM token ORDER BY 1").fetchall()
    assert tokens == [(2**31, " the"), (2**31 + 1, " river"), (2**31 + 2, " ice")]
    assert target.collection().corpus.n_documents == 3
    sound(target.path)


def test_documents_grow_with_the_spans_that_come(target: Catalogue) -> None:
    found = fresh(target, first=0)
    place: dict[str, Any] = {"document": 7}
    found.add("a", "1", [neuron(0, spans=(shown("c", "d", start=4, **place),))])
    found.add("b", "1", [neuron(1, spans=(shown("a", "b", start=0, **place), shown("e", start=6, rank=1, **place)))])  # fmt: skip
    clash = shown("x", "y", start=5, **place)  # where others are
    found.add("c", "1", [neuron(2, spans=(clash, shown("c", "d", start=4, rank=1, **place)))])
    found.finish()
    records = exported(target)
    assert [[(s.tokens, s.document, s.start) for s in r.spans] for r in records] == [
        [(("c", "d"), 7, 4)],
        [(("a", "b"), 7, 0), (("e",), 7, 6)],
        [(("x", "y"), None, None), (("c", "d"), 7, 4)],
    ]
    with closing(sqlite3.connect(target.path)) as connection:
        text = connection.execute("SELECT text FROM document WHERE position = 7").fetchone()
        spans = "SELECT count(*), sum(length) FROM span"
        assert connection.execute(spans).fetchone() == (4, 7)
        shown_texts = connection.execute("SELECT DISTINCT text FROM v_exemplars").fetchall()
    assert text == ("ab … cde",)
    assert {t for (t,) in shown_texts} == {"ab", "cd", "e", "xy"}


def test_statistics_stay_unknown_where_nobody_tells(target: Catalogue) -> None:
    found = fresh(target)
    found.add("a", "1", [neuron(0)])
    upper = Statistics(None, None, None, None, 4.5, 0.25, n_spans=None)
    lower = Statistics(None, None, None, -2.5, None, 0.25, n_spans=None)
    found.add("b", "1", [neuron(1, statistics=upper)])
    found.add("c", "1", [neuron(1, statistics=lower, polarity=-1)])
    found.finish()
    first, second = exported(target)
    assert first.statistics is None
    both = Statistics(None, None, None, -2.5, 4.5, 0.25, n_spans=None)
    assert second.statistics == both
    assert view(target.path, "v_neurons") == [
        ("gpt2", 3, 0, "mlp", *[None] * 6),
        ("gpt2", 3, 1, "mlp", None, None, None, -2.5, 4.5, 0.25),
    ]


def test_explanations_without_key_scale_and_time(target: Catalogue) -> None:
    found = fresh(target)
    bare = ExplanationRecord("ice", "unknown")
    spans = (shown("a", "b"), shown("c", split="test", rank=0))
    found.add("a", "1", [neuron(0, spans=spans, explanations=(bare,)), neuron(1, explanations=(bare,))])  # fmt: skip
    found.finish()
    (one,), (other,) = (r.explanations for r in exported(target))
    assert (one.scale, other.scale) == (2.0, 0.0)
    assert one.key != other.key
    assert one.created_at is not None


def test_layers_and_widths_are_those_that_came(target: Catalogue) -> None:
    found = fresh(target, widths=(9, 9))
    found.add("a", "1", [neuron(5)])
    found.add("b", "1", [dataclasses.replace(neuron(1), width=768)])
    found.finish()
    collection = target.collection()
    assert (collection.layers, collection.subject.widths) == ((3,), (9, 9, 0, 768))


def test_activations_beyond_float16_are_kept(target: Catalogue) -> None:
    huge = SpanRecord(("a", "b", "c"), floats(3e5, -1.5, 0.25))
    found = fresh(target)
    found.add("a", "1", [neuron(0, spans=(huge,))])
    (record,) = exported(target)
    assert record.spans[0].activations == pytest.approx([3e5, -1.5, 0.25], rel=1e-3)


# What is refused


def edited(**changes: Any) -> Record:
    return dataclasses.replace(neuron(0), **changes)


def scored(**changes: Any) -> Record:
    score = ScoreRecord(make_score(0.5, **changes), "sparse", "test")
    return edited(explanations=(ExplanationRecord("ice", "x", scores=(score,)),))


def explained(**changes: Any) -> Record:
    return edited(explanations=(dataclasses.replace(ExplanationRecord("ice", "x"), **changes),))


def simulated(levels: SpanLevels) -> Record:
    return explained(simulations=(SimulationRecord("sparse", "test", (levels,)),))


NAN = float("nan")
BAD: dict[str, tuple[Record, str]] = {
    "activation": (edited(spans=(SpanRecord(("a",), floats(NAN)),)), "an activation is NaN or infinite"),
    "lengths": (edited(spans=(SpanRecord(("a", "b"), floats(1)),)), "not as many activations"),
    "no tokens": (edited(spans=(SpanRecord((), floats()),)), "a span has no tokens"),
    "kind": (edited(spans=(shown("a", kind="contrastive"),)), "spans of kind contrastive cannot be kept; known: top, quantile, random"),
    "probability": (edited(spans=(shown("a", inclusion_probability=1.5),)), "have no inclusion probability, or several"),
    "probabilities": (edited(spans=(shown("a", kind="random", inclusion_probability=0.5), shown("b", kind="random"))), "have no inclusion probability, or several"),
    "maximum": (edited(statistics=Statistics(1, 0, 1, 0, float("inf"), 0.5)), "max is infinite"),
    "share": (edited(statistics=Statistics(1, 0, 1, 0, 1, 1.5)), "frac_positive is 1.5, which is no share"),
    "site": (edited(site="resid"), "is of site resid, the import of site mlp"),
    "subject": (dataclasses.replace(neuron(0), neuron=NeuronId("gpt3", 3, 0)), "is of another subject than gpt2"),
    "logit": (edited(promoted=(("a", 1e6),), suppressed=(("b", 0.0),)), "a logit is not finite, or above 65,504"),
    "scale": (explained(scale=-1.0), "scale is -1.0, wanted a number from 0 on"),
    "scale NaN": (explained(scale=NAN), "scale is nan"),
    "time": (explained(created_at="yesterday"), "created_at is 'yesterday', wanted an ISO time"),
    "data": (explained(data={"a": NAN}), "data of the explanation of .* cannot be stored"),
    "settings": (explained(settings={"a": NAN}), "settings of the explanation of .* cannot be stored"),
    "score": (scored(ci_low=NAN), "score correlation of gpt2/3/0.: ci_low is nan; undefined numbers are null"),
    "p": (scored(p_value=2.0), "p_value is 2.0, wanted a number from 0 to 1"),
    "reason": (scored(reason="constant"), "wanted a value, or the reason why there is none"),
    "level": (simulated(SpanLevels(("a",), floats(NAN))), "simulation of gpt2/3/0.: a level is not finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_of_a_bad_batch_comes_nothing_and_the_next_goes_in(name: str, target: Catalogue) -> None:
    record, message = BAD[name]
    found = fresh(target)
    found.add("good", "1", [neuron(7, spans=(shown(" first"),))])
    before = plain(exported(target))
    with pytest.raises(ExchangeError, match=f"^bad: .*{message}"):
        found.add("bad", "1", [neuron(1, spans=(shown(" other"),)), record])
    assert plain(exported(target)) == before
    sound(target.path)
    assert found.add("next", "1", [neuron(1, spans=(shown(" other"),))])
    found.finish()
    assert [r.neuron.index for r in exported(target)] == [1, 7]
    assert found.counts["batches"] == 2


def test_what_only_the_tables_refuse_is_told_of_too(target: Catalogue) -> None:
    found = fresh(target)
    wide = dataclasses.replace(neuron(0), neuron=NeuronId("gpt2", 3, 0, 5))
    with pytest.raises(ExchangeError, match=r"^bad: the catalogue refuses a row: CHECK constraint"):
        found.add("bad", "1", [dataclasses.replace(wide, explanations=(NEW,))])
    assert found.add("next", "1", [neuron(1)])


def test_what_is_no_fault_of_a_batch_stops_the_import(target: Catalogue) -> None:
    """A catalogue that cannot be written is no matter of skipping."""
    fresh(target)
    with Catalogue(target.path, read_only=True) as closed:
        found = closed.importer(1, Target(About("gpt2"), "files", "jsonl"))
        with pytest.raises(CatalogueError, match="reading only"):
            found.add("a", "1", [neuron(0)])
