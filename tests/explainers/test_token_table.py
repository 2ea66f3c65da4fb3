"""By hand; `test_planted.py` has what it finds in a made-up corpus."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroexplain.errors import PluginError
from neuroexplain.explainers.base import levels, weighted
from neuroexplain.explainers.token_table import tabulate
from neuroexplain.records import Evidence, Explanation
from neuroexplain.registry import create

Build = Any  # of conftest.py, which cannot be imported


def explain(evidence: Evidence, **params: Any) -> Explanation:
    explanation: Explanation = asyncio.run(
        create("explainer", "token-table", params).explain(evidence, seed=0)
    )
    return explanation


def test_the_table_is_weighted_by_what_spans_stand_for(build: Build) -> None:
    top, drawn = build.span(["a", "b"]), build.span(["a", "c"])
    exemplars = [build.exemplar(top, [4, 0]), build.exemplar(drawn, [0, 0], kind="random")]
    explanation = explain(build.evidence(exemplars, n_spans=9))
    assert explanation.data is not None
    assert explanation.data["table"][str(top.token_ids[0])] == 1.0  # (1 * 10 + 9 * 0) / (1 + 9)
    assert explanation.data["default"] == 0.5
    assert explanation.text == "the tokens “a” (1.0), “b” (0.0), “c” (0.0)"


def test_tokens_are_told_apart_by_id(build: Build) -> None:
    span = build.span([" a", "a", "x", "y"], first=1)
    explanation = explain(build.evidence([build.exemplar(span, [9, 2, 0, 0])]))
    assert explanation.data is not None
    table = {str(i): level for i, level in zip(span.token_ids[1:], (10.0, 0.0, 0.0), strict=True)}
    assert explanation.data == {"table": table, "default": 3.333}


def test_a_dead_neuron_has_no_explanation(build: Build) -> None:
    silent = build.exemplar(build.span("The river"), [-1, 0])
    explanation = explain(build.evidence([silent]))
    assert explanation.failure is not None
    assert (explanation.text, explanation.data) == ("", None)
    assert explanation.failure.reason == "dead_neuron"


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(PluginError, match="size must be at least 1"):
        create("explainer", "token-table", {"size": 0})


def plainly(evidence: Evidence, size: int) -> dict[str, Any]:
    """The explanation's data by loops over tokens."""
    sums: defaultdict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for exemplar, weight in weighted(evidence):
        values = levels(exemplar.activations, evidence)
        for place in range(exemplar.span.first, len(exemplar.span)):
            entry = sums[exemplar.span.token_ids[place]]
            entry[0] += weight
            entry[1] += weight * float(values[place])
    default = sum(s for _, s in sums.values()) / sum(w for w, _ in sums.values())
    means = {token: s / w for token, (w, s) in sums.items()}
    order = sorted(means, key=lambda t: (-sums[t][0] * (means[t] - default) ** 2, t))
    table = {str(t): round(means[t], 3) for t in order[:size]}
    return {"table": table, "default": round(default, 3)}


@pytest.mark.parametrize("size", [1, 7, 500])
@pytest.mark.parametrize("polarity", [1, -1])
def test_loops_over_tokens_give_the_same(build: Build, size: int, polarity: int) -> None:
    """Halves of thousandths, equal means and spans of two kinds among it; the order of the table too."""
    random = np.random.default_rng(size)
    exemplars = []
    for kind in ("top", "quantile", "random"):
        for _ in range(6):
            span = build.span([f"w{i}" for i in random.integers(0, 40, 20)], first=2)
            values = polarity * random.choice([0, 0, 0.25, 1, 16, random.random()], 20)
            exemplars.append(build.exemplar(span, values, kind=kind, polarity=polarity))
    exemplars.append(build.exemplar(exemplars[0].span, exemplars[0].activations, kind="random"))
    evidence = build.evidence(exemplars, polarity=polarity, scale=160.0, n_spans=90)
    found, expected = explain(evidence, size=size).data, plainly(evidence, size)
    assert found is not None
    assert found == expected
    assert list(found["table"]) == list(expected["table"])


def test_no_tokens_make_an_empty_table(build: Build) -> None:
    fires = build.exemplar(build.span("x"), [1.0])
    nothing = fires._replace(span=build.span(["a"], first=1))
    for exemplars in ((), (nothing,)):
        table = tabulate(replace(build.evidence([fires]), exemplars=exemplars), 500)
        assert (table.ids.tolist(), table.levels.tolist(), table.default) == ([], [], 0.0)


def test_means_are_rounded_as_python_does_it(build: Build) -> None:
    # 1.0005 is a little less, and a thousand times as much is 1000.5 exactly: NumPy would round that up.
    values = [2.0**-4, 0.5, 1.0005, 2.0015, 3.0025, 8.9995, 0.1]
    spans = [build.span([f"w{i}"]) for i in range(len(values))]
    exemplars = [build.exemplar(s, [v]) for s, v in zip(spans, values, strict=True)]
    table = tabulate(build.evidence(exemplars, scale=10.0), 500)
    assert table.levels.tolist() == [round(mean, 3) for mean in table.means.tolist()]


def test_the_shown_text_is_the_last_one_that_counts(build: Build) -> None:
    """A token id may stand for several texts, where a tokenizer drops case or spaces."""
    first, second = build.span(["x", "a", "b"], first=1), build.span(["A", "a", "b"], first=1)
    second = replace(second, token_ids=first.token_ids, tokens=("X", " A", "B"))
    shown = [build.exemplar(s, [0, 9, 1]) for s in (first, second, first)]
    assert explain(build.evidence(shown)).text == "the tokens “A” (10.0), “B” (1.1)"
