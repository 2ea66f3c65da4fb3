"""What the catalogue knows of judged explanations: authors and newest scores, by what they say."""

from __future__ import annotations

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.reviewing.rated import Method, Scale
from neuroexplain.records import NeuronId
from neuroexplain.reviewed import Target
from tests.catalogue.conftest import Sweep
from tests.catalogue.test_entries import scored


def target(address: str, text: str) -> Target:
    return Target.of(NeuronId.parse(address), text)


def test_authors_and_the_newest_score_of_every_scale(catalogue: Catalogue, sweep: Sweep) -> None:
    a = sweep.explain("tiny/0/0+", "ice", llm="openai:m")
    sweep.score(a, scored(0.4), scored(0.1, scorer="other"))
    sweep.score(a, scored(0.7), key="again")
    sweep.score(a, scored(0.99), split="select")
    sweep.score(a, scored(0.6), simulator="ngram")
    (found,) = catalogue.rated([target("tiny/0/0+", "ice")])[target("tiny/0/0+", "ice")]
    assert found.id == a
    assert found.method == Method("ngram", "openai:m")
    assert str(found.method) == "ngram, openai:m"
    assert found.scores == {
        Scale("correlation", "sparse", "openai:m", "test"): 0.7,
        Scale("other", "sparse", "openai:m", "test"): 0.1,
        Scale("correlation", "sparse", "openai:m", "select"): 0.99,
        Scale("correlation", "ngram", "openai:m", "test"): 0.6,
    }
    assert found.correlation == 0.6
    assert str(Scale("correlation", "logprob", "openai:m", "test")) == (
        "correlation of logprob, openai:m, test split"
    )


def test_an_undefined_score_takes_the_place_of_an_older_one(
    catalogue: Catalogue, sweep: Sweep
) -> None:
    a = sweep.explain("tiny/0/0+", "ice")
    sweep.score(a, scored(0.4), key="first")
    sweep.score(a, scored(None), key="second")
    (found,) = catalogue.rated([target("tiny/0/0+", "ice")])[target("tiny/0/0+", "ice")]
    assert found.scores == {}
    assert found.correlation is None


def test_one_text_of_several_methods(catalogue: Catalogue, sweep: Sweep) -> None:
    sweep.explain("tiny/2/1-", "rivers")
    sweep.explain("tiny/2/1-", "rivers", explainer="fixed")
    about = target("tiny/2/1-", "rivers")
    assert [str(r.method) for r in catalogue.rated([about])[about]] == ["ngram", "fixed"]


def test_only_the_neuron_its_side_and_its_very_words(catalogue: Catalogue, sweep: Sweep) -> None:
    sweep.explain("tiny/0/0+", "ice")
    sweep.explain("tiny/2/3+", "ice")
    sweep.fail("tiny/2/1+")
    there = {target("tiny/0/0+", "ice"), target("tiny/2/3+", "ice")}
    elsewhere = {
        target("tiny/0/0-", "ice"),
        target("tiny/0/1+", "ice"),
        target("tiny/2/0+", "ice"),
        target("other/0/0+", "ice"),
        target("tiny/0/0+", "ice "),
        target("tiny/0/0+", "Ice"),
        target("tiny/2/1+", ""),
    }
    found = catalogue.rated(there | elsewhere)
    assert set(found) == there
    assert all(rated.target == about for about, several in found.items() for rated in several)
    assert catalogue.rated([]) == {}
