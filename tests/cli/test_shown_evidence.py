"""`show` tells what a neuron writes, and what looks alike and leaves it quiet, once somebody has sought that."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.config import EvidenceConfig
from neuroexplain.explainers.base import Want
from neuroexplain.preparing import prepare
from neuroexplain.run import Execution, Run
from neuroexplain.runner import neurons_of
from tests.program import Result, neuroexplain
from tests.sweeps import Sweeps


@pytest.fixture
def path(sweeps: Sweeps, tmp_path: Path) -> Path:
    return sweeps.copy(tmp_path / "catalogue.sqlite")


def show(path: Path, neuron: str, *more: str) -> Result:
    result = neuroexplain("show", neuron, "--catalogue", str(path), *more)
    assert result.code == 0, result.err
    return result


def made(path: Path, selector: str) -> None:
    with Catalogue(path) as catalogue, Run(catalogue, "explain", {}, Execution(threads=1)) as run:
        collection = catalogue.collection()
        neurons = neurons_of(collection, selector, 0)
        wants: frozenset[Want] = frozenset({"look_alikes", "output_tokens"})
        prepare(run, collection, neurons, wants, config=EvidenceConfig(quiet=0.9))


def test_only_where_somebody_has_sought_it(path: Path) -> None:
    before = show(path, "tiny/0/3+")
    assert "by itself" not in before.out and "look alike" not in before.out
    made(path, "0:3")
    as_json = show(path, "tiny/0/3+", "--json").json
    assert len(as_json["look_alikes"]["spans"]) > 2
    text = show(path, "tiny/0/3+", "--spans", "2").out
    first = as_json["output_tokens"]["promoted"][0]
    assert f'tokens that it promotes by itself: "{first["token"]}" {first["logit"]:.1f}, ' in text
    assert "tokens that it suppresses by itself: " in text
    heads = ["strongest, seen by", "look alike, and leave it quiet", "held out, strongest"]
    places = [text.index(head) for head in heads]
    assert places == sorted(places)
    assert text[places[1] : places[2]].count("\n  real ") == 2
    assert show(path, "tiny/0/4+", "--json").json["look_alikes"] is None
