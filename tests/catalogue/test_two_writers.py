"""Two processes that write at once: nothing of either is lost."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.recorded import SubjectInfo
from tests.catalogue.conftest import make_corpus, make_layer

TIMES = 500
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.catalogue.test_two_writers"])
_READ = text("SELECT waiting FROM run WHERE id = 1")
_WRITE = text("UPDATE run SET waiting = :n WHERE id = 1")


def count(path: Path) -> None:
    """Read a number and write the next one, many times."""
    database = Database(path, read_only=False)
    for _ in range(TIMES):
        with database.writing() as connection:
            n = connection.scalar(_READ)
            connection.execute(_WRITE, {"n": n + 1})
    database.close()


def test_every_change_of_two_processes_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with Catalogue(path) as catalogue:
        catalogue.begin_run("key", "count", {}, {})
    processes = [_FORKS.Process(target=count, args=(path,), daemon=True) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    database = Database(path, read_only=True)
    with database.reading() as connection:
        assert connection.scalar(_READ) == 2 * TIMES
    database.close()
    with Catalogue(path, read_only=True) as catalogue:
        assert [str(fault) for fault in catalogue.check()] == []


EXPLAIN = """
import sys
from neuroexplain.catalogue import Catalogue
from tests.catalogue.conftest import Sweep, make_score
with Catalogue(sys.argv[1]) as catalogue:
    sweep = Sweep(catalogue, catalogue.collection())
    for n in range(100):
        number = sweep.explain(f"tiny/0/{n % 4}", f"text {n} of {sys.argv[2]}")
        sweep.score(number, make_score(n / 100), make_score(0.5, scorer="explained_variance"))
"""


def test_two_sweeps_at_once_leave_searches_right(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    corpus = make_corpus()
    subject = SubjectInfo("tiny", "dir/tiny", "a" * 64, "bert", "mlp", (4, 4, 4))
    with Catalogue(path) as catalogue:
        catalogue.save_collection("key", {}, subject, corpus, [make_layer(corpus, 0)])
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    workers = [
        subprocess.Popen([sys.executable, "-c", EXPLAIN, str(path), name], env=environment)
        for name in ("a", "b")
    ]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    with Catalogue(path, read_only=True) as catalogue:
        assert [str(fault) for fault in catalogue.check()] == []
        found = catalogue.search("text limit:500 -sort:score").rows
    wanted = sorted((f"text {n} of {name}", n / 100) for n in range(100) for name in "ab")
    assert sorted((row.text, row.score) for row in found) == wanted
