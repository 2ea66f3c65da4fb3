"""A copy of a catalogue that is in use: whole, of one moment, and never half of one under its name."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from sqlalchemy import text

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.care.backup import backup
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.errors import CatalogueError
from tests.contents import contents
from tests.disks import make_read_only, small_disk
from tests.program import neuroexplain
from tests.released import NUMBERS, released, upgraded

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.catalogue.test_backup"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue, not to be written to."""
    return upgraded(5, tmp_path_factory.mktemp("made") / "c.sqlite")


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "c.sqlite"))


def files(folder: Path) -> list[str]:
    """What is in a folder, without what SQLite keeps beside a file that somebody reads."""
    names = sorted(p.name for p in folder.iterdir())
    return [name for name in names if not name.endswith(("-wal", "-shm"))]


def test_the_copy_holds_everything(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy.sqlite"
    result = neuroexplain("db", "backup", str(path), str(out))
    assert result.code == 0, result.err
    assert re.fullmatch(rf"{re.escape(str(out))}: \d\.\d MB\n", result.out)
    assert contents(out, without=()) == contents(path, without=())
    assert neuroexplain("db", "check", str(out)).code == 0
    assert files(tmp_path) == ["c.sqlite", "copy.sqlite"]


@pytest.mark.parametrize("number", NUMBERS)
def test_older_catalogues_are_copied_as_they_are(tmp_path: Path, number: int) -> None:
    path = released(number, tmp_path / "c.sqlite")
    with Catalogue(upgraded(5, tmp_path / "other.sqlite"), read_only=True) as catalogue:
        catalogue.backup(tmp_path / "another.sqlite")
    backup(path, tmp_path / "copy.sqlite")
    dumps = []
    for name in ("c.sqlite", "copy.sqlite"):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            dumps.append(list(connection.iterdump()))
    assert dumps[0] == dumps[1]


def write_pairs(path: Path, began: Event, ended: Event) -> None:
    """Write two rows at a time, until told to stop."""
    database = Database(path, read_only=False)
    number = 0
    while not ended.is_set():
        with database.writing() as connection:
            for side in "ab":
                row = {"model": f"{number:06} {side}", "endpoint": "x" * 500}
                connection.execute(
                    text("INSERT INTO llm_source VALUES (NULL, :model, :endpoint)"), row
                )
        number += 1
        if number == 20:
            began.set()
    database.close()


def test_a_copy_while_another_process_writes_is_of_one_moment(path: Path, tmp_path: Path) -> None:
    began, ended = _FORKS.Event(), _FORKS.Event()
    process = _FORKS.Process(target=write_pairs, args=(path, began, ended), daemon=True)
    process.start()
    assert began.wait(60)
    counts = []
    for number in range(8):
        out = tmp_path / f"{number}.sqlite"
        backup(path, out)
        with Catalogue(out, read_only=True) as catalogue:
            assert [str(fault) for fault in catalogue.check()] == []
        with closing(sqlite3.connect(out)) as connection:
            query = "SELECT model FROM llm_source WHERE model GLOB '[0-9]*' ORDER BY model"
            names = [name for (name,) in connection.execute(query)]
        assert names == [f"{n:06} {side}" for n in range(len(names) // 2) for side in "ab"]
        counts.append(len(names))
    ended.set()
    process.join(60)
    assert process.exitcode == 0
    assert counts == sorted(counts) and counts[0] >= 40
    assert counts[-1] > counts[0], "nobody wrote meanwhile"


def test_a_write_amid_the_copy_does_not_begin_it_anew(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO llm_source SELECT NULL, 'm' || key, hex(zeroblob(2000)) "
            "FROM json_each('[' || substr(replace(hex(zeroblob(2500)), '0', ',1'), 2) || ']')"
        )
    told: list[int] = []

    def write(done: int, total: int) -> None:
        told.append(done)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE run SET message = ? WHERE id = 1", (str(done),))

    out = tmp_path / "copy.sqlite"
    backup(path, out, on_pages=write)
    assert told == sorted(told) and len(told) > 2
    with closing(sqlite3.connect(out)) as connection:
        assert connection.execute("SELECT message FROM run WHERE id = 1").fetchone() == ("",)


def test_a_file_that_is_there_is_replaced_only_when_told_to(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy.sqlite"
    out.write_text("mine")
    refused = neuroexplain("db", "backup", str(path), str(out))
    assert refused.code == 1
    assert (
        refused.err
        == f"Error: {out} is there already; give another path, or --force to replace it\n"
    )
    assert out.read_text() == "mine"
    assert neuroexplain("db", "backup", str(path), str(out), "--force").code == 0
    assert contents(out, without=()) == contents(path, without=())


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE other (x)")


REFUSED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing": (Path.unlink, "copy.sqlite", "no catalogue .* to copy"),
    "another program's": (foreign, "copy.sqlite", "of another program"),
    "no SQLite": (lambda path: path.write_bytes(os.urandom(5000)), "copy.sqlite", "is no SQLite file"),
    "onto itself": (lambda path: None, "c.sqlite", "is the catalogue itself"),
    "a folder": (lambda path: (path.parent / "folder").mkdir(), "folder", "is a folder; give a file in it"),
    "no folder": (lambda path: None, "no/copy.sqlite", "cannot be written: No such file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_copied_is_one_line(path: Path, tmp_path: Path, kind: str) -> None:
    spoil, name, message = REFUSED[kind]
    spoil(path)
    before = files(tmp_path)
    result = neuroexplain("db", "backup", str(path), str(tmp_path / name), "--force")
    assert result.code == 1
    assert re.search(message, result.err), result.err
    assert len(result.err.splitlines()) == 1
    assert files(tmp_path) == before


def test_a_full_disk_is_one_line_and_leaves_nothing(path: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path, 0.25) as disk:
        with pytest.raises(
            CatalogueError, match=r"the disk of .*copy.sqlite is full; nothing was copied"
        ):
            backup(path, disk / "copy.sqlite")
        assert list(disk.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_one_line(path: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path, 4) as disk:
        make_read_only(disk)
        with pytest.raises(
            CatalogueError, match=r"copy.sqlite cannot be written: Read-only file system"
        ):
            backup(path, disk / "copy.sqlite")


def test_a_catalogue_on_a_disk_that_cannot_be_written_to_is_copied(
    path: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path, 4) as disk:
        shutil.copy(path, disk / "c.sqlite")
        make_read_only(disk)
        backup(disk / "c.sqlite", tmp_path / "copy.sqlite")
    assert contents(tmp_path / "copy.sqlite", without=()) == contents(path, without=())


def die_amid(path: Path, out: Path) -> None:
    backup(path, out, on_pages=lambda *_: os.kill(os.getpid(), signal.SIGKILL))


def test_a_copy_that_was_killed_leaves_no_file_of_that_name(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy.sqlite"
    out.write_text("the one before")
    for _ in range(2):
        process = _FORKS.Process(target=die_amid, args=(path, tmp_path / "new.sqlite"), daemon=True)
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert not (tmp_path / "new.sqlite").exists()
        assert len(list(tmp_path.glob("new.sqlite.part-*"))) == 1, "that of the one before is gone"
    backup(path, tmp_path / "new.sqlite")
    assert files(tmp_path) == ["c.sqlite", "copy.sqlite", "new.sqlite"]
