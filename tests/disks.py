"""Real file systems that are full or cannot be written to; they need the right to mount one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(tmp_path: Path, megabytes: float) -> Iterator[Path]:
    """A file system with so much room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        done = _mount(disk, _size(megabytes))
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True, capture_output=True, timeout=20)


def resize(disk: Path, megabytes: float) -> None:
    """Give a disk more room, or less."""
    _mount(disk, f"remount,{_size(megabytes)}").check_returncode()


def make_read_only(disk: Path) -> None:
    """Take no more writes; nobody may have a file open for writing."""
    _mount(disk, "remount,ro").check_returncode()


def fill(disk: Path) -> None:
    """Leave no room on a disk."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def _size(megabytes: float) -> str:
    return f"size={megabytes * 1024:.0f}k"


def _mount(disk: Path, options: str) -> subprocess.CompletedProcess[bytes]:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    return subprocess.run(command, capture_output=True, timeout=20)
