"""`neuroexplain review` as a program: what it prints, what it refuses, how it ends."""

from __future__ import annotations

import html
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from neuroexplain.catalogue import Catalogue, Reviews
from neuroexplain.errors import ConfigError
from neuroexplain.review.security import is_loopback
from neuroexplain.review.serving import hosts_of, listen
from neuroexplain.reviewed import Queue, QueueItem

ADDRESS = re.compile(r"http://\S+/enter\?token=\S+")


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "c.sqlite"
    Catalogue(path).close()
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "neuroexplain", "review", *map(str, arguments)]


@contextmanager
def running(
    folder: Path, *arguments: str | Path, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """The program, once it has printed its address; it is killed at the end if it still runs."""
    data = {"XDG_DATA_HOME": str(folder / "data"), "HOME": str(folder)}
    process = subprocess.Popen(
        command(*arguments), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=os.environ | data | variables,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    line = process.stderr.readline()
    found = ADDRESS.search(line)
    assert found, line
    return found.group()


def test_it_prints_an_address_that_lets_one_browser_in_and_ends_by_an_interrupt(
    tmp_path: Path, catalogue: Path
) -> None:
    arguments = ("--catalogue", catalogue, "--reviewer", "Ann", "--no-browser", "--port", "0")
    with running(tmp_path, *arguments) as process:
        address = address_of(process)
        with httpx.Client() as client:
            assert client.get(address, follow_redirects=True).status_code == 200
            origin = address.partition("/enter")[0]
            session = client.get(f"{origin}/api/v1/session").json()
        assert session["reviewer"] == "Ann"
        assert session["reviews"] == "c.reviews.sqlite"
        assert httpx.get(address).status_code == 403
        assert (
            httpx.get(address_of(process)).status_code == 303
        )  # the next one, for another browser
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    assert (tmp_path / "c.reviews.sqlite").is_file()
    assert (tmp_path / "data" / "neuroexplain" / "review-secret").is_file()


def test_the_browser_opens_at_that_address(tmp_path: Path, catalogue: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser.py"
    browser.write_text(
        "import sys, urllib.request\n"
        "page = urllib.request.urlopen(sys.argv[1])\n"
        "print(page.status, file=open(sys.argv[2], 'w'))\n"
    )
    variables = {"BROWSER": f"{sys.executable} {browser} %s {opened}"}
    with running(tmp_path, "--catalogue", catalogue, "--port", "0", **variables) as process:
        address_of(process)
        address_of(process)  # printed once the first has been used, by that browser
        # It does not keep cookies, so the page that it is sent to refuses it.
        process.send_signal(signal.SIGTERM)
        process.wait(15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--catalogue", "nowhere.sqlite"), "no catalogue nowhere.sqlite"),
        (("--host", "0.0.0.0"), "stands for all addresses"),
        (("--host", "::"), "stands for all addresses"),
        (("--host", "203.0.113.7"), "cannot listen on 203.0.113.7"),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    tmp_path: Path, catalogue: Path, arguments: tuple[str, ...], message: str
) -> None:
    given = () if "--catalogue" in arguments else ("--catalogue", str(catalogue))
    done = subprocess.run(
        command(*given, *arguments, "--no-browser"),
        capture_output=True, text=True, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert message in line


def test_a_port_that_is_taken_is_refused_only_where_it_was_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}.*choose another by --host and --port"):
            listen("127.0.0.1", port)
    first = listen("127.0.0.1", None)
    second = listen("127.0.0.1", None)
    with first, second:
        assert first.getsockname()[1] != second.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.5.6.7", True), ("::1", True), ("localhost", True), ("192.168.1.2", False), ("::2", False), ("lab.example", False)],
)  # fmt: skip
def test_addresses_of_this_machine_are_told_from_others(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
    shown = f"[{host}]" if ":" in host else host
    assert f"{shown}:80" in hosts_of(host, 80) or host == "127.5.6.7"
    assert ("localhost:80" in hosts_of(host, 80)) == loopback


@pytest.mark.parametrize(
    ("host", "port", "header"),
    [
        ("127.0.0.2", 8377, "127.0.0.2:8377"),
        ("MyHost", 8377, "myhost:8377"),
        ("LOCALHOST", 8377, "localhost:8377"),
        ("127.0.0.1", 80, "127.0.0.1"),
        ("lab.example", 80, "lab.example"),
        ("fe80:0:0:0:0:0:0:1", 8377, "[fe80::1]:8377"),
    ],
)
def test_the_address_that_was_given_is_answered_as_browsers_write_it(
    host: str, port: int, header: str
) -> None:
    assert header in hosts_of(host, port)
    assert ("localhost" in hosts_of(host, 80)) == is_loopback(host)
    assert "localhost" not in hosts_of(host, 8377)


def test_another_address_of_this_machine_can_be_listened_on(
    tmp_path: Path, catalogue: Path
) -> None:
    arguments = ("--catalogue", catalogue, "--no-browser", "--host", "127.0.0.2", "--port", "0")
    with running(tmp_path, *arguments) as process:
        address = address_of(process)
        assert address.startswith("http://127.0.0.2:")
        assert httpx.get(address).status_code == 303


@pytest.mark.parametrize("there", [False, True])
def test_for_reading_only_no_file_of_reviews_is_made_or_written(
    tmp_path: Path, generated: Path, there: bool
) -> None:
    path, kept = tmp_path / "c.sqlite", tmp_path / "c.reviews.sqlite"
    shutil.copy(generated, path)
    where = "/queues"
    if there:
        with Catalogue(path) as catalogue, Reviews(kept) as reviews:
            target = catalogue.target(catalogue.search("", limit=1).rows[0].explanation_id)
            queue = Queue(uuid4().hex, "q", "verdict", "scores", 0, {}, (), 0, "ann", "")
            where = f"/queues/{reviews.make_queue(queue, [QueueItem(0, target)]).uuid}/coming"
    arguments = ("--catalogue", path, "--read-only", "--no-browser", "--port", "0")
    with running(tmp_path, *arguments) as process, httpx.Client(follow_redirects=True) as client:
        address = address_of(process)
        assert client.get(address).status_code == 200
        origin = address.partition("/enter")[0]
        page = client.get(origin + where)
        assert page.status_code == 200
        assert not there or target.text in html.unescape(page.text)
        assert client.get(f"{origin}/api/v1/session").json()["reviews"] == kept.name
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    assert kept.exists() == there
    if there:
        with closing(sqlite3.connect(kept)) as connection:
            assert connection.execute("SELECT count(*) FROM dealt").fetchone() == (0,)


def test_starting_loads_no_torch(tmp_path: Path, catalogue: Path) -> None:
    code = (
        "import sys\nfrom neuroexplain.review import app, serving\nfrom neuroexplain.cli import cli\n"
        "assert not {'torch', 'transformers', 'openai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
