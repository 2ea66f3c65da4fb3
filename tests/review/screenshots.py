"""Pictures of the review page for the README: `make screenshots`.

The catalogue is real (MiniLM's neurons, explained by two methods that ask nobody); the verdicts in it are drawn by chance, so that
the pages have something to show.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from playwright.sync_api import Page, sync_playwright

from neuroexplain.reviewed import Event, Judged, Preferred, Queue, Verdict
from tests.review.conftest import BROWSER, Site, serving
from tests.review.queues import make

METHODS = (("ngram", "ngram"), ("token-table", "embedding"))
NEURONS = "1:0-59,4:0-59"
WIDTH, HEIGHT, NARROW = 1200, 860, 390
VERDICTS: tuple[Verdict, ...] = ("correct", "correct", "correct", "too-broad", "too-narrow", "partly", "wrong")  # fmt: skip


def collected(path: Path) -> None:
    """A catalogue of a real model."""
    program("collect", path, "--subject", "minilm", "--tokens", "20000", "--layers", "1,4")
    for explainer, simulator in METHODS:
        method = ("--explainer", explainer, "--simulator", simulator)
        program("sweep", path, "--subject", "minilm", "--neurons", NEURONS, *method)


def program(command: str, path: Path, *options: str) -> None:
    """Run a command as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "neuroexplain", command, "--catalogue", str(path), *options],
        check=False,
        stdout=subprocess.DEVNULL,
    )
    if done.returncode:
        raise SystemExit(f"neuroexplain {command} ended with {done.returncode}")


def reviewed(site: Site) -> dict[str, Queue]:
    """Queues with decisions by two reviewers, who agree on two thirds."""
    lot = random.Random(7)
    queues = {
        "verdicts": make(site, 40, blind="scores", name="The best, blind"),
        "pairs": make(site, 12, mode="pairwise", blind="scores", name="Which of two"),
    }
    for position in range(32):
        first = lot.choice(VERDICTS)
        second = first if lot.random() < 2 / 3 else lot.choice(VERDICTS)
        for reviewer, verdict in (("ann", first), ("bob", second)):
            if reviewer == "ann" and position > 24:
                continue
            add(site, reviewer, queues["verdicts"], position, Judged(verdict, lot.choice((2, 3))))
    for position in range(12):
        add(site, "bob", queues["pairs"], position, Preferred(lot.choice(("left", "right", "tie"))))
    return queues


def add(site: Site, reviewer: str, queue: Queue, position: int, said: Judged | Preferred) -> None:
    """A decision in a queue."""
    item = site.reviews.items(queue, start=position, limit=1)[0]
    site.reviews.add(
        Event(
            *(uuid4().hex, reviewer, item.target, said, "2026-11-25T12:00:00.000+00:00"),
            other=item.other,
            queue=queue.uuid,
            position=position,
            seconds=6.0,
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(".github/review"))
    parser.add_argument("--catalogue", type=Path, help="one of MiniLM instead of a new one")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "minilm.sqlite"
        if given.catalogue is None:
            collected(path)
        else:
            shutil.copy(given.catalogue, path)
        with serving(path) as site:
            take(site, given.out)


def take(site: Site, folder: Path) -> None:
    """All pictures."""
    queues = reviewed(site)
    neuron = site.catalogue.search("explainer:ngram sort:score", limit=1).rows[0].neuron
    pages = {
        "overview": "/",
        "catalogue": "/catalogue?q=" + quote("layer:4 score>=0.3"),
        "neuron": f"/neurons/{quote(neuron)}?reveal=1",
        "spans": f"/neurons/{quote(neuron)}?reveal=1#spans",
        "queue": f"/queues/{queues['verdicts'].uuid}",
        "agreement": f"/agreement?queue={queues['verdicts'].uuid}",
        "compare": "/compare",
    }
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=list(BROWSER))
        wide = browser.new_context(
            base_url=site.origin, viewport={"width": WIDTH, "height": HEIGHT}
        )
        page = wide.new_page()
        page.goto(site.entrance())
        for name, address in pages.items():
            picture(page, address, folder / f"{name}.png")
        narrow = browser.new_context(
            base_url=site.origin,
            viewport={"width": NARROW, "height": HEIGHT},
            color_scheme="dark",
            storage_state=wide.storage_state(),
        )
        picture(narrow.new_page(), pages["queue"], folder / "queue-narrow-dark.png")
        browser.close()


def picture(page: Page, address: str, path: Path) -> None:
    """The top of a page."""
    page.goto("about:blank")  # another place of the same page is no new page
    answer = page.goto(address)
    assert answer is not None
    assert answer.ok, answer.text()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path)


if __name__ == "__main__":
    main()
