"""One neuron as text for a terminal: spans coloured or marked by activation, real over simulated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from neuroexplain.cli.table import score_lines
from neuroexplain.levels import MAX_LEVEL, escape, printable
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

_QUANTILES = ("0.001", "0.05", "0.5", "0.95", "0.999")
_TOKENS = 8


def render(
    shown: Mapping[str, Any], polarity: int, spans: int, *, colour: bool = True
) -> Iterator[RenderableType]:
    """The parts of a neuron's page, top to bottom.

    Args:
        shown: the object of `show --json`.
        polarity: which side of the activation is coloured.
        spans: spans of each group.
        colour: False writes levels as `[token:level]`, where no colours can be seen.
    """
    neuron, statistics = shown["neuron"], shown["statistics"]
    address = NeuronId(neuron["subject"], neuron["layer"], neuron["index"], polarity)
    yield Text(str(address), style="bold")
    yield Text(_moments(neuron["site"], statistics), style="dim")
    yield from _sampled(statistics)
    yield from _written(shown["output_tokens"])
    yield from _alone(shown["ngrams"])
    yield Text()
    for explanation in shown["explanations"]:
        yield from _explanation(explanation)
    if not shown["explanations"]:
        yield Text("not explained yet", style="italic")
        yield Text()
    page = _Page(shown, polarity, _largest(shown, polarity), spans, colour)
    yield _legend(page)
    if page.largest:
        yield Text()
        alike = (shown["look_alikes"] or {}).get("spans", [])
        yield from _group(page, "strongest, seen by the explainer", _kept(shown, "explain", "top"))
        yield from _group(page, "look alike, and leave it quiet", alike)
        yield from _group(page, "held out, strongest", _kept(shown, "test", "top"))
        yield from _group(page, "held out, random", _kept(shown, "test", "random"))


def _moments(site: str, statistics: Mapping[str, Any]) -> str:
    """What is known of all tokens; a dash for what an import did not tell."""

    def said(name: str, form: str) -> str:
        return "–" if statistics[name] is None else format(statistics[name], form)

    return (
        f"{site}, {said('n_tokens', ',')} tokens: mean {said('mean', '.3f')}, std {said('std', '.3f')}, "
        f"{said('min', '.2f')} to {said('max', '.2f')}, above 0 on {said('frac_positive', '.1%')}"
    )


@dataclass(frozen=True)
class _Page:
    """What every group of spans is drawn from."""

    shown: Mapping[str, Any]
    polarity: int
    largest: float
    """Activation of level 10; 0 for a neuron that never fires on this side."""
    spans: int
    colour: bool


def _sampled(statistics: Mapping[str, Any]) -> Iterator[Text]:
    """A few quantiles and the strongest tokens, where tokens were sampled."""
    if statistics["quantiles"]:
        chosen = (f"{100 * float(q):g} % {statistics['quantiles'][q]:.2f}" for q in _QUANTILES)
        yield Text(f"quantiles: {', '.join(chosen)}", style="dim")
    responses = statistics["tokens"][:_TOKENS]
    if responses:
        pairs = ", ".join(
            f'"{visible(r["token"])}" {r["mean"]:.2f} ({r["count"]})' for r in responses
        )
        yield Text(f"strongest tokens, mean (times): {pairs}", style="dim")


def _written(output: Mapping[str, Any] | None) -> Iterator[Text]:
    """The first of the tokens that the neuron promotes and suppresses, where it has any."""
    for effect in ("promoted", "suppressed"):
        tokens = output[effect][:_TOKENS] if output else []
        if tokens:
            pairs = ", ".join(f'"{visible(t["token"])}" {t["logit"]:.1f}' for t in tokens)
            yield Text(
                f"tokens that it {effect.replace('ed', 'es')} by itself: {pairs}", style="dim"
            )


def _alone(ngrams: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    """The first of the n-grams that it answers to by themselves, in both orders, where there was a pass."""
    for aggregator, response in (("mean", "mean_response"), ("max", "max_response")):
        chosen = [n for n in ngrams if n["aggregator"] == aggregator][:_TOKENS]
        if chosen:
            shown = ", ".join(
                f'"{visible(n["ngram"])}" {n[response]:.2f} ({n["count"]:,})' for n in chosen
            )
            yield Text(f"n-grams alone, {aggregator} (times): {shown}", style="dim")


def _explanation(explanation: Mapping[str, Any]) -> Iterator[RenderableType]:
    author = explanation["explainer"] + (f", {explanation['llm']}" if explanation["llm"] else "")
    if explanation["status"] != "ok":
        why = f"{explanation['reason']}: {explanation['message']}"
        yield Text(printable(f"{author}: failed, {why}"), style="red")
    else:
        text = printable(explanation["text"])
        yield Text.assemble((text, "bold"), (f"  ({author})", "dim"))
    if explanation["scores"]:
        yield from score_lines(explanation["scores"])
    yield Text()


def _legend(page: _Page) -> Text:
    if not page.largest:
        return Text(
            "never fires on this side in the explain split: without a level 10 no spans are listed"
        )
    if not page.colour:
        return Text(
            f"activation: [token:level] from level 1 on, not marked below; 10 = {page.largest:.2f}"
        )
    bar = ((f" {level} ", style) for level, style in enumerate(_HEAT))
    return Text.assemble("activation ", *bar, f"  10 = {page.largest:.2f}")


def _kept(shown: Mapping[str, Any], split: str, kind: str) -> list[Mapping[str, Any]]:
    return [e for e in shown["exemplars"] if (e["split"], e["kind"]) == (split, kind)]


def _group(
    page: _Page, title: str, exemplars: Sequence[Mapping[str, Any]]
) -> Iterator[RenderableType]:
    chosen = exemplars[: page.spans]
    if not chosen:
        return
    draw = heat if page.colour else marks
    yield Text(title, style="bold")
    for exemplar in chosen:
        table = Table.grid(padding=(0, 1))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        rows = [("real", _levels(page, exemplar)), *_simulated(page.shown, exemplar)]
        for label, levels in rows:
            # Leading tokens that count for nothing would outshine all others.
            counted = [0.0] * exemplar["first"] + levels[exemplar["first"] :]
            table.add_row(label, draw(exemplar["tokens"], counted))
        yield Padding(table, (0, 0, 0, 2))
    yield Text()


def _levels(page: _Page, exemplar: Mapping[str, Any]) -> list[float]:
    return [MAX_LEVEL * max(0.0, page.polarity * x) / page.largest for x in exemplar["activations"]]


def _simulated(
    shown: Mapping[str, Any], exemplar: Mapping[str, Any]
) -> Iterator[tuple[str, list[float]]]:
    """Simulated levels of an exemplar's span, of every explanation that was simulated there."""
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
        style = _HEAT[_step(level)]
        space, word = _parts(token)
        text.append(space, style=style)
        text.append(word, style=f"{style} bold underline" if at == peak and level >= 1 else style)
    return text


def marks(tokens: Sequence[str], levels: Sequence[float]) -> Text:
    """Tokens with their levels where there is no colour.

    >>> marks(["It", " rains", " here"], [0.0, 9.2, 0.9]).plain
    'It [rains:9] here'
    """
    text = Text()
    for token, level in zip(tokens, levels, strict=True):
        space, word = _parts(token)
        text.append(f"{space}[{word}:{_step(level)}]" if level >= 1 else space + word)
    return text


def _step(level: float) -> int:
    return min(MAX_LEVEL, round(level)) if level >= 1 else 0


def _parts(token: str) -> tuple[str, str]:
    """A token's leading spaces, and what else of it can be seen; of blanks only, the last is that."""
    word = token.lstrip(" ") or token[-1:]
    return token.removesuffix(word), visible(word)


def visible(token: str) -> str:
    """A token on one line, control characters shown as escapes."""
    return escape(token.replace("\n", "↵"))


def _largest(shown: Mapping[str, Any], polarity: int) -> float:
    """The activation of level 10: the largest on this side in the explain split, of tokens that count; else 0."""
    values = (
        max(0.0, polarity * x)
        for e in shown["exemplars"]
        if e["split"] == "explain"
        for x in e["activations"][e["first"] :]
    )
    return max(values, default=0.0)
