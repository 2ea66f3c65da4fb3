"""Tokens are web text, and explanations are written by models that read it: whatever they hold is inert, and can be seen."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx
import numpy as np
import pytest
from playwright.sync_api import Dialog, Page

from neuroexplain.calls import Call
from neuroexplain.catalogue import Catalogue
from neuroexplain.recorded import CorpusInfo, SubjectInfo, TokenCorpus, TokenDocument
from neuroexplain.records import SPLITS, Document, Explanation, Failure, NeuronId
from neuroexplain.review.rendering import STATIC
from neuroexplain.reviewed import Event, Judged, Queue, QueueItem, Target
from tests.catalogue.conftest import FIRST, SEQ_LEN, WIDTH, Sweep, make_layer, make_score
from tests.review.conftest import Site, Visit, serving

LONG = "A" * 100_000
ACTIVE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "</script><script>alert(3)//",
    '"onmouseover="alert(4)" autofocus onfocus="alert(5)',
    "'><svg/onload=alert(6)>",
    "</textarea></p></table></main><iframe src=javascript:alert(7)>",
    "<a href='javascript:alert(8)'>x</a>",
    "<style>*{display:none}</style>",
    "{{ 7*7 }}{% raise %}",
    "&lt;b&gt;&amp;",
    "]]><!--",
)
UNSEEN = {
    "\u202eabc\u202c": r"\u202eabc\u202c",
    "\u200b\u2066": r"\u200b\u2066",
    "\x00nul": r"\x00nul",
    "\x1b[31m": r"\x1b[31m",
    "\u2028": r"\u2028",
}
"""With what is shown instead."""
TEXT = " ".join((*ACTIVE, *UNSEEN))
SHOWN = " ".join((*ACTIVE, *UNSEEN.values()))
LONE = "lone \ud800 surrogate"
NEURON = NeuronId("tiny", 0, 1)
SCRIPTS = frozenset(f"/static/{path.name}" for path in STATIC.glob("*.js"))


def corpus() -> TokenCorpus:
    """Nine documents, three of each split, whose tokens are all that there is in ACTIVE and UNSEEN; one has a long word."""
    documents, spans = [], []
    for position in range(9):
        tokens = [*np.random.default_rng(position).permutation((*ACTIVE, *UNSEEN)).tolist()]
        if position == 0:
            tokens[1] = LONG
        text = " ".join(tokens)
        ends = np.cumsum([len(t) + 1 for t in tokens])
        offsets = np.stack([ends - [len(t) + 1 for t in tokens], ends - 1], 1).astype(np.uint32)
        digest = hashlib.sha256(text.encode()).hexdigest()
        document = Document(position, text, digest, SPLITS[position % 3], f"{TEXT}:{position}")
        ids = np.arange(len(tokens), dtype=np.uint32) + 100 * position
        documents.append(TokenDocument(document, ids, offsets))
        n = len(tokens)
        spans += [(position, s, min(SEQ_LEN, n - s), position % 3) for s in range(0, n, SEQ_LEN)]
    columns = np.array(spans).T
    info = CorpusInfo("made", "d" * 64, "t" * 64, SEQ_LEN, FIRST, 9, 9 * 16, 1, 2)
    return TokenCorpus(
        info, tuple(documents), columns[0], columns[1], columns[2], columns[3].astype(np.int8)
    )


def explanation(text: str, **more: object) -> Explanation:
    values = {"llm": TEXT, "settings": {TEXT: TEXT}, "prompt_sha256": "9" * 64, **more}
    return Explanation(NEURON, "token-activation", text, 1.5, **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    path: Path = tmp_path_factory.mktemp("hostile") / "c.sqlite"
    tokens = corpus()
    with Catalogue(path) as catalogue:
        subject = SubjectInfo("tiny", "dir/tiny", "a" * 64, "bert", "mlp", (WIDTH,) * 3)
        catalogue.save_collection("k", {"top_k": 4}, subject, tokens, [make_layer(tokens, 0)])
        sweep = Sweep(catalogue, catalogue.collection())
        messages = json.dumps([{"role": TEXT, "content": f"{TEXT}\n{LONE}"}])
        for text in (TEXT, LONG, LONE):
            key, made = ascii(text), explanation(text)
            number = catalogue.save_explanation(sweep.run_id, sweep.collection, key, made)
            sweep.score(number, make_score(0.5))
        failure = Failure("explain", "parse_failed", TEXT, f"{TEXT}{LONE}")
        failed = explanation("", failure=failure)
        catalogue.save_explanation(sweep.run_id, sweep.collection, "failed", failed)
        catalogue.save_call(
            sweep.run_id,
            Call("a" * 64, "explain", TEXT, "9" * 64, messages, "ok", f"{TEXT}\n{LONE}", endpoint=TEXT),
        )  # fmt: skip
        catalogue.finish_run(sweep.run_id, "failed", {}, TEXT)
    with serving(path) as found:
        target = Target.of(NEURON, TEXT)
        said = Judged("partly", tags=(TEXT,), note=TEXT, rewrite=TEXT)
        found.reviews.add(Event(uuid4().hex, TEXT, target, said, "2026-01-01T00:00:00+00:00"))
        items = [QueueItem(0, target), QueueItem(1, Target.of(NEURON, LONG))]
        queue = Queue(uuid4().hex, TEXT, "verdict", "none", 0, {TEXT: TEXT}, (), 0, TEXT, "")
        found.reviews.make_queue(queue, items)
        yield found


def pages(site: Site) -> dict[str, str]:
    """Addresses of pages that show what is hostile."""
    numbers = [e["id"] for e in site.catalogue.show(NEURON)["explanations"]]
    neuron = f"/neurons/{quote(str(NEURON))}"
    return {
        "neuron": neuron,
        "related": f"{neuron}/related",
        **{f"provenance {n}": f"/explanations/{number}" for n, number in enumerate(numbers)},
        "catalogue": "/catalogue?q=layer%3A0",
        "query": f"/catalogue?q={quote(TEXT)}",
        "queues": "/queues",
        "queue": f"/queues/{site.reviews.queues()[0].uuid}",
        "overview": "/",
        "agreement": "/agreement",
        "agreement of a queue": f"/agreement?queue={site.reviews.queues()[0].uuid}",
        "health": "/health",
        "compare": "/compare",
        "address": f"/neurons/{quote(TEXT)}",
        "nowhere": f"/{quote('<script>alert(1)</script>')}",
        "no queue": f"/queues/{quote('<img src=x onerror=alert(2)>')}",
    }


NAMES = ("neuron", "related", "provenance 0", "provenance 1", "provenance 2", "provenance 3", "catalogue", "query", "queues",
         "queue", "overview", "agreement", "agreement of a queue", "health", "compare", "address", "nowhere", "no queue")  # fmt: skip


class Parts(HTMLParser):
    """What a browser makes of a page: elements with their attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", NAMES)
def test_no_page_has_an_element_or_attribute_that_the_data_brought(site: Site, name: str) -> None:
    answer = site.client("ann").get(pages(site)[name])
    assert answer.status_code < 500
    found = Parts(answer.text)
    for tag, attributes in found.elements:
        assert tag not in {"iframe", "img", "style", "object", "embed", "base"}, tag
        assert not [a for a in attributes if a.startswith("on") or a == "style"], (tag, attributes)
        for a in ("href", "src", "action"):
            assert (attributes.get(a) or "/").startswith(("/", "#", "?")), (tag, attributes)
        if tag == "script":
            data = attributes.get("type") == "application/json"
            assert data or attributes.get("src") in SCRIPTS, attributes
    # A field holds what it is to send; all else is to be seen.
    fields = {"value", "data-text"}
    seen = [v for _, attributes in found.elements for a, v in attributes.items() if a not in fields]
    for character in "\u202e\u200b\u2066\x00\x1b\u2028":
        assert character not in found.text, hex(ord(character))
        assert not [v for v in seen if character in (v or "")], hex(ord(character))


def test_what_was_hidden_can_be_seen(site: Site) -> None:
    client, at = site.client("ann"), pages(site)
    neuron = Parts(client.get(at["neuron"]).text).text
    assert SHOWN in neuron, "the explanation"
    for token in (*ACTIVE, *UNSEEN.values()):
        assert token in neuron
    assert LONG in neuron
    assert "lone \ufffd surrogate" in neuron
    assert SHOWN in Parts(client.get(at["provenance 0"]).text).text
    for name in ("catalogue", "queues", "queue", "query"):
        assert ACTIVE[1] in html.unescape(client.get(at[name]).text), name


def test_a_request_may_hold_anything(site: Site) -> None:
    client = site.client("ann")
    for text in (TEXT, LONE, "\x00", LONG):
        target = {"neuron": str(NEURON), "text": text}
        said = {"kind": "verdict", "verdict": "wrong", "note": TEXT, "tags": ["<b>"]}
        body = {"uuid": uuid4().hex, "target": target, "said": said}
        answer = post(client, "/api/v1/events", body)
        assert answer.status_code in (201, 400, 422), (text[:20], answer.text[:200])
        if answer.status_code == 201:
            assert answer.json()["said"]["note"] == TEXT
        for where in ("/api/v1/search", "/catalogue"):
            assert client.get(where, params={"q": text.encode("utf-8", "replace")[:5000]}).status_code in (200, 400, 414)  # fmt: skip


def post(client: httpx.Client, path: str, body: object) -> httpx.Response:
    """With lone surrogates as a browser sends them."""
    headers = {"Content-Type": "application/json"}
    return client.post(path, content=json.dumps(body).encode(), headers=headers)


def no_dialogs(page: Page) -> list[str]:
    """Where dialogs are noted that a script opened."""
    found: list[str] = []

    def note(dialog: Dialog) -> None:
        found.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    return found


@pytest.mark.parametrize("name", ["neuron", "related", "provenance 0", "provenance 3", "catalogue", "query", "queues",
                                  "queue", "overview", "agreement", "health", "compare"])  # fmt: skip
def test_nothing_runs_in_a_browser(site: Site, visit: Visit, name: str) -> None:
    """What the page's policy had to refuse is an error in the console, which fails the test at its end."""
    visitor = visit(site)
    dialogs = no_dialogs(visitor.page)
    answer = visitor.page.goto(pages(site)[name])
    visitor.page.wait_for_load_state("networkidle")
    if answer is not None and not answer.ok:
        visitor.expect(str(answer.status))
    assert dialogs == []
    assert visitor.page.locator("main, iframe, img").count() == 1
    assert visitor.page.locator("#main").is_visible(), "no style was let in"


def test_nothing_runs_when_scripts_put_it_on_the_page(site: Site, visit: Visit) -> None:
    page = visit(site).page
    dialogs, before = no_dialogs(page), len(site.reviews.history(NEURON))
    page.goto(pages(site)["neuron"])
    page.locator(".comes-from").first.click()
    dialog = page.locator("dialog.provenance")
    dialog.wait_for()
    assert ACTIVE[1] in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    page.locator("[data-edit]").first.click()
    page.locator("#edit[open]").wait_for()
    assert ACTIVE[1] in page.locator("#edit-text").input_value()
    page.keyboard.press("Escape")
    page.locator(".judge").first.locator("summary").click()
    page.locator("[data-verdict=wrong]").first.click()
    page.get_by_text("saved: wrong").first.wait_for()
    event = site.reviews.history(NEURON)[before]
    assert event.target.text == TEXT, "to the last character, a NUL too"
    assert dialogs == []
