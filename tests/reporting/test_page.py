"""The page: one file, valid, readable without eyes or colours, and inert whatever the texts hold."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from neuroexplain.reporting import Report, assemble, save
from neuroexplain.reporting.page import page
from tests.reporting.conftest import HOSTILE
from tests.reporting.made import Made, score

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Parsed(HTMLParser):
    """Elements with their attributes and texts; every element must be closed in its place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.texts.append((self._open[-1], data))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def saved(hostile: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything in it."""
    return save(hostile, tmp_path_factory.mktemp("page") / "a" / "b")[0].parent


@pytest.fixture(scope="module")
def html(saved: Path) -> str:
    return (saved / "report.html").read_bytes().decode()


@pytest.fixture(scope="module")
def parsed(html: str) -> Parsed:
    return Parsed(html)


def test_the_folder_holds_the_page_and_every_plot_twice(saved: Path) -> None:
    names = {path.name for path in saved.iterdir()}
    drawn = {
        f"{scorer}-{plot}.{ending}"
        for scorer, plots in (
            ("correlation", ("by-layer", "against-null", "p-values", "against-floor")),
            ("a-b--c", ("by-layer", "against-null", "against-floor")),  # without p-values
        )
        for plot in plots
        for ending in ("svg", "png")
    }
    assert names == {"report.html", *drawn}


def test_the_page_needs_nothing_from_outside(html: str, parsed: Parsed) -> None:
    spaces = set(re.findall(r'xmlns(?::\w+)?="([^"]*)"', html))
    assert spaces <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    plain = re.sub(r'xmlns(?::\w+)?="[^"]*"', "", html)
    # One of the texts is an address; it stands there as a text.
    assert set(re.findall(r"https?://\S+", plain)) == {"http://example.org/x"}
    assert not {"script", "link", "iframe", "img", "object", "embed", "base", "form"} & {
        tag for tag, _ in parsed.elements
    }
    for tag, attributes in parsed.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name in ("href", "xlink:href", "src", "action"):
                assert value and value.startswith("#"), f"<{tag} {name}={value}>"
    assert "@import" not in html and not re.search(r"url\((?!#)", html)
    policy = [m["content"] for m in parsed.of("meta") if m.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_texts_are_shown_and_do_nothing(parsed: Parsed) -> None:
    shown = Counter(text for tag, text in parsed.texts if tag == "bdi")
    escaped = {"a\0b": "a\\x00b", "\u202egpj.exe\u2066": "\\u202egpj.exe\\u2066"}
    for text in HOSTILE:
        assert shown[escaped.get(text, text)] >= 4, "best or worst in four tables"
    assert shown["t<i>"] == 1
    everything = "".join(text for _, text in parsed.texts)
    assert "highlight (openai:<m>&) → sparse (openai:<m>&)" in everything
    assert "<failed>" in everything and "<reason>" in everything and "a<b>_c" in everything


def test_no_control_or_direction_characters(html: str) -> None:
    assert not [c for c in html if not c.isprintable() and c not in "\n "]


def test_headings_tables_and_plots_speak(parsed: Parsed) -> None:
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels)), "no level is left out"
    assert all(cell.get("scope") in ("col", "row") for cell in parsed.of("th"))
    assert len(parsed.of("main")) == 1 and parsed.of("html") == [{"lang": "en"}]
    ids = Counter(a["id"] for _, a in parsed.elements if "id" in a)
    assert max(ids.values()) == 1, [name for name, n in ids.items() if n > 1]
    for _, attributes in parsed.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            if name in attributes:
                assert attributes[name] in ids
        link = attributes.get("xlink:href")
        assert link is None or link[1:] in ids
    plots = parsed.of("svg")
    assert len(plots) == 7
    assert all(plot["role"] == "img" and plot["aria-labelledby"] for plot in plots)
    titles = [text for tag, text in parsed.texts if tag == "title"]
    assert "correlation: by layer" in titles and "a<b>_c: scores and floors" in titles


def test_plots_take_the_page_s_colours(html: str) -> None:
    for name in ("ink", "score", "null", "floor"):
        assert re.search(rf"(fill|stroke): var\(--{name}\)", html)
    inside = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", inside)) == set(), "no colour of its own"
    assert "prefers-color-scheme: dark" in html


def test_numbers_of_the_page(made: Made) -> None:
    run = made.run()
    made.score(
        run, made.explain(run, "0/0", "rivers"),
        score(0.456, p=1 / 21, ci_low=0.1, ci_high=0.75, null_mean=0.012, floor=0.4),
    )  # fmt: skip
    text = page(assemble(made.catalogue), {})
    assert not re.search(r"\bnan\b", text.lower())
    rows = re.findall(r"<tr.*?</tr>", text)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    numbers = ["1", "0 %", *["0.46"] * 4, "0.01", "0.44", "0.40", "100 %", "100 %", "100 %"]
    assert ["0", *numbers] in cells and ["all", *numbers] in cells
    assert [
        "<code>tiny/0/0+</code>", "0.46", "0.10 to 0.75", "0.01", "0.40", "0.048", "0.048",
        "<bdi>rivers</bdi>",
    ] in cells  # fmt: skip
    assert "pip install &#39;neuroexplain[report]&#39;" in text, "no plots were given"


def test_a_page_without_scores(made: Made, tmp_path: Path) -> None:
    run = made.run()
    made.fail(run, "0/0", "refused")
    files = save(assemble(made.catalogue), tmp_path / "out")
    assert [path.name for path in files] == ["report.html"]
    html = files[0].read_text(encoding="utf-8")
    Parsed(html)
    assert "Nothing was scored." in html and "1 explanations failed: <code>refused</code>" in html
    assert "matplotlib" not in html
