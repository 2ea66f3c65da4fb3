"""How the server and its files fare, and what of that somebody should look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from neuroexplain.catalogue.storage.condition import Condition
from neuroexplain.review.desk import QUERY_SECONDS, Desk
from neuroexplain.review.mirroring import MirrorState
from neuroexplain.review.timing import RouteTimes

LOG_BYTES = 2**30
"""A log as long as this slows every reader down."""
LAG = 60.0
"""Seconds; a sweep writes for some, and then it is the mirror's turn."""
FREE_BYTES = 2**30
"""With less room than this a sweep soon ends."""


@dataclass(frozen=True)
class RunningRun:
    """A run that has not said that it ended."""

    run_id: int
    command: str
    alive: bool
    """Whether its process still holds it."""
    done: int | None
    total: int | None
    seen_at: str | None
    """ISO time, UTC."""


@dataclass(frozen=True)
class JobUnderWay:
    """Work of this server that outlasts a request."""

    uuid: str
    kind: str
    state: str
    note: str


@dataclass(frozen=True)
class Health:
    """How the server and its files fare."""

    version: str
    uptime_seconds: float
    read_only: bool
    query_seconds: float
    """Time limit of a query."""
    catalogue: Condition
    reviews: Condition
    mirror: MirrorState
    """How far the catalogue is behind the reviews."""
    runs: list[RunningRun]
    models: list[str]
    """That are loaded."""
    jobs: list[JobUnderWay]
    requests: list[RouteTimes]
    troubles: list[str]
    """What somebody should look at, a line each."""


def health_of(desk: Desk) -> Health:
    """How the server and its files fare now."""
    found = Health(
        version=desk.version,
        uptime_seconds=round(desk.timings.uptime, 1),
        read_only=desk.read_only,
        query_seconds=QUERY_SECONDS,
        catalogue=desk.catalogue.condition(),
        reviews=desk.reviews.condition(),
        mirror=_mirror(desk),
        runs=[_running(desk, run) for run in desk.catalogue.runs() if run["state"] == "running"],
        models=desk.resolver.loaded,
        jobs=[JobUnderWay(j.uuid, j.kind, j.state, j.note) for j in desk.jobs.under_way()],
        requests=desk.timings.routes(),
        troubles=[],
    )
    return replace(found, troubles=list(_troubles(found)))


def _mirror(desk: Desk) -> MirrorState:
    """Its state; what went wrong names the file without its folder, as everything here does."""
    state = desk.mirror.state
    folder = f"{desk.catalogue.path.absolute().parent}{os.sep}"
    return replace(state, trouble=state.trouble and state.trouble.replace(folder, ""))


def _running(desk: Desk, run: dict[str, Any]) -> RunningRun:
    progress = run["progress"] or {}
    return RunningRun(
        run_id=run["run_id"],
        command=run["command"],
        alive=desk.catalogue.claimed(run["run_key"]),
        done=progress.get("done"),
        total=progress.get("total"),
        seen_at=run["seen_at"],
    )


def _troubles(found: Health) -> Iterator[str]:
    for file in (found.catalogue, found.reviews):
        if file.free_bytes is not None and file.free_bytes < FREE_BYTES:
            yield f"{file.name}: {file.free_bytes / 1e6:,.0f} MB are left on its disk"
        if file.log_bytes > LOG_BYTES:
            yield f"{file.name}: its log has {file.log_bytes / 1e6:,.0f} MB; it shrinks when whoever reads for long ends"
    if found.catalogue.writable is False:
        yield f"{found.catalogue.name}: cannot be written, so nothing can be scored anew"
    if found.reviews.writable is False and not found.read_only:
        yield f"{found.reviews.name}: cannot be written, so no decision can be kept"
    if found.mirror.trouble:
        yield f"the catalogue does not follow the reviews: {found.mirror.trouble}"
    elif found.mirror.lag > LAG:
        yield f"the catalogue is {found.mirror.lag:,.0f} s behind the reviews"
    for run in found.runs:
        if not run.alive:
            yield f"run {run.run_id}: its process is gone; the same command goes on where it was"
