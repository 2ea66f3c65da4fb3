"""What the numbers of a report mean, in plain words, and how they are written."""

from __future__ import annotations

from typing import Any

from neuroexplain.errors import PluginError
from neuroexplain.levels import escape
from neuroexplain.registry import PluginKind, find, summary

MEANING: tuple[tuple[str, str], ...] = (
    (
        "score",
        "How well an explanation fits where the neuron fires, on texts that its author never saw. It says nothing about what the "
        "neuron does in the model, nor that this is its only meaning. Scores of different corpora, span lengths, simulators or "
        "scorers do not compare.",
    ),
    (
        "null",
        "What explanations of other neurons of the layer score in the explanation's place, on the average. Words that fit any neuron "
        "come out near their null, however high that is: read “over null” before the score itself.",
    ),
    (
        "floor",
        "What a baseline without words scores on the same texts; for simulations it is the neuron's own table of tokens. An "
        "explanation below it says less than a word list.",
    ),
    (
        "p",
        "Share of the explanations tried, the own one among them, that do at least as well here. Explanations without skill have p < .05 "
        "in 5 % of the cases.",
    ),
    (
        "q",
        "p after Benjamini and Hochberg (1995), over all explanations of one table: of those with q < .1 about a tenth "
        "is expected to be no better than chance. It says that there is skill, not how much.",
    ),
    (
        "best",
        "Picked for their scores, which are therefore partly luck: on fresh texts they would score less. The worst likewise.",
    ),
)
"""Terms with what they mean."""


def number(value: float | None) -> str:
    """A number to two decimals, or what stands for none.

    >>> [number(v) for v in (0.456, -0.001, -1234.5, None)]
    ['0.46', '0.00', '-1234', '-']
    """
    if value is None:
        return "-"
    text = f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"
    return text.removeprefix("-") if float(text) == 0 else text


def probability(value: float | None) -> str:
    """A p- or q-value to three decimals, or what stands for none."""
    return "-" if value is None else f"{value:.3f}"


def share(value: float | None) -> str:
    """A share in percent, or what stands for none.

    >>> [share(v) for v in (0.456, 1, None)]
    ['46 %', '100 %', '-']
    """
    return "-" if value is None else f"{100 * value:.0f} %"


def visible(text: str) -> str:
    r"""A text as it is, if all of it can be seen; else with the rest as escapes, such as `\u202e`."""
    return text if text.isprintable() else escape(text)


def about(scorer: str) -> str | None:
    """What a scorer computes; None where no plug-in of that name is installed."""
    cls = plugin("scorer", scorer)
    return None if cls is None else summary(cls)


def no_skill(scorer: str) -> float | None:
    """What a prediction that is the same everywhere is worth; None where nobody says so."""
    found = getattr(plugin("scorer", scorer), "no_skill", None)
    return None if found is None else float(found)


def plugin(kind: PluginKind, name: str) -> type[Any] | None:
    """A plug-in's class; None where it is not installed, or cannot be imported."""
    try:
        return find(kind, name)
    except PluginError:
        return None


def seconds(value: float | None) -> str:
    """A time.

    >>> [seconds(v) for v in (3.4, 3700, None)]
    ['3 s', '62 min', '-']
    """
    if value is None:
        return "-"
    return f"{value:.0f} s" if value < 600 else f"{value / 60:,.0f} min"


def count(value: int | None) -> str:
    """A number of things that may not have been counted."""
    return "?" if value is None else f"{value:,}"


def dollars(value: float | None, calls: int) -> str:
    """What some calls cost: nothing where there are none, unknown where nobody has a price."""
    if value is None:
        return "cost unknown" if calls else "-"
    return f"${value:,.4f}"
