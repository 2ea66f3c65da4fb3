"""Whatever is wrong, the user gets one line with what, where and what to do, and exit code 1."""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from tests.program import SMALL, TEXT, neuroexplain, start

BAD = {
    "sweep neurons": (("sweep", "--neurons", "random:x"), "random:200"),
    "sweep neuron layer": (("sweep", "--neurons", "3:1"), "layer 3"),
    "sweep neuron index": (("sweep", "--neurons", "0:9999"), "0-1535"),
    "bad plug-in value": (("sweep", "--set", "orders=0"), "at least 1"),
    "sweep llm": (("sweep", "--explainer", "token-activation", "--llm", "local:nope"), "nope"),
    "no llm for the explainer": (("sweep", "--explainer", "token-activation"), "--llm"),
    "password in a URL": (
        ("explain", "--base-url", "http://me:hunter2@127.0.0.1:9/v1"),
        "OPENAI_API_KEY",
    ),
    "small null": (("sweep", "--null", "5"), "at least 20"),
    "nothing to score": (
        ("score", "--explainer", "token-table", "--simulator", "token-table"),
        "explainers here: ngram",
    ),
    "corpus": (("sweep", "--corpus", "nowhere.txt"), "nowhere.txt"),
    "corpus form": (("sweep", "--corpus", "rivers"), "docs"),
    "subject": (("sweep", "--subject", "./nowhere"), "minilm"),
    "hub id": (("sweep", "--subject", "nobody/nothing"), "nobody/nothing"),
    "layers": (("collect", "--layers", "9"), "0-5"),
    "layers form": (("collect", "--layers", "first"), "0-5"),
    "seq-len": (("collect", "--seq-len", "5000"), "512"),
    "tokens": (("collect", "--tokens", "0"), "at least 1"),
    "dtype": (("collect", "--dtype", "int3"), "bfloat16"),
    "device": (("collect", "--device", "abacus"), "cpu"),
    "explainer": (("sweep", "--explainer", "ngrams"), 'did you mean "ngram"'),
    "simulator": (("sweep", "--simulator", "oracle"), "token-table"),
    "scorer": (("sweep", "--scorer", "corelation"), 'did you mean "correlation"'),
    "setting": (("sweep", "--set", "sise=3"), 'did you mean "size"'),
    "setting form": (("sweep", "--set", "size"), "key=value"),
    "setting value": (("sweep", "--set", "size=many"), "int"),
    "pair": (("sweep", "--explainer", "token-table", "--simulator", "ngram"), "token-table"),
    "no llm": (("sweep", "--explainer", "token-activation", "--simulator", "sparse"), "--llm"),
    "llm": (("sweep", "--explainer", "token-activation", "--llm", "gpt-5"), "openai:MODEL"),
    "dead server": (
        (
            "explain",
            "--explainer",
            "token-activation",
            "--llm",
            "openai:m",
            "--base-url",
            "http://127.0.0.1:9/v1",
            "--tries",
            "1",
        ),
        "is the server running",
    ),
    "neurons": (("explain", "--neurons", "x"), "random:200"),
    "neuron layer": (("explain", "--neurons", "4:1"), "layer 4"),
    "neuron index": (("explain", "--neurons", "0:9999"), "0-1535"),
    "subject name": (("explain", "--subject", "gpt2"), "minilm"),
    "toml": (("sweep", "nowhere.toml"), "nowhere.toml"),
    "neuron address": (("show", "minilm"), "SUBJECT/LAYER/INDEX"),
    "neuron not there": (("show", "minilm/0/99999"), "1535"),
    "query field": (("search", "colour:red"), "layer"),
    "query value": (("search", "score>=high"), "score"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_line_and_exit_code_1(name: str, catalogue: Path, tmp_path: Path) -> None:
    arguments, hint = BAD[name]
    small: list[str] = []
    if arguments[0] in ("sweep", "collect"):
        defaults = {"--corpus": str(TEXT), "--tokens": "8000", "--layers": "0"}
        small = [part for pair in defaults.items() if pair[0] not in arguments for part in pair]
    result = neuroexplain(*arguments, *small, "--catalogue", str(catalogue), cwd=tmp_path)
    assert result.code == 1, result.err
    last = result.err.strip().splitlines()[-1]
    assert last.startswith("Error: ") and hint in last, result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("text", "hint"),
    [("", "nowhere"), ("one\n\ntwo", "documents")],
)
def test_too_little_text(text: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "nowhere.txt").write_text(text, encoding="utf-8")
    result = neuroexplain("collect", "--corpus", "nowhere.txt", cwd=tmp_path)
    assert result.code == 1
    assert hint in result.err.splitlines()[-1]


def test_a_name_that_stands_for_other_weights(catalogue: Path, tmp_path: Path) -> None:
    with sqlite3.connect(catalogue) as connection:
        connection.execute("UPDATE subject SET weights_sha256 = ?", ("f" * 64,))
    arguments = ("collect", *SMALL, "--catalogue", str(catalogue), "--top-k", "3")
    refused = neuroexplain(*arguments)
    assert refused.code == 1
    assert "--name" in refused.err and "collecting" not in refused.err
    assert neuroexplain(*arguments, "--name", "minilm-2").code == 0


def test_a_password_is_never_stored(catalogue: Path) -> None:
    neuroexplain(
        "explain", "--base-url", "http://me:hunter2@127.0.0.1:9/v1", "--catalogue", str(catalogue)
    )
    assert b"hunter2" not in catalogue.read_bytes()


def test_wrong_usage_is_2() -> None:
    assert neuroexplain("sweep", "--no-such-flag").code == 2
    assert neuroexplain("sweep", "--tokens", "many").code == 2


def test_reading_does_not_make_a_catalogue(tmp_path: Path) -> None:
    for command in (("search", "x"), ("show", "a/1/2"), ("runs",)):
        result = neuroexplain(*command, cwd=tmp_path)
        assert result.code == 1 and "no catalogue" in result.err, result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupted_sweep_goes_on(catalogue: Path) -> None:
    def explained() -> int:
        found = neuroexplain("search", "limit:5000", "--catalogue", str(catalogue), "--json")
        return len(found.json)

    at_first = explained()
    process = start("sweep", *SMALL, "--neurons", "0:*", "--catalogue", str(catalogue))
    deadline = time.monotonic() + 120
    while explained() < at_first + 30 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "goes on" in errors
    runs = neuroexplain("runs", "--catalogue", str(catalogue), "--json").json
    assert runs[0]["state"] == "interrupted"
    assert at_first < explained() < 1536
    again = neuroexplain(
        "sweep", *SMALL, "--neurons", "0:0-80", "--catalogue", str(catalogue), "--json"
    )
    assert again.code == 0, again.err
    assert again.json["counts"]["reused"] >= at_first + 20
