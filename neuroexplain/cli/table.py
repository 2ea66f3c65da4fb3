"""What is printed to standard output: tables of explanations, and the scores of one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from neuroexplain.cli.options import echo_json
from neuroexplain.levels import printable

if TYPE_CHECKING:
    from neuroexplain.estimating import Estimate

_PIPE_WIDTH = 160


class Output(Console):
    """Standard output. Subject text is never markup; a pipe gets lines without padding."""

    def __init__(self) -> None:
        super().__init__(highlight=False, markup=False, emoji=False)
        if self.width < 1 or not (self.is_terminal or "COLUMNS" in os.environ):
            self.width = _PIPE_WIDTH

    @property
    def colourful(self) -> bool:
        """Whether colours arrive: not in a pipe, on a dumb terminal or with NO_COLOR; FORCE_COLOR says yes."""
        return self.color_system is not None and not self.no_color

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; click writes, so that a closed pipe is an error for the program to handle."""
        with self.capture() as captured:
            super().print(*objects, **options)
        text = captured.get()
        if not self.is_terminal:
            text = "\n".join(line.rstrip(" ") for line in text.split("\n"))
        click.echo(text, nl=False, color=True)


def console() -> Output:
    """Standard output as it is now."""
    return Output()


def rows_table(
    rows: Sequence[Any], title: str | None = None, similarity: str | None = None
) -> Table:
    """Explanations with their scores, one row each; `similarity` names what a ranking gave them."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("neuron", no_wrap=True)
    if similarity is not None:
        table.add_column(similarity, justify="right", no_wrap=True)
    for name in ("score", "floor", "null", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("explanation", overflow="fold")
    for row in rows:
        # Explanations are model output: printed as text, never as markup or as what steers a terminal.
        table.add_row(
            row.neuron,
            *([] if similarity is None else [number(row.similarity)]),
            number(row.score, row.reason or "-"),
            number(row.floor),
            number(row.null_mean),
            number(row.p_value),
            Text(printable(row.text)),
        )
    return table


def score_lines(scores: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    """The scores of one explanation: names on lines of their own, so that 60 columns hold them whole."""
    row = "    {:>6}  {:<16}  {:>6}  {:>5}  {:>6}  {:>6}".format
    yield Text(row("score", "95 %", "null", "p", "floor", "tokens"), style="dim")
    for score in scores:
        made_by = [
            score["simulator"],
            score["llm"],
            score["split"] if score["split"] != "test" else None,
        ]
        name = f"  {score['scorer']} ({', '.join(part for part in made_by if part)})"
        yield Text(name if score["reason"] is None else f"{name}: undefined, {score['reason']}")
        low, high = score["ci_low"], score["ci_high"]
        yield Text(
            row(
                number(score["value"]),
                "-" if low is None else f"{number(low)} to {number(high)}",
                number(score["null_mean"]),
                number(score["p_value"]),
                number(score["floor"]),
                score["n_tokens"],
            )
        )
    for reason in dict.fromkeys(s["null_reason"] for s in scores if s["null_reason"] is not None):
        yield Text(f"  no null: {reason}", style="dim")


def number(value: float | None, otherwise: str = "-") -> str:
    """A number with three decimals, or what stands for none."""
    return otherwise if value is None else f"{value:.3f}"


def print_summary(summary: dict[str, Any], result: Any, catalogue: str, *, as_json: bool) -> None:
    """How a sweep came out: best and worst neurons, means beside floor and null, what to type next."""
    if as_json:
        plain = {**summary, "best": _plain(summary["best"]), "worst": _plain(summary["worst"])}
        echo_json({"run_id": result.run_id, "counts": result.counts, **plain})
        return
    out = console()
    if summary["n_scored"] == 0:
        out.print("nothing was scored")
        _print_reasons(out, summary)
        return
    for table in _ranking(summary):
        out.print(table)
        out.print()
    out.print(_layers(summary))
    _print_reasons(out, summary)
    out.print()
    out.print(
        "floor: the neuron's own token table; null: explanations of other neurons of the layer."
    )
    best = summary["best"][0].neuron
    out.print("next:", style="bold")
    for command in (
        f"neuroexplain show {best} --catalogue {catalogue}",
        f"neuroexplain search 'score>=0.5 sort:score' --catalogue {catalogue}",
        f"neuroexplain runs --catalogue {catalogue}",
    ):
        out.print(f"  {command}", soft_wrap=True)


def print_estimate(found: Estimate) -> None:
    """What a sweep would spend, and a prompt of every kind."""
    out = console()
    for purpose, prompt in found.prompts.items():
        out.print(f"a prompt to {purpose}:", style="bold")
        out.print(Text(prompt))
        out.print()
    out.print(
        f"{found.neurons:,} neurons: {found.to_explain:,} to explain, {found.to_simulate:,} to simulate"
    )
    if not found.stages:
        out.print("no calls of a language model")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("to")
    for name in ("calls", "prompt tokens", "completion tokens", "cost"):
        table.add_column(name, justify="right")
    for name, stage in [*found.stages.items(), ("in all", found.total)]:
        cost = "?" if stage.cost_usd is None else f"${stage.cost_usd:,.4f}"
        numbers = (stage.calls, stage.prompt_tokens, stage.completion_tokens)
        table.add_row(name, *(f"{number:,.0f}" for number in numbers), cost)
    out.print(table)
    if found.seconds is None:
        out.print("how long it takes is not known before this model has answered some calls")
    else:
        shown = f"{found.seconds / 60:,.0f} minutes"
        out.print(f"about {shown if found.seconds >= 100 else f'{found.seconds:.0f} seconds'}")
    if not found.priced:
        out.print("no price is known: --prices names a TOML file with one")
    out.print(f"estimated from {found.basis}", style="dim")


def _ranking(summary: Mapping[str, Any]) -> Iterator[Table]:
    """Best and worst rows; all of them once where the two would overlap or meet."""
    best, worst = summary["best"], summary["worst"]
    if summary["n_scored"] > len(best) + len(worst):
        yield rows_table(best, f"best by {summary['scorer']}")
        yield rows_table(worst, "worst")
        return
    rest = [row for row in reversed(worst) if row not in best]
    yield rows_table([*best, *rest], f"all, best {summary['scorer']} first")


def _print_reasons(out: Output, summary: Mapping[str, Any]) -> None:
    for reason, n in summary["n_undefined"].items():
        out.print(f"{n} undefined: {reason}")
    for reason, n in summary["null_reasons"].items():
        out.print(f"{n} without a null: {reason}")


def _layers(summary: dict[str, Any]) -> Table:
    table = Table(title="means", title_justify="left", box=None, pad_edge=False)
    table.add_column("layer")
    for name in ("scored", "score", "median", "floor", "null", "above floor"):
        table.add_column(name, justify="right")
    for name, row in [*((str(r["layer"]), r) for r in summary["layers"]), ("all", summary)]:
        above = row["share_above_floor"]
        table.add_row(
            name,
            str(row["n_scored"]),
            number(row["mean"]),
            number(row["median"]),
            number(row["floor"]),
            number(row["null_mean"]),
            "-" if above is None else f"{above:.0%}",
        )
    return table


def _plain(rows: Sequence[Any]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(row) for row in rows]
