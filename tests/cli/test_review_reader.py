"""Who scores edits is said when the page is started, and what makes no sense is refused there."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from tests.cli.test_review import address_of, running
from tests.program import neuroexplain
from tests.sweeps import error_of


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--simulator", "ngram"), 'reads explanations of explainer "ngram" only'),
        (("--simulator", "sparse"), 'simulator "sparse" needs a language model'),
        (("--simulator", "no-such"), 'unknown simulator "no-such"'),
        (("--simulator-set", "size=5"), 'simulator "embedding": unknown setting "size"'),
        (("--llm", "foo:bar"), '"foo:bar" is no language model'),
        (("--llm", "openai"), '"openai" is no language model'),
        (("--llm", "batch:folder"), "the answers of an offline batch come hours later"),
    ],
)
def test_a_reader_of_no_use_is_refused_before_the_page_is_there(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = neuroexplain("review", "--catalogue", "nowhere.sqlite", *arguments, cwd=tmp_path)
    assert message in error_of(done)
    assert list(tmp_path.iterdir()) == []


def test_the_page_offers_the_reader_that_it_was_started_with(
    tmp_path: Path, minilm_explained: Path
) -> None:
    place = shutil.copy(minilm_explained, tmp_path / "c.sqlite")
    reader = ("--llm", "openai:test-model", "--simulator-set", "spans_per_call=5")
    usual = ("--catalogue", place, "--no-browser", "--port", "0")
    with running(tmp_path, *usual, *reader) as process, httpx.Client() as client:
        address = address_of(process)
        client.get(address)
        found = client.get(f"{address.partition('/enter')[0]}/api/v1/simulators").json()
    assert (found["default"], found["llm"]) == ("sparse", "openai:test-model")
