"""`neuroexplain bench`: how good a simulator is, on neurons whose meaning is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuroexplain.cli import options

if TYPE_CHECKING:
    from neuroexplain.puzzles import PuzzleScore


@click.group()
def bench() -> None:
    """Try simulators on neurons whose meaning is known."""


@bench.command()
@options.option(
    "--file",
    "JSON file of the puzzles, which is not part of this package.",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
)
@options.option("--simulator", "Which simulator; the default fits the model.", default=None)
@options.option("--simulator-set", "Setting of the simulator, key=value.", multiple=True)
@options.calling
@options.running
@options.as_json
def puzzles(**values: Any) -> None:
    """Play OpenAI's neuron puzzles: a true explanation should score above its false ones.

    Simulators that read the data of one explainer only are asked about each span after that explainer has seen the others.
    """
    from neuroexplain.cli.running import end, run
    from neuroexplain.config import ScoreConfig
    from neuroexplain.puzzling import puzzles as play
    from neuroexplain.scoring import default_simulator

    llm = options.model(values)
    config = ScoreConfig(
        simulator=values["simulator"] or default_simulator("token-table", llm),
        settings=options.settings(values["simulator_set"], "--simulator-set"),
        llm=llm,
        model=values["model"],
        base_url=options.server(values),
        llm_settings=options.llm_settings(values),
        scorers=("correlation",),
    )
    whole = {"score": config, "file": str(values["file"])}
    scores, result = run(
        "bench puzzles", whole, values, lambda current: play(current, values["file"], config)
    )
    if result.finished:
        _print(scores, config.simulator, as_json=values["json"])
    end(result)


def _print(scores: Sequence[PuzzleScore], simulator: str, *, as_json: bool) -> None:
    from neuroexplain.puzzles import won

    points, pairs = won(scores)
    if as_json:
        found = [vars(score) for score in scores]
        options.echo_json({"simulator": simulator, "won": points, "pairs": pairs, "scores": found})
        return
    from rich.table import Table

    from neuroexplain.cli.table import console

    kinds = [kind for kind in ("true", "false", "of other spans", "perfect") if _of(scores, kind)]
    click.echo(f"Pearson's r over all tokens of each puzzle, simulator {simulator}\n")
    table = Table(box=None, pad_edge=False)
    table.add_column("puzzle")
    for kind in kinds:
        table.add_column(kind, justify="right")
    for name in dict.fromkeys(score.puzzle for score in scores):
        own = [score for score in scores if score.puzzle == name]
        table.add_row(name, *(_numbers(_of(own, kind)) for kind in kinds))
    table.add_row("mean", *(_mean(_of(scores, kind)) for kind in kinds))
    console().print(table)
    if pairs:
        click.echo(
            f"\nThe true explanation scores higher in {points:g} of {pairs} pairs ({points / pairs:.0%})."
        )
    undefined = sum(score.value is None for score in scores)
    if undefined:
        click.echo(
            f"{undefined} scores are undefined (-); among pairs they count as 0, in means not at all."
        )


def _of(scores: Sequence[PuzzleScore], kind: str) -> list[PuzzleScore]:
    return [score for score in scores if score.kind == kind]


def _numbers(scores: Sequence[PuzzleScore]) -> str:
    return "  ".join("-" if s.value is None else f"{s.value:.3f}" for s in scores)


def _mean(scores: Sequence[PuzzleScore]) -> str:
    values = [s.value for s in scores if s.value is not None]
    return f"{sum(values) / len(values):.3f}" if values else "-"
