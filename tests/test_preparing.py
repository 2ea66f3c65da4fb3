"""Evidence that takes a pass of its own: made for whoever wants it, once, of the explain split alone."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import neuroexplain.preparing as preparing
from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.config import EvidenceConfig, ExplainConfig
from neuroexplain.errors import SubjectError
from neuroexplain.explainers.base import Want
from neuroexplain.explainers.ensemble import Ensemble
from neuroexplain.preparing import prepare, prepare_for
from neuroexplain.records import Evidence, Explanation, NeuronId
from neuroexplain.registry import register
from neuroexplain.run import Execution, Run
from neuroexplain.runner import explain_and_score, neurons_of
from neuroexplain.selection import LayerNeurons
from neuroexplain.subjects import Subject
from neuroexplain.subjects.token_texts import token_texts
from neuroexplain.testing.planted import After, PlantedSubject, WordSet, documents
from tests.sweeps import WIDTH, Sweeps
from tests.testing.planting import collected

ALL: frozenset[Want] = frozenset({"look_alikes", "output_tokens"})
BOTH_SIDES = "*,*-"
LOOSE = EvidenceConfig(quiet=0.7)
"""A random neuron is hardly ever far below its largest activation."""


@dataclass(frozen=True)
class Place:
    """A catalogue with a collection of the tiny subject, to write to."""

    catalogue: Catalogue
    collection: Collection

    def neurons(self, selector: str = BOTH_SIDES) -> list[LayerNeurons]:
        return neurons_of(self.collection, selector, 0)

    def prepare(self, selector: str = BOTH_SIDES, **options: Any) -> tuple[frozenset[Want], int]:
        """The parts that there cannot be, and how many records were made."""
        execution = options.pop("execution", Execution(threads=1))
        wants = options.pop("wants", ALL)
        with Run(self.catalogue, "explain", {}, execution) as run:
            lacking = prepare(
                run, self.collection, self.neurons(selector), wants, **{"config": LOOSE, **options}
            )
        return lacking, run.counts["prepared"]

    def rows(self) -> dict[str, list[Any]]:
        """All that was found, whatever the order in which it was."""
        columns = "neuron_id, polarity, wanted, n, spans, likeness, peaks, activations, reason"
        with closing(sqlite3.connect(self.catalogue.path)) as connection:
            return {
                "look_alike": connection.execute(
                    f"SELECT {columns} FROM look_alike ORDER BY 1, 2"
                ).fetchall(),
                "output_token": connection.execute(
                    "SELECT * FROM output_token ORDER BY neuron_id"
                ).fetchall(),
            }


@pytest.fixture
def open_copy(sweeps: Sweeps, tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """`open_copy("a")`: the collection in a file of its own."""
    opened: list[Catalogue] = []

    def copy(name: str) -> Place:
        catalogue = Catalogue(sweeps.copy(tmp_path / f"{name}.sqlite"))
        opened.append(catalogue)
        return Place(catalogue, catalogue.collection())

    yield copy
    for catalogue in opened:
        catalogue.close()


@pytest.fixture
def place(open_copy: Callable[[str], Place]) -> Place:
    return open_copy("catalogue")


@pytest.fixture(scope="module")
def subject(sweeps: Sweeps) -> Subject:
    return Subject.load(str(sweeps.subject))


def traces(subject: Subject, ids: tuple[int, ...]) -> Any:
    """[token, neuron] of a text by itself."""
    kept: list[Any] = []
    subject.run([ids], [0], lambda seen: kept.append(seen.neurons[0, seen.content].numpy()))
    return kept[0]


def test_a_whole_collection_on_both_sides(place: Place, subject: Subject) -> None:
    lacking, made = place.prepare()
    assert (lacking, made) == (frozenset(), 3 * WIDTH)
    query = "SELECT number, position, document.split FROM span JOIN document ON document.id = document_id"
    with closing(sqlite3.connect(place.catalogue.path)) as connection:
        splits = {number: row for number, *row in connection.execute(query)}
    run: dict[int, Any] = {}
    found = 0
    for index in range(WIDTH):
        for polarity in (1, -1):
            neuron = NeuronId(place.collection.subject.name, 0, index, polarity)
            evidence = place.catalogue.evidence(place.collection, neuron, ALL)
            assert evidence.output_tokens is not None
            top = evidence.of_kind("top")
            documents_ = [e.span.document for e in evidence.look_alikes]
            assert len(set(documents_)) == len(documents_)
            assert not {e.span.document for e in top} & set(documents_)
            for exemplar in (*evidence.exemplars, *evidence.look_alikes):
                span = exemplar.span
                assert splits[span.span] == [span.document, 0], "of the explain split"
            for exemplar in evidence.look_alikes:
                ids = exemplar.span.token_ids
                whole = run.setdefault(exemplar.span.span, traces(subject, ids))
                trace = whole[:, index] * polarity
                assert trace[exemplar.span.first :].max() < (0.7 + 1e-3) * evidence.scale
                kept = exemplar.activations * polarity
                np.testing.assert_allclose(kept, trace, rtol=2e-3, atol=1e-5)
                found += 1
    assert found > WIDTH


def test_output_tokens_are_those_of_the_formula(place: Place, subject: Subject) -> None:
    place.prepare("0:7,0:9-", wants=frozenset({"output_tokens"}))
    model = subject.model
    with torch.no_grad():
        written = model.h[0].mlp.c_proj.weight[[7, 9]]
        normed = model.ln_f(written) - model.ln_f(torch.zeros_like(written))
        logits = (normed @ model.wte.weight.T).numpy()
    for row, neuron in enumerate((NeuronId("tiny", 0, 7), NeuronId("tiny", 0, 9, -1))):
        tokens = place.catalogue.evidence(place.collection, neuron, ALL).output_tokens
        assert tokens is not None
        own = logits[row] * neuron.polarity
        for found, order in ((tokens.promoted, -own), (tokens.suppressed, own)):
            wanted = np.argsort(order)[: LOOSE.output_tokens]
            texts = token_texts(subject.tokenizer, wanted.tolist())
            assert [token for token, _ in found] == [texts[i] for i in wanted.tolist()]
            np.testing.assert_allclose([x for _, x in found], own[wanted], rtol=2e-3, atol=1e-3)


class Stopped:
    """Progress that ends the program at a record, as Ctrl-C does."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.done = 0

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Any]:
        def advance(done: int, note: str = "") -> None:
            self.done += done
            if self.done >= self.at:
                raise KeyboardInterrupt

        yield advance


@pytest.mark.parametrize("want", sorted(ALL))
def test_an_interrupted_command_goes_on_where_it_was(
    open_copy: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch, want: Want
) -> None:
    monkeypatch.setattr(preparing, "LOOK_ALIKES", 30)
    monkeypatch.setattr(preparing, "OUTPUT_TOKENS", 30)
    one, other = open_copy("one"), open_copy("other")
    wants = frozenset({want})
    with pytest.raises(KeyboardInterrupt):
        stopped = Execution(threads=1, progress=Stopped(at=60))
        one.prepare("0:0-99", wants=wants, execution=stopped)
    assert one.catalogue.runs()[0]["state"] == "interrupted"
    assert one.prepare("0:0-99", wants=wants) == (frozenset(), 40)
    assert one.prepare("0:0-99", wants=wants) == (frozenset(), 0)
    assert other.prepare("0:0-99", wants=wants) == (frozenset(), 100)
    assert one.rows() == other.rows()


def test_where_nothing_is_missing_nothing_is_loaded(place: Place) -> None:
    place.prepare("0:0-3")
    nowhere = Execution(device="nowhere")
    assert place.prepare("0:1-3", execution=nowhere) == (frozenset(), 0)
    assert place.prepare("0:0-", execution=nowhere, wants=frozenset({"output_tokens"}))[1] == 0
    with pytest.raises(SubjectError, match='device "nowhere"'):
        place.prepare("0:0-", execution=nowhere)


def test_other_settings_are_sought_anew(place: Place) -> None:
    place.prepare("0:0-9")
    fewer = EvidenceConfig(look_alikes=1, quiet=0.7, output_tokens=3)
    assert place.prepare("0:0-4", config=fewer) == (frozenset(), 10)
    evidence = place.catalogue.evidence(place.collection, NeuronId("tiny", 0, 2), ALL)
    assert len(evidence.look_alikes) <= 1
    assert evidence.output_tokens is not None and len(evidence.output_tokens.promoted) == 3
    assert place.prepare("0:0-9") == (frozenset(), 10)


def test_a_subject_of_other_weights_is_refused(place: Place, subject: Subject) -> None:
    other = Subject(subject.spec, subject.name, subject.model, subject.tokenizer, "f" * 64)
    recorded = place.collection.subject.weights_sha256
    for want in ALL:
        with pytest.raises(SubjectError, match=rf"other weights \(ffffffffffff\).*{recorded[:12]}"):
            place.prepare("0:0", wants=frozenset({want}), subject=other)
    assert place.rows() == {"look_alike": [], "output_token": []}


def test_a_folder_of_other_weights_is_refused(
    sweeps: Sweeps, subject: Subject, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(sweeps.subject, folder)
    catalogue = Catalogue(sweeps.copy(tmp_path / "c.sqlite"))
    with closing(sqlite3.connect(catalogue.path)) as connection, connection:
        connection.execute(
            "UPDATE collection SET config = json_set(config, '$.subject', ?)", (str(folder),)
        )
    place = Place(catalogue, catalogue.collection())
    assert place.prepare("0:0")[1] == 2
    torch.manual_seed(1)
    type(subject.model)(subject.model.config).save_pretrained(folder)
    with pytest.raises(SubjectError, match=r"other weights .* than tiny had when it was collected"):
        place.prepare("0:1")
    catalogue.close()


LAMP, DUSTY = WordSet({"lamp"}), WordSet({"dusty"})


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Place]:
    """Two neurons that say "lamp", but only of dusty ones; the second on its lower side."""
    texts = documents(150, {})
    texts += [f"{text} The dusty lamp was cheap." for text in documents(25, {}, seed=1)]
    meaning = After(LAMP, DUSTY)
    subject = PlantedSubject([[meaning, -1.0 * meaning]], texts)
    with Catalogue(tmp_path / "planted.sqlite") as catalogue:
        yield PlantedPlace(catalogue, collected(catalogue, subject, texts), subject)


@dataclass(frozen=True)
class PlantedPlace(Place):
    """Of a planted subject, which nobody can load."""

    subject: Subject


@pytest.mark.parametrize(("index", "polarity"), [(0, 1), (1, -1)])
def test_look_alikes_are_the_same_word_in_another_place(
    planted: PlantedPlace, index: int, polarity: int
) -> None:
    side = "-" if polarity < 0 else "+"
    lacking, made = planted.prepare(f"0:{index}{side}", subject=planted.subject, config=None)
    assert (lacking, made) == (frozenset({"output_tokens"}), 2)
    neuron = NeuronId("planted", 0, index, polarity)
    evidence = planted.catalogue.evidence(planted.collection, neuron, ALL)
    assert evidence.scale == 1 and evidence.output_tokens is None
    assert len(evidence.look_alikes) == 5
    for exemplar in evidence.look_alikes:
        words = exemplar.span.text.lower()
        assert " lamp" in words and "dusty lamp" not in words
        assert not exemplar.activations[exemplar.span.first :].any()
    shown = planted.catalogue.show(neuron)
    assert shown["output_tokens"]["reason"] == "no_mlp"


def test_what_cannot_be_is_replaced(planted: PlantedPlace) -> None:
    """`ensemble` takes n-grams where there are no output tokens."""
    neurons = planted.neurons("0:0")
    assert planted.catalogue.ngram_pass(planted.collection) is None
    with Run(planted.catalogue, "explain", {}) as run:
        prepare_for(Ensemble, run, planted.collection, neurons, subject=planted.subject)
    made = planted.catalogue.ngram_pass(planted.collection)
    assert made is not None
    neuron = NeuronId("planted", 0, 0)
    wants: frozenset[Want] = frozenset({"output_tokens", "ngrams"})
    evidence = planted.catalogue.evidence(planted.collection, neuron, wants)
    assert evidence.output_tokens is None
    assert {"dusty lamp"} <= {ngram.text for ngram in evidence.ngrams}
    with Run(planted.catalogue, "explain", {}) as run:
        prepare_for(Ensemble, run, planted.collection, neurons)
    assert planted.catalogue.ngram_pass(planted.collection) == made, "neither loaded nor made again"


SEEN: list[Evidence] = []


@register("explainer", "watching")
@dataclass(frozen=True)
class Watching:
    """Keeps what it is shown."""

    wants: ClassVar[frozenset[Want]] = ALL

    async def explain(self, evidence: Evidence, *, seed: int, sample: int = 0) -> Explanation:
        SEEN.append(evidence)
        return Explanation(evidence.neuron, "watching", "anything", evidence.scale)


def test_an_explainer_is_shown_what_it_wants(place: Place) -> None:
    SEEN.clear()
    with Run(place.catalogue, "explain", {}, Execution(threads=1)) as run:
        config = ExplainConfig("watching")
        explain_and_score(run, place.collection, place.neurons("0:5,0:5-"), config, None)
    assert run.counts["prepared"] == 3
    assert [e.neuron.polarity for e in SEEN] == [1, -1]
    upper, lower = (e.output_tokens for e in SEEN)
    assert upper is not None and lower is not None
    assert [token for token, _ in upper.promoted] == [token for token, _ in lower.suppressed]
    for evidence in SEEN:
        stored = place.catalogue.evidence(place.collection, evidence.neuron, ALL)
        assert [e.span for e in evidence.look_alikes] == [e.span for e in stored.look_alikes]
        assert evidence.ngrams == ()
