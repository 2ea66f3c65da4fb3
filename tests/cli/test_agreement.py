"""`neuroexplain reviews agreement`: the numbers of the page, on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from neuroexplain.appraising import agreement as agreement_of
from neuroexplain.appraising import appraise
from neuroexplain.catalogue import Catalogue, Reviews, reviews_path
from neuroexplain.cli.agreement import agreement
from neuroexplain.errors import CatalogueError
from neuroexplain.reviewed import Event, Judged, Queue, QueueItem, Stratum
from tests.program import neuroexplain

QUEUE = "a" * 32


@pytest.fixture(scope="module")
def place(swept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with a drawn queue that two reviewers decided."""
    path = Path(shutil.copy(swept, tmp_path_factory.mktemp("judged") / "catalogue.sqlite"))
    with Catalogue(path, read_only=True) as catalogue, Reviews(reviews_path(path)) as reviews:
        rows = catalogue.search("score>=0", limit=20).rows
        found = catalogue.targets([row.explanation_id for row in rows]).values()
        items = [QueueItem(i, t, stratum=0, weight=5.0, shared=True) for i, t in enumerate(found)]
        strata = (Stratum("all", 5 * len(items), len(items)),)
        queue = Queue(QUEUE, "A \x1b[31mqueue", "verdict", "none", 0, {}, strata, 0, "ann", "")
        reviews.make_queue(queue, items)
        for item in items:
            for number, name in enumerate(("ann", "bob")):
                verdict = Judged("correct" if item.position % (2 + number) else "wrong")
                at = f"2026-11-25T12:00:{item.position:02}+00:00"
                uuid = f"{2 * item.position + number:032x}"
                reviews.add(
                    Event(uuid, name, item.target, verdict, at, queue=QUEUE, position=item.position)
                )
    return path


def test_it_prints_shares_and_agreement(place: Path) -> None:
    result = CliRunner().invoke(
        agreement, ["--catalogue", str(place), "--queue", QUEUE], env={"COLUMNS": "200"}
    )
    assert result.exit_code == 0, result.output
    with Catalogue(place, read_only=True) as catalogue, Reviews(reviews_path(place)) as reviews:
        found = appraise(catalogue, reviews, QUEUE).overall.strict.estimate
        kappa = agreement_of(reviews, QUEUE).pairs[0].compared.kappa
    assert found.value is not None and found.low is not None and found.high is not None
    interval = f"[{100 * found.low:.1f}, {100 * found.high:.1f}]"
    assert f"{100 * found.value:.1f} % {interval}" in result.output
    assert f"{kappa.value:.2f} [" in result.output
    assert "ann, bob" in result.output
    assert "to be settled: " in result.output


def test_a_queue_is_meant_by_its_name_too_and_json_has_everything(place: Path) -> None:
    given = ["--catalogue", str(place), "--queue", "A \x1b[31mqueue", "--json"]
    said = json.loads(CliRunner().invoke(agreement, given, env={"COLUMNS": "200"}).output)
    assert said["appraisal"]["queue"] == said["agreement"]["queue"] == QUEUE
    assert said["appraisal"]["overall"]["strict"]["population"] == said["agreement"]["judged"] * 5


def test_it_is_a_command_of_reviews(place: Path) -> None:
    result = neuroexplain("reviews", "agreement", "--catalogue", str(place), "--queue", "none")
    assert result.code == 1
    assert 'no queue "none"' in result.err and len(result.err.splitlines()) == 1
    result = neuroexplain("reviews", "agreement", "--catalogue", str(place), "--queue", QUEUE)
    assert result.code == 0 and "Krippendorff's alpha" in result.out


def test_without_a_queue_it_says_why_there_are_no_intervals(place: Path) -> None:
    result = CliRunner().invoke(agreement, ["--catalogue", str(place)], env={"COLUMNS": "200"})
    assert "no intervals of shares: not drawn at random as a whole" in result.output


def test_a_queue_or_a_file_that_is_not_there(place: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        agreement, ["--catalogue", str(place), "--queue", "none"], env={"COLUMNS": "200"}
    )
    assert isinstance(result.exception, CatalogueError)
    assert 'no queue "none"' in str(result.exception)
    missing = ["--catalogue", str(place), "--reviews", str(tmp_path / "none.sqlite")]
    assert isinstance(
        CliRunner().invoke(agreement, missing, env={"COLUMNS": "200"}).exception, CatalogueError
    )
    assert not (tmp_path / "none.sqlite").exists()
