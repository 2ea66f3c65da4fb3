"""What a scoring is divided into, and the settings of its scorers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from neuroexplain.config import ScoreConfig, SyntheticConfig
from neuroexplain.errors import PluginError
from neuroexplain.tracks import (
    asks,
    first_score,
    is_staged,
    needs_calibration,
    score_names,
    synthetic,
    tracks,
)
from tests.program import neuroexplain
from tests.sweeps import Sweeps, error_of


def divided(*scorers: str, **given: Any) -> list[tuple[str, tuple[str, ...], int]]:
    config = ScoreConfig(simulator="sparse", scorers=scorers, **given)
    return [(t.simulator, t.scorers, t.null) for t in tracks(config)]


def test_scorers_of_simulations_share_one_and_others_ask_for_themselves() -> None:
    assert divided("correlation", "detection", "explained_variance", "synthetic", "fuzzing") == [
        ("sparse", ("correlation", "explained_variance"), 20),
        ("detection", ("detection",), 20),
        ("fuzzing", ("fuzzing",), 0),  # whose answers are about this neuron's marks alone
    ]
    assert divided("detection") == [("detection", ("detection",), 20)]
    assert divided("synthetic") == []
    assert [s for s in ("correlation", "detection", "fuzzing", "synthetic") if asks(s)] == [
        "detection",
        "fuzzing",
    ]
    assert is_staged("synthetic") and not is_staged("detection")


def test_settings_go_to_their_scorer() -> None:
    given: dict[str, dict[str, Any]] = {
        "detection": {"spans_per_call": "3"},
        "synthetic": {"texts": "30", "max_tokens": 9},
    }
    config = ScoreConfig(scorers=("correlation", "detection", "synthetic"), scorer_settings=given)
    plain, asking = tracks(config)
    assert (plain.settings, asking.settings) == ({}, {"spans_per_call": "3"})
    assert synthetic(config) == SyntheticConfig(texts=30, settings={"max_tokens": 9})
    assert synthetic(ScoreConfig()) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"agregator": "max"}, 'unknown setting "agregator"; known: aggregator, max_tokens, '),
        ({"texts": "many"}, "setting texts must be int, not 'many'"),
    ],
)
def test_wrong_settings_of_the_stage(given: dict[str, Any], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        synthetic(ScoreConfig(scorers=("synthetic",), scorer_settings={"synthetic": given}))


def test_what_scores_are_called() -> None:
    config = ScoreConfig(scorers=("detection", "correlation"))
    assert score_names(config)[:2] == ["detection", "detection_f1"]
    assert first_score(config) == ("ngram", "correlation")
    assert first_score(ScoreConfig(scorers=("synthetic",))) == (None, "synthetic")
    assert [
        needs_calibration(ScoreConfig(scorers=(s,))) for s in ("correlation", "absolute_deviation")
    ] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--scorer", "synthetic"), 'scorer "synthetic" needs a language model: --llm'),
        (("--scorer", "detection"), 'scorer "detection" needs a language model: --llm'),
        (("--scorer-set", "spans=3"), '--scorer-set wants SCORER.key=value, not "spans=3"'),
        (
            ("--scorer-set", "detection.spans_per_call=3"),
            "there are settings of the scorer detection, which is not asked for",
        ),
        (
            ("--scorer", "detection", "--scorer-set", "detection.spans=3", "--llm", "scripted:x"),
            'scorer "detection": unknown setting "spans"; known: spans_per_call',
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    sweeps: Sweeps, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    catalogue = str(sweeps.copy(tmp_path / "c.sqlite"))
    explained = neuroexplain("explain", "--neurons", "0:0-2", "--catalogue", catalogue)
    assert explained.code == 0, explained.err
    found = neuroexplain("score", "--neurons", "0:0-2", "--catalogue", catalogue, *arguments)
    assert message in error_of(found)
