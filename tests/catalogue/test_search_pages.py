"""Pages, counts, facets, limits of time, and that the way to a result does not change it."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.language.query import Term
from neuroexplain.catalogue.searching import conditions
from neuroexplain.catalogue.searching.found import Count, SearchRow
from neuroexplain.catalogue.searching.rankings import Ranking
from neuroexplain.errors import CatalogueError, QueryError
from neuroexplain.records import NeuronId, Score

Sweep = Any  # of conftest.py, which cannot be imported
WORDS = [
    "river",
    "rivers",
    "lake",
    "ice",
    "frozen",
    "freezing",
    "Paris",
    "naïve",
    "word",
    "words",
    "the",
    "of",
    "possibility",
    "possible",
]


def scored(value: float | None, scorer: str) -> Score:
    return Score(
        scorer=scorer, value=value, reason="dead_neuron" if value is None else None, ci_low=None, ci_high=None,
        null_mean=0.1, null_own=None, null_n=20, p_value=None if value is None else round(abs(value), 1),
        null_reason=None, floor=0.3, n_tokens=9, n_nonzero=3, coverage=1.0,
    )  # fmt: skip


@pytest.fixture
def filled(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Catalogue]:
    """Made once, and copied for every test."""
    made = tmp_path_factory.getbasetemp() / "filled.sqlite"
    if not made.exists():
        catalogue = request.getfixturevalue("catalogue")
        fill(request.getfixturevalue("sweep"))
        catalogue.close()
        shutil.copy(catalogue.path, made)
    with Catalogue(shutil.copy(made, tmp_path / "filled.sqlite")) as opened:
        yield opened


def fill(sweep: Sweep) -> None:
    """Two hundred explanations, many with equal scores, some without, some by other scorers, some failed."""
    dice = random.Random(5)
    for number in range(200):
        address = f"tiny/{dice.choice([0, 2])}/{dice.randrange(4)}{dice.choice('+-')}"
        text = f"{number}: {' '.join(dice.choices(WORDS, k=6))}"
        made = sweep.explain(
            address, text, explainer=dice.choice(["ngram", "fixed"]), llm=dice.choice([None, "m"])
        )
        if dice.random() < 0.8:
            value = None if dice.random() < 0.1 else dice.randrange(-10, 11) / 10
            sweep.score(made, scored(value, "correlation"))
        if dice.random() < 0.3:
            sweep.score(made, scored(dice.randrange(5) / 4, "detection"), key=f"d{number}")
        if dice.random() < 0.1:
            sweep.fail(address, key=f"f{number}")


def pages(catalogue: Catalogue, query: str, size: int, **options: Any) -> Iterator[SearchRow]:
    after = None
    while True:
        found = catalogue.search(query, limit=size, after=after, **options)
        assert found.truncated == (found.next is not None)
        yield from found.rows
        after = found.next
        if after is None:
            return


ORDERS = [
    "", "-sort:score", "sort:p", "sort:-p", "sort:layer", "sort:-layer", "sort:newest", "sort:-newest", "sort:density",
    "scorer:detection", "scorer:detection -sort:score", "state:any", "river", "words sort:relevance", "layer:2 score>=0",
    "simulator:sparse",
]  # fmt: skip


@pytest.mark.parametrize("query", ORDERS)
def test_pages_laid_end_to_end_are_the_whole_result(filled: Catalogue, query: str) -> None:
    whole = filled.search(query, limit=1000).rows
    assert len({row.explanation_id for row in whole}) == len(whole) > 20
    for size in (1, 7, 50):
        assert list(pages(filled, query, size)) == list(whole)


def test_orders_are_what_they_say(filled: Catalogue) -> None:
    def column(query: str, name: str) -> list[Any]:
        found = [getattr(row, name) for row in filled.search(query, limit=1000).rows]
        defined = [value for value in found if value is not None]
        assert found[: len(defined)] == defined  # what is undefined comes last
        return defined

    for scorer in ("correlation", "detection"):
        best = column(f"scorer:{scorer}", "score")
        assert best == sorted(best, reverse=True)
        assert column(f"scorer:{scorer} -sort:score", "score") == best[::-1]
    p = column("sort:p", "p_value")
    assert p == sorted(p)
    newest = column("sort:newest", "explanation_id")
    assert newest == sorted(newest, reverse=True)
    rows = filled.search("sort:layer", limit=1000).rows
    assert [(r.layer, r.idx) for r in rows] == sorted((r.layer, r.idx) for r in rows)


QUERIES = [
    "river", "rivers", "freezing", "possibility", "naive", "Paris river", "river OR lake", "river NOT lake", "-river",
    "NOT (river OR lake)", "(river ice) OR (Paris layer:0)", '"lake ice"', "riv*", "*eez*", "*oss* layer:2", "words score>=0.2",
    "layer:0 idx:1..2 -polarity:-", "NOT score>=0", "score>=0 OR score<0", "p<=0.3", "token:river", "-token:river",
    "scorer:detection score>=0.5", "NOT explainer:ngram", "llm:m OR explainer:fixed", "run:1", "NOT run:1",
    "state:failed,unreviewed", "NOT state:failed", "simulator:sparse lake",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_candidates_and_walk_find_the_same(
    filled: Catalogue, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [filled.search(query, limit=1000, count=True, facets=True)]
    for name in ("FEW_TEXTS", "FEW_PREFIXED", "FEW"):
        monkeypatch.setattr(conditions, name, 0)
    with Catalogue(filled.path, read_only=True) as again:  # which remembers nothing
        few.append(again.search(query, limit=1000, count=True, facets=True))
    assert few[0] == few[1]
    assert few[0].total == Count(len(few[0].rows))


def words_of(row: SearchRow) -> set[str]:
    return set(row.text.replace(":", " ").split())


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("river", lambda r: words_of(r) & {"river", "rivers"}),
        ("naive", lambda r: "naïve" in words_of(r)),
        ("*ossib*", lambda r: words_of(r) & {"possibility", "possible"}),
        ("riv*", lambda r: words_of(r) & {"river", "rivers"}),
        ("river lake", lambda r: words_of(r) & {"river", "rivers"} and "lake" in words_of(r)),
        ("river OR lake", lambda r: words_of(r) & {"river", "rivers", "lake"}),
        ("-river", lambda r: not words_of(r) & {"river", "rivers"}),
        ("lake NOT score>=0.5", lambda r: "lake" in words_of(r) and not (r.score or 0) >= 0.5),
        ("(lake layer:0) OR explainer:fixed",
         lambda r: ("lake" in words_of(r) and r.layer == 0) or r.explainer == "fixed"),
        ("llm:m polarity:- layer:2", lambda r: (r.llm, r.polarity, r.layer) == ("m", -1, 2)),
    ],
)  # fmt: skip
def test_queries_find_exactly_what_they_say(filled: Catalogue, query: str, holds: Any) -> None:
    everything = filled.search("", limit=1000).rows
    expected = {row.explanation_id for row in everything if holds(row)}
    assert {row.explanation_id for row in filled.search(query, limit=1000).rows} == expected
    assert 0 < len(expected) < len(everything)


@pytest.mark.parametrize(
    "query", ["", "layer:2", "river", "score>=0.3", "state:any -explainer:ngram", "nothing"]
)
def test_facets_add_up(filled: Catalogue, query: str) -> None:
    rows = filled.search(query, limit=1000).rows
    facets = filled.search(query, limit=1, facets=True).facets
    assert facets is not None
    assert facets.total == Count(len(rows))
    of_row: dict[str, Callable[[SearchRow], str | int]] = {
        "layer": lambda r: r.layer, "explainer": lambda r: r.explainer, "state": lambda r: r.state,
        "polarity": lambda r: "+" if r.polarity > 0 else "-", "subject": lambda r: r.neuron.split("/")[0],
    }  # fmt: skip
    for name, value in of_row.items():
        counted = Counter(value(row) for row in rows)
        assert {f.value: f.n for f in getattr(facets, name)} == counted
    assert sum(b.n for b in facets.score if b.low is None) == sum(r.score is None for r in rows)
    for b in facets.score:
        if b.low is not None and b.high is not None:
            inside = sum(
                r.score is not None and b.low - 1e-9 <= r.score < b.high - 1e-9 for r in rows
            )
            assert b.n == inside + (b.high == 1.0) * sum(r.score == 1.0 for r in rows)


def test_what_is_remembered_is_forgotten_when_something_is_added(
    catalogue: Catalogue, sweep: Sweep
) -> None:
    sweep.explain("tiny/0/0+", "a river")
    with Catalogue(catalogue.path) as other:
        assert other.search("river", count=True).total == Count(1)
        facets = other.search("", facets=True).facets
        assert facets is not None and facets.total == Count(1)
        added = sweep.explain("tiny/0/0+", "one more river")
        assert other.search("river", count=True).total == Count(2)
        facets = other.search("", facets=True).facets
        assert facets is not None and facets.total == Count(2)
        sweep.score(added, scored(1.0, "correlation"))
        assert other.search("river").rows[0].score == 1.0


def test_a_count_stops_somewhere(filled: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroexplain.catalogue.searching.search.COUNTED", 10)
    total = filled.search("", count=True).total
    assert (total, str(total)) == (Count(10, capped=True), "10+")


def test_a_query_out_of_time_is_cut_and_says_so(filled: Catalogue) -> None:
    query = " OR ".join(f"(-token:{word} -ngram:{word} NOT {word})" for word in WORDS)
    with pytest.raises(CatalogueError, match="cut off after 0 s"):
        filled.search(query, seconds=0)
    assert filled.search("river").rows  # the connection is as good as before


def ranked(rows: list[int], kind: str = "explanation") -> Any:
    def resolve(term: Term) -> Ranking:
        assert term.field in ("meaning", "similar")
        values = np.linspace(1, 0, len(rows))
        if kind == "explanation":
            return Ranking.of_explanations("cosine", rows, values, missing=3)
        return Ranking.of_neurons("correlation", rows, np.ones(len(rows)), values)

    return resolve


def test_a_ranking_gives_order_and_values(filled: Catalogue) -> None:
    everything = filled.search("", limit=1000).rows
    ids = [row.explanation_id for row in everything][::3]
    random.Random(1).shuffle(ids)
    options: dict[str, Any] = {"resolve": ranked(ids)}
    found = filled.search('meaning:"cold water"', limit=1000, **options)
    assert [row.explanation_id for row in found.rows] == ids
    assert found.rows[0].similarity == 1.0
    assert (found.ranked_by, found.cut) == ("cosine", "3 could not be ranked")
    lakes = filled.search('meaning:"cold water" lake layer:2', limit=1000, count=True, **options)
    assert [r.explanation_id for r in lakes.rows] == [
        n for n in ids for r in everything if r.explanation_id == n and "lake" in words_of(r) and r.layer == 2
    ]  # fmt: skip
    assert lakes.total == Count(len(lakes.rows))
    assert list(pages(filled, "meaning:x lake", 4, **options)) == list(
        filled.search("meaning:x lake", limit=1000, **options).rows
    )
    best = filled.search("meaning:x sort:score", limit=1000, **options).rows
    assert {r.explanation_id for r in best} == set(ids)
    assert best[0].score == max(r.score for r in best if r.score is not None)


def test_a_ranking_of_neurons_ranks_their_explanations(filled: Catalogue) -> None:
    order = [("tiny/2/3+", 3), ("tiny/0/1+", 1)]
    rows = [int(neuron_row(filled, address)) for address, _ in order]
    found = filled.search("similar:tiny/0/0+", limit=1000, resolve=ranked(rows, "neuron")).rows
    expected = [
        {r.explanation_id for r in filled.search("", limit=1000).rows if r.neuron == address}
        for address, _ in order
    ]
    assert {r.explanation_id for r in found[: len(expected[0])]} == expected[0]
    assert {r.explanation_id for r in found[len(expected[0]) :]} == expected[1]


def neuron_row(catalogue: Catalogue, address: str) -> int:
    query = "SELECT neuron_id FROM v_neurons WHERE subject = ? AND layer = ? AND idx = ?"
    neuron = NeuronId.parse(address)
    with closing(sqlite3.connect(catalogue.path)) as connection:
        place = (neuron.subject, neuron.layer, neuron.index)
        return int(connection.execute(query, place).fetchone()[0])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('meaning:"a"', "use neuroexplain.search"),
        ("sort:relevance layer:2", "needs words"),
        ("sort:similarity", "needs meaning, similar or activates"),
        ("lake OR meaning:a", "cannot stand under OR or NOT"),
    ],
)
def test_what_needs_a_ranking_says_so(filled: Catalogue, query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        filled.search(query)


def test_a_place_belongs_to_its_query(filled: Catalogue) -> None:
    place = filled.search("", limit=1).next
    with pytest.raises(QueryError, match="another query"):
        filled.search("river", after=place)
    for nonsense in ("", "x", "ééé", "W10", "bnVsbA"):
        with pytest.raises(QueryError, match="no place in a result"):
            filled.search("river", after=nonsense)
