"""`neuroexplain search`: pages, facets, firing neurons, help and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.program import neuroexplain


def test_facets_count_what_is_found(swept: Path) -> None:
    file = ("--catalogue", str(swept))
    found = neuroexplain("search", "idx:0..39 limit:5", "--facets", "--json", *file).json
    assert len(found["rows"]) == 5
    facets = found["facets"]
    assert found["total"] == facets["total"] == {"n": 40, "capped": False}
    assert facets["layer"] == [{"value": 0, "n": 40}]
    assert sum(b["n"] for b in facets["score"]) == 40
    shown = neuroexplain("search", "idx:0..39 limit:5", "--facets", *file).out
    assert "correlation" in shown and "▇" in shown
    assert "the first 5 of 40; more by limit:N, or by --after " in shown


def test_a_page_goes_on_behind_the_last(swept: Path) -> None:
    file = ("--catalogue", str(swept), "--json")
    whole = [row["neuron"] for row in neuroexplain("search", "limit:50", *file).json]
    query = "limit:7"
    after: list[str] = []
    seen: list[str] = []
    while len(seen) < 30:
        page = neuroexplain("search", query, "--facets", *after, *file).json
        seen += [row["neuron"] for row in page["rows"]]
        after = ["--after", page["next"]]
    assert seen == whole[: len(seen)]
    wrong = neuroexplain("search", "idx:3", *after, *file)
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)
    assert "another query" in wrong.err


def test_neurons_that_fire_on_a_text(swept: Path) -> None:
    file = ("--catalogue", str(swept))
    found = neuroexplain("search", "limit:20", "--activates", 'The "river" froze', *file, "--json")
    values = [row["similarity"] for row in found.json]
    assert len(values) == 20
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.9
    shown = neuroexplain("search", "limit:3", "--activates", 'The "river" froze', *file).out
    assert "quantile" in shown.splitlines()[0]


def test_help_lists_the_language() -> None:
    out = neuroexplain("search", "--help").out
    for part in ("river OR lake", "layer:3..8", 'meaning:"frozen water"', "sort", "--activates"):
        assert part in out


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("laier:3", 'unknown field "laier"'),
        ("(river", "at column 1"),
        ("layer:x", 'layer: bad value "x"; valid: a whole number, for example 3, 3..8 or 3,5'),
        ('meaning:"ice"', "neuroexplain db embed"),
        ("similar:minilm/0/99999", "minilm/0/"),
    ],
)
def test_mistakes_are_one_line(swept: Path, query: str, message: str) -> None:
    done = neuroexplain("search", query, "--catalogue", str(swept))
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert message in done.err


def test_a_query_has_a_time_limit(swept: Path) -> None:
    terms = " OR ".join(f"token:a{n} OR ngram:b{n}" for n in range(70))
    done = neuroexplain("search", terms, "--time-limit", "0", "--catalogue", str(swept))
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "cut off after 0 s" in done.err
