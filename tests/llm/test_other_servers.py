"""Servers that nobody here wrote: what the probe says of them, what a sweep makes of them, and what they say of the client.

`transformers serve` comes with what the package needs anyway. llama-cpp-python and vLLM are tried where an environment
variable names the Python that has them: `NEUROEXPLAIN_TEST_LLAMA`, `NEUROEXPLAIN_TEST_VLLM`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroexplain.calls import Call, Reply
from neuroexplain.llm import create
from neuroexplain.llm.alternatives import Alternatives, read
from neuroexplain.llm.base import Request
from neuroexplain.llm.budget import Budget
from neuroexplain.llm.ledger import Terms, ledgered
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.records import Simulation
from neuroexplain.simulators.logprob import LogprobSimulator
from neuroexplain.subjects.specs import locate
from neuroexplain.templates import Message
from tests.conftest import Build
from tests.llm import tiny
from tests.llm.serving import QUIET, Started, started
from tests.program import neuroexplain
from tests.sweeps import Sweeps, error_of

LLAMA = os.environ.get("NEUROEXPLAIN_TEST_LLAMA", "")
VLLM = os.environ.get("NEUROEXPLAIN_TEST_VLLM", "")
VLLM_SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
VLLM_OPTIONS = (
    "--enforce-eager", "--dtype", "float32", "--max-model-len", "4096", "--max-num-seqs", "16"
)  # fmt: skip
PROBES = 3
"""Chats by which this package finds out what a server can do: two forms and a length."""
THREE = ("--neurons", "0:0-2", "--score-top", "5", "--score-random", "5", "--score-quantile", "0")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny chat model."""
    folder = tmp_path_factory.mktemp("served") / "tiny"
    tiny.save(folder)
    return folder


@pytest.fixture(scope="module")
def transformers(model: Path) -> Iterator[Started]:
    """`transformers serve` with that model."""
    program = Path(sys.executable).with_name("transformers")
    with started([program, "serve", model.name], model.parent, within=120) as server:
        yield server


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Sweeps:
    return Sweeps(tmp_path_factory.mktemp("swept"))


@pytest.fixture
def catalogue(sweeps: Sweeps, tmp_path: Path) -> Path:
    """A collection to write to."""
    return sweeps.copy(tmp_path / "catalogue.sqlite")


def asking(sweeps: Sweeps, catalogue: Path, simulator: str, *llm: str) -> tuple[str, ...]:
    """A small sweep, with a probe."""
    return (
        "sweep", *sweeps.collecting, *THREE, "--explainer", "token-activation", "--simulator", simulator,
        "--llm", *llm, "--catalogue", str(catalogue),
    )  # fmt: skip


def at(server: Started) -> tuple[str, ...]:
    return ("openai:tiny", "--base-url", server.url)


def rows(catalogue: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(catalogue)) as connection:
        return connection.execute(query).fetchall()


def test_the_probe_says_what_transformers_serve_ignores_in_silence(transformers: Started) -> None:
    before = len(transformers.posts)
    found = neuroexplain("probe", "--llm", *at(transformers), "--json")
    assert found.json == {
        transformers.url: {
            "form": "text",
            "cap": "max_completion_tokens",
            "refused": [],
            "logprobs": False,
            "n": False,
            "usage": True,
            "served_model": "tiny@main",
            "prompt_logprobs": "none",
            "why": "no probabilities came back for the text that was sent",
            "top": 0,
            "top_logprobs": 0,
        }
    }
    asked = transformers.posts[before:]
    assert len(asked) == PROBES + 1, "and a text"
    assert all(line.endswith(" 200 OK") for line in asked), "it refuses nothing"


def test_logprob_is_refused_before_anything_is_bought(
    transformers: Started, sweeps: Sweeps, catalogue: Path
) -> None:
    before = len(transformers.posts)
    result = neuroexplain(*asking(sweeps, catalogue, "logprob", *at(transformers)))
    assert error_of(result) == (
        f"{transformers.url} gives no probabilities of a text's own tokens (no probabilities came back for the text "
        "that was sent); use the simulator sparse, or a server that does, such as vLLM"
    )
    assert len(transformers.posts) == before + PROBES + 1, "three neurons wait for one probe"
    assert not rows(catalogue, "SELECT * FROM v_llm_calls")
    assert not rows(catalogue, "SELECT * FROM v_explanations")
    assert rows(catalogue, "SELECT state FROM v_runs WHERE command = 'sweep'") == [("failed",)]


def test_a_sweep_ends_with_every_neuron_and_is_not_bought_again(
    transformers: Started, sweeps: Sweeps, catalogue: Path
) -> None:
    before = len(transformers.posts)
    arguments = asking(sweeps, catalogue, "sparse", *at(transformers))
    first = neuroexplain(*arguments)
    assert first.code == 3, first.err
    assert "3 explained, 3 without a score" in first.err and "3 failed: parse_failed" in first.err
    explained = rows(catalogue, "SELECT idx, text, status FROM v_explanations ORDER BY idx")
    assert explained == [(index, tiny.SAYS, "ok") for index in range(3)]
    assert rows(catalogue, "SELECT DISTINCT reason, raw_reply FROM simulation_failure") == [
        ("parse_failed", tiny.SAYS)
    ]
    scores = "SELECT DISTINCT value, reason, coverage FROM v_scores"
    assert rows(catalogue, scores) == [(None, "parse_failed", 0.0)]
    calls = rows(catalogue, "SELECT DISTINCT request_sha256 FROM v_llm_calls WHERE status = 'ok'")
    bought = len(transformers.posts)
    assert bought - before == PROBES + len(calls)

    again = neuroexplain(*arguments)
    assert again.code == 3, "a failure stays one"
    assert "3 reused" in again.err and "3 failed: parse_failed" in again.err
    refused = neuroexplain(
        "score", "--neurons", "0:0-2", "--simulator", "logprob", "--llm", *at(transformers),
        "--catalogue", str(catalogue),
    )  # fmt: skip
    assert "gives no probabilities of a text's own tokens" in error_of(refused)
    assert len(transformers.posts) == bought + PROBES + 1, "the probe of the last command"
    assert rows(catalogue, scores) == [(None, "parse_failed", 0.0)]


@pytest.mark.skipif(not LLAMA, reason="NEUROEXPLAIN_TEST_LLAMA names no Python with its server")
def test_probabilities_of_the_next_token_are_refused(
    sweeps: Sweeps, catalogue: Path, tmp_path: Path
) -> None:
    weights = locate("smollm2").path
    assert weights is not None
    command = (
        LLAMA, "-m", "llama_cpp.server", "--model", weights, "--model_alias", "tiny", "--logits_all", "true",
        "--n_ctx", "256",
    )  # fmt: skip
    with started(command, tmp_path, within=60) as server:
        found = neuroexplain("probe", "--llm", *at(server), "--json").json[server.url]
        result = neuroexplain(*asking(sweeps, catalogue, "logprob", *at(server)))
    assert (found["form"], found["cap"], found["n"]) == ("json_object", "max_tokens", False)
    assert (found["logprobs"], found["prompt_logprobs"]) == (True, "shifted")
    assert "gives tokens the probabilities of their neighbours" in error_of(result)
    assert not rows(catalogue, "SELECT * FROM v_explanations")


needs_vllm = pytest.mark.skipif(
    not VLLM, reason="NEUROEXPLAIN_TEST_VLLM names no Python with vLLM on CPU"
)


@pytest.fixture(scope="module")
def vllm(model: Path) -> Iterator[Started]:
    """A server of vLLM with the tiny model."""
    command = (VLLM, "-m", "vllm.entrypoints.cli.main", "serve", model.name, *VLLM_OPTIONS)
    with started(command, model.parent, within=300, **VLLM_SETTINGS) as server:
        yield server


@needs_vllm
def test_vllm_simulates_as_the_same_model_in_process(
    vllm: Started, model: Path, build: Build
) -> None:
    found = neuroexplain("probe", "--llm", *at(vllm), "--json").json[vllm.url]
    assert (found["form"], found["logprobs"], found["top_logprobs"]) == ("json_schema", True, 20)
    assert (found["prompt_logprobs"], found["why"]) == ("aligned", "")

    spans = [
        build.span("rain falls on cold rivers"),
        build.span(["a\nb", "\t", " 7", "é", " snow"]),
    ]

    async def simulate(llm: Any) -> Simulation:
        try:
            return await LogprobSimulator(llm).simulate(build.explanation("rain"), spans)
        finally:
            await llm.close()

    served = OpenAIChat("tiny", base_url=vllm.url)

    async def prepare() -> None:
        await served.prepare(texts=True)

    over_http = asyncio.run(
        simulate(ledgered(served, Forgetful(), Terms(Budget(), prepare=prepare)))
    )
    in_process = asyncio.run(simulate(create(f"local:{model}")))
    for a, b in zip(over_http.spans, in_process.spans, strict=True):
        assert a.expected is not None and b.expected is not None
        assert np.ptp(b.expected) > 0.03, "the places differ, so that equality says something"
        np.testing.assert_allclose(a.expected, b.expected, atol=1e-3)


@needs_vllm
def test_vllm_says_what_could_begin_a_reply_as_the_same_model_in_process(
    vllm: Started, model: Path
) -> None:
    asked = [
        Request((Message("user", text),), "simulate", 1, temperature=1.0, top_logprobs=20)
        for text in ("rain", 'Level of its last token, "é":')
    ]

    async def answered(llm: Any) -> list[Alternatives]:
        try:
            return [read((await llm.chat(request)).text) for request in asked]
        finally:
            await llm.close()

    over_http = asyncio.run(answered(OpenAIChat("tiny", base_url=vllm.url)))
    in_process = asyncio.run(answered(create(f"local:{model}")))
    for there, here in zip(over_http, in_process, strict=True):
        assert len(there) == len(here) == 20
        assert [token for token, _ in there[:5]] == [token for token, _ in here[:5]]
        np.testing.assert_allclose([p for _, p in there], [p for _, p in here], atol=1e-2)


class Forgetful:
    """A ledger that has nothing."""

    def find(self, request_sha256: str) -> Reply | None:
        return None

    async def save(self, call: Call) -> None:
        assert call.status == "ok", call.error


@needs_vllm
def test_a_sweep_with_logprob_over_vllm(vllm: Started, sweeps: Sweeps, catalogue: Path) -> None:
    result = neuroexplain(*asking(sweeps, catalogue, "logprob", *at(vllm)))
    assert result.code == 0, result.err
    assert "3 explained, 3 simulated, 3 scored" in result.err
    assert rows(catalogue, "SELECT DISTINCT text FROM v_explanations") == [(tiny.SAYS,)]


@needs_vllm
def test_vllm_answers_batch_files(sweeps: Sweeps, catalogue: Path, model: Path) -> None:
    batches = catalogue.parent / "batches"
    arguments = asking(sweeps, catalogue, "sparse", f"batch:{batches}", "--model", "tiny")
    waiting = neuroexplain(*arguments)
    (requests,) = (batches / "requests").glob("*.jsonl")
    assert len(requests.read_text(encoding="utf-8").splitlines()) == 3, waiting.err
    subprocess.run(
        [VLLM, "-m", "vllm.entrypoints.cli.main", "run-batch", "-i", requests,
         "-o", batches / "results" / "0001.jsonl", "--model", model.name, *VLLM_OPTIONS],
        check=True, capture_output=True, cwd=model.parent, timeout=500,
        env={**os.environ, **QUIET, **VLLM_SETTINGS, "HF_HOME": str(model.parent / "home")},
    )  # fmt: skip
    answered = neuroexplain(*arguments)
    assert "3 explained" in answered.err, answered.err
    assert rows(catalogue, "SELECT DISTINCT text, status FROM v_explanations") == [
        (tiny.SAYS, "ok")
    ]
