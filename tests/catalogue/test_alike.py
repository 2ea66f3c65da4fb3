"""Neurons like another: by their activations, by the meaning of their explanations, and by words."""

from __future__ import annotations

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.catalogue.searching import wording
from neuroexplain.errors import CatalogueError
from neuroexplain.records import POLARITIES, Floats, NeuronId
from tests.catalogue.conftest import Sweep

MODEL = "minilm x"
NEURON = NeuronId.parse("tiny/0/1+")


@pytest.mark.parametrize("polarity", POLARITIES)
def test_all_neurons_are_ranked_by_correlation_as_similar_names_them(
    catalogue: Catalogue, collection: Collection, polarity: int
) -> None:
    neuron = NeuronId("tiny", 0, 1, polarity)
    found = catalogue.correlated(neuron)
    rows = {
        NeuronId("tiny", layer, i): 4 * (layer // 2) + i + 1 for layer in (0, 2) for i in range(4)
    }
    wanted = [
        (rows[NeuronId("tiny", n.layer, n.index)], n.polarity, value)
        for n, value in catalogue.similar(neuron, limit=100)
    ]
    sides = found.polarities.tolist()
    assert list(zip(found.rows.tolist(), sides, found.values.tolist(), strict=True)) == wanted
    assert (found.kind, found.name, len(found)) == ("neuron", "correlation", 5)
    with pytest.raises(CatalogueError, match="no such index"):
        catalogue.correlated(NeuronId("tiny", 0, 9))


def unit(*components: float) -> Floats:
    vector = np.array([*components, *[0.0] * (16 - len(components))], np.float32)
    found: Floats = vector / np.linalg.norm(vector)
    return found


def test_explanations_of_like_meaning_need_no_model(sweep: Sweep) -> None:
    own = [sweep.explain("tiny/0/1+", text) for text in ("rivers", "ice")]
    sweep.explain("tiny/0/1-", "the other side of the same neuron")
    near, far = sweep.explain("tiny/0/2+", "frozen water"), sweep.explain("tiny/2/3-", "taxes")
    vectors = [unit(1), unit(0, 1), unit(1, 1), unit(1, 1, 0.5), unit(0.1, 0, 1)]
    numbers = [*own, own[-1] + 1, near, far]
    sweep.catalogue.save_meanings(MODEL, numbers, np.stack(vectors))
    found = sweep.catalogue.alike(NEURON)
    assert (found.name, found.rows.tolist()) == ("cosine", [near, far]), "without the neuron's own"
    mean = (unit(1) + unit(0, 1)) / np.sqrt(2)
    wanted = [mean @ vector for vector in vectors[3:]]
    assert found.values.tolist() == pytest.approx(wanted, abs=0.01)


def test_without_an_index_explanations_are_alike_that_share_rare_words(sweep: Sweep) -> None:
    sweep.explain("tiny/0/1+", "words about frozen rivers")
    texts = ["the river has frozen over", "words for taxes", "a frozen account", "nothing"]
    numbers = [sweep.explain(f"tiny/2/{n}+", text) for n, text in enumerate(texts)]
    for n in range(20):
        sweep.explain("tiny/0/2+", f"fill {n}")
    found = sweep.catalogue.alike(NEURON)
    assert found.name == "bm25"
    assert found.rows[0] == numbers[0], "it shares the most, by stem"
    assert set(found.rows.tolist()) == set(numbers[:3])
    assert (np.diff(found.values) <= 0).all()


def test_words_that_most_explanations_have_are_not_looked_up(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wording, "MOST", 3)
    sweep.explain("tiny/0/1+", "words about rivers")
    common = [sweep.explain(f"tiny/2/{n}+", f"words about number {n}") for n in range(4)]
    river = sweep.explain("tiny/0/2+", "a river")
    assert sweep.catalogue.alike(NEURON).rows.tolist() == [river]
    assert common


def test_explanations_that_the_index_lacks_are_compared_by_words(sweep: Sweep) -> None:
    sweep.explain("tiny/0/1+", "rivers")
    other = sweep.explain("tiny/0/2+", "a river")
    sweep.catalogue.save_meanings(MODEL, [other], unit(1)[None])
    found = sweep.catalogue.alike(NEURON)
    assert (found.name, found.rows.tolist()) == ("bm25", [other])


def test_a_neuron_without_an_explanation_is_like_none_by_text(sweep: Sweep) -> None:
    sweep.fail("tiny/0/1+")
    with pytest.raises(CatalogueError) as error:
        sweep.catalogue.alike(NEURON)
    assert str(error.value) == (
        "neuron tiny/0/1+ has no explanation to compare; by:activations compares what it does"
    )
