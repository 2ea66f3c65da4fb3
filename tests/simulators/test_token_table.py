"""By hand; `tests/explainers/test_planted.py` has it with its explainer."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from neuroexplain.errors import PluginError
from neuroexplain.registry import create, find
from neuroexplain.simulators.base import Simulator

Build = Any  # of conftest.py, which cannot be imported


def test_tokens_are_looked_up_by_id(build: Build) -> None:
    span, other = build.span([" a", "a", " a"]), build.span(["\n"])
    data = {"table": {str(span.token_ids[0]): 8.0}, "default": 0.25}
    explanation = build.explanation(explainer="token-table", data=data)
    found = asyncio.run(create("simulator", "token-table", {}).simulate(explanation, [span, other]))
    assert [s.expected.tolist() for s in found.spans] == [[8, 0.25, 8], [0.25]]
    assert all(s.expected.dtype == np.float32 for s in found.spans)


@pytest.mark.parametrize("data", [None, {"other": 1}])
def test_other_explanations_are_refused(build: Build, data: Any) -> None:
    simulator: Simulator = create("simulator", "token-table", {})
    assert find("simulator", "token-table").reads == "token-table"
    with pytest.raises(PluginError) as caught:
        asyncio.run(simulator.simulate(build.explanation(data=data), [build.span("a")]))
    assert str(caught.value) == (
        'simulator "token-table" reads the explanations of explainer "token-table" only, not of "fixed"; '
        "choose another simulator, for example embedding, sparse or logprob"
    )
