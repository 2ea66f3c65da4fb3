from __future__ import annotations

import asyncio
from typing import Any

import pytest

from neuroexplain.errors import PluginError
from neuroexplain.registry import create

Build = Any  # of conftest.py, which cannot be imported


def test_human_gives_the_text_and_keeps_its_author(build: Build) -> None:
    evidence = build.evidence([build.exemplar(build.span("a b"), [0, 3])])
    explainer = create("explainer", "human", {"text": " words about ice\n", "author": "ann "})
    found = asyncio.run(explainer.explain(evidence, seed=0))
    assert (found.text, found.explainer, found.llm) == ("words about ice", "human", None)
    assert (found.settings, found.scale) == ({"author": "ann"}, 3.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"text": " \n", "author": "ann"}, "text is empty"),
        ({"text": "ice", "author": " "}, "author is empty"),
        ({"text": "ice"}, "needs the setting author"),
    ],
)
def test_human_needs_a_text_and_an_author(settings: dict[str, str], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        create("explainer", "human", settings)
