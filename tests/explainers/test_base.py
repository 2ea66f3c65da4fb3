from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroexplain.explainers.base import levels, looks_at, phrases, quoted, wants, weighted
from neuroexplain.records import Ngram
from neuroexplain.registry import find

Build = Any  # of conftest.py, which cannot be imported


def test_a_span_of_two_kinds_counts_once(build: Build) -> None:
    spans = [build.span("a b") for _ in range(3)]
    exemplars = [
        build.exemplar(spans[0], [1, 2]),
        build.exemplar(spans[0], [1, 2], kind="random"),
        build.exemplar(spans[1], [1, 2], kind="random", rank=1),
        build.exemplar(spans[2], [1, 2], kind="quantile"),
    ]
    found = [(e.span.span, w) for e, w in weighted(build.evidence(exemplars, n_spans=12))]
    assert found == [(spans[0].span, 1.0), (spans[1].span, 4.0), (spans[2].span, 4.0)]


def test_levels_of_the_smallest_scale_are_finite(build: Build) -> None:
    # The collector keeps peaks down to 2^-126; 10 over that is no float32.
    exemplar = build.exemplar(build.span("a b c"), [2.0**-126, 2.0**-127, 0])
    found = levels(exemplar.activations, build.evidence([exemplar]))
    assert found.tolist() == [10, 5, 0]
    assert found.dtype == np.float32


def test_quoted_keeps_blank_tokens_visible() -> None:
    assert quoted([(" \n", 9.96), (" a\tb ", 0)]) == "“ \\n” (10.0), “a\\tb” (0.0)"


@pytest.mark.parametrize(
    ("name", "wanted", "without_output", "used"),
    [
        ("token-table", set(), set(), set()),
        ("contrastive", {"look_alikes"}, {"look_alikes"}, {"look_alikes"}),
        ("ngram-summary", {"ngrams"}, {"ngrams"}, {"ngrams"}),
        ("output-tokens", {"output_tokens"}, {"output_tokens"}, {"output_tokens"}),
        ("ensemble", {"output_tokens"}, {"ngrams"}, {"output_tokens", "ngrams"}),
    ],
)
def test_what_an_explainer_wants(
    name: str, wanted: set[str], without_output: set[str], used: set[str]
) -> None:
    explainer = find("explainer", name)
    assert wants(explainer) == wanted
    assert wants(explainer, lacking={"output_tokens"}) == without_output
    assert looks_at(explainer) == used


def test_phrases_are_those_with_a_response(build: Build) -> None:
    ngrams = [Ngram("the ice", 2.0, 3.0, 1), Ngram("a lake", 0.0, 0.0, 1), Ngram("é", 0.1, 0.1, 1)]
    evidence = build.evidence([build.exemplar(build.span("a b"), [1, 2])])
    assert phrases(evidence) == []
    assert phrases(replace(evidence, ngrams=ngrams)) == ["the ice", "é"]
