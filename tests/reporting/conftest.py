"""A catalogue for results that a test makes up, and a report with everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from neuroexplain.reporting import Report, assemble
from tests.reporting.made import Made, score

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "{{ 7 * 7 }}{% for x in y %}",
    "a\0b",
    "\u202egpj.exe\u2066",
    "</style></svg></table>",
    "http://example.org/x & <b>",
    "rivers $x^2$ und größere 河",
)
"""Texts that would do something if they were not shown as they are."""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    results = Made(tmp_path)
    with results.catalogue:
        yield results


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report of texts that would rather be markup, by two methods and two scorers; a subject's name is of the kind too."""
    results = Made(tmp_path_factory.mktemp("hostile"), "t<i>")
    run = results.run()
    for place, text in enumerate(HOSTILE):
        layer, index = divmod(place, 4)
        for explainer, llm in (("fixed", None), ("highlight", "openai:<m>&")):
            number = results.explain(
                run, f"{2 * layer}/{index}", text, explainer=explainer, llm=llm
            )
            value = 0.1 * place
            scores = score(value, p=0.25), score(2 * value, scorer="a<b>_c", p=None, null_n=0)
            results.score(run, number, *scores, simulator="sparse", llm=llm, failed=["<reason>"])
    results.fail(run, "0/0-", "<failed>")
    with results.catalogue as catalogue:
        return assemble(catalogue)
