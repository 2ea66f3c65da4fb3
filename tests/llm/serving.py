"""Servers of other people, each in a process of its own."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

QUIET = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Started:
    """A server that answers."""

    url: str
    log: Path

    @property
    def posts(self) -> list[str]:
        """What it says of the requests to generate something, in order: path and status."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line.partition('"POST ')[2] for line in lines if '"POST ' in line]


@contextmanager
def started(
    command: Sequence[str | Path], folder: Path, *, within: float, **environment: str
) -> Iterator[Started]:
    """Run a server while the context lasts; it begins when the server lists its models.

    Args:
        command: without host and port.
        folder: where it runs and writes its log.
        within: seconds that it may take to start.
        environment: added to this process's own.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "server.log"
    home = folder / "home"
    (home / "hub").mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **QUIET, "HF_HOME": str(home), **environment},
        )
    try:
        deadline = time.monotonic() + within
        while not _answers(port):
            written = log.read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None, f"it ended:\n{written}"
            assert time.monotonic() < deadline, f"it does not answer:\n{written}"
            time.sleep(0.05)
        yield Started(f"http://127.0.0.1:{port}/v1", log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
