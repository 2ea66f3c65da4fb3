"""Sweeps that are to be killed or interrupted, in processes that are ready at once.

A fork server that has loaded the package makes them, so that a hundred lives take a minute.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import sqlite3
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import neuroexplain as nx
from neuroexplain.run import Execution

_FORKS = multiprocessing.get_context("forkserver")
# The package loads most of itself when it is needed; here that would be at the beginning of each life.
_FORKS.set_forkserver_preload(
    ["tests.lives", "aiohttp", "openai", "neuroexplain.api", "numpy.random"]
)

NEURONS = "0:0-299"
CALLS = 3
"""Of a neuron at most: one to explain, two to simulate up to ten spans."""


_LINE = re.compile(r"^(\d+):(.*)$", re.MULTILINE)
_WORD = re.compile(r"(?<![\\\w])[^\W\d_]+")
"""No part of a sign such as `\\n`."""


def words(prompt: str) -> list[tuple[int, str]]:
    """Words that a `sparse` prompt shows, each with the number of its line."""
    lines = _LINE.findall(prompt)
    return [(int(number), word) for number, line in lines for word in _WORD.findall(line)]


def answer(body: Mapping[str, Any]) -> str:
    """Replies that hang on the request alone, and are never wrong."""
    prompt = body["messages"][-1]["content"]
    kind = zlib.crc32(json.dumps(body["messages"]).encode())
    if "JSON list" not in prompt:
        return f"words for a place of kind {kind}"
    return json.dumps([[n, word, kind // n % 10 + 1] for n, word in words(prompt)[::6][:5]])


def sweep(
    catalogue: Path, url: str, concurrency: int, neurons: str = NEURONS, **execution: Any
) -> nx.RunResult:
    """Explain and score neurons that have been collected."""
    execution = {"probe": False, "processes": 0, **execution}
    with nx.Catalogue(catalogue) as opened:
        return nx.sweep(
            opened,
            neurons=neurons,
            explainer="token-activation",
            simulator="sparse",
            llm="openai:test-model",
            base_url=url,
            top=5,
            random=5,
            quantile=0,
            simulator_settings={"spans_per_call": 5},
            execution=Execution(concurrency=concurrency, **execution),
        )


def life(catalogue: Path, url: str, concurrency: int) -> multiprocessing.process.BaseProcess:
    """Start a sweep in a process of its own; it exits with 130 when it was interrupted."""
    process = _FORKS.Process(target=_live, args=(catalogue, url, concurrency), daemon=True)
    process.start()
    return process


def _live(catalogue: Path, url: str, concurrency: int) -> None:
    os.environ["OPENAI_API_KEY"] = "none"
    sys.exit(0 if sweep(catalogue, url, concurrency).finished else 130)


CONTENT = {
    "explanations": "SELECT neuron_id, explainer, llm, text, status, reason FROM v_explanations",
    "simulations": """
        SELECT v.neuron_id, s.key, m.plugin, s.split, s.spans, s.expected, f.span, f.reason
        FROM simulation s
        JOIN method m ON m.id = s.method_id
        JOIN v_explanations v USING (explanation_id)
        LEFT JOIN simulation_failure f ON f.simulation_id = s.id
    """,
    "scores": """
        SELECT v.neuron_id, s.scorer, s.split, s.value, s.ci_low, s.ci_high, s.null_mean, s.null_own, s.null_n,
            s.p_value, s.floor, s.n_tokens, s.n_nonzero, s.coverage, s.reason, s.null_reason
        FROM v_scores s JOIN v_explanations v USING (explanation_id)
    """,
    "calls": "SELECT request_sha256, purpose, prompt_tokens, reply, status FROM v_llm_calls",
}
"""What a catalogue holds, whatever the order in which it came."""


def content(catalogue: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Explanations, simulations, scores and calls, sorted; the file is found sound first."""
    with sqlite3.connect(catalogue) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        found = {name: connection.execute(query).fetchall() for name, query in CONTENT.items()}
    return {name: sorted(rows, key=repr) for name, rows in found.items()}
