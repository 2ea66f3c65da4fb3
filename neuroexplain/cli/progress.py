"""Progress on standard error: what, how far, how fast, how long still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

if TYPE_CHECKING:
    from neuroexplain.run import Advance


class RateColumn(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
        """The rate of the last seconds; of the whole once it has ended, or where it came in one piece."""
        speed = None if task.finished else task.speed
        seconds = task.finished_time or task.elapsed
        if speed is None and task.completed and seconds:
            speed = task.completed / seconds
        return Text("" if speed is None else f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.1f}/s")


class Bars:
    """A progress bar per stage."""

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Advance]:
        """Show a bar while the stage runs; it stays when the stage has ended. 80 columns hold it."""
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            RateColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True)),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(name, total=total, note="")

            def advance(done: int, note: str = "") -> None:
                progress.update(task, advance=done, note=note)

            yield advance
