"""`neuroexplain report` on a real catalogue: what it prints, lists and writes."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from neuroexplain.catalogue import Catalogue
from tests.program import neuroexplain
from tests.sweeps import error_of

COLUMNS = (
    *("scorer", "value", "ci_low", "ci_high", "null_mean", "p_value", "floor", "n_tokens"),
    *("n_nonzero", "coverage", "null_own", "null_n"),
)


def report(path: Path, *more: str, neurons: str = "") -> Any:
    given = {"NEUROEXPLAIN_NEURONS": neurons} if neurons else {}
    arguments = ("report", "--catalogue", str(path), *more)
    result = neuroexplain(*arguments, cwd=None, COLUMNS="80", **given)
    assert result.code == 0, result.err
    return result


def adjusted(p: list[float]) -> list[float]:
    """Benjamini and Hochberg's definition, word by word: the least p(j) * m / j over all p(j) of at least one's own."""
    ranked = sorted(p)
    return [min(v * len(p) / (j + 1) for j, v in enumerate(ranked) if v >= own) for own in p]


def test_json_lists_every_score_of_the_run(swept: Path) -> None:
    found = report(swept, "--json").json
    with closing(sqlite3.connect(swept)) as connection:
        wanted = connection.execute(
            f"SELECT explanation_id, text, {', '.join(COLUMNS)} FROM v_scores JOIN v_explanations "
            "USING (explanation_id) WHERE split = 'test' ORDER BY scorer, explanation_id"
        ).fetchall()
    rows = found["explanations"]
    names = ("explanation_id", "text", *COLUMNS)
    assert [tuple(row[name] for name in names) for row in rows] == wanted
    assert len(wanted) > 100 and {row["explainer"] for row in rows} == {"ngram"}
    for scorer in ("correlation", "correlation_top_random"):
        own = [row for row in rows if row["scorer"] == scorer and row["p_value"] is not None]
        assert [row["q_value"] for row in own] == pytest.approx(
            adjusted([r["p_value"] for r in own])
        )


def test_the_summary_is_that_of_its_rows(swept: Path) -> None:
    found = report(swept, "--json", "--examples", "3").json
    assert [s["scorer"] for s in found["scores"]] == ["correlation", "correlation_top_random"]
    for section in found["scores"]:
        rows = [r for r in found["explanations"] if r["scorer"] == section["scorer"]]
        scored = [r for r in rows if r["value"] is not None]
        whole = section["all"]
        assert (whole["n"], whole["n_scored"]) == (len(rows), len(scored))
        assert whole["median"] == pytest.approx(median(r["value"] for r in scored))
        assert whole["null"] == pytest.approx(median(r["null_mean"] for r in scored))
        above = sum(r["value"] > r["floor"] for r in scored) / len(scored)
        assert whole["above_floor"] == pytest.approx(above)
        below = [r for r in scored if r["p_value"] is not None]
        assert whole["p_below"] == pytest.approx(
            sum(r["p_value"] < 0.05 for r in below) / len(below)
        )
        assert [layer["layer"] for layer in section["layers"]] == [0]
        best = sorted((r["value"] for r in scored), reverse=True)
        assert [r["value"] for r in section["best"]] == best[:3]
        assert [r["value"] for r in section["worst"]] == best[-1:-4:-1]
    assert found["spending"]["llm_calls"] == 0 and found["spending"]["cost_usd"] is None
    assert found["n_neurons"] == 60 and found["n_explanations"] + found["dead"] == 60


def test_eighty_columns_are_enough(swept: Path) -> None:
    out = report(swept).out
    assert max(map(len, out.splitlines()[:-2])) <= 80  # a command may be longer
    assert not re.search(r"\bnan\b", out.lower())
    numbers = report(swept, "--json").json["scores"][0]["all"]
    (line,) = re.findall(
        r"^all .*$", out.partition("correlation_top_random")[0], flags=re.MULTILINE
    )
    assert line.split()[:2] == ["all", str(numbers["n"])]
    for name in ("q25", "median", "q75", "q90", "floor"):
        assert f" {numbers[name]:.2f} " in line
    assert line.endswith(f"{100 * numbers['q_below']:.0f} %")
    assert "p is never below 0.048" in " ".join(out.split())
    for term in ("score", "null", "floor", "p", "q"):
        assert re.search(rf"^{term} +[A-Zp]", out, flags=re.MULTILINE), f"{term} is explained"


def test_a_page_with_plots(swept: Path, tmp_path: Path) -> None:
    result = report(swept, "--out", str(tmp_path / "out"), "--scorer", "correlation")
    assert "correlation: ngram → ngram" in result.out
    assert result.err == f"{tmp_path / 'out' / 'report.html'}, and 8 files of plots beside it\n"
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") == 4 and "What the explanations of" in html


def test_reading_takes_no_torch_and_goes_on_without_matplotlib(swept: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['matplotlib'] = None\nfrom neuroexplain.cli import cli\n"
        f"cli(args=['report', '--catalogue', {str(swept)!r}, '--out', {str(tmp_path)!r}], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stderr.splitlines() == [
        str(tmp_path / "report.html"),
        "plots need matplotlib: pip install 'neuroexplain[report]'",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_closed_pipe_leaves_a_whole_page(swept: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    more = ("--catalogue", str(swept), "--scorer", "correlation", "--out", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "neuroexplain", "report", *more],
        stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").endswith("</html>\n")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--run", "99"), "no run 99 in this catalogue; `neuroexplain runs` lists them"),
        (("--scorer", "detecton"), 'unknown scorer "detecton"; known: correlation, '),
        (("--neurons", "nonsense"), '"nonsense" selects no neurons'),
        (("--neurons", "0:200"), "there is no explanation to report on"),
        (("--out", "/dev/null/x"), "cannot write the report to /dev/null/x"),
    ],
)
def test_what_the_user_can_mend(swept: Path, more: tuple[str, ...], message: str) -> None:
    result = neuroexplain("report", "--catalogue", str(swept), *more)
    assert error_of(result).startswith(message)


def test_neurons_and_explainers_choose(catalogue: Path) -> None:
    chosen = ("--neurons", "0:0-29", "--catalogue", str(catalogue))
    assert neuroexplain("explain", *chosen, "--explainer", "token-table").code == 0
    scoring = (
        "--explainer",
        "token-table",
        "--simulator",
        "token-table",
        "--scorer",
        "correlation",
    )
    assert neuroexplain("score", *chosen, *scoring).code == 0
    newest = report(catalogue, "--json").json
    assert {row["explainer"] for row in newest["explanations"]} == {"token-table"}
    assert newest["runs"][0]["command"] == "score"
    both = report(catalogue, "--json", "--neurons", "0:0-29", "--scorer", "correlation").json
    assert [(s["explainer"], s["simulator"]) for s in both["scores"]] == [
        ("ngram", "ngram"),
        ("token-table", "token-table"),
    ]
    assert {row["neuron"] for row in both["explanations"]} <= {f"minilm/0/{i}+" for i in range(30)}
    assert any("every score is its own floor" in caveat for caveat in both["caveats"])
    one = report(catalogue, "--json", "--explainer", "ngram").json
    assert {row["explainer"] for row in one["explanations"]} == {"ngram"}
    text = report(catalogue, neurons="0:0-29").out
    assert "correlation: ngram → ngram" in text and "correlation: token-table → token-table" in text


def test_a_catalogue_without_results(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite"
    Catalogue(path).close()
    error = error_of(neuroexplain("report", "--catalogue", str(path)))
    assert error.startswith("nothing has been explained or scored in this catalogue")
