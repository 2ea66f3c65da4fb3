"""`neuroexplain report`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from neuroexplain.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from neuroexplain.cli.table import Output
    from neuroexplain.reporting import Report
    from neuroexplain.reporting.distribution import Distribution
    from neuroexplain.reporting.results import Row, Section


@click.command()
@options.option(
    "--run",
    "Which run, with those that did the same work before or after it; may be repeated.  [default: the newest with scores]",
    type=int,
    multiple=True,
)
@options.subject_name
@options.option(
    "--neurons",
    "Only these, as in sweep; without --run, whatever run explained them.",
    default=None,
)
@options.option(
    "--explainer",
    "Only explanations of this explainer; may be repeated; without --run, whatever run wrote them.",
    multiple=True,
)
@options.option("--scorer", "Only scores of this scorer; may be repeated.", multiple=True)
@options.option(
    "--examples",
    "Best and worst explanations shown of each table.",
    type=click.IntRange(0),
    default=5,
)
@options.option(
    "--out", "Folder that takes report.html and the plots as SVG and PNG.", default=None
)
@options.seed
@options.catalogue
@options.as_json
def report(**values: Any) -> None:
    """Say what a run's scores are worth: distributions beside null and floor, q-values, and what to mind.

    --json lists every explanation with its scores; --out writes a page and plots.
    """
    from neuroexplain.catalogue import Catalogue
    from neuroexplain.catalogue.storage.place import place_of
    from neuroexplain.reporting import Scope, assemble

    scope = Scope(
        runs=values["run"],
        subject=values["subject"],
        neurons=values["neurons"],
        seed=values["seed"],
        explainers=values["explainer"],
        scorers=values["scorer"],
    )
    with Catalogue(values["catalogue"], read_only=True) as catalogue:
        found = assemble(catalogue, scope, examples=values["examples"])
    if values["out"] is not None:  # first, so that it is there whoever closes the pipe
        _save(found, values["out"])
    if values["json"]:
        for line in _as_json(found):
            click.echo(line)
    else:
        _print(found, place_of(values["catalogue"]).name)


def _save(found: Report, folder: str) -> None:
    from neuroexplain.reporting import plots, save

    page, *drawn = save(found, folder)
    click.echo(
        f"{page}" + (f", and {len(drawn)} files of plots beside it" if drawn else ""), err=True
    )
    if not plots.available():
        click.echo(plots.INSTALL, err=True)


def _as_json(found: Report) -> Iterator[str]:
    """One object, a line for each score: there may be a million of them."""
    head = json.dumps(found.to_json(), ensure_ascii=False, indent=2, allow_nan=False)
    yield head.removesuffix("\n}") + ',\n  "explanations": ['
    before = None
    for row in found.rows():
        if before is not None:
            yield f"    {before},"
        before = json.dumps(asdict(row), ensure_ascii=False, allow_nan=False)
    if before is not None:
        yield f"    {before}"
    yield "  ]\n}"


def _print(found: Report, catalogue: str) -> None:
    from rich.text import Text

    from neuroexplain.cli.table import console
    from neuroexplain.reporting.words import MEANING, visible

    out = console()
    for line in _facts(found):
        out.print(Text(visible(line)))
    for section in found.sections:
        out.print()
        _print_section(out, section)
    if not found.sections:
        out.print("nothing was scored")
    if found.caveats:
        out.print("\nto mind", style="bold")
        out.print(_items([("-", visible(caveat)) for caveat in found.caveats]))
    if not found.sections:
        return
    out.print("\nwhat the numbers mean", style="bold")
    out.print(_items(MEANING))
    best = next((s.best[0].neuron for s in found.sections if s.best), None)
    if best is not None:
        out.print("\nnext:", style="bold")
        out.print(f"  neuroexplain show {best} --catalogue {catalogue}", soft_wrap=True)
        out.print("  the same command with --out FOLDER, for a page with plots")


def _facts(found: Report) -> Iterator[str]:
    """What the report is about, in a few lines."""
    from neuroexplain.reporting.words import count, dollars, seconds

    corpus, spent = found.collection.corpus, found.spending
    names = ", ".join(f"{run['run_id']} ({run['command']})" for run in found.runs)
    yield (
        f"{found.collection.subject.name}: {found.n_neurons:,} neurons, {found.n_explanations:,} explanations, on held-out texts of "
        f"{corpus.spec} ({corpus.n_tokens:,} tokens in spans of {corpus.seq_len})"
    )
    calls = "no calls of a language model"
    if spent.llm_calls:
        tokens = f"{count(spent.prompt_tokens)} + {count(spent.completion_tokens)} tokens"
        calls = f"{spent.llm_calls:,} calls, {tokens}, {dollars(spent.cost_usd, spent.llm_calls)}"
    yield f"run{'s' if len(found.runs) > 1 else ''} {names}: {seconds(spent.seconds)}, {calls}"
    lacking = {
        "never fire": found.dead,
        **{f"failed: {reason}": n for reason, n in found.failures.items()},
        "without a score": found.unscored,
        **{f"spans not simulated: {reason}": n for reason, n in found.failed_spans.items()},
    }
    shown = ", ".join(f"{n:,} {what}" for what, n in lacking.items() if n)
    if shown:
        yield shown
    for repeats in found.repeats:
        if repeats.shared:
            text, n = repeats.most[0]
            yield (
                f"{repeats.explainer}: {repeats.shared:,} of {repeats.n:,} neurons have a text that another has too; {n:,} times: {text}"
            )


def _print_section(out: Output, section: Section) -> None:
    from rich.text import Text

    from neuroexplain.reporting.words import visible

    out.print(Text(visible(f"{section.scorer}: {section.method}"), style="bold"))
    out.print(_layers(section))
    for name, rows in (("best", section.best), ("worst", section.worst)):
        if rows:
            out.print()
            out.print(_examples(name, rows))


def _layers(section: Section) -> Table:
    from rich.table import Table

    from neuroexplain.reporting.tables import COLUMNS

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("layer", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column.short, justify="right", no_wrap=True)
    rows: Mapping[Any, Distribution] = {**section.layers, "all": section.total}
    for name, distribution in rows.items():
        cells = (column.cell(distribution) for column in COLUMNS)
        table.add_row(str(name), *cells, style="bold" if name == "all" else None)
    return table


def _examples(name: str, rows: Sequence[Row]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from neuroexplain.reporting.words import number, probability, visible

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(name, no_wrap=True)
    for heading in ("score", "null", "floor", "q"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("explanation", overflow="fold")
    for row in rows:
        numbers = (number(row.value), number(row.null_mean), number(row.floor))
        table.add_row(row.neuron, *numbers, probability(row.q_value), Text(visible(row.text)))
    return table


def _items(entries: Sequence[tuple[str, str]]) -> Table:
    """Paragraphs that hang behind their marks."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for mark, text in entries:
        table.add_row(mark, Text(text))
    return table
