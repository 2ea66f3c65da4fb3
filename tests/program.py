"""The command line as a user meets it: in this process, or in one of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from neuroexplain.cli import cli

TEXT = Path(__file__).parent / "data" / "stories.txt"
SMALL = ("--subject", "minilm", "--corpus", str(TEXT), "--tokens", "8000", "--layers", "0")
"""A collection that takes a few seconds."""


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON, without NaN."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} in JSON")

        return json.loads(self.out, parse_constant=refuse)


def neuroexplain(*arguments: str, cwd: Path | None = None, **environment: str) -> Result:
    """Run a command in this process; what is no clean end is raised."""
    with contextlib.chdir(cwd or Path.cwd()):
        done = CliRunner(env={"HF_HUB_OFFLINE": "1", **environment}).invoke(cli, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Result(done.exit_code, done.stdout, done.stderr)


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "neuroexplain", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )
