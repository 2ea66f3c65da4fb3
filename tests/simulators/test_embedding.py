"""Levels by how near a token is to the explanation: planted meanings, exact values, and a sweep that asks no language model."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.errors import SubjectError
from neuroexplain.records import Floats, TokenSpan
from neuroexplain.registry import create
from neuroexplain.simulators.embedding import Embeddings, EmbeddingSimulator, embeddings
from neuroexplain.subjects.sentences import SentenceModel
from tests.program import neuroexplain
from tests.sweeps import Sweeps

Build = Any  # of conftest.py, which cannot be imported

SHIPS = "ships, boats and sailing"
BREAD = "bread, flour and baking"
TEXTS = {
    "ships": "In the morning the old sailors boarded their vessel and the boat left the harbour with the tide",
    "bread": "In the morning the old woman kneaded the dough and the loaf came out of the oven with a crust",
}
WORDS = {
    "ships": {" sailors", " vessel", " boat", " harbour"},
    "bread": {" kneaded", " dough", " loaf", " oven"},
}


def levels(build: Build, text: str, spans: list[TokenSpan]) -> list[Floats]:
    simulator = EmbeddingSimulator()
    found = asyncio.run(simulator.simulate(build.explanation(text, explainer="any"), spans))
    assert (found.simulator, found.llm, found.settings) == ("embedding", None, {"model": "minilm"})
    assert [s.span for s in found.spans] == spans
    expected = [s.expected for s in found.spans]
    assert all(e is not None and e.dtype == np.float32 and len(e) == len(s) for e, s in zip(expected, spans, strict=True))  # fmt: skip
    assert all(((e >= 0) & (e <= 10)).all() for e in expected if e is not None)
    return [e for e in expected if e is not None]


@pytest.mark.parametrize(("name", "explanation"), [("ships", SHIPS), ("bread", BREAD)])
def test_words_of_what_is_explained_are_above_all_others(
    build: Build, name: str, explanation: str
) -> None:
    spans = {key: build.span(text) for key, text in TEXTS.items()}
    found = dict(zip(spans, levels(build, explanation, [*spans.values()]), strict=True))
    own = [
        float(level)
        for level, token in zip(found[name], spans[name].tokens, strict=True)
        if token in WORDS[name]
    ]
    (other,) = spans.keys() - {name}
    assert len(own) == 4
    others = [*found[other], *(v for v, t in zip(found[name], spans[name].tokens, strict=True) if t not in WORDS[name])]  # fmt: skip
    assert min(own) > max(found[other]), "in a text about something else"
    assert np.mean(own) > 2 * np.mean(others)


def test_the_level_is_ten_times_the_square_of_the_cosine(build: Build) -> None:
    """Against vectors made here; the subject's tokens are cut otherwise than the sentence model's."""
    model = SentenceModel.load("minilm")
    text = model.text(SHIPS)
    pieces = ["The sail", "ors", " came", " ", "é", "", " aboard", "\n"]
    (along,) = model.pieces([pieces])
    assert text is not None and along is not None
    (found,) = levels(build, SHIPS, [build.span(pieces)])
    np.testing.assert_allclose(found, 10 * np.maximum(along @ text, 0) ** 2, atol=0.005)
    assert found[3] == found[2], "white space has what stands before it"
    assert found[5] == found[4], "and a part of a character what the character has"
    assert found[7] == found[6]
    assert len(set(found.tolist())) == 5


def test_the_same_text_cut_in_many_ways(build: Build) -> None:
    """Pieces of one word average to what the word has: the mapping goes by characters alone."""
    whole = ["The", " river", " froze", " over"]
    finer = ["T", "he", " ri", "ver", " fro", "ze", " o", "ver"]
    one, other = levels(build, "rivers in winter", [build.span(whole), build.span(finer)])
    np.testing.assert_allclose(np.repeat(one, 2), other, atol=1e-6)


def test_the_same_values_whatever_is_asked_for_with_them(build: Build) -> None:
    texts = [*TEXTS.values(), "Ships", "a b", "a c", "The old ship sank in the harbour " * 12]
    spans = [build.span(text) for text in texts]
    simulator = EmbeddingSimulator()
    alone = []
    for span in spans:
        embeddings.cache_clear()
        alone += levels(build, SHIPS, [span])
    embeddings.cache_clear()
    together = levels(build, SHIPS, [*spans, spans[0]])
    again = levels(build, SHIPS, [*reversed(spans), spans[0]])
    for one, other in zip([*alone, alone[0]], together, strict=True):
        np.testing.assert_allclose(one, other, atol=0.002)
    for one, other in zip([*reversed(together[:-1]), together[0]], again, strict=True):
        assert one.tolist() == other.tolist(), "what is kept is what it was"
    assert simulator == EmbeddingSimulator()
    assert embeddings.cache_info().misses == 1, "a process loads a sentence model once"


class Counting(SentenceModel):
    """Counts the texts that it makes vectors of."""

    made = 0

    def text(self, text: str) -> Floats | None:
        self.made += 1
        return super().text(text)

    def pieces(self, texts: Any) -> list[Floats | None]:
        self.made += len(texts)
        return super().pieces(texts)


def test_spans_and_explanations_are_embedded_once(build: Build) -> None:
    model = Counting.load("minilm")
    assert isinstance(model, Counting)
    known = Embeddings(model)
    spans = [build.span("a b c"), build.span("d e"), build.span("a b c")]
    for _ in range(3):
        known.along(spans)
        known.text(SHIPS)
    assert model.made == 2 + 1
    assert known.along([]) == []


def test_a_text_without_tokens_is_a_failed_span(build: Build) -> None:
    spans = [build.span("a ship"), build.span(["", "\u200b"]), build.span("a ship")]
    simulator = EmbeddingSimulator()
    found = asyncio.run(simulator.simulate(build.explanation(SHIPS), spans))
    assert [s.expected is None for s in found.spans] == [False, True, False]
    failure = found.spans[1].failure
    assert failure is not None
    assert (failure.stage, failure.reason) == ("simulate", "no_text")
    assert failure.message == "the text has no tokens for minilm"
    found = asyncio.run(simulator.simulate(build.explanation("\u200b"), spans[:1]))
    assert found.spans[0].failure is not None
    assert found.spans[0].failure.message == "the explanation has no tokens for minilm"


def test_a_model_that_is_not_there_is_found_at_once() -> None:
    with pytest.raises(SubjectError, match=r"no directory \./nowhere; a subject is one of: minilm"):
        create("simulator", "embedding", {"model": "./nowhere"})


def scores(catalogue: Path) -> list[tuple[Any, ...]]:
    query = """
        SELECT s.scorer, e.idx, s.value, s.null_mean, s.p_value, s.floor, s.coverage
        FROM v_scores s JOIN v_explanations e USING (explanation_id) WHERE s.simulator = 'embedding' ORDER BY 1, 2
    """
    with closing(sqlite3.connect(catalogue)) as connection:
        return connection.execute(query).fetchall()


def test_a_sweep_without_a_language_model_has_scores_beside_floor_and_null(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    """Other neurons' explanations are simulated for the null, in another process as in this one."""
    found = []
    for processes in ("0", "1"):
        catalogue = sweeps.copy(tmp_path / f"{processes}.sqlite")
        arguments = (
            *("sweep", *sweeps.collecting, "--explainer", "ngram", "--simulator", "embedding"),
            *("--neurons", "0:0-20", "--score-top", "2", "--score-random", "2", "--score-quantile", "0"),
            *("--bootstrap", "20", "--processes", processes, "--catalogue", str(catalogue)),
        )  # fmt: skip
        done = neuroexplain(*arguments, "--json")
        assert done.code == 0, done.err
        found.append(scores(catalogue))
        assert neuroexplain(*arguments, "--json").json["counts"]["reused"] > 0
    here, beside = found
    assert len(here) == 2 * 21
    assert all(value is not None and coverage == 1 for _, _, value, *_, coverage in here)
    assert sum(null is not None and p is not None for _, _, _, null, p, *_ in here) == len(here)
    for one, other in zip(here, beside, strict=True):
        assert one[:2] == other[:2]
        np.testing.assert_allclose(one[2:], other[2:], atol=1e-4)
