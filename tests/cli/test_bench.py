"""`neuroexplain bench puzzles`, with puzzles of our own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.puzzles import PuzzleScore, won
from tests.program import Result, neuroexplain
from tests.sweeps import error_of

PUZZLES: dict[str, Any] = {
    "boats": {
        "explanation": "words for boats",
        "false_explanations": ["words for food", "verbs"],
        "sentences": [
            ["The", [" ferry", 9], " left", ",", " and", " a", [" canoe", 7], " came"],
            ["She", " ate", " on", " the", [" ferry", 9], "."],
            ["No", " news", " today", "."],
        ],
    },
    "years": {
        "explanation": "years",
        "false_explanations": ["cities"],
        "sentences": [
            ["In", [" 1990", 10], " and", [" 1991", 8], " it", " rained", "."],
            ["It", " was", " dry", " then", "."],
        ],
    },
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "puzzles.json"
    path.write_text(json.dumps(PUZZLES), encoding="utf-8")
    return path


def bench(file: Path, *options: str) -> Result:
    catalogue = str(file.with_name("c.sqlite"))
    return neuroexplain("bench", "puzzles", "--file", str(file), "--catalogue", catalogue, *options)


def script(file: Path, **levels: list[list[Any]]) -> str:
    """Replies that hang on the explanation: levels of the first puzzle's tokens come from outside."""
    path = file.with_name("script.jsonl")
    lines = [
        {"match": match, "reply": json.dumps({"fires": reply})} for match, reply in levels.items()
    ]
    path.write_text(
        "\n".join(map(json.dumps, [*lines, *[{"reply": '{"fires": []}'}] * 9])), encoding="utf-8"
    )
    return f"scripted:{path}"


def test_a_model_that_knows_boats_wins_their_pairs(file: Path) -> None:
    llm = script(file, **{"words for boats": [[1, "ferry", 9], [1, "canoe", 7]]})
    found = bench(file, "--llm", llm, "--simulator", "sparse", "--json")
    assert found.code == 0, found.err
    told = json.loads(found.out)
    assert (told["simulator"], told["pairs"]) == ("sparse", 3)
    # Two pairs of boats; years are undefined on both sides, which is half a pair.
    assert told["won"] == 2.5
    kinds = [(s["puzzle"], s["kind"], s["value"] is None) for s in told["scores"]]
    assert kinds == [
        ("boats", "perfect", False),
        ("boats", "true", False),
        ("boats", "false", True),
        ("boats", "false", True),
        ("years", "perfect", False),
        ("years", "true", True),
        ("years", "false", True),
    ]
    assert {s["reason"] for s in told["scores"] if s["value"] is None} == {"constant_simulation"}
    again = bench(file, "--llm", llm, "--simulator", "sparse", "--json")
    assert json.loads(again.out) == told


def test_a_table_is_asked_about_what_it_has_not_seen(file: Path) -> None:
    found = bench(file, "--simulator", "token-table")
    assert found.code == 0, found.err
    lines = [re.split(r"\s{2,}", line.strip()) for line in found.out.splitlines() if "  " in line]
    assert lines[0] == ["puzzle", "of other spans", "perfect"]
    assert lines[1][0] == "boats" and float(lines[1][1]) > 0.3 and lines[1][2] == "0.999"
    # The years stand in one sentence, of which the other tells nothing.
    assert lines[2][0] == "years" and float(lines[2][1]) < 0
    assert "pairs" not in found.out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot read .*puzzles\.json: No such file"),
        ("[", r"puzzles\.json is not JSON: "),
        ("[]", r"holds no JSON object of puzzles"),
        (
            '{"a": {"explanation": "x"}}',
            r'puzzle "a" has no explanation, false_explanations and sent',
        ),
        (
            '{"a": {"explanation": 3, "false_explanations": [], "sentences": [["b"]]}}',
            r'puzzle "a" has no',
        ),
        (
            '{"a": {"explanation": "x", "false_explanations": [], "sentences": [[["b"]]]}}',
            r'puzzle "a" has no',
        ),
    ],
)
def test_files_that_are_none(file: Path, content: str | None, message: str) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_text(content, encoding="utf-8")
    assert re.search(message, error_of(bench(file, "--simulator", "token-table")))


def test_a_simulator_with_a_model_needs_one(file: Path) -> None:
    assert 'simulator "sparse" needs a language model' in error_of(
        bench(file, "--simulator", "sparse")
    )


def test_pairs_won() -> None:
    def of(kind: str, value: float | None) -> PuzzleScore:
        return PuzzleScore("p", kind, "", value, None, 1.0)

    false = [of("false", value) for value in (0.2, 0.5, 0.7, None)]
    assert won([of("true", 0.5), *false]) == (2.5, 4)
    assert won([of("true", None), *false]) == (0.5, 4)
    assert won([of("perfect", 1.0)]) == (0.0, 0)
