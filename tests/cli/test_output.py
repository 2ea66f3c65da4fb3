"""What the terminal shows: in colour and without, narrow and wide, in a pipe that its reader closes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from neuroexplain.cli.heat import heat, marks
from neuroexplain.cli.progress import RateColumn
from tests.program import SMALL, Result, neuroexplain

DEAD = "never fires on this side in the explain split"


def show(path: Path, *arguments: str, **environment: str) -> Result:
    return neuroexplain(
        "show", "minilm/0/3+", *arguments, "--catalogue", str(path), cwd=None, **environment
    )


@pytest.fixture
def dead(swept: Path) -> str:
    """Address of a neuron that never fires on its upper side."""
    found = neuroexplain("search", "state:failed", "--catalogue", str(swept), "--json").json
    assert {row["reason"] for row in found} == {"dead_neuron"}
    return str(found[0]["neuron"])


def test_levels_are_written_where_no_colour_arrives(swept: Path) -> None:
    piped = show(swept).out
    assert "\x1b" not in piped
    assert "[bell:10]" in piped and "[token:level]" in piped
    assert show(swept, FORCE_COLOR="1", TERM="dumb").out.count("[bell:10]") == piped.count(
        "[bell:10]"
    )
    assert "[bell:10]" in show(swept, FORCE_COLOR="1", NO_COLOR="1").out
    coloured = show(swept, FORCE_COLOR="1", TERM="xterm-256color").out
    assert "\x1b[" in coloured and ":10]" not in coloured


def test_marks_round_levels_from_one_on() -> None:
    text = marks(["", "a", " ", " b", "\n", "[c"], [0.0, 0.99, 1.0, 2.6, 12.0, 0.0])
    assert text.plain == "a[ :1] [b:3][↵:10][c"


def test_the_underline_leaves_out_the_space_before() -> None:
    text = heat([" a", " peak"], [3.0, 9.0])
    (span,) = (s for s in text.spans if "underline" in str(s.style))
    assert text.plain[span.start : span.end] == "peak"


@pytest.mark.parametrize("width", [60, 80, 160])
def test_columns_are_honoured_in_a_pipe(swept: Path, width: int) -> None:
    for command in (("show", "minilm/0/3"), ("search", "score>=0.9"), ("runs",)):
        out = neuroexplain(*command, "--catalogue", str(swept), COLUMNS=str(width)).out
        lines = out.splitlines()
        assert max(map(len, lines)) <= width
        assert [line for line in lines if line.endswith(" ")] == []
    scores = show(swept, COLUMNS=str(width)).out
    assert re.search(r"^  correlation \(ngram\)$", scores, flags=re.MULTILINE)
    assert re.search(r"^  correlation_top_random \(ngram\)$", scores, flags=re.MULTILINE)
    assert "…" not in scores


def test_superseded_scores_and_simulations_are_left_out(catalogue: Path) -> None:
    before = show(catalogue, "--json").json["explanations"][0]
    again = neuroexplain(
        "score", "--neurons", "0:3", "--score-top", "2", "--bootstrap", "50", "--catalogue", str(catalogue)
    )  # fmt: skip
    assert again.code == 0, again.err
    after = show(catalogue, "--json").json["explanations"][0]
    assert len(after["scores"]) == len(before["scores"]) == 2
    assert after["scores"] != before["scores"]
    assert len(after["simulations"]) < len(before["simulations"]), "fewer spans were asked for"


def test_a_dead_neuron_has_no_levels(swept: Path, dead: str) -> None:
    shown = neuroexplain("show", dead, "--catalogue", str(swept), COLUMNS="100")
    assert f"ngram: failed, dead_neuron: the neuron {DEAD}" in shown.out
    assert shown.out.splitlines()[-1].startswith(DEAD)
    assert "10 =" not in shown.out and "held out" not in shown.out
    searched = neuroexplain("search", "state:failed", "--catalogue", str(swept)).out
    assert re.search(rf"^{re.escape(dead)} +dead_neuron", searched, flags=re.MULTILINE)


def test_few_neurons_make_one_table_and_say_why_there_is_no_null(tmp_path: Path) -> None:
    path = str(tmp_path / "c.sqlite")
    swept = neuroexplain("sweep", *SMALL, "--neurons", "0:0-11", "--catalogue", path, COLUMNS="160")
    assert swept.code == 0, swept.err
    assert "worst" not in swept.out
    rows = re.findall(r"^minilm/0/\d+\+ +(-?[\d.]+)", swept.out, flags=re.MULTILINE)
    assert len(rows) == 12
    assert rows == sorted(rows, key=float, reverse=True)
    why = "11 other explanations in the layer, 20 needed"
    assert f"12 without a null: {why}" in swept.out
    shown = neuroexplain(
        "show", "minilm/0/3", "--spans", "0", "--catalogue", path, COLUMNS="100"
    ).out
    assert shown.count(f"no null: {why}") == 1, "once for both scores"


def test_runs_say_what_was_done_and_what_went_wrong(catalogue: Path) -> None:
    failed = neuroexplain(
        "explain", "--neurons", "0:0", "--explainer", "token-activation", "--llm", "openai:m",
        "--base-url", "http://127.0.0.1:9/v1", "--tries", "1", "--catalogue", str(catalogue),
    )  # fmt: skip
    assert failed.code == 1
    out = neuroexplain("runs", "--catalogue", str(catalogue), COLUMNS="160").out
    assert re.search(r"\d+ explained, \d+ simulated, \d+ scored, 1 collected, \d+ dead", out)
    assert "dead_neuron" not in out, "a dead neuron is no failure"
    assert "run 2 failed: nothing answers at http://127.0.0.1:9/v1" in out


@pytest.mark.parametrize("command", [("show", "minilm/0/3"), ("show", "minilm/0/3", "--json")])
@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_closed_pipe_is_a_clean_end(swept: Path, command: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "neuroexplain", *command, "--catalogue", str(swept)],
        stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stage_that_moves_once_has_a_rate() -> None:
    progress = Progress(console=Console(stderr=True), disable=True)
    task = progress.add_task("reading", total=100_000)
    time.sleep(0.01)
    progress.advance(task, 50_000)
    assert re.fullmatch(r"[\d,]+/s", RateColumn().render(progress.tasks[0]).plain)


def test_help_of_search_says_how_to_begin_with_a_minus(swept: Path) -> None:
    assert "-- -word" in neuroexplain("search", "--help").out
    assert neuroexplain("search", "--catalogue", str(swept), "--", "-the").code == 0
