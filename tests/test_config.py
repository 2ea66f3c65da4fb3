from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest

from neuroexplain.config import (
    CollectConfig,
    ExplainConfig,
    ScoreConfig,
    SweepConfig,
    as_dict,
    run_key,
)
from neuroexplain.errors import ConfigError

COLLECT = CollectConfig("minilm")
SWEEP = SweepConfig(COLLECT)


@pytest.mark.parametrize("config", [COLLECT, ExplainConfig(), ScoreConfig(), SWEEP])
def test_every_field_changes_the_key(config: Any) -> None:
    keys = [run_key(config)]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        match value:
            case bool():
                other: Any = not value
            case int():
                other = value + 1
            case tuple():
                other = (*value, "more")
            case dict() if field.name == "scorer_settings":
                other = {"correlation": {"x": 1}}
            case dict():
                other = {"x": 1}
            case CollectConfig():
                other = replace(value, tokens=7)
            case ExplainConfig() | ScoreConfig():
                other = replace(value, seed=7)
            case "keep":
                other = "drop"
            case _:
                other = f"{value}x"
        keys.append(run_key(replace(config, **{field.name: other})))
    assert len(set(keys)) == len(keys)


def test_the_key_depends_on_values_alone() -> None:
    one = ExplainConfig(settings={"a": 1, "b": [2]})
    assert run_key(one) == run_key(ExplainConfig(settings={"b": (2,), "a": 1}))
    assert run_key(one) == run_key(as_dict(one))
    assert run_key("a", "b") != run_key("ab") != run_key(["a", "b"])
    assert len(run_key(one)) == 64


def test_as_dict_is_json() -> None:
    plain = as_dict(SWEEP)
    assert json.loads(json.dumps(plain)) == plain
    assert plain["score"]["scorers"] == ["correlation", "correlation_top_random"]
    assert plain["collect"]["subject"] == "minilm"


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [
        ("tokens", 0, 1),
        ("top_k", 0, 1),
        ("held_out_top_k", 0, 1),
        ("seq_len", 1, 2),
        ("random", -1, 0),
        ("quantile_bands", -1, 0),
        ("per_band", -1, 0),
    ],
)
def test_collect_settings_that_make_no_sense(name: str, value: int, least: int) -> None:
    wrong: dict[str, Any] = {name: value}
    lowest: dict[str, Any] = {name: least}
    with pytest.raises(ConfigError) as caught:
        replace(COLLECT, **wrong)
    assert str(caught.value) == f"{name} must be at least {least}, not {value}"
    assert getattr(replace(COLLECT, **lowest), name) == least


@pytest.mark.parametrize("name", ["top", "random", "quantile", "null", "bootstrap"])
def test_score_settings_are_not_negative(name: str) -> None:
    wrong: dict[str, Any] = {name: -1}
    with pytest.raises(ConfigError, match=f"{name} must be at least 0, not -1"):
        replace(ScoreConfig(), **wrong)


def test_a_score_needs_scorers_and_spans() -> None:
    with pytest.raises(ConfigError, match="scorers is empty; name at least one"):
        ScoreConfig(scorers=())
    with pytest.raises(ConfigError, match="no spans to score: set at least one of top"):
        ScoreConfig(top=0, random=0, quantile=0)


def test_settings_of_a_scorer_that_is_not_asked_for() -> None:
    with pytest.raises(ConfigError, match="settings of the scorer detection, which is not asked"):
        ScoreConfig(scorer_settings={"detection": {"spans_per_call": 3}})
