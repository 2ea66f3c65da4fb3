from __future__ import annotations

import asyncio
from typing import Any

import pytest

from neuroexplain.errors import PluginError
from neuroexplain.registry import create

Build = Any  # of conftest.py, which cannot be imported


def test_fixed_gives_the_text(build: Build) -> None:
    evidence = build.evidence([build.exemplar(build.span("a b"), [0, 3])])
    explainer = create("explainer", "fixed", {"text": " words about ice\n"})
    found = asyncio.run(explainer.explain(evidence, seed=0))
    assert (found.text, found.status, found.llm) == ("words about ice", "ok", None)
    assert (found.neuron, found.scale) == (evidence.neuron, 3.0)


def test_fixed_needs_a_text() -> None:
    with pytest.raises(PluginError, match='explainer "fixed": text is empty'):
        create("explainer", "fixed", {"text": " \n"})
