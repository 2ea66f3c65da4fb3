from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from neuroexplain.explainers.base import wants
from neuroexplain.explainers.contrastive import Contrastive
from neuroexplain.records import Evidence

Build = Any  # of conftest.py, which cannot be imported


def silent(explainer: Contrastive, evidence: Evidence) -> list[str]:
    """The silent texts that are shown."""
    text = explainer.prompt(evidence).messages[-1].text
    _, _, after = text.partition("\nSilent:\n")
    return re.findall(r"^\d+: (.*)$", after, re.MULTILINE)


def test_look_alikes_stand_beside_the_active_texts(everything: Evidence, asked: Any) -> None:
    assert wants(Contrastive) == {"look_alikes"}
    explainer = Contrastive(asked(), examples=2, weaker=1, quiet=3)
    assert explainer.prompt(everything).messages[-1].text == (
        "Active:\n"
        "1: In t0 the {{ice0}} broke\n"
        "2: In t1 the {{ice1}} broke\n"
        "3: Of q0 the {{snow0}} fell\n"
        "\n"
        "Silent:\n"
        "1: His c0 cold ice0 stare\n"
        "2: His c1 cold ice1 stare\n"
        "3: His c2 cold ice2 stare\n"
        "\n"
        "What does this neuron respond to?\n"
    )


def test_other_silent_spans_take_the_free_places(everything: Evidence, asked: Any) -> None:
    # Random spans up to level 1.5, and the lowest band, at level 1; on all others the neuron fires.
    two = replace(everything, look_alikes=everything.look_alikes[:2])
    assert silent(Contrastive(asked(), quiet=4), two) == [
        "His c0 cold ice0 stare",
        "His c1 cold ice1 stare",
        "An r0 was a day0",
        "An r1 was a day1",
    ]
    none = replace(everything, look_alikes=())
    assert silent(Contrastive(asked(), quiet=50), none) == [
        *(f"An r{i} was a day{i}" for i in range(4)),
        "Of q4 the snow4 fell",
    ]


def test_no_span_is_silent_twice(build: Build, everything: Evidence, asked: Any) -> None:
    alike = everything.look_alikes[0]
    again = [alike._replace(kind="random"), alike._replace(kind="quantile")]
    evidence = replace(everything, exemplars=again, look_alikes=[alike])
    assert silent(Contrastive(asked()), evidence) == ["His c0 cold ice0 stare"]


def test_without_silent_spans_the_active_ones_are_shown(everything: Evidence, asked: Any) -> None:
    top = everything.of_kind("top")
    evidence = replace(everything, exemplars=top, look_alikes=())
    text = Contrastive(asked()).prompt(evidence).messages[-1].text
    assert "Active:\n1: In t0 the {{ice0}} broke\n" in text
    assert "Silent" not in text


def test_a_silent_window_holds_the_token_that_is_alike(build: Build, asked: Any) -> None:
    top = build.exemplar(build.span("The ice broke"), [0, 10, 0])
    words = [f" w{i}" for i in range(20)]
    words[15] = " ice"
    values = [0.5 if i == 2 else 0.0 for i in range(20)]
    alike = build.exemplar(build.span(words), values, kind="contrastive")
    other = build.exemplar(
        build.span([f" v{i}" for i in range(20)]), values, kind="contrastive", rank=1
    )
    evidence = replace(build.evidence([top]), look_alikes=[alike, other])
    assert silent(Contrastive(asked(), window=3), evidence) == ["w14 ice w16", "v1 v2 v3"]


def test_silent_texts_hold_no_marks(build: Build, asked: Any) -> None:
    top = build.exemplar(build.span("The ice broke"), [0, 10, 0])
    alike = build.exemplar(build.span("{{ice}}\n{"), [0, 0], kind="contrastive")
    evidence = replace(build.evidence([top]), look_alikes=[alike])
    assert silent(Contrastive(asked()), evidence) == [r"\{\{ice\}\}\n\{"]


@pytest.mark.parametrize(("setting", "least"), [("quiet", 1), ("shots", 0)])
def test_settings_out_of_range(asked: Any, setting: str, least: int) -> None:
    values: dict[str, Any] = {setting: least - 1}
    with pytest.raises(ValueError, match=f"{setting} must be at least {least}, not {least - 1}"):
        Contrastive(asked(), **values)
