"""The query language: what it finds, its order, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import insert

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.catalogue.tables import Review
from neuroexplain.errors import QueryError
from neuroexplain.records import NeuronId, Ngram, Score

Sweep = Any  # of conftest.py, which cannot be imported

Search = Callable[[str], list[str]]
REVIEW = {"reviewer": "r", "verdict": "good", "note": "", "created_at": "now"}


def scored(value: float | None, **changes: object) -> Score:
    reason = "dead_neuron" if value is None else None
    fields = {"scorer": "correlation", "p_value": 0.04 if value == 0.9 else 0.5, **changes}
    return Score(
        value=value, reason=reason, ci_low=None, ci_high=None, null_mean=0.1, null_own=None, null_n=20,
        null_reason=None, floor=0.3, n_tokens=9, n_nonzero=3, coverage=1.0, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def filled(catalogue: Catalogue, collection: Collection, sweep: Sweep) -> Catalogue:
    fill(catalogue, collection, sweep)
    return catalogue


def fill(catalogue: Catalogue, collection: Collection, sweep: Sweep) -> None:
    a = sweep.explain("tiny/0/0+", "a: rivers and lakes", llm="openai:m")
    b = sweep.explain("tiny/0/1-", "b: frozen rivers", explainer="fixed")
    c = sweep.explain("tiny/2/2+", "c: “quotes” in naïve French, it's 50% of them")
    d = sweep.explain("tiny/2/3+", "d: lakes and rivers")
    sweep.explain("tiny/2/0+", "e: no score")
    sweep.fail("tiny/2/1+")
    sweep.score(a, scored(0.4), scored(0.1, scorer="other"))
    sweep.score(a, scored(0.99), split="select")
    sweep.score(b, scored(0.9))
    sweep.score(c, scored(None))
    sweep.score(d, scored(0.2), simulator="sparse")
    sweep.score(d, scored(0.6), simulator="ngram")
    catalogue.save_ngrams(collection, NeuronId("tiny", 2, 3), [Ngram(" the ice", 2, 3, 4)])
    with catalogue._database.writing() as connection:
        connection.execute(insert(Review).values(explanation_id=d, **REVIEW))


@pytest.fixture
def search(filled: Catalogue) -> Search:
    """First letters of the texts that are found."""
    return lambda query: [row.text[:1] or row.status for row in filled.search(query).rows]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "b d a c e"),
        ("river", "b d a"),  # the stem
        ("RIVERS lakes", "d a"),
        ('"rivers and lakes"', "a"),
        ("froz*", "b"),
        ('"rivers and la"*', "a"),
        ("naive", "c"),  # without the accent
        ("it's 50%", "c"),
        ("nothing", ""),
        ("layer:2", "d c e"),
        ("layer:0..1", "b a"),
        ("layer:0,2 idx:1,2..3", "b d c"),
        ("idx>=2", "d c"),
        ("layer<2 idx>0", "b"),
        ("subject:tiny polarity:-", "b"),
        ("polarity:+ river", "d a"),
        ("explainer:fixed", "b"),
        ("explainer:fixed,ngram lakes", "d a"),
        ("llm:openai:m", "a"),
        ("simulator:sparse", "b a d c"),
        ("simulator:ngram", "d"),
        ("score>=0.4", "b d a"),
        ("score>0.4", "b d"),
        ("score<=0.4", "a"),
        ("score:0.35..0.65", "d a"),
        ("simulator:sparse score:0.2", "d"),
        ("scorer:other score<0.5", "a"),
        ("p<=0.05", "b"),
        ("density<=0.1", "a e"),
        ('ngram:"the ice"', "d"),
        ("state:failed", "failed"),
        ("state:reviewed", "d"),
        ("state:unreviewed", "b a c e"),
        ("run:1 river", "b d a"),
        ("run:2", ""),
        ("sort:-score", "a d b c e"),
        ("-sort:score", "a d b c e"),
        ("sort:layer", "a b e c d"),
        ("sort:-layer", "d c e b a"),
        ("sort:newest", "e d c b a"),
        ("sort:-newest", "a b c d e"),
        ("sort:p", "b a c d e"),
        ("limit:2", "b d"),
        ("limit:2 limit:1", "b"),
    ],
)
def test_queries(search: Search, query: str, found: str) -> None:
    assert search(query) == found.split()


def test_token_finds_the_neurons_that_peak_on_it(
    filled: Catalogue, search: Search, collection: Collection
) -> None:
    wanted = set()
    for row in filled.search("").rows:
        evidence = filled.evidence(collection, NeuronId.parse(row.neuron))
        top = [e for e in evidence.exemplars if e.kind == "top"]
        if "river" in {e.span.tokens[e.peak_position].strip() for e in top}:
            wanted.add(row.text[0])
    assert set(search('token:"river"')) == wanted
    assert wanted
    assert search('token:"riv"') == []


def test_row_and_result(filled: Catalogue) -> None:
    result = filled.search("lakes", limit=1)
    assert (result.total_shown, result.truncated) == (1, True)
    assert filled.search("lakes", limit=2).truncated is False
    assert filled.search("lakes limit:1", limit=5).total_shown == 1
    row = result.rows[0]
    assert (row.neuron, row.layer, row.idx, row.polarity) == ("tiny/2/3+", 2, 3, 1)
    assert (row.scorer, row.score, row.null_mean, row.floor) == ("correlation", 0.6, 0.1, 0.3)
    assert (row.status, row.state) == ("ok", "reviewed")
    assert json.loads(json.dumps(result.to_json()))[0]["p_value"] == 0.5


def test_frame_has_the_rows(filled: Catalogue) -> None:
    pytest.importorskip("pandas")
    frame = filled.search("river").to_frame()
    assert frame["score"].tolist() == [0.9, 0.6, 0.4]
    assert list(filled.search("nothing").to_frame().columns) == list(frame.columns)


@pytest.mark.parametrize(
    "query",
    [
        '"', "'", "*", '"*', "**", "NEAR(", "NEAR(a b, 2)", "a AND", "OR OR", "NOT", "(a", "a)", "^a",
        "{text}", "- a", "-lakes", "a + b", ";DROP TABLE explanation", "'; DROP TABLE explanation; --",
        '" OR 1=1 --', 'lakes"rivers', '""""', '"" ""', "\0", "a\0b", '"a\0', "\ud800", "河 🧊", "%", "_",
        "\\", "\u202e", " \t\n ", "lakes " * 300, "a" * 2000, '"' * 2000, "10:30", "=", ">=", ":",
        "ngram:'; token:\"';--\"", 'token:"\0"', "ngram:%", "score>=1e308", "layer:9223372036854775807",
    ],
)  # fmt: skip
def test_no_query_breaks_the_engine(filled: Catalogue, query: str) -> None:
    with suppress(QueryError):  # a mistake that is explained; test_grammar.py says which
        filled.search(query)
    assert filled.search("lakes").total_shown == 2


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("lakes laier:3", 'unknown field "laier"; known: .*did you mean "layer".*at column 7'),
        ("http://x", "put it in quotes"),
        ("layer:x", 'layer: bad value "x"; valid: a whole number.*at column 1'),
        ("a layer:3..", 'bad value "3..".*at column 3'),
        ("layer:8..3", "from the smaller to the larger"),
        ("layer:1.5", "whole number"),
        ("layer:3,", "whole number"),
        ("layer:99999999999999999999", "whole number"),
        ("layer:" + "9" * 1900, "whole number"),
        ("score>=nan", "valid: a number"),
        ("score>=inf", "valid: a number"),
        ("score>=", "score has no value"),
        ('score>=""', "score has no value"),
        ("score>=0.1..0.2", "valid: a number"),
        ("polarity:up", "valid: \\+ and -"),
        ("state:done", "valid: unreviewed, reviewed, failed"),
        ("sort:text", "valid: score, p, layer, newest, density, relevance, similarity, -score"),
        ("limit:0", "whole number from 1"),
        ("limit:many", "whole number from 1"),
        ("explainer>=x", "cannot be compared"),
        (
            "explainer:fixt",
            'unknown explainer "fixt"; known: fixed, ngram; did you mean .*at column 1',
        ),
        ("scorer:corr", 'unknown scorer "corr"; known: correlation, other'),
        ("subject:big", "known: tiny"),
        ("a" * 2001, "at most 2000 characters"),
    ],
)
def test_mistakes_name_the_place_and_the_valid_values(
    filled: Catalogue, query: str, message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        filled.search(query)


def test_limit_is_at_least_one(filled: Catalogue) -> None:
    with pytest.raises(QueryError, match="at least 1, not -1"):
        filled.search("", limit=-1)


def test_empty_catalogue_has_nothing_to_find(catalogue: Catalogue) -> None:
    assert catalogue.search("explainer:ngram scorer:x").rows == ()
