"""Probabilities of a text's own tokens over HTTP, from a real tiny model: right ones are used, wrong ones are refused."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from neuroexplain.catalogue import Catalogue
from neuroexplain.errors import LLMPermanentError, LLMReplyError
from neuroexplain.llm import create
from neuroexplain.llm.budget import Budget
from neuroexplain.llm.ledger import Terms, ledgered
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.llm.probe import Capabilities
from neuroexplain.records import Simulation
from neuroexplain.run import Book, Run
from neuroexplain.simulators.logprob import LogprobSimulator
from neuroexplain.testing import Response, Server, serve
from tests.program import neuroexplain
from tests.sweeps import Sweeps, error_of

Body = dict[str, Any]
Build = Any  # of conftest.py, which cannot be imported
LIKED = [*"0123456789", "X"]
"""Answers that the model finds probable everywhere, so that they are among the tokens that a server lists."""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that would rather write a digit than anything else."""
    path = tmp_path_factory.mktemp("writer")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(["the river unknown", "Snow fell"] * 9, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe)
    tokenizer.save_pretrained(path)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=4096,
        n_embd=32,
        n_layer=2,
        n_head=2,
        initializer_range=0.5,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        bias = model.transformer.ln_f.bias
        bias.normal_()
        rows = tokenizer.convert_tokens_to_ids(LIKED)
        model.lm_head.weight[rows] += 20 * bias / (bias @ bias)
    model.save_pretrained(path)
    return path


@dataclass(frozen=True)
class Completions:
    """`POST /v1/completions` of a model in a folder, as vLLM answers it, and as some others do."""

    model: Any
    tokenizer: Any
    shifted: int = 0
    """Places by which probabilities of a text's tokens are late, as with llama-cpp-python."""
    lists: int = 20
    """Alternatives at most."""
    echoes: bool = True
    """Whether a text that is sent comes back; some servers ignore the wish in silence."""
    least: int = 0
    """Tokens that have to be generated; some fail on 0."""

    def __call__(self, body: Body) -> Body | Response:
        if body["max_tokens"] < self.least:
            error = {"message": f"max_tokens must be at least {self.least}", "param": "max_tokens"}
            return Response({"error": error}, 400)
        ids = self.tokenizer.encode(body["prompt"])
        n = len(ids)
        with torch.no_grad():
            for _ in range(body["max_tokens"]):
                ids.append(int(self._scores(ids)[-1].argmax()))
            scores = self._scores(ids)
        first = 0 if body["echo"] and self.echoes else n
        top = min(body["logprobs"], self.lists)
        tokens = [self.tokenizer.decode([i]) for i in ids]
        places = [*range(first, len(ids))]
        logprobs = {
            "tokens": tokens[first:],
            "token_logprobs": [self._own(scores, ids, at, n) for at in places],
            "top_logprobs": [self._top(scores, at, n, top) for at in places],
        }
        choice = {"index": 0, "text": "".join(tokens[first:]), "logprobs": logprobs}
        usage = {"prompt_tokens": n, "completion_tokens": len(ids) - n}
        return {
            "model": body["model"],
            "choices": [choice | {"finish_reason": "length"}],
            "usage": usage,
        }

    def _scores(self, ids: list[int]) -> torch.Tensor:
        logits: torch.Tensor = self.model(torch.tensor([ids])).logits[0].double()
        return logits.log_softmax(-1)

    def _row(self, scores: torch.Tensor, at: int, n: int) -> torch.Tensor | None:
        """What is said of the token at a place; nothing of a text's first."""
        row = at - 1 + (self.shifted if at < n else 0)
        return scores[row] if 0 <= row < len(scores) else None

    def _own(self, scores: torch.Tensor, ids: list[int], at: int, n: int) -> float | None:
        row = self._row(scores, at, n)
        return None if row is None else float(row[ids[at]])

    def _top(self, scores: torch.Tensor, at: int, n: int, top: int) -> dict[str, float] | None:
        row = self._row(scores, at, n)
        if row is None:
            return None
        best = row.topk(top)
        listed = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return {self.tokenizer.decode([i]): p for i, p in listed}


def completions(folder: Path, **manners: Any) -> Completions:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    return Completions(model, AutoTokenizer.from_pretrained(folder), **manners)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    with Catalogue(tmp_path / "calls.sqlite") as opened:
        yield opened


def simulated(
    catalogue: Catalogue, complete: Any, build: Build, *texts: str
) -> tuple[Capabilities, Simulation]:
    """What a probe finds, and a simulation through the ledger of a run."""
    with (
        serve(lambda body: "fine", complete=complete) as server,
        Run(catalogue, "score", "x") as run,
    ):

        async def simulate() -> tuple[Capabilities, Simulation]:
            inner = OpenAIChat("test-model", base_url=server.base_url, tries=1)
            try:
                (found,) = (await inner.prepare(texts=True)).values()
                llm = ledgered(inner, Book(run), Terms(Budget()))
                spans = [build.span(text) for text in texts]
                return found, await LogprobSimulator(llm, examples=1).simulate(
                    build.explanation(), spans
                )
            finally:
                await inner.close()

        return run.drive(simulate())


TEXTS = ("the river froze in winter", "Snow fell unknown 3 10 X")


@pytest.mark.parametrize("least", [0, 1])
def test_over_http_as_in_process(
    least: int, catalogue: Catalogue, folder: Path, build: Build
) -> None:
    found, over_http = simulated(catalogue, completions(folder, least=least), build, *TEXTS)
    assert (found.prompt_logprobs, found.why) == ("aligned", "")
    # Of twenty some are bytes that make no character, and have the same name.
    assert len(LIKED) < found.top <= 20
    local: Any = create(f"local:{folder}")

    async def in_process() -> Simulation:
        try:
            spans = [build.span(text) for text in TEXTS]
            return await LogprobSimulator(local, examples=1).simulate(build.explanation(), spans)
        finally:
            await local.close()

    expected = asyncio.run(in_process())
    for one, other in zip(over_http.spans, expected.spans, strict=True):
        assert one.expected is not None and other.expected is not None
        np.testing.assert_allclose(one.expected, other.expected, atol=1e-3)
        assert np.ptp(other.expected) > 0.1, "the places differ, so that equality says something"
    assert over_http.coverage == 1.0


REFUSED: dict[str, tuple[dict[str, Any] | None, str, str]] = {
    "shifted by one": ({"shifted": 1}, "shifted", "the probabilities of their neighbours"),
    "nothing comes back": ({"echoes": False}, "none", "no probabilities of a text's own tokens"),
    "no such path": (None, "none", "no probabilities of a text's own tokens (it completes no texts (404))"),
}  # fmt: skip


def with_logprob(sweeps: Sweeps, path: Path, server: Server, *more: str) -> list[str]:
    """A sweep that asks for probabilities, and tries first whether there are any."""
    arguments = [*sweeps.arguments(path, server.base_url, *more)]
    arguments.remove("--no-probe")
    settings = arguments.index("--simulator-set")
    del arguments[settings : settings + 2]
    arguments[arguments.index("sparse")] = "logprob"
    return arguments


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_ones_are_refused_with_one_line(
    name: str, folder: Path, sweeps: Sweeps, tmp_path: Path
) -> None:
    """Before anything is bought: not even explanations, which nobody could score."""
    manners, finding, words = REFUSED[name]
    path = sweeps.copy(tmp_path / "c.sqlite")
    complete = None if manners is None else completions(folder, **manners)
    with serve(lambda body: "words", complete=complete) as server:
        arguments = with_logprob(sweeps, path, server, "--neurons", "0:0-9")
        result = neuroexplain(*arguments)
        asked = ("probe", "--llm", "openai:test-model", "--base-url", server.base_url, "--json")
        found = neuroexplain(*asked).json[server.base_url]
    line = error_of(result)
    assert server.base_url in line and words in line and "use the simulator sparse" in line
    assert (found["prompt_logprobs"], found["top"]) == (finding, 0)
    assert server.chats == []
    with closing(sqlite3.connect(path)) as connection:
        for table in ("simulation", "score", "llm_call"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


@pytest.mark.parametrize("lists", [0, 5])
def test_answers_that_are_not_listed_are_a_failure_and_no_zero(
    lists: int, catalogue: Catalogue, folder: Path, build: Build
) -> None:
    """A server that lists fewer tokens than there are answers, though each with its right probability."""
    with pytest.raises(LLMReplyError, match="leave out answers that may matter") as caught:
        simulated(catalogue, completions(folder, lists=lists), build, *TEXTS)
    assert caught.value.reason == "no_logprobs"
    with closing(sqlite3.connect(catalogue.path)) as connection:
        rows = connection.execute("SELECT status, error FROM v_llm_calls").fetchall()
    assert rows == [("failed", f"no_logprobs: {caught.value}")]


def test_a_sweep_keeps_them_as_failed_spans(folder: Path, sweeps: Sweeps, tmp_path: Path) -> None:
    path = sweeps.copy(tmp_path / "c.sqlite")
    with serve(lambda body: "words", complete=completions(folder, lists=5)) as server:
        arguments = with_logprob(sweeps, path, server, "--neurons", "0:0-2")
        result = neuroexplain(
            *arguments, "--score-top", "1", "--score-random", "1", "--simulator-set", "examples=1"
        )
    assert result.code == 3, result.err
    assert "no_logprobs" in result.err
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT DISTINCT value, reason, coverage FROM v_scores"
        assert connection.execute(query).fetchall() == [(None, "no_logprobs", 0.0)]
        assert connection.execute("SELECT DISTINCT n FROM simulation").fetchall() == [(0,)]
        query = "SELECT count(*), min(reason), max(reason) FROM simulation_failure"
        count, *reasons = connection.execute(query).fetchone()
    assert count >= 3 and reasons == ["no_logprobs", "no_logprobs"]


def test_a_server_that_has_not_been_tried_is_not_believed(folder: Path) -> None:
    with serve(lambda body: "x", complete=completions(folder)) as server:

        async def run() -> None:
            llm = OpenAIChat("m", base_url=server.base_url)
            try:
                await llm.single_tokens(["0"])
            finally:
                await llm.close()

        with pytest.raises(LLMPermanentError, match="has not been tried"):
            asyncio.run(run())
    assert server.arrived == 0
