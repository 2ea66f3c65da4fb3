"""An edit is an explanation of its own: saved with its parent, scored as that was, and the difference told."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain import api
from neuroexplain.catalogue import Catalogue
from neuroexplain.config import ScoreConfig
from neuroexplain.errors import (
    LLMUnavailableError,
    NeuroexplainError,
    PluginError,
    RescoringError,
)
from neuroexplain.readers import Reader, offers
from neuroexplain.records import NeuronId
from neuroexplain.rescoring import Rescoring, rescore, scored_as
from neuroexplain.reviewed import Target
from neuroexplain.run import Execution
from neuroexplain.simulators.embedding import EmbeddingSimulator, embeddings
from neuroexplain.testing import serve
from neuroexplain.truth import truth_of
from tests.explained import NEURON, NEURONS
from tests.lives import words

TEXT = "the word “fox” and other animals"
USED = ScoreConfig(top=4, random=6, bootstrap=200)
"""As the catalogue was scored."""


@pytest.fixture
def catalogue(minilm_explained: Path, tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue(shutil.copy(minilm_explained, tmp_path / "minilm.sqlite")) as opened:
        yield opened


def target(catalogue: Catalogue, explainer: str = "ngram", neuron: NeuronId = NEURON) -> Target:
    found = catalogue.explanations(catalogue.collection(), explainer=explainer)
    return next(Target.of(e.neuron, e.text) for _, e in found if e.neuron == neuron)


def edit(catalogue: Catalogue, text: str = TEXT, explainer: str = "ngram", **more: Any) -> Rescoring:  # fmt: skip
    return Rescoring(target(catalogue, explainer), text, "ann", **more)


def correlation(catalogue: Catalogue, text: str) -> float:
    """Of what `embedding` makes of a text, worked out here."""
    truth = truth_of(catalogue, catalogue.collection(), NEURON, "test", USED, 1.0)
    known = embeddings(EmbeddingSimulator().model)
    vector = known.text(text)
    assert vector is not None
    spans = [s.span for s in truth.spans]
    cosines = [np.maximum(v.astype(np.float32) @ vector, 0) for v in known.along(spans) if v is not None]  # fmt: skip
    x = np.concatenate([10 * c**2 for c in cosines]).astype(np.float16).astype(float)
    y = np.concatenate([s.truth for s in truth.spans]).astype(float)
    w = np.repeat([s.weight for s in truth.spans], [len(s) for s in spans])
    r = np.cov(x, y, aweights=w)
    return float(r[0, 1] / np.sqrt(r[0, 0] * r[1, 1]))


def test_an_edit_is_saved_with_its_parent_and_its_author(catalogue: Catalogue) -> None:
    found = rescore(catalogue, edit(catalogue, f"  {TEXT}\n"))
    shown = {e["id"]: e for e in catalogue.show(NEURON)["explanations"]}
    made = shown[found.explanation]
    assert (made["text"], made["explainer"], made["parent_id"]) == (TEXT, "human", found.parent)
    assert shown[found.parent]["explainer"] == "ngram"
    assert catalogue.explanation(found.explanation).settings == {"author": "ann"}
    rows = catalogue.search("explainer:human").rows
    assert [row.explanation_id for row in rows] == [found.explanation]
    assert catalogue.runs()[0]["command"] == "review"
    assert catalogue.runs()[0]["state"] == "done"


def test_before_after_and_the_difference_are_those_of_the_simulator(catalogue: Catalogue) -> None:
    wanted = edit(catalogue)
    found = rescore(catalogue, wanted)
    assert (found.simulator, found.llm) == ("embedding", None)
    change = {c.after.scorer: c for c in found.changes}["correlation"]
    before, after = (correlation(catalogue, text) for text in (wanted.parent.text, TEXT))
    assert change.before.value == pytest.approx(before, abs=1e-3)
    assert change.after.value == pytest.approx(after, abs=1e-3)
    assert change.difference.value == pytest.approx(after - before, abs=2e-3)
    low, high = change.difference.ci_low, change.difference.ci_high
    assert low is not None and high is not None and low <= after - before <= high


def test_it_is_scored_as_its_parent_was(catalogue: Catalogue) -> None:
    found = rescore(catalogue, edit(catalogue, explainer="token-table"))
    assert [c.after.scorer for c in found.changes] == ["correlation", "correlation_top_random"]
    stored = next(
        e for e in catalogue.show(NEURON)["explanations"] if e["explainer"] == "token-table"
    )
    for change, score in zip(found.changes, stored["scores"], strict=True):
        assert change.before.value == score["value"], "what there was is used, and not made anew"
        assert change.before.floor == change.after.floor == score["floor"]
        assert change.after.null_n == score["null_n"] == 20
        assert change.after.p_value is not None
    config = scored_as(catalogue, found.explanation)
    assert config is not None
    assert (config.top, config.random, config.bootstrap) == (4, 6, 200)
    (spans,) = {c.difference.n_spans for c in found.changes if c.after.scorer == "correlation"}
    assert spans == found.n_spans


def test_the_same_edit_is_the_same_explanation(catalogue: Catalogue) -> None:
    first = rescore(catalogue, edit(catalogue))
    n = len(catalogue.show(NEURON)["explanations"])
    assert rescore(catalogue, edit(catalogue, f"{TEXT} ")) == first
    assert len(catalogue.show(NEURON)["explanations"]) == n
    other = rescore(catalogue, replace(edit(catalogue), author="bob"))
    assert other.explanation != first.explanation


def test_a_report_is_still_of_the_sweep(catalogue: Catalogue) -> None:
    before = catalogue.newest_scored_run()
    found = rescore(catalogue, edit(catalogue))
    assert catalogue.newest_scored_run() == before
    assert [s.run for s in catalogue.scored_by(found.explanation)] == [
        catalogue.runs()[0]["run_id"]
    ]


def test_an_edit_of_an_edit_stands_beside_the_null_of_the_first_text(catalogue: Catalogue) -> None:
    first = rescore(catalogue, edit(catalogue))
    again = Rescoring(Target.of(NEURON, TEXT), "animals", "bob")
    second = rescore(catalogue, again)
    assert second.parent == first.explanation
    assert catalogue.origin(second.explanation, "human") == first.parent
    null = {(c.before.null_mean, c.after.null_mean) for c in second.changes}
    assert null == {(c.after.null_mean, c.after.null_mean) for c in first.changes}
    assert all(c.after.null_n == 20 for c in second.changes)


def reply(body: Mapping[str, Any]) -> str:
    """A model that expects some words where the explanation names animals, and else nothing."""
    prompt = body["messages"][-1]["content"]
    fired = words(prompt)[::6][:5] if "animals" in prompt else []
    return json.dumps([[n, word, 9] for n, word in fired])


def test_a_language_model_reads_both_texts(catalogue: Catalogue) -> None:
    with serve(reply) as server:
        reader = Reader("sparse", llm="openai:test-model")
        execution = Execution(servers=(server.base_url,), probe=False)
        found = rescore(catalogue, edit(catalogue, reader=reader), execution)
        assert len(server.chats) == 2
        again = rescore(catalogue, edit(catalogue, reader=reader), execution)
        assert len(server.chats) == 2, "nothing is bought twice"
    assert again == found
    assert (found.simulator, found.llm) == ("sparse", "openai:test-model")
    change = found.changes[0]
    assert (change.before.value, change.before.reason) == (None, "constant_simulation")
    assert change.after.value is not None
    assert (change.difference.value, change.difference.reason) == (None, "before_undefined")


def test_a_server_that_is_not_there_is_one_line_and_the_run_has_failed(
    catalogue: Catalogue,
) -> None:
    reader = Reader("sparse", llm="openai:test-model")
    execution = Execution(servers=("http://127.0.0.1:9/v1",), probe=False, tries=1)
    with pytest.raises(LLMUnavailableError):
        rescore(catalogue, edit(catalogue, reader=reader), execution)
    assert catalogue.runs()[0]["state"] == "failed"
    (made,) = [e for e in catalogue.show(NEURON)["explanations"] if e["explainer"] == "human"]
    assert (made["text"], made["scores"]) == (TEXT, []), "the text itself is not lost"


def test_a_sweep_at_the_same_time_is_not_in_the_way(catalogue: Catalogue) -> None:
    begun = threading.Event()
    counts: list[dict[str, int]] = []

    def sweep() -> None:
        with Catalogue(catalogue.path) as own:
            begun.set()
            counts.append(api.sweep(own, neurons=NEURONS, explainer="ngram", seed=7).counts)

    other = threading.Thread(target=sweep)
    other.start()
    assert begun.wait(30)
    found = rescore(catalogue, edit(catalogue))
    other.join(60)
    assert counts[0]["scored"] == 30
    assert catalogue.explanation(found.explanation).text == TEXT


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"text": " \n"}, RescoringError, "the text is empty"),
        ({"text": "x" * 2001}, RescoringError, "2,001 characters; 2,000 are the most"),
        ({"author": " "}, RescoringError, "needs the name of its author"),
        ({"parent": Target.of(NEURON, "never said")}, RescoringError, "has no such explanation"),
        ({"reader": Reader("ngram")}, PluginError, 'reads explanations of explainer "ngram" only'),
        ({"reader": Reader("sparse")}, PluginError, "needs a language model"),
        ({"reader": Reader("no-such")}, PluginError, "unknown simulator"),
        ({"reader": Reader(llm="batch:x")}, RescoringError, "offline batch"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_anything_is_saved(
    catalogue: Catalogue,
    changed: dict[str, Any],
    error: type[NeuroexplainError],
    message: str,
) -> None:
    before = len(catalogue.runs())
    with pytest.raises(error, match=message):
        rescore(catalogue, replace(edit(catalogue), **changed))
    assert len(catalogue.runs()) == before


def test_an_unchanged_text_is_refused(catalogue: Catalogue) -> None:
    wanted = edit(catalogue)
    with pytest.raises(RescoringError, match="the text is as it was"):
        rescore(catalogue, replace(wanted, text=f" {wanted.parent.text} "))


def test_simulators_that_cannot_read_an_edit_say_why() -> None:
    alone = {o.name: o.why_not for o in offers(Reader())}
    assert alone["embedding"] is None
    assert alone["ngram"] == "it reads what the explainer ngram found, and no text"
    assert alone["sparse"] == "it asks a language model: start the page with --llm"
    asked = {o.name: o.why_not for o in offers(Reader(llm="openai:m"))}
    assert asked["sparse"] is None and asked["ngram"] == alone["ngram"]
