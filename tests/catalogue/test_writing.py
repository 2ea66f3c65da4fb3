"""The one writer of a run: together, in order, safe before anybody goes on, also where the disk is full or locked."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.results import writing
from neuroexplain.catalogue.results.writing import Writer
from neuroexplain.catalogue.storage.engine import NoRoomError
from neuroexplain.errors import CatalogueError
from tests.disks import fill, small_disk

INSERT = text("INSERT INTO llm_source (model, endpoint) VALUES (:model, 'e') RETURNING id")
Troubles = list[CatalogueError]


def put(connection: Connection, names: Sequence[str]) -> list[int]:
    return [int(connection.execute(INSERT, {"model": name}).scalar_one()) for name in names]


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT model FROM llm_source ORDER BY id")]


def write(path: Path, use: Callable[[Writer], Awaitable[None]]) -> Troubles:
    """Use a writer on a catalogue; returns the troubles it told of."""
    troubles: Troubles = []

    async def main(catalogue: Catalogue) -> None:
        writer = Writer(catalogue._database, "test", troubles.append)
        try:
            await use(writer)
        finally:
            await writer.close()

    with Catalogue(path, timeout=0.2) as catalogue:
        asyncio.run(main(catalogue))
    return troubles


def test_what_is_returned_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"

    async def use(writer: Writer) -> None:
        for name in ("a", "b"):
            number = await writer.do(put, name)
            with closing(sqlite3.connect(path)) as connection:  # another connection sees it
                found = connection.execute("SELECT id FROM llm_source WHERE model = ?", (name,))
                assert found.fetchone() == (number,)

    assert write(path, use) == []
    assert names(path) == ["a", "b"]
    assert [p.name for p in tmp_path.glob("*reserve*")] == []


def test_results_go_in_together_and_in_order(tmp_path: Path) -> None:
    transactions = []

    async def use(writer: Writer) -> None:
        inner = writer._transaction

        def counted(entries: Sequence[Any]) -> list[Any]:
            transactions.append(len(entries))
            return inner(entries)

        writer._transaction = counted  # type: ignore[method-assign]
        numbers = await asyncio.gather(*(writer.do(put, str(n)) for n in range(500)))
        assert numbers == sorted(numbers)

    write(tmp_path / "c.sqlite", use)
    assert names(tmp_path / "c.sqlite") == [str(n) for n in range(500)]
    assert max(transactions) == writing.BATCH
    assert len(transactions) <= 12


def test_one_that_cannot_be_written_does_not_spoil_the_others(tmp_path: Path) -> None:
    def breaks(connection: Connection, payloads: Sequence[str]) -> list[int]:
        connection.execute(INSERT, {"model": "half"})
        raise ValueError("broken")

    async def use(writer: Writer) -> None:
        jobs = [
            writer.do(put, "a"),
            writer.do(breaks, "c"),
            writer.do(put, "b"),
            writer.do(put, "a"),
        ]
        found = await asyncio.gather(*jobs, return_exceptions=True)
        assert [type(f) for f in found] == [int, ValueError, int, CatalogueError]
        assert "refuses a row" in str(found[3])

    write(tmp_path / "c.sqlite", use)
    assert names(tmp_path / "c.sqlite") == ["a", "b"], "nothing of what failed is left"


def test_who_stops_waiting_takes_nothing_back(tmp_path: Path) -> None:
    async def use(writer: Writer) -> None:
        waiting = [asyncio.create_task(writer.do(put, str(n))) for n in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[1], asyncio.CancelledError)

    write(tmp_path / "c.sqlite", use)
    assert names(tmp_path / "c.sqlite") == ["0", "1", "2"]


def test_closing_writes_what_is_in_line(tmp_path: Path) -> None:
    async def use(writer: Writer) -> None:
        for n in range(200):
            asyncio.get_running_loop().create_task(writer.do(put, str(n)))
        await asyncio.sleep(0)

    write(tmp_path / "c.sqlite", use)
    assert len(names(tmp_path / "c.sqlite")) == 200


def test_another_process_that_keeps_the_catalogue_locked_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "c.sqlite"
    Catalogue(path).close()

    def hold(held: threading.Event) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            held.set()
            threading.Event().wait(0.7)  # longer than a transaction waits
            other.execute("COMMIT")

    async def use(writer: Writer) -> None:
        held = threading.Event()
        holder = threading.Thread(target=hold, args=(held,))
        holder.start()
        held.wait(5)
        await writer.do(put, "a")
        holder.join()

    assert write(path, use) == []
    assert names(path) == ["a"]
    assert "waiting" in caplog.text and "locked by another process" in caplog.text


def test_another_process_that_never_lets_go_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PATIENCE", 0.1)
    path = tmp_path / "c.sqlite"
    Catalogue(path).close()

    async def use(writer: Writer) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(CatalogueError, match="locked by another process"):
                await writer.do(put, "a")
            other.execute("ROLLBACK")
        await writer.do(put, "b")

    write(path, use)
    assert names(path) == ["b"]


def test_replies_that_are_under_way_when_the_disk_fills_are_saved(tmp_path: Path) -> None:
    """They have been paid for: the reserve is given up for them, and the writer tells that nothing new should begin."""
    with small_disk(tmp_path, 12) as disk:
        path = disk / "c.sqlite"
        asked: list[str] = []

        async def use(writer: Writer) -> None:
            await writer.do(put, "before")
            fill(disk)
            for n in range(64):
                asked.append(f"{n} {'x' * 20_000}")
            await asyncio.gather(*(writer.do(put, name) for name in asked))

        troubles = write(path, use)
        assert [type(t) for t in troubles] == [NoRoomError]
        assert "make room and run the same command again" in str(troubles[0])
        assert names(path) == ["before", *asked]


def test_when_not_even_the_reserve_is_enough_the_rest_fails_with_a_clear_message(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path, 12) as disk:
        path = disk / "c.sqlite"

        async def use(writer: Writer) -> None:
            fill(disk)
            large = (writer.do(put, f"{n} {'x' * 400_000}") for n in range(64))
            found = await asyncio.gather(*large, return_exceptions=True)
            assert {type(f) for f in found} == {int, NoRoomError}

        assert len(write(path, use)) == 1
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_disk_that_is_full_already_is_found_before_anything_is_paid(tmp_path: Path) -> None:
    with small_disk(tmp_path, 6) as disk:
        with Catalogue(disk / "c.sqlite") as catalogue:
            fill(disk)
            with pytest.raises(NoRoomError, match="has no 4 MB left"):
                Writer(catalogue._database, "test", lambda error: pytest.fail(str(error)))
        with pytest.raises(NoRoomError, match="is full; make room"):
            Catalogue(disk / "c.sqlite")


KILLED = """
import asyncio, sys
from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.results.writing import Writer
from tests.catalogue.test_writing import put

async def main(catalogue):
    writer = Writer(catalogue._database, "test", print)
    async def one(n):
        await writer.do(put, str(n))
        print(n, flush=True)
    await asyncio.gather(*(one(n) for n in range(100_000)))

asyncio.run(main(Catalogue(sys.argv[1])))
"""


def test_what_was_reported_as_written_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    command = [sys.executable, "-c", KILLED, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        reported = [process.stdout.readline().strip() for _ in range(300)]
        process.kill()
        reported += process.stdout.read().split()
    there = set(names(path))
    assert set(reported) <= there
    assert len(there) - len(reported) <= 2 * writing.BATCH
