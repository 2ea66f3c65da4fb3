"""The puzzle benchmark as a run: all explanations of all puzzles simulated, a few at a time, through the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from neuroexplain.config import ScoreConfig
from neuroexplain.models import language_models
from neuroexplain.puzzles import TRUE, Puzzle, PuzzleScore, load, perfect, play, play_table
from neuroexplain.registry import check, create, find, require_llm
from neuroexplain.run import Run


class _Job(NamedTuple):
    puzzle: Puzzle
    kind: str
    text: str


def puzzles(run: Run, path: Path, config: ScoreConfig) -> list[PuzzleScore]:
    """Play the puzzles of a file with a simulator; what the truth itself scores comes with it.

    A simulator without language model that reads the explanations of one explainer only is asked about each span after that
    explainer has seen the others.

    Args:
        run: its ledger and limits are used.
        path: the file.
        config: names the simulator and its language model.

    Returns:
        Scores in the order of the puzzles.

    Raises:
        ConfigError: the file is of another form.
        PluginError: the simulator does not exist, or needs a language model.
    """
    check("simulator", config.simulator, config.settings)
    require_llm("simulator", config.simulator, config.llm)
    loaded = load(path)
    reads = getattr(find("simulator", config.simulator), "reads", None)
    jobs = [job for puzzle in loaded for job in _jobs(puzzle, reads)]
    found: dict[_Job, PuzzleScore] = {}
    with language_models(run, None, config) as (_, llm):
        simulator = None if reads else create("simulator", config.simulator, config.settings, llm)

        async def one(job: _Job) -> None:
            if simulator is None:
                found[job] = await play_table(job.puzzle, config.simulator)
            else:
                found[job] = await play(job.puzzle, simulator, job.text, job.kind)
            run.succeeded("simulated")

        async def nothing() -> None:
            return

        run.work(
            "puzzles",
            jobs,
            one,
            finish=nothing,
            total=len(jobs),
            workers=run.execution.in_flight,
        )
    return [
        score
        for puzzle in loaded
        for score in (
            perfect(puzzle),
            *(found[j] for j in jobs if j.puzzle is puzzle and j in found),
        )
    ]


def _jobs(puzzle: Puzzle, reads: str | None) -> Sequence[_Job]:
    if reads:
        return [_Job(puzzle, TRUE, "")]
    return [
        _Job(puzzle, TRUE, puzzle.explanation),
        *(_Job(puzzle, "false", text) for text in puzzle.false),
    ]
