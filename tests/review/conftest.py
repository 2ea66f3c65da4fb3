"""A real server on loopback over a small catalogue, clients that were let in, and a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Request, Response, sync_playwright

from neuroexplain.catalogue import Catalogue, Reviews, reviews_path
from neuroexplain.review.app import create_app
from neuroexplain.review.desk import Desk
from neuroexplain.review.security import Sessions
from neuroexplain.review.serving import hosts_of, listen, server_of


@dataclass
class Site:
    """A review page that is being served."""

    desk: Desk
    sessions: Sessions
    origin: str
    stack: ExitStack = field(repr=False)

    @property
    def reviews(self) -> Reviews:
        return self.desk.reviews

    @property
    def catalogue(self) -> Catalogue:
        return self.desk.catalogue

    def entrance(self) -> str:
        """An address that lets one browser in."""
        return f"{self.origin}/enter?token={self.sessions.new_token()}"

    def client(self, reviewer: str | None = None) -> httpx.Client:
        """A client that was let in, and that says where it comes from as a browser does."""
        says = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        made = httpx.Client(base_url=self.origin, headers=says, timeout=30)
        self.stack.callback(made.close)
        assert made.get(self.entrance()).status_code == 303
        if reviewer is not None:
            assert made.put("/api/v1/session", json={"reviewer": reviewer}).status_code == 200
        return made


@contextmanager
def serving(
    catalogue: Path, reviews: Path | None = None, *, reviewer: str = "ann", **settings: Any
) -> Iterator[Site]:
    """Serve a catalogue until the context is left."""
    desk = Desk(
        Catalogue(catalogue, read_only=True),
        Reviews(reviews or reviews_path(catalogue)),
        reviewer,
        **settings,
    )
    listening: socket.socket = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    sessions = Sessions("a secret of these tests", str(catalogue), reviewer)
    app = create_app(desk, sessions, hosts_of("127.0.0.1", port))
    server = server_of(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    with ExitStack() as stack:
        try:
            yield Site(desk, sessions, f"http://127.0.0.1:{port}", stack)
        finally:
            server.should_exit = True
            thread.join(10)
            desk.close()
            listening.close()


@pytest.fixture(scope="session")
def made(generated: Path) -> Path:
    """A catalogue of 96 neurons in 4 layers, 500 explanations by several methods, real text; not to be written to."""
    return generated


def copy_of(made: Path, folder: Path) -> Path:
    """A copy to serve: what is reviewed is mirrored into the catalogue."""
    return Path(shutil.copy(made, folder / "made.sqlite"))


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of that catalogue, for one test."""
    return Path(shutil.copy(made, tmp_path / "made.sqlite"))


@pytest.fixture
def site(place: Path) -> Iterator[Site]:
    """The review page over a copy of that catalogue."""
    with serving(place) as found:
        yield found


BROWSER = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run")  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, one for a module: while Playwright is there, its event loop runs, and no other can. Skipped where there is none, unless NEUROEXPLAIN_TEST_BROWSER=required."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None and os.environ.get("NEUROEXPLAIN_TEST_BROWSER") != "required":
        pytest.skip("no Chromium on this machine")
    assert path is not None, "no Chromium, and NEUROEXPLAIN_TEST_BROWSER=required"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=list(BROWSER))
        yield found
        found.close()


class Visitor:
    """A person in a browser; whatever goes wrong on a page is noted, and fails the test at its end."""

    def __init__(self, browser: Browser, site: Site, **settings: Any) -> None:
        self.site = site
        self.context = browser.new_context(base_url=site.origin, **settings)
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('CSP ' + e.blockedURI + ' ' + e.violatedDirective))"
        )
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.responses: list[Response] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", lambda response: self.responses.append(response))
        self.page.goto(site.entrance())

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.site.origin, "data:")):
            self.troubles.append(f"asked another host: {request.url}")

    def call_me(self, name: str) -> None:
        """Review under a name."""
        says = {"Origin": self.site.origin, "Sec-Fetch-Site": "same-origin"}
        answer = self.context.request.put("/api/v1/session", data={"reviewer": name}, headers=says)
        assert answer.ok

    def expect(self, text: str) -> None:
        """Take note that a trouble was meant to be."""
        found = [t for t in self.troubles if text in t]
        assert found, (text, self.troubles)
        self.troubles = [t for t in self.troubles if text not in t]

    def close(self) -> None:
        self.context.close()
        assert not self.troubles


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Lets a person with a browser in."""
    visitors: list[Visitor] = []

    def come(site: Site, name: str = "ann", **settings: Any) -> Visitor:
        visitors.append(Visitor(browser, site, **settings))
        visitors[-1].call_me(name)
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.close()


Visit = Callable[..., Visitor]
