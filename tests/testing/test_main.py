"""The server in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.testing.wire import BODY


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "neuroexplain.testing", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def chat(url: str, n: int = 0) -> tuple[int, Any]:
    body = json.dumps(BODY | {"seed": n}).encode()
    try:
        with urllib.request.urlopen(f"{url}/chat/completions", body, timeout=20) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(number: int) -> None:
    with running("--text", "so it is", "--model", "a", "--model", "b") as (process, url):
        assert url.startswith("http://127.0.0.1:") and url.endswith("/v1")
        status, made = chat(url)
        assert (status, made["choices"][0]["message"]["content"]) == (200, "so it is")
        with urllib.request.urlopen(f"{url}/models", timeout=20) as response:
            assert [m["id"] for m in json.loads(response.read())["data"]] == ["a", "b"]
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "2 requests, 2 answered\n")


def test_faults_are_the_same_every_time() -> None:
    def met() -> list[int]:
        faults = (
            "--faults",
            "0.5",
            "--seed",
            "3",
            "--kind",
            "server_error",
            "--kind",
            "rate_limit",
        )
        with running(*faults) as (_, url):
            return [chat(url, n)[0] for n in range(20)]

    first = met()
    assert set(first) == {200, 429, 500}
    assert met() == first
