"""Static pages: valid, inert whatever the texts hold, complete from a folder, and no score that is not in the data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from neuroexplain.exchange import html
from neuroexplain.exchange.drawn import drawn
from neuroexplain.exchanged import NeuronRecord, ScoreRecord, SpanRecord
from neuroexplain.heat import HEATS, Run, runs
from neuroexplain.records import NeuronId
from tests.exchange.made import floats, neuron, score

TITLE = "Neurons </title><script>alert(1)</script>"
HOSTILE = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</p></li></main>", '" onmouseover="x', "{{ 7 * 7 }}",
    "\u202eevil", "\u200bhidden", "\x00", "\x1b[31m", "&lt;b&gt;", "\ud800", "x" * 100_000,
)  # fmt: skip
VOID = {"meta", "br"}


class Parsed(HTMLParser):
    """Elements with their attributes and texts; every element must be closed in its place."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.rows: list[list[tuple[str, str, str]]] = []
        """Tokens of every row of spans: element, class, text."""
        self._open: list[str] = []
        self.feed(path.read_bytes().decode("utf-8"))
        self.close()
        assert self._open == [], "left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if dict(attrs).get("class") == "tokens":
            self.rows.append([])
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._open and self._open[-1] in ("b", "i"):
            self.rows[-1].append((self._open[-1], self.elements[-1][1]["class"] or "", data))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def hostile() -> NeuronRecord:
    """A neuron whose every text means harm."""
    record = neuron(3)
    own = record.explanations[0]
    return replace(
        record,
        spans=(SpanRecord(HOSTILE, floats(*range(len(HOSTILE)))),),
        explanations=tuple(replace(own, text=text, explainer=text, llm=text) for text in HOSTILE),
        promoted=tuple((text, 1.0) for text in HOSTILE[:8]),
        site=HOSTILE[0],
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("html") / "a" / "b"
    records = [*(neuron(i, polarity=p) for i in range(3) for p in (1, -1)), hostile()]
    assert html.write(records, folder, TITLE, per_page=3) == html.Written(neurons=7, pages=3)
    return folder


PAGES = ("index.html", "neurons-1.html", "neurons-2.html", "neurons-3.html")


def test_the_folder_holds_the_pages_and_nothing_else(out: Path) -> None:
    assert sorted(p.name for p in out.iterdir()) == sorted(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_valid_and_takes_nothing_from_outside(out: Path, name: str) -> None:
    page = Parsed(out / name)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "form"}
    assert not any(key.startswith("on") or key == "style" for _, a in page.elements for key in a)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    policy = [a["content"] for a in page.of("meta") if a.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("h1")) == len(page.of("title")) == len(page.of("main")) == 1


def test_every_link_leads_to_a_place_that_is_there(out: Path) -> None:
    pages = {name: Parsed(out / name) for name in PAGES}
    links = [(a["href"] or "") for page in pages.values() for a in page.of("a")]
    assert len(links) >= 7
    for link in links:
        name, _, anchor = link.partition("#")
        assert name in pages
        assert not anchor or anchor in {a.get("id") for _, a in pages[name].elements}
    ways = {name: [a["href"] for a in page.of("nav")[0:0] or page.of("a")[:3]] for name, page in pages.items()}  # fmt: skip
    assert ways["neurons-1.html"][:2] == ["index.html", "neurons-2.html"]
    assert ways["neurons-2.html"] == ["index.html", "neurons-1.html", "neurons-3.html"]
    assert ways["neurons-3.html"][:2] == ["index.html", "neurons-2.html"]


@pytest.mark.parametrize("name", ["index.html", "neurons-3.html"])
def test_hostile_texts_are_inert_and_visible(out: Path, name: str) -> None:
    text = (out / name).read_bytes().decode("utf-8")
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    said = "".join(Parsed(out / name).texts)
    for wanted in ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "{{ 7 * 7 }}", r"\u202eevil",
                   r"\u200bhidden", r"\x00", r"\x1b[31m", "&lt;b&gt;", r"\ud800", "x" * 100_000):  # fmt: skip
        assert wanted in said


def test_every_score_stands_by_itself_with_interval_null_and_floor(tmp_path: Path) -> None:
    own = replace(
        neuron(0).explanations[0],
        scores=(
            ScoreRecord(score(value=0.123, ci_low=0.011, ci_high=0.222, null_mean=0.033, floor=0.444, p_value=0.055), "sparse", "test"),
            ScoreRecord(score(value=0.987, ci_low=None, ci_high=None, null_mean=None, floor=None, p_value=None), "sparse", "select"),
            ScoreRecord(score("explained_variance", None), "sparse", "test"),
        ),
    )  # fmt: skip
    html.write([replace(neuron(0), explanations=(own,))], tmp_path, "t")
    rows = re.findall(r"<tr>(?:(?!</tr>).)*correlation.*?</tr>|<tr><td>explained.*?</tr>", (tmp_path / "neurons-1.html").read_text())  # fmt: skip
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]
    plain = [[re.sub("<[^>]*>", "", cell) for cell in row][-8:] for row in cells]
    assert plain == [
        ["correlation", "sparse", "test", "0.12", "0.01 to 0.22", "0.03", "0.44", "0.055"],
        ["correlation", "sparse", "select", "0.99", "-", "-", "-", "-"],
        ["explained_variance", "sparse", "test", "constant_simulation", "0.10 to 0.38", "0.05", "0.30", "0.050"],
    ]  # fmt: skip
    everything = (tmp_path / "neurons-1.html").read_text() + (tmp_path / "index.html").read_text()
    assert "0.56" not in everything and "0.55" not in everything  # no mean of .123 and .987


def test_failed_and_missing_explanations_are_said(tmp_path: Path) -> None:
    html.write([neuron(0), NeuronRecord(NeuronId("minilm", 5, 1))], tmp_path, "t")
    index = " ".join(Parsed(tmp_path / "index.html").texts)
    assert "failed: parse_failed" in index and "not explained" in index
    page = " ".join(Parsed(tmp_path / "neurons-1.html").texts)
    assert "failed: parse_failed, no JSON" in page and "Not explained." in page


@pytest.mark.parametrize("polarity", [1, -1])
def test_the_strongest_token_on_the_side_is_bold_and_the_deepest(polarity: int) -> None:
    span = SpanRecord(
        (" a", " b", " c", " d"), floats(-polarity * 9, polarity * 2, polarity * 4, 0)
    )
    found = drawn(NeuronRecord(NeuronId("m", 0, 0, polarity), spans=(span,)), spans=1, first=0)
    assert found.scale == 4.0
    (row,) = found.groups[0].spans[0].rows
    assert row.runs == [Run(" a", 0), Run(" b", 10), Run(" c", 20, True), Run(" d", 0)]
    assert found.groups[0].spans[0].peak == polarity * 4


def test_leading_tokens_that_do_not_count_are_cold() -> None:
    span = SpanRecord(("<s>", " b", " c"), floats(900, 1, 2))
    found = drawn(NeuronRecord(NeuronId("m", 0, 0), spans=(span,)), spans=1, first=1)
    assert found.scale == 2.0
    assert found.groups[0].spans[0].rows[0].runs == [Run("<s>", 0), Run(" b", 10), Run(" c", 20, True)]  # fmt: skip


def test_held_out_activations_above_the_scale_are_the_deepest() -> None:
    assert runs(["a", "b", "c"], floats(25, 9.8, 0.2)) == [Run("a", 20, True), Run("b", 20), Run("c", 0)]  # fmt: skip
    assert runs(["a\n", "\tb"], floats(0, 0)) == [Run(r"a↵\tb", 0)]
    assert runs([], floats()) == []


def test_predictions_stand_below_the_span_that_they_are_of(out: Path) -> None:
    page = Parsed(out / "neurons-1.html")
    assert page.texts.count("token-activation, sparse") == 3 * 2
    classes = {run[1] for row in page.rows for run in row}
    assert classes <= {f"h{heat}" for heat in range(1, HEATS)} and "h20" in classes
    assert all(sum(element == "b" for element, _, _ in row) <= 1 for row in page.rows)
    styles = set(re.findall(r"^\.(h\d+) \{", (out / "neurons-1.html").read_text(), re.MULTILINE))
    assert styles == {f"h{heat}" for heat in range(21)}


def test_a_group_says_how_many_spans_it_leaves_out(tmp_path: Path) -> None:
    html.write([neuron(0)], tmp_path, "t", spans=2)
    said = Parsed(tmp_path / "neurons-1.html").texts
    assert "Strongest, seen by the explainer (2 of 3)" in said
    assert "Alike, and quiet (1)" in said


def test_no_more_than_two_pages_of_records_are_held(tmp_path: Path) -> None:
    seen: list[int] = []

    def made() -> Iterator[NeuronRecord]:
        for index in range(9):
            seen.append(len(list(tmp_path.glob("neurons-*.html"))))
            yield NeuronRecord(NeuronId("m", 0, index))

    html.write(made(), tmp_path, "t", per_page=2)
    assert seen == [0, 0, 0, 0, 1, 1, 2, 2, 3]


def test_nothing_to_show_is_a_page_that_says_so(tmp_path: Path) -> None:
    assert html.write([], tmp_path, "t") == html.Written(0, 0)
    assert "There are no neurons." in Parsed(tmp_path / "index.html").texts
