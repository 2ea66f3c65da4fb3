"""What a scoring consists of: the simulator with its scorers, and beside it each scorer that asks a language model itself.

    scorers ─┬─ of simulations (correlation, …) ──── one track: the simulator predicts, all of them score
             ├─ that ask (detection, fuzzing) ────── a track each: the scorer asks, and scores the answers
             └─ of generated texts (synthetic) ───── a stage of its own, see `synthesising`

A track is a configuration that has one predictor, simulator or scorer, whose name stands in `simulator`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from neuroexplain.config import ScoreConfig, SyntheticConfig
from neuroexplain.errors import PluginError, unknown
from neuroexplain.registry import PluginKind, check, converted, find, names, settings
from neuroexplain.scorers.base import statistics_of

SYNTHETIC = "synthetic"
STAGE = ("aggregator", "texts", "others")
"""Settings of the stage of generated texts; the scorer's own say how they are written."""


def tracks(config: ScoreConfig) -> tuple[ScoreConfig, ...]:
    """The tracks of a scoring."""
    return tuple(_tracks(config))


def _tracks(config: ScoreConfig) -> Iterator[ScoreConfig]:
    asking = [name for name in config.scorers if asks(name)]
    plain = tuple(n for n in config.scorers if n not in asking and not is_staged(n))
    if plain:
        yield replace(config, scorers=plain, scorer_settings={})
    for name in asking:
        null = config.null if getattr(find("scorer", name), "comparable", True) else 0
        yield replace(
            config,
            simulator=name,
            settings=config.scorer_settings.get(name, {}),
            scorers=(name,),
            scorer_settings={},
            null=null,
        )


def synthetic(config: ScoreConfig) -> SyntheticConfig | None:
    """What the stage of generated texts does; None where a scoring has none.

    Raises:
        PluginError: a setting does not exist.
    """
    if SYNTHETIC not in config.scorers:
        return None
    given = config.scorer_settings.get(SYNTHETIC, {})
    valid = {*STAGE, *settings(find("scorer", SYNTHETIC))}
    for key in given.keys() - valid:
        raise PluginError(f'scorer "{SYNTHETIC}": {unknown("setting", key, valid)}')
    stage = {key: value for key, value in given.items() if key in STAGE}
    rest = {key: value for key, value in given.items() if key not in STAGE}
    chosen = converted(SyntheticConfig, stage, f'scorer "{SYNTHETIC}"')
    return SyntheticConfig(
        **{"seed": config.seed, "bootstrap": config.bootstrap, **chosen},
        settings=check("scorer", SYNTHETIC, rest),
    )


def asks(scorer: str) -> bool:
    """Whether a scorer asks a language model itself."""
    return hasattr(find("scorer", scorer), "ask")


def is_staged(scorer: str) -> bool:
    """Whether a scorer has a stage of its own, after all neurons have been explained."""
    return bool(getattr(find("scorer", scorer), "staged", False))


def predictor_kind(name: str) -> PluginKind:
    """Whether what predicts in a track is a simulator or a scorer."""
    return "simulator" if name in names("simulator") else "scorer"


def score_names(config: ScoreConfig) -> list[str]:
    """What the scores of a track are called."""
    return [s.name for n in config.scorers for s in statistics_of(find("scorer", n))]


def first_score(config: ScoreConfig) -> tuple[str | None, str]:
    """Simulator and name of the score that stands for a scoring where there is room for one."""
    for track in tracks(config):
        return track.simulator, score_names(track)[0]
    return None, score_names(config)[0]


def needs_calibration(config: ScoreConfig) -> bool:
    """Whether predictions have to be put into the subject's units, for which the split `select` is predicted too."""
    return any(_calibrated(s) for n in config.scorers for s in statistics_of(find("scorer", n)))


def _calibrated(statistic: Any) -> bool:
    return bool(getattr(statistic, "calibrated", False))
