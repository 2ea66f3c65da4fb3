"""One neuron as text for a terminal: spans coloured by activation, real over simulated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from neuroexplain.cli.table import number
from neuroexplain.levels import MAX_LEVEL, escape
from neuroexplain.records import NeuronId

# From the dark end of a colour-blind-safe scale to the bright one; the text keeps its contrast on each.
_HEAT = (
    "",
    "white on #1d2a3f",
    "white on #22406b",
    "white on #2a5a97",
    "white on #2f6cab",
    "black on #6aa9df",
    "black on #86bae6",
    "black on #a6cdea",
    "black on #cfe3f1",
    "black on #fbe8a6",
    "black on #ffd23f",
)


def render(shown: Mapping[str, Any], polarity: int, spans: int) -> Iterator[RenderableType]:
    """The parts of a neuron's page, top to bottom.

    Args:
        shown: the object of `show --json`.
        polarity: which side of the activation is coloured.
        spans: spans of each group.
    """
    neuron, statistics = shown["neuron"], shown["statistics"]
    address = NeuronId(neuron["subject"], neuron["layer"], neuron["index"], polarity)
    yield Text(str(address), style="bold")
    yield Text(
        f"{neuron['site']}, {statistics['n_tokens']:,} tokens: mean {statistics['mean']:.3f}, "
        f"std {statistics['std']:.3f}, {statistics['min']:.2f} to {statistics['max']:.2f}, "
        f"above 0 on {statistics['frac_positive']:.1%}",
        style="dim",
    )
    yield Text()
    for explanation in shown["explanations"]:
        yield from _explanation(explanation)
    if not shown["explanations"]:
        yield Text("not explained yet", style="italic")
        yield Text()
    largest = _largest(shown, polarity)
    yield Text.assemble(
        "activation ",
        *((f" {level} ", style) for level, style in enumerate(_HEAT)),
        f"  10 = {largest:.2f}",
    )
    yield Text()
    yield from _group(
        shown, "strongest, seen by the explainer", "explain", "top", polarity, largest, spans
    )
    for kind, title in (("top", "held out, strongest"), ("random", "held out, random")):
        yield from _group(shown, title, "test", kind, polarity, largest, spans)


def _explanation(explanation: Mapping[str, Any]) -> Iterator[RenderableType]:
    author = explanation["explainer"] + (f", {explanation['llm']}" if explanation["llm"] else "")
    if explanation["status"] != "ok":
        yield Text(f"{author}: failed, {explanation.get('reason')}", style="red")
        yield Text()
        return
    yield Text.assemble((explanation["text"], "bold"), (f"  ({author})", "dim"))
    if explanation["scores"]:
        table = Table("", "score", "95 %", "null", "p", "floor", "tokens", box=None, pad_edge=False)
        for score in explanation["scores"]:
            interval = f"{number(score['ci_low'])} to {number(score['ci_high'])}"
            table.add_row(
                f"{score['scorer']} ({score['simulator']})",
                number(score["value"], str(score["reason"])),
                interval if score["ci_low"] is not None else "-",
                number(score["null_mean"]),
                number(score["p_value"]),
                number(score["floor"]),
                str(score["n_tokens"]),
            )
        yield Padding(table, (0, 0, 0, 2))
    yield Text()


def _group(
    shown: Mapping[str, Any],
    title: str,
    split: str,
    kind: str,
    polarity: int,
    largest: float,
    limit: int,
) -> Iterator[RenderableType]:
    chosen = [e for e in shown["exemplars"] if e["split"] == split and e["kind"] == kind][:limit]
    if not chosen:
        return
    yield Text(title, style="bold")
    for exemplar in chosen:
        table = Table.grid(padding=(0, 1))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        levels = [MAX_LEVEL * max(0.0, polarity * x) / largest for x in exemplar["activations"]]
        table.add_row("real", heat(exemplar["tokens"], levels))
        for label, expected in _simulated(shown, exemplar):
            table.add_row(label, heat(exemplar["tokens"], expected))
        yield Padding(table, (0, 0, 0, 2))
    yield Text()


def _simulated(
    shown: Mapping[str, Any], exemplar: Mapping[str, Any]
) -> Iterator[tuple[str, list[float]]]:
    """Simulations of an exemplar's span, the newest explanation's only."""
    place = (exemplar["split"], exemplar["document"], exemplar["start"])
    for explanation in shown["explanations"]:
        for simulation in explanation["simulations"]:
            here = (simulation["split"], simulation["document"], simulation["start"])
            if here == place and simulation["status"] == "ok":
                yield explanation["explainer"], simulation["expected"]


def heat(tokens: Sequence[str], levels: Sequence[float]) -> Text:
    """Tokens coloured by level 0-10; the strongest is underlined too, so that colour is not the only sign."""
    peak = max(range(len(levels)), key=levels.__getitem__, default=None)
    text = Text()
    for at, (token, level) in enumerate(zip(tokens, levels, strict=True)):
        style = _HEAT[min(MAX_LEVEL, max(0, int(level)))]
        marked = f"{style} bold underline" if at == peak and level >= 1 else style
        text.append(visible(token), style=marked)
    return text


def visible(token: str) -> str:
    """A token on one line, control characters shown as escapes."""
    return escape(token.replace("\n", "↵"))


def _largest(shown: Mapping[str, Any], polarity: int) -> float:
    """The activation of level 10: the explanations' own scale, else the strongest explain span's peak."""
    values = [
        max(0.0, polarity * x)
        for e in shown["exemplars"]
        if e["split"] == "explain"
        for x in e["activations"]
    ]
    return max(values, default=0.0) or 1.0
