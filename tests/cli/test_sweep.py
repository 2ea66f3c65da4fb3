from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.program import SMALL, neuroexplain


def test_sweep_scores_neurons_beside_floor_and_null(swept: Path) -> None:
    result = neuroexplain("search", "limit:100", "--catalogue", str(swept), "--json")
    rows = result.json
    assert result.code == 0
    assert 55 <= len(rows) <= 60, "a dead neuron has no explanation"
    scored = [row for row in rows if row["score"] is not None]
    assert len(scored) >= 55
    assert all(-1 <= row["score"] <= 1 and row["floor"] is not None for row in scored)
    assert all(row["null_mean"] is not None and 0 < row["p_value"] <= 1 for row in scored)
    mean = sum(row["score"] for row in scored) / len(scored)
    null = sum(row["null_mean"] for row in scored) / len(scored)
    assert mean > null + 0.1, (
        "n-gram explanations of a trained model's first layer carry information"
    )
    assert [row["score"] for row in scored] == sorted((r["score"] for r in scored), reverse=True)


def test_same_command_again_has_nothing_to_do(catalogue: Path) -> None:
    arguments = ("sweep", *SMALL, "--neurons", "0:0-59", "--catalogue", str(catalogue))
    before = _counts(catalogue)
    again = neuroexplain(*arguments, "--json")
    assert again.code == 0
    assert again.json["counts"]["reused"] >= 110
    assert not {"explained", "simulated", "collected"} & again.json["counts"].keys()
    assert again.json["n_scored"] >= 55, "the summary covers what was there already"
    assert _counts(catalogue) == before


def test_explain_and_score_are_the_sweep_in_two_steps(catalogue: Path) -> None:
    file = ("--catalogue", str(catalogue), "--json")
    explained = neuroexplain("explain", "--neurons", "0:0-24-", "--explainer", "token-table", *file)
    scored = neuroexplain(
        "score",
        "--neurons",
        "0:0-24-",
        "--simulator",
        "token-table",
        "--scorer",
        "correlation",
        *file,
    )
    assert (explained.code, scored.code) == (0, 0), explained.err + scored.err
    rows = neuroexplain("search", "explainer:token-table polarity:- limit:100", *file).json
    assert len(rows) == 25
    assert all(row["neuron"].endswith("-") for row in rows)
    # Simulated levels are stored in float16, the floor is computed afresh.
    assert all(abs(row["score"] - row["floor"]) < 1e-3 for row in rows if row["score"] is not None)


def test_settings_come_from_file_environment_and_flags(tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(
        'corpus = "text.txt"\nlayers = "0"\ntop-k = 3\nneurons = "0:0-1"\n[set]\nsize = 7\n',
        encoding="utf-8",
    )
    text = "\n\n".join(
        f"Document {i} is about the river number {i * i} and its banks." for i in range(40)
    )
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    result = neuroexplain(
        "sweep",
        "sweep.toml",
        "--seq-len",
        "16",
        "--json",
        cwd=tmp_path,
        NEUROEXPLAIN_CATALOGUE="c.sqlite",
    )
    assert result.code == 0, result.err
    config = neuroexplain("runs", "--json", "--catalogue", str(tmp_path / "c.sqlite")).json
    assert config[0]["command"] == "sweep"
    with sqlite3.connect(tmp_path / "c.sqlite") as connection:
        (stored,) = connection.execute("SELECT config FROM run").fetchone()
        ((settings,),) = set(
            connection.execute(
                "SELECT settings FROM explanation JOIN method ON method.id = method_id"
            )
        )
    assert '"top_k": 3' in stored.replace('":', '": ').replace(":  ", ": ")
    assert '"seq_len": 16' in stored.replace('":', '": ').replace(":  ", ": ")
    assert '"size": 7' in settings.replace('":', '": ').replace(":  ", ": ")


def _counts(path: Path) -> dict[str, int]:
    tables = ("collection", "explanation", "simulation", "score", "exemplar", "ngram")
    with sqlite3.connect(path) as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in tables
        }


@pytest.mark.parametrize("llm", ["foo:bar", "scripted:nowhere.jsonl", "openai:gpt-5-mini"])
def test_a_mistake_about_the_language_model_is_found_before_hours_of_collecting(
    tmp_path: Path, llm: str
) -> None:
    result = neuroexplain(
        *("sweep", *SMALL, "--explainer", "token-activation", "--llm", llm),
        *("--catalogue", str(tmp_path / "catalogue.sqlite")),
        OPENAI_API_KEY="",
        OPENAI_BASE_URL="",
    )
    assert result.code == 1
    assert result.err.startswith("Error: ")
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("top-k = 1.5", "top_k must be a whole number, not 1.5"),
        ('base-url = "ftp://nowhere"', 'base URL "ftp://nowhere" is no web address'),
    ],
)
def test_entries_of_a_file_are_read_like_flags(tmp_path: Path, entry: str, message: str) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(f"{entry}\n", encoding="utf-8")
    result = neuroexplain("sweep", str(file), "--llm", "openai:m")
    assert result.code == 1
    assert message in result.err
