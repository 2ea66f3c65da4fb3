"""`neuroexplain reviews queue`: queues made from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from neuroexplain.catalogue import Reviews, reviews_path
from neuroexplain.cli import cli
from neuroexplain.testing import catalogues


def make(path: Path) -> Path:
    catalogues.make(path, neurons=48, explanations=200, layers=4, spans=400, reviews=0)
    return path


def run(path: Path, *arguments: str) -> tuple[int, str]:
    words = ["reviews", "queue", *arguments, "--catalogue", str(path), "--reviewer", "ann"]
    result = CliRunner().invoke(cli, words, env={"COLUMNS": "120"})
    return result.exit_code, result.output


def test_queues_are_drawn_printed_and_written(tmp_path: Path) -> None:
    path = make(tmp_path / "c.sqlite")
    code, said = run(path, "first", "--strata", "layer, polarity", "--n", "40", "--shared", "0.25")
    assert code == 0
    lines = [line.split() for line in said.splitlines()]
    assert "10 for everybody" in said
    assert ["stratum", "explanations", "drawn"] in lines
    sampled = [line for line in lines if line[0] == "layer"]
    assert len(sampled) == 8
    assert sum(int(line[-1]) for line in sampled) == 40
    code, said = run(path, "second", "--kind", "pairs", "--n", "3", "--json")
    made = json.loads(said)
    assert (code, made["mode"], made["n_items"], made["made_by"]) == (0, "pairwise", 3, "ann")
    with Reviews(reviews_path(path)) as reviews:
        assert [queue.name for queue in reviews.queues()] == ["second", "first"]
        first = reviews.queues()[1]
        assert (first.seed, first.plan["strata"], first.n_items) == (0, ["layer", "polarity"], 40)
        assert len(reviews.items(reviews.queue(made["uuid"]))) == 3
    code, said = run(path, "third", "--kind", "adjudication", "--queue", "first")
    assert (code, said) == (1, "Error: nothing to settle: no explanation has different verdicts\n")
    run(path, "first", "--n", "4", "--seed", "1")
    code, said = run(path, "third", "--kind", "adjudication", "--queue", "first")
    assert code == 1
    assert '2 queues are meant by "first": give the uuid' in said
    code, said = run(path, "third", "--kind", "adjudication", "--queue", first.uuid[:8])
    assert (code, said) == (1, "Error: nothing to settle: no explanation has different verdicts\n")
    code, said = run(path, "a\x1b[2Jb")
    assert (code, said) == (1, "Error: name: at most 200 letters, on one line\n")
    code, said = run(path, "third", "--strata", "layre")
    assert code == 1
    assert 'did you mean "layer"?' in said
