"""Scores by texts about explanations, from explanations in a catalogue to scores beside null and floor.

The subject has neurons that fire on two words each, so that everybody knows what texts should do to them.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from neuroexplain import synthesising
from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.config import ExplainConfig, NgramConfig, SyntheticConfig, run_key
from neuroexplain.errors import (
    AwaitedError,
    ConfigError,
    LimitError,
    LLMUnavailableError,
    PluginError,
    SubjectError,
)
from neuroexplain.llm.base import Reply, Request
from neuroexplain.models import language_models
from neuroexplain.ngrams import collect_ngrams
from neuroexplain.records import Explanation, NeuronId
from neuroexplain.run import Execution, Run
from neuroexplain.synthesising import synthesise
from neuroexplain.testing import serve
from neuroexplain.testing.planted import (
    Constant,
    Meaning,
    Noise,
    PlantedSubject,
    WordSet,
    documents,
)
from neuroexplain.testing.sentences import WORDS
from neuroexplain.words import words
from tests.testing.planting import collected

NAMED = [*WORDS["who"], *WORDS["thing"], *WORDS["did"]][:120]
PAIRS = list(zip(NAMED[::2], NAMED[1::2], strict=True))
"""Sixty neurons' words; after them come a constant neuron, one of noise, and one that falls silent on two words."""
CONSTANT, NOISE, SILENCED = 60, 61, 62
CONFIG = SyntheticConfig(bootstrap=100)
ONE = Execution(threads=1)


def layer() -> list[Meaning]:
    fire: list[Meaning] = [WordSet(pair).noisy(0.1) for pair in PAIRS]
    return [*fire, Constant(0.5), Noise(0.5), (-1.0 * WordSet(PAIRS[0])).noisy(0.1)]


def about(explanation: str) -> list[str]:
    """Texts with the words that stand in quotation marks, none of them twice."""
    named = re.findall("“(.*?)”", explanation)
    tails = [f"was {such}" for such in WORDS["such"][:12]]
    return [f"the {word} {tail}" for tail in tails for word in named]


@dataclass
class Writer:
    """A language model that writes about the words in quotation marks; other replies by what an explanation begins with."""

    replies: Mapping[str, str] = field(default_factory=dict)
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)
    after: Callable[[], None] = lambda: None
    spec: str = "openai:writer"
    identity: str = "openai:writer@here"

    async def chat(self, request: Request) -> Reply:
        if self.error is not None:
            raise self.error
        asked = request.messages[1].text.partition("responds to: ")[2].partition("\n")[0]
        self.asked.append(asked)
        self.after()
        for begin, reply in self.replies.items():
            if asked.startswith(begin):
                return Reply(reply, 100, 50, 1.0)
        return Reply(json.dumps({"texts": about(asked)}), 100, 50, 1.0)

    def stop(self) -> None:
        """Nothing is under way."""

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Place:
    """A catalogue with a collection, to write to."""

    catalogue: Catalogue
    collection: Collection
    subject: PlantedSubject

    def explain(self, neuron: str, text: str, data: Any = None, **more: Any) -> int:
        """Add an explanation; returns its row."""
        address = NeuronId.parse(f"planted/0/{neuron}")
        made = Explanation(address, "fixed", text, 1.0, data=data, **more)
        run_id = self.catalogue.begin_run("explaining", "explain", {}, {})
        key = run_key(neuron, made.explainer, text, dict(made.settings))
        return self.catalogue.save_explanation(run_id, self.collection, key, made)

    def explain_all(self, n: int = 60) -> list[int]:
        """Right explanations of the neurons that fire on words."""
        return [self.explain(f"{n}+", f"“{a}” and “{b}”") for n, (a, b) in enumerate(PAIRS[:n])]

    def keywords(self, n: int = 60) -> list[int]:
        """The same as lists of words, which need no language model."""
        return [
            self.explain(f"{n}+", f"the words {a} and {b}", {"words": [[a, 9.0], [b, 7.5]]})
            for n, (a, b) in enumerate(PAIRS[:n])
        ]

    def score(
        self,
        rows: Sequence[int],
        llm: Any = None,
        *,
        config: SyntheticConfig = CONFIG,
        execution: Execution = ONE,
        load: bool = True,
        **options: Any,
    ) -> dict[str, int]:
        """Score; returns what was counted. Without loading, a subject that is wanted is an error."""
        with Run(self.catalogue, "score", {"synthetic": 1}, execution) as run:
            subject = self.subject if load else None
            synthesise(run, self.collection, rows, config, llm, subject, **options)
        return run.result.counts

    def rows(self, what: str, *columns: str, where: str = "1") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.catalogue.path)) as connection:
            query = f"SELECT {', '.join(columns)} FROM {what} WHERE {where} ORDER BY 1, 2"
            return connection.execute(query).fetchall()

    def scores(self, row: int, scorer: str = "synthetic_auroc") -> dict[str, Any]:
        """The newest score of an explanation."""
        columns = (
            *(
                "score_id",
                "value",
                "p_value",
                "reason",
                "null_reason",
                "null_n",
                "floor",
                "simulator",
            ),
            *("llm", "ci_low", "ci_high", "n_tokens", "n_nonzero", "coverage", "null_mean"),
        )
        found = self.rows(
            "v_scores", *columns, where=f"explanation_id = {row} AND scorer = '{scorer}'"
        )
        return dict(zip(columns, found[-1], strict=True))


@pytest.fixture(scope="module")
def collecting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlantedSubject]:
    """A collection with its n-gram pass, not to be written to."""
    texts = documents(150, {})
    subject = PlantedSubject([layer()], texts)
    path = tmp_path_factory.mktemp("synthetic") / "made.sqlite"
    with Catalogue(path) as catalogue:
        collection = collected(catalogue, subject, texts)
        with Run(catalogue, "ngrams", {}, ONE) as run:
            collect_ngrams(run, collection, NgramConfig(orders=2, top=20), subject)
    return path, subject


@pytest.fixture
def place(collecting: tuple[Path, PlantedSubject], tmp_path: Path) -> Iterator[Place]:
    made, subject = collecting
    path = Path(shutil.copy(made, tmp_path / "c.sqlite"))
    with Catalogue(path) as catalogue:
        yield Place(catalogue, catalogue.collection(), subject)


def test_right_explanations_are_told_from_wrong_ones(place: Place) -> None:
    right = place.explain_all()
    wrong = [place.explain("61+", "“clerk” and “poet”"), place.explain("62+", "“door” and “map”")]
    counts = place.score([*right, *wrong], Writer())
    assert (counts["texts"], counts["scored"]) == (62, 62)
    for row in right:
        area, units = place.scores(row), place.scores(row, "synthetic")
        assert area["value"] > 0.95
        assert units["value"] > 1
        for score in (area, units):
            assert score["p_value"] == 1 / 62
            assert score["null_n"] == 61
            assert score["ci_low"] <= score["value"] <= score["ci_high"]
            assert (score["simulator"], score["llm"]) == ("llm", "openai:writer")
            assert score["coverage"] == 1.0
        assert 80 <= area["n_tokens"] <= 120
        assert area["n_nonzero"] >= 20, "the word of each text, and some noise"
    noise = place.scores(wrong[0])
    assert abs(noise["value"] - 0.5) < 0.3


def test_the_lower_side_is_explained_by_what_silences(place: Place) -> None:
    a, b = PAIRS[0]
    row = place.explain("62-", f"“{a}” and “{b}”")
    others = [place.explain(f"{n}-", f"“{c}” and “{d}”") for n, (c, d) in enumerate(PAIRS[1:55], 1)]
    place.score([row, *others], Writer())
    assert place.scores(row)["value"] > 0.95
    assert place.scores(row)["p_value"] == 1 / 55
    assert all(place.scores(other)["value"] < 0.3 for other in others), "these words make it fire"


def test_a_constant_neuron_has_no_score(place: Place) -> None:
    rows = [*place.explain_all(), place.explain("60+", "“door” and “map”")]
    counts = place.score(rows, Writer())
    assert counts["without a score"] == 1
    for scorer in ("synthetic", "synthetic_auroc"):
        score = place.scores(rows[-1], scorer)
        assert (score["value"], score["reason"], score["p_value"]) == (
            None,
            "constant_neuron",
            None,
        )
    ranked = place.catalogue.search("scorer:synthetic sort:score", limit=100).rows
    assert ranked[-1].reason == "constant_neuron", "what is undefined comes last"


def test_what_is_there_is_not_made_again(place: Place) -> None:
    rows = place.explain_all(52)
    writer = Writer()
    place.score(rows, writer)
    assert len(writer.asked) == 52
    before = place.rows("score", "id", "value")
    counts = place.score(rows, writer, load=False)
    assert len(writer.asked) == 52
    assert (counts["reused"], counts.get("scored", 0)) == (52, 0)
    assert place.rows("score", "id", "value") == before
    place.score(rows, writer, config=replace(CONFIG, aggregator="max"))
    assert len(writer.asked) == 52, "the same texts, seen another way"
    assert len(place.rows("score", "id", "value")) == 2 * len(before)


def test_a_subject_of_other_weights_is_refused(place: Place) -> None:
    row = place.explain("0+", "“door” and “map”")
    other = PlantedSubject([layer()], ["a door"], name="planted")
    with (
        pytest.raises(SubjectError, match="other weights"),
        Run(place.catalogue, "score", {}, ONE) as run,
    ):
        synthesise(run, place.collection, [row], CONFIG, Writer(), other)


BAD = {
    "empty": "",
    "null": "null",
    "refusal": "I can't help with that.",
    "prose": 'Sure! {"texts": ["the clerk", "a clerk"]}',
    "cut off": '{"texts": ["the clerk", "a cl',
    "too few": '["the clerk"]',
    "all the same": json.dumps(["the clerk"] * 20),
    "numbers": "[1990, 4.5]",
}


def test_bad_replies_are_rows_with_the_raw_reply_and_the_others_go_on(place: Place) -> None:
    good = place.explain_all(52)
    bad = [place.explain(f"{52 + n}+", f"{name} reply") for n, name in enumerate(BAD)]
    writer = Writer({f"{name} reply": reply for name, reply in BAD.items()})
    counts = place.score([*good, *bad], writer)
    assert (counts["texts"], counts["failed"], counts["scored"]) == (52, len(BAD), 52)
    failed = place.rows(
        "text_set", "explanation_id", "raw_reply", "reason", where="reason IS NOT NULL"
    )
    assert [(row, raw) for row, raw, _ in failed] == list(zip(bad, BAD.values(), strict=True))
    assert {reason for *_, reason in failed} == {"parse_failed", "too_few_texts"}
    for row in bad:
        score = place.scores(row)
        assert (score["value"], score["reason"]) == (None, "generation_failed")
    assert all(place.scores(row)["p_value"] == 1 / 52 for row in good)
    asked = len(writer.asked)
    counts = place.score([*good, *bad], writer, load=False)
    assert len(writer.asked) == asked, "a failure stays one"
    assert counts["failed"] == len(BAD)


def test_failures_are_tried_again_on_demand(place: Place) -> None:
    rows = place.explain_all(2)
    place.score(rows, Writer({"“clerk”": "null"}))
    again = replace(ONE, retry=frozenset({"parse_failed"}))
    counts = place.score(rows, Writer(), execution=again)
    assert (counts["texts"], counts.get("failed", 0)) == (1, 0)
    assert place.scores(rows[0])["value"] > 0.9


def test_digits_and_points_reach_the_catalogue_as_they_are(place: Place) -> None:
    texts = ["the 1990s", "4.5 kg of it", "in the U.S.", "Theater", "1. e4 e5"] * 2
    row = place.explain("0+", "things with digits")
    place.score(
        [row],
        Writer({"things": json.dumps({"texts": [*texts, "x y z", "a b", "c d", "e f", "g h"]})}),
    )
    kept = [text for (_, text) in place.rows("v_texts", "place", "text")]
    assert kept == [*texts[:5], "x y z", "a b", "c d", "e f", "g h"]
    assert place.rows("text_set", "n_duplicates", "n") == [(5, 10)]


def test_few_explanations_are_scored_without_a_null(place: Place) -> None:
    rows = place.explain_all(20)
    place.score(rows, Writer())
    score = place.scores(rows[0])
    assert score["value"] > 0.95
    assert score["p_value"] is None
    assert score["null_reason"] == "texts about 19 other neurons' explanations, 50 needed"


def test_one_explanation_alone_has_nothing_to_be_compared_with(place: Place) -> None:
    (row,) = place.explain_all(1)
    place.score([row], Writer())
    assert place.scores(row)["reason"] == "no_other_texts"


def test_texts_of_earlier_runs_make_the_null_of_a_new_explanation(place: Place) -> None:
    place.score(place.explain_all(55), Writer())
    a, b = PAIRS[59]
    row = place.explain("59+", f"“{a}” and “{b}”")
    writer = Writer()
    place.score([row], writer)
    assert len(writer.asked) == 1
    score = place.scores(row)
    assert (score["null_n"], score["p_value"]) == (50, 1 / 51)
    # Those that were only compared with got no new scores.
    assert len(place.rows("score", "id", "value")) == 2 * 56


def test_neurons_beyond_the_pool_are_compared_with_it(place: Place) -> None:
    rows = place.explain_all()
    place.score(rows, Writer(), config=replace(CONFIG, others=50))
    scores = [place.scores(row) for row in rows]
    assert sorted(s["null_n"] for s in scores) == [49] * 50 + [50] * 10
    assert all(s["p_value"] == 1 / (1 + s["null_n"]) for s in scores if s["null_n"] == 50)
    assert sum(s["p_value"] is None for s in scores) == 50, "49 others are too few"
    assert all(s["value"] > 0.9 for s in scores)


def test_a_few_at_a_time_are_scored_as_all_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = place.explain_all()
    columns = ("explanation_id", "scorer", "value", "null_mean", "p_value", "n_nonzero")
    place.score(rows, Writer(), config=replace(CONFIG, others=50))
    once = place.rows("v_scores", *columns)
    with closing(sqlite3.connect(place.catalogue.path)) as connection, connection:
        connection.execute("DELETE FROM score")
    monkeypatch.setattr(synthesising, "AT_ONCE", 4)
    place.score(rows, Writer(), config=replace(CONFIG, others=50))
    for row, same in zip(place.rows("v_scores", *columns), once, strict=True):
        assert [n is None for n in row] == [n is None for n in same]
        assert row[:2] == same[:2]
        numbers = [n for n in same[2:] if n is not None]
        assert [n for n in row[2:] if n is not None] == pytest.approx(numbers, rel=1e-5)


def test_of_several_candidates_the_best_is_chosen_and_reported_by_other_texts(place: Place) -> None:
    right = place.explain_all(52)
    such = WORDS["such"][12:]
    wrong = [place.explain(f"{n}+", f"“{such[n % 25]}” and “{such[n % 24]}”") for n in range(52)]
    place.score([*right, *wrong], Writer())
    for good, bad in zip(right, wrong, strict=True):
        chosen, other = place.scores(good), place.scores(bad)
        assert chosen["p_value"] == 1 / 52
        assert chosen["n_tokens"] <= 60, "half of the texts"
        assert other["p_value"] is None
        assert "another explanation of the neuron did better" in other["null_reason"]
        assert other["value"] < 0.85 < chosen["value"]


def test_other_settings_are_no_candidates(place: Place) -> None:
    """Each is scored by all of its texts, beside others that were made like it."""
    rows = place.explain_all(52)
    for n, (a, b) in enumerate(PAIRS[:52]):
        rows.append(place.explain(f"{n}+", f"“{a}” or “{b}”", settings={"shots": 0}))
    place.score(rows, Writer())
    assert {place.scores(row)["p_value"] for row in rows} == {1 / 52}


def test_lists_of_words_take_held_out_ngrams_and_no_language_model(place: Place) -> None:
    rows = place.keywords()
    counts = place.score(rows)
    assert counts["texts"] == 60
    passed = place.catalogue.ngram_pass(place.collection)
    assert passed is not None
    seen = place.catalogue.ngram_texts(passed)
    held_out = " ".join(place.catalogue.texts(place.collection, ["test"])).lower()
    texts = place.rows("v_texts", "explanation_id", "text", "source")
    assert len(texts) > 300
    for row, text, source in texts:
        assert source == "corpus"
        assert text not in seen
        assert set(words(text)) & set(PAIRS[rows.index(row)])
        assert all(word in held_out for word in words(text))
    scored = [place.scores(row) for row in rows]
    assert {s["simulator"] for s in scored} == {"corpus"}
    defined = [s for s in scored if s["value"] is not None]
    assert len(defined) > 40
    assert all(s["value"] > 0.9 for s in defined)
    assert {s["reason"] for s in scored} <= {None, "too_few_texts"}


def test_the_floor_of_a_sentence_is_the_score_of_the_keywords(place: Place) -> None:
    lists = []
    for n, (a, b) in enumerate(PAIRS):
        made = Explanation(
            NeuronId("planted", 0, n),
            "keywords",
            f"{a}, {b}",
            1.0,
            data={"words": [[a, 9], [b, 8]]},
        )
        run_id = place.catalogue.begin_run("keywords", "explain", {}, {})
        lists.append(place.catalogue.save_explanation(run_id, place.collection, f"k{n}", made))
    sentences = place.explain_all()
    place.score([*sentences, *lists], Writer())
    for scorer in ("synthetic", "synthetic_auroc"):
        floors = [place.scores(row, scorer)["value"] for row in lists]
        assert [place.scores(row, scorer)["floor"] for row in sentences] == floors
        assert {place.scores(row, scorer)["floor"] for row in lists} == {None}
    before = place.rows("score", "id", "value")
    place.score([*sentences, *lists], Writer(), load=False)
    assert place.rows("score", "id", "value") == before
    # The sentences by themselves find the floors in the catalogue.
    place.score(sentences, Writer())
    assert [place.scores(row)["floor"] for row in sentences] == floors


def test_no_ngram_pass_is_one_line_before_any_call(
    collecting: tuple[Path, PlantedSubject], tmp_path: Path
) -> None:
    texts = documents(30, {})
    subject = PlantedSubject([layer()], texts)
    with Catalogue(tmp_path / "bare.sqlite") as catalogue:
        place = Place(catalogue, collected(catalogue, subject, texts), subject)
        rows, writer = place.explain_all(3), Writer()
        with pytest.raises(ConfigError, match="no n-gram pass; run neuroexplain ngrams first"):
            place.score(rows, writer)
        assert writer.asked == []
        place.score(rows, writer, ensure=True)
        assert place.scores(rows[0])["value"] > 0.9


def test_sentences_need_a_language_model(place: Place) -> None:
    with pytest.raises(PluginError, match='scorer "synthetic" needs a language model'):
        place.score(place.explain_all(1))


def test_scores_wait_for_texts_that_come_with_a_batch(place: Place) -> None:
    rows = place.explain_all(3)
    counts = place.score(rows, Writer(error=AwaitedError("asked")))
    assert counts["awaiting a batch"] == 3
    assert place.rows("score", "id", "value") == []
    place.score(rows, Writer())
    assert len(place.rows("score", "id", "value")) == 6


def test_scores_wait_when_a_run_is_stopped(place: Place) -> None:
    rows, writer = place.explain_all(8), Writer()
    execution = replace(ONE, concurrency=1)
    with Run(place.catalogue, "score", {}, execution) as run:
        writer.after = lambda: run.halt.call() if len(writer.asked) == 3 else None
        synthesise(run, place.collection, rows, CONFIG, writer, place.subject)
    assert 3 <= len(place.rows("text_set", "id", "n")) < 8
    assert place.rows("score", "id", "value") == []
    place.score(rows, writer)
    assert len(writer.asked) == 8
    assert len(place.rows("score", "id", "value")) == 16


def test_a_server_that_never_answers_ends_the_run(place: Place) -> None:
    with pytest.raises(LLMUnavailableError, match="down"):
        place.score(place.explain_all(3), Writer(error=LLMUnavailableError("down")))
    assert place.rows("score", "id", "value") == []


def answered(body: Mapping[str, Any]) -> str:
    asked = body["messages"][-1]["content"].partition("responds to: ")[2].partition("\n")[0]
    return json.dumps({"texts": about(asked)})


def through_a_server(place: Place, rows: Sequence[int], url: str, **limits: Any) -> dict[str, int]:
    config = ExplainConfig(llm="openai:test-model", base_url="here")
    execution = replace(ONE, servers=(url,), probe=False, concurrency=4, **limits)
    with (
        Run(place.catalogue, "score", {"synthetic": 2}, execution) as run,
        language_models(run, config, None) as (llm, _),
    ):
        synthesise(run, place.collection, rows, CONFIG, llm, place.subject)
    return run.result.counts


def test_calls_go_through_ledger_and_budget_and_are_not_paid_twice(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    rows = place.explain_all(52)
    with serve(answered) as server:
        url = f"{server.base_url},name=here"
        with pytest.raises(LimitError):
            through_a_server(place, rows, url, max_calls=20)
        assert len(server.chats) == 20
        assert place.rows("score", "id", "value") == [], "scores wait for all texts"
        kept = place.rows("text_set", "explanation_id", "n")
        assert 10 <= len(kept) <= 20
        through_a_server(place, rows, url)
        assert len(server.chats) == 52
    assert len(place.rows("llm_call", "id", "purpose", where="purpose = 'score'")) == 52
    assert {place.scores(row)["p_value"] for row in rows} == {1 / 52}


@pytest.mark.parametrize("change", [{"texts": 1}, {"others": 49}, {"bootstrap": -1}])
def test_settings_that_make_no_sense(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least"):
        SyntheticConfig(**change)  # type: ignore[arg-type]


def test_an_unknown_aggregator() -> None:
    with pytest.raises(ConfigError, match="aggregator is one of mean, max"):
        SyntheticConfig(aggregator="median")  # type: ignore[arg-type]
