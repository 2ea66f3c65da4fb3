"""Neurons as records: what is in them, in which order, while others write, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Parts, Target
from neuroexplain.catalogue.exchange import exporting
from neuroexplain.exchanged import About, ExplanationRecord, NeuronRecord, SpanRecord
from neuroexplain.records import SPLITS, NeuronId
from tests.catalogue.conftest import WIDTH, Sweep, make_score
from tests.catalogue.exchanges import exported, fill, plain


@pytest.fixture
def filled(sweep: Sweep) -> Sweep:
    fill(sweep)
    return sweep


def test_every_side_in_order(filled: Sweep) -> None:
    sides = [str(record.neuron) for record in exported(filled.catalogue)]
    wanted = [f"tiny/{layer}/{i}{s}" for layer in (0, 2) for i in range(WIDTH) for s in "+-"]
    assert sides == wanted


@pytest.mark.parametrize("block", [1, 3, 8])
def test_blocks_change_nothing(filled: Sweep, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = plain(exported(filled.catalogue))
    monkeypatch.setattr(exporting, "BLOCK", block)
    assert plain(exported(filled.catalogue)) == whole


def test_named_neurons_are_the_same_records(filled: Sweep) -> None:
    catalogue, collection = filled.catalogue, filled.collection
    names = ["tiny/0/0-", "tiny/0/3+", "tiny/0/3-", "tiny/1/0+", "tiny/2/3+", "tiny/2/99+"]
    named = catalogue.export(collection, map(NeuronId.parse, names))
    known = {str(record.neuron): record for record in exported(catalogue)}
    wanted = ["tiny/0/0-", "tiny/0/3+", "tiny/0/3-", "tiny/2/3+"]
    assert plain(named) == plain(known[name] for name in wanted)


def test_spans_are_the_exemplars(filled: Sweep) -> None:
    catalogue, collection = filled.catalogue, filled.collection
    for record in exported(catalogue):
        kept = [e for s in SPLITS for e in catalogue.exemplars(collection, record.neuron, s)]
        assert len(record.spans) == len(kept) >= 30
        for span, exemplar in zip(record.spans, kept, strict=True):
            assert np.array_equal(span.activations, exemplar.activations)
            assert (span.tokens, span.token_ids) == (exemplar.span.tokens, exemplar.span.token_ids)
            assert (span.document, span.start) == (exemplar.span.document, exemplar.span.start)
            names = ("split", "kind", "rank", "inclusion_probability")
            assert [getattr(span, n) for n in names] == [getattr(exemplar, n) for n in names]


def test_explanations_with_scores_and_simulations(filled: Sweep) -> None:
    records = {str(record.neuron): record for record in exported(filled.catalogue)}
    first, other = records["tiny/0/0+"].explanations
    assert (first.text, first.explainer, first.llm) == ("the river “froze” \x00 🧊", "ngram", "openai:m")  # fmt: skip
    assert (first.data, first.settings, first.scale, first.status) == ({"n": [1]}, {"k": 2}, 1.5, "ok")  # fmt: skip
    assert first.key is not None and len(first.key) == 64
    found = [(s.score.scorer, s.score.value, s.simulator, s.llm, s.split) for s in first.scores]
    assert found == [
        ("correlation", 0.5, "sparse", "openai:m", "test"),
        ("detection", None, "sparse", "openai:m", "test"),
        ("correlation", 0.25, "sparse", "openai:m", "select"),
    ]
    assert first.scores[0].score == make_score(0.5, p_value=0.05)
    assert [s.split for s in first.simulations] == ["test", "select"]
    assert [span.reason for span in first.simulations[0].spans] == [None, None, None]
    assert (other.text, other.explainer) == ("ice", "keywords")
    (lower,) = records["tiny/0/0-"].explanations
    (partly,) = lower.simulations
    assert [(s.reason, s.message, s.raw_reply, s.expected is None) for s in partly.spans] == [
        (None, None, None, False),
        ("bad_levels", "eleven", "11", True),
        ("bad_levels", "eleven", "11", True),
    ]


def test_truth_stands_beside_predictions_where_the_neuron_keeps_the_span(filled: Sweep) -> None:
    record = next(r for r in exported(filled.catalogue) if str(r.neuron) == "tiny/0/0+")
    kept = {(s.document, s.start): s.activations for s in record.spans}
    levels = record.explanations[0].simulations[0].spans
    assert any(span.activations is not None for span in levels)
    for span in levels:
        truth = kept.get((span.document, span.start))
        assert (truth is None) == (span.activations is None)
        if truth is not None and span.activations is not None:
            assert np.array_equal(truth, span.activations)


def test_what_is_superseded_is_left_out_and_what_failed_is_not(filled: Sweep) -> None:
    records = {str(record.neuron): record for record in exported(filled.catalogue)}
    assert [e.text for e in records["tiny/0/1+"].explanations] == ["better now"]
    (failed,) = records["tiny/2/3+"].explanations
    assert (failed.text, failed.status, failed.reason) == ("", "failed", "parse_failed")
    assert failed.raw_reply == "<raw \ufffd>"


def test_the_newest_score_of_a_measure(filled: Sweep) -> None:
    row, explanation = filled.catalogue.find_explanation("tiny/0/0+ ngram the river “froze” \x00 🧊") or (0, None)  # fmt: skip
    assert explanation is not None
    filled.score(row, make_score(0.625), key="again")
    record = next(r for r in exported(filled.catalogue) if str(r.neuron) == "tiny/0/0+")
    values = [s.score.value for s in record.explanations[0].scores]
    assert values == [None, 0.25, 0.625]


def test_what_a_neuron_promotes_the_other_side_suppresses(filled: Sweep) -> None:
    records = {str(record.neuron): record for record in exported(filled.catalogue)}
    upper, lower = records["tiny/2/1+"], records["tiny/2/1-"]
    assert upper.promoted == ((" t5", 3.5), (" t6", 1.25))
    assert upper.suppressed == ((" t9", -3.0), (" t10", -1.0))
    assert lower.promoted == ((" t9", 3.0), (" t10", 1.0))
    assert lower.suppressed == ((" t5", -3.5), (" t6", -1.25))
    assert records["tiny/2/0+"].promoted == ()


def test_parts_are_left_out_as_asked(filled: Sweep) -> None:
    catalogue, collection = filled.catalogue, filled.collection
    spans = list(catalogue.export(collection, parts=Parts(explanations=False, simulations=False)))
    assert all(r.spans and not r.explanations for r in spans)
    bare = list(catalogue.export(collection, parts=Parts(spans=False, simulations=False)))
    assert not any(r.spans for r in bare)
    assert [len(r.explanations) for r in bare][:4] == [2, 1, 1, 0]
    assert not any(e.simulations for r in bare for e in r.explanations)


def test_about_says_what_the_records_are_of(filled: Sweep) -> None:
    about = filled.catalogue.about(filled.collection)
    assert (about.subject, about.site, about.widths, about.first) == ("tiny", "mlp", (4, 4, 4), 1)
    assert about.config == {"top_k": 4}


def test_a_sweep_may_write_meanwhile(filled: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "BLOCK", 2)
    records = filled.catalogue.export(filled.collection)
    first = next(records)
    with Catalogue(filled.catalogue.path) as other:
        Sweep(other, other.collection()).explain("tiny/2/2+", "written meanwhile")
    rest = {str(record.neuron): record for record in records}
    assert str(first.neuron) == "tiny/0/0+"
    assert [e.text for e in rest["tiny/2/2+"].explanations] == ["written meanwhile"]


MEASURED = """
import sys, tracemalloc
from neuroexplain.catalogue import Catalogue

with Catalogue(sys.argv[1], read_only=True) as catalogue:
    held, n, before = [], 0, 0
    for n, record in enumerate(catalogue.export(catalogue.collection()), 1):
        if sys.argv[2] == "hold":
            held.append(record)
        if n == 100:  # spans are remembered, and all have been seen by now
            tracemalloc.start()
    print(n, tracemalloc.get_traced_memory()[1])
"""


def many(n: int) -> Iterator[NeuronRecord]:
    """Neurons of one layer with twenty spans of 64 tokens each."""
    random = np.random.default_rng(0)
    tokens = [tuple(f" word{i % (7 + text)}" for i in range(64)) for text in range(60)]
    for index in range(n):
        values = random.normal(size=(20, 64)).astype(np.float32)
        shown = random.permutation(60)[:20]
        spans = [SpanRecord(tokens[t], v, rank=r) for r, (t, v) in enumerate(zip(shown, values, strict=True))]  # fmt: skip
        text = ExplanationRecord(f"words of kind {index}", "ngram", scale=1.0)
        yield NeuronRecord(NeuronId("many", 0, index), spans=tuple(spans), explanations=(text,))


def test_memory_does_not_grow_with_the_neurons(catalogue: Catalogue) -> None:
    run = catalogue.begin_run("key", "import", {}, {})
    importer = catalogue.importer(run, Target(About("many"), "made", "jsonl"))
    records = many(2_000)
    for place in range(4):
        importer.add(str(place), str(place), list(islice(records, 500)))

    def most(how: str) -> int:
        """Bytes at once beyond the first block."""
        command = [sys.executable, "-c", MEASURED, str(catalogue.path), how]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        n, peak = map(int, done.stdout.split())
        assert n == 2_000
        return peak

    streamed, held = most("stream"), most("hold")
    assert streamed < 10_000_000
    assert held > 2 * streamed  # so that the bound means something
