from __future__ import annotations

from typing import Any

import pytest

from neuroexplain.explainers.highlight import Highlight
from neuroexplain.records import Evidence
from neuroexplain.templates import Message

Build = Any  # of conftest.py, which cannot be imported


def own(explainer: Highlight, evidence: Evidence) -> str:
    return explainer.prompt(evidence).messages[-1].text


def test_the_strong_words_are_marked(build: Build, asked: Any) -> None:
    exemplars = [
        build.exemplar(build.span(" The river froze over night"), [0, 1, 9, 10, 0]),
        build.exemplar(build.span("Snow fell on it"), [7, 0.5, -3, 0], rank=1),
        build.exemplar(build.span("It was warm"), [0, 0, 0.4], kind="random"),
    ]
    text = own(Highlight(asked()), build.evidence(exemplars))
    assert text == (
        "1: The river {{froze over}} night\n2: {{Snow}} fell on it\n\n"
        "What does this neuron respond to?\n"
    )


def test_of_the_lower_side_the_lowest_are_marked(build: Build, asked: Any) -> None:
    exemplar = build.exemplar(build.span("Snow fell on it"), [9, -7, 0, -2], polarity=-1)
    text = own(Highlight(asked(), quantile=0.5), build.evidence([exemplar], polarity=-1))
    assert text.startswith("1: Snow {{fell}} on {{it}}\n")


def test_text_that_holds_the_marks_does_not_pass_for_marked(build: Build, asked: Any) -> None:
    span = build.span(["if ", "{{", " x", " }}", ":\n", "{", "{y}", "}", "\\{"])
    values = [0, 0, 9, 0, 0, 8, 0, 0, 0]
    text = own(Highlight(asked()), build.evidence([build.exemplar(span, values)]))
    assert text.splitlines()[0] == r"1: if \{\{ {{x}} \}\}:\n{{\{}}\{y\}\}\\\{"


def test_a_neurons_own_texts_come_last(everything: Evidence, asked: Any) -> None:
    shots = [Highlight(asked(), shots=n).prompt(everything).messages for n in (0, 1, 3)]
    roles = [[message.role for message in messages] for messages in shots]
    assert roles == [["system", *["user", "assistant"] * n, "user"] for n in (0, 1, 3)]
    assert len({messages[-1] for messages in shots}) == 1
    assert shots[2][1] == Message(
        "user",
        "1: Stir in two {{cups}} of warm milk, then a {{spoonful}} of honey and let it stand.\n"
        "2: The cellar holds nine barrels, but the soup needs only half a {{litre}} of stock.\n\n"
        "What does this neuron respond to?\n",
    )


def test_the_number_of_spans_is_a_setting(everything: Evidence, asked: Any) -> None:
    text = own(Highlight(asked(), examples=2, weaker=1, window=3), everything)
    assert text.splitlines()[:4] == [
        "1: the {{ice0}} broke",
        "2: the {{ice1}} broke",
        "3: the {{snow0}} fell",
        "",
    ]


def test_negative_shots_are_refused(asked: Any) -> None:
    with pytest.raises(ValueError, match="shots must be at least 0, not -1"):
        Highlight(asked(), shots=-1)
