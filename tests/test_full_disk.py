"""A catalogue on a disk that fills, that takes no writes, or that has lost bytes: one message, and nothing is lost."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import neuroexplain as nx
from neuroexplain.catalogue.storage.engine import NoRoomError
from neuroexplain.run import Run
from neuroexplain.testing import serve
from tests.disks import fill, make_read_only, resize, small_disk
from tests.lives import answer, content
from tests.program import neuroexplain
from tests.sweeps import CALLS, Sweeps, asked, bought, error_of

NEURONS = 200
SELECTED = ("--neurons", f"0:0-{NEURONS - 1}")
RESERVE = 4
"""Megabytes that a run keeps for what is under way."""


@pytest.fixture(scope="module")
def undisturbed(sweeps: Sweeps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue of a sweep that has all the room it wants; not to be written to."""
    path = sweeps.copy(tmp_path_factory.mktemp("undisturbed") / "c.sqlite")
    with serve(answer) as server:
        assert sweeps.run(path, server.base_url, *SELECTED).code == 0
    return path


def megabytes(path: Path) -> float:
    return path.stat().st_size / 2**20


def states(catalogue: Path) -> list[str]:
    """Of the sweeps, the oldest first."""
    found = neuroexplain("runs", "--catalogue", str(catalogue), "--json").json
    return [run["state"] for run in reversed(found) if run["command"] == "sweep"]


def test_a_sweep_on_a_disk_that_fills_loses_nothing_and_goes_on_when_there_is_room(
    tmp_path: Path, sweeps: Sweeps, undisturbed: Path
) -> None:
    room = megabytes(sweeps.collected) + RESERVE + 1.2
    with small_disk(tmp_path, room) as disk, serve(answer) as server:
        path = sweeps.copy(disk / "c.sqlite")
        message = error_of(sweeps.run(path, server.base_url, *SELECTED))
        assert message == (
            f"the disk of catalogue {path} is full; make room and run the same command again"
        )
        before = asked(server)
        assert NEURONS < before.total() < CALLS * NEURONS, "it filled up in the middle"
        assert bought(path) == before, "whatever was answered is kept"
        assert [file.name for file in disk.iterdir()] == ["c.sqlite"], "no reserve, no lock"
        fill(disk)
        message = error_of(sweeps.run(path, server.base_url, *SELECTED))
        assert "full" in message or f"has no {RESERVE} MB left" in message
        assert asked(server) == before, "without room nothing is bought"
        (disk / "filler").unlink()
        resize(disk, 64)
        assert sweeps.run(path, server.base_url, *SELECTED).code == 0
        assert asked(server) == bought(undisturbed)
        assert states(path)[-1] == "done"
        assert content(path) == content(undisturbed)


def test_a_disk_without_a_byte_for_how_a_run_ended_leaves_it_to_the_next(
    tmp_path: Path, sweeps: Sweeps
) -> None:
    with (
        small_disk(tmp_path, 64) as disk,
        nx.Catalogue(sweeps.copy(disk / "c.sqlite")) as catalogue,
    ):
        with pytest.raises(NoRoomError, match="is full"), Run(catalogue, "sweep", {}):
            fill(disk)
        (disk / "filler").unlink()
        with Run(catalogue, "sweep", {}):
            pass
        states = [(run["state"], run["message"]) for run in catalogue.runs()[:2]]
        assert states == [("done", ""), ("interrupted", "killed")]


def test_replies_beyond_the_reserve_are_bought_again_and_no_others(
    tmp_path: Path, sweeps: Sweeps, undisturbed: Path
) -> None:
    arrived, full = 0, True

    def huge(body: Mapping[str, Any]) -> str:
        nonlocal arrived
        arrived += 1
        if arrived == 30:
            fill(disk)
        return answer(body) + " " * (500_000 if full and arrived >= 30 else 0)

    with (
        small_disk(tmp_path, megabytes(sweeps.collected) + RESERVE + 1.2) as disk,
        serve(huge) as server,
    ):
        path = sweeps.copy(disk / "c.sqlite")
        for _ in range(2):
            message = error_of(sweeps.run(path, server.base_url, *SELECTED))
            assert message.endswith("make room and run the same command again")
        before = asked(server)
        kept = bought(path)
        assert 0 < kept.total() < before.total() and kept <= before
        (disk / "filler").unlink()
        resize(disk, 64)
        full = False
        assert sweeps.run(path, server.base_url, *SELECTED).code == 0
        assert bought(path) == bought(undisturbed)
        again = asked(server) - bought(undisturbed)
        assert again == before - kept, "only what was lost is bought again"
        assert content(path)["scores"] == content(undisturbed)["scores"]


def test_a_disk_that_takes_no_writes_can_be_read(
    tmp_path: Path, sweeps: Sweeps, undisturbed: Path
) -> None:
    with small_disk(tmp_path, 64) as disk, serve(answer) as server:
        path = Path(shutil.copy(undisturbed, disk / "c.sqlite"))
        make_read_only(disk)
        refused = (
            sweeps.arguments(path, server.base_url, "--neurons", "0:300"),
            sweeps.arguments(disk / "new.sqlite", server.base_url),
            ("explain", "--neurons", "0:300", "--catalogue", str(path)),
            ("runs", "retry", "2", "--catalogue", str(path)),
        )
        for arguments in refused:
            message = error_of(neuroexplain(*arguments, OPENAI_API_KEY="none"))
            assert message.startswith(f"catalogue {disk}"), message
            assert "may be written" in message, message
        for command in (("runs",), ("runs", "show", "2"), ("search", "limit:3")):
            result = neuroexplain(*command, "--catalogue", str(path), "--json")
            assert result.code == 0 and result.json, result.err
        assert states(path) == ["done"]
        assert sweeps.run(path, server.base_url, "--dry-run").code == 0
        assert server.requests == []


def only_ledger(sweeps: Sweeps, source: Path, path: Path) -> Path:
    """A catalogue with another's ledger and none of its results."""
    sweeps.copy(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ATTACH ? AS source", (str(source),))
        for table in ("llm_source", "llm_call"):
            connection.execute(f"INSERT INTO {table} SELECT * FROM source.{table}")
        connection.execute("UPDATE llm_call SET run_id = 1")
    return path


@pytest.mark.parametrize(
    "damage", ["reply = x'80ff'", "reply = CAST(x'80ff' AS TEXT)", "reply = NULL"]
)
def test_a_reply_whose_bytes_are_broken_is_bought_again_and_no_other(
    tmp_path: Path, sweeps: Sweeps, undisturbed: Path, damage: str
) -> None:
    path = only_ledger(sweeps, undisturbed, tmp_path / "c.sqlite")
    broken = f"run_id = 1 AND id % 20 = 0 AND id <= {bought(undisturbed).total()}"
    with closing(sqlite3.connect(path)) as connection, connection:
        n = connection.execute(f"UPDATE llm_call SET {damage} WHERE {broken}").rowcount
    with serve(answer) as server:
        assert sweeps.run(path, server.base_url, *SELECTED, "--dry-run").code == 0
        assert server.requests == []
        result = sweeps.run(path, server.base_url, *SELECTED)
        assert result.code == 0, result.err
        assert len(server.chats) == n
        assert sweeps.run(path, server.base_url, *SELECTED).code == 0
        assert len(server.chats) == n
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(f"DELETE FROM llm_call WHERE {broken}").rowcount == n
    assert content(path) == content(undisturbed)


@pytest.mark.parametrize("column", ["finish_reason", "served_model"])
def test_other_broken_texts_are_named_as_damage(
    tmp_path: Path, sweeps: Sweeps, undisturbed: Path, column: str
) -> None:
    path = only_ledger(sweeps, undisturbed, tmp_path / "c.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE llm_call SET {column} = CAST(x'80ff' AS TEXT)")
    with serve(answer) as server:
        message = error_of(sweeps.run(path, server.base_url, *SELECTED))
        assert message == f"catalogue {path} is damaged; restore it from a backup"
        assert server.chats == []


def test_an_estimate_does_without_prompts_that_are_broken(
    tmp_path: Path, sweeps: Sweeps, undisturbed: Path
) -> None:
    path = Path(shutil.copy(undisturbed, tmp_path / "c.sqlite"))
    more = ("--neurons", "0:*", "--dry-run", "--json")
    with serve(answer) as server:
        sound = sweeps.run(path, server.base_url, *more)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE llm_call SET messages = x'80ff' WHERE id % 2 = 0")
        halved = sweeps.run(path, server.base_url, *more)
    assert halved.code == 0, halved.err
    assert halved.json["total"]["calls"] == sound.json["total"]["calls"] > 0
    tokens = sound.json["total"]["prompt_tokens"]
    assert halved.json["total"]["prompt_tokens"] == pytest.approx(tokens, rel=0.03)
