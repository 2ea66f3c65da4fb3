"""What a sweep will cost, said before; what it may cost, kept to."""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from neuroexplain.testing import ALL, Response, Server, completion, serve
from tests.lives import content, words
from tests.program import Result, neuroexplain
from tests.sweeps import CALLS, Sweeps, asked, bought, error_of

Body = dict[str, Any]
Count = Callable[[str], int]
PRICE = '["test-model"]\ndate = 2026-01-01\ninput = 0.25\ncached_input = 0.025\noutput = 2\n'
INPUT, CACHED, OUTPUT = 250, 25, 2000
"""The same in billionths of a dollar a token."""
PIECES = re.compile(r"[^\r\n\w]?[^\W\d_]+|\d{1,3}| ?(?:[^\s\w]|_)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
"""How OpenAI's tokenizers cut a text; most pieces of English are one token."""
TOLD = "\n\nThe neuron responds to: "
PILOT = ("--neurons", "0:200-239")
WHOLE = ("--neurons", "0:0-79")
SMALL = ("--neurons", "0:0-39")


def like_openai(text: str) -> int:
    return len(PIECES.findall(text))


def kind_of(body: Body) -> int:
    return zlib.crc32(json.dumps(body["messages"]).encode())


def reply(body: Body) -> str:
    """An explanation of some 30 tokens, or levels of some 17 words, which are 150: what is usual."""
    kind = kind_of(body)
    if "JSON list" not in body["messages"][-1]["content"]:
        return f"{' '.join(['words about places'] * (6 + kind % 5))} of sort {kind}"
    fires = words(body["messages"][1]["content"])[: 14 + kind % 7]
    return json.dumps({"fires": [[line, word, kind % 10 + 1] for line, word in fires]})


def clumsy(body: Body) -> str:
    """One simulation of eight is put into words, until the model is told so."""
    text = reply(body)
    first = text.startswith("{") and len(body["messages"]) == 2
    return f"I think {text}" if first and kind_of(body) % 8 == 0 else text


class Shop:
    """Answers, and counts what it sells.

    Args:
        answer: gives the texts.
        count: tokens of a text.
        cached: share of a prompt that was in the cache.
        schema: whether the schema of the reply is counted too, as OpenAI does.
    """

    def __init__(
        self,
        answer: Callable[[Body], str] = reply,
        count: Count = like_openai,
        *,
        cached: float = 0.0,
        schema: bool = False,
    ) -> None:
        self._answer = answer
        self._count = count
        self._cached = cached
        self._schema = schema
        self.sold: list[int] = []
        """Billionths of a dollar of every call."""

    def __call__(self, body: Body) -> Body:
        text = self._answer(body)
        prompt = sum(self._count(m["content"]) + 4 for m in body["messages"])
        if self._schema and "response_format" in body:
            prompt += self._count(json.dumps(body["response_format"]["json_schema"]["schema"]))
        cached, written = int(prompt * self._cached), self._count(text)
        self.sold.append((prompt - cached) * INPUT + cached * CACHED + written * OUTPUT)
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        return completion(text, body) | {"usage": usage}


@pytest.fixture
def prices(tmp_path: Path) -> tuple[str, str]:
    path = tmp_path / "prices.toml"
    path.write_text(PRICE, encoding="utf-8")
    return "--prices", str(path)


@pytest.fixture
def catalogue(sweeps: Sweeps, tmp_path: Path) -> Path:
    return sweeps.copy(tmp_path / "c.sqlite")


def runs(catalogue: Path) -> list[Any]:
    """All runs, the newest first."""
    found: list[Any] = neuroexplain("runs", "--catalogue", str(catalogue), "--json").json
    return found


def ledger_nano(catalogue: Path) -> int:
    usd: float
    with closing(sqlite3.connect(catalogue)) as connection:
        (usd,) = connection.execute("SELECT total(cost_usd) FROM v_llm_calls").fetchone()
    return round(usd * 1e9)


def dry(sweeps: Sweeps, catalogue: Path, server: Server, *more: str) -> Any:
    """What a dry run says; it sends nothing, writes nothing and needs no key."""
    before = len(server.requests)
    arguments = sweeps.arguments(catalogue, server.base_url, *more, "--dry-run", "--json")
    result = neuroexplain(*arguments, OPENAI_API_KEY="")
    assert result.code == 0, result.err
    assert len(server.requests) == before
    return result.json


def test_every_scorer_that_asks_is_reckoned_with(sweeps: Sweeps, tmp_path: Path) -> None:
    catalogue = sweeps.copy(tmp_path / "c.sqlite")
    scorers = [part for name in ("detection", "synthetic") for part in ("--scorer", name)]
    with serve(reply) as server:
        found = dry(sweeps, catalogue, server, *SMALL, "--scorer", "correlation", *scorers)
        bare = dry(sweeps, catalogue, server, *SMALL, "--scorer", "correlation")
    # One call for the verdicts on ten texts, and one for the texts that are written.
    assert found["stages"]["score"]["calls"] == 2 * bare["stages"]["explain"]["calls"] > 0
    assert found["stages"]["simulate"] == bare["stages"]["simulate"]
    assert "score" not in bare["stages"]


NUMBERS = ("prompt_tokens", "completion_tokens", "cost_usd")


def assert_near(said: Any, run: Any) -> None:
    """Calls, tokens and cost within a tenth of what was spent."""
    assert said["total"]["calls"] == pytest.approx(run["llm_calls"], rel=0.1)
    for name in NUMBERS:
        assert said["total"][name] == pytest.approx(run[name], rel=0.1), name


def test_an_estimate_before_anything_was_bought(
    sweeps: Sweeps, catalogue: Path, prices: tuple[str, str]
) -> None:
    with serve(Shop(schema=True)) as server:
        said = dry(sweeps, catalogue, server, *WHOLE, *prices)
        assert sweeps.run(catalogue, server.base_url, *WHOLE, *prices).code == 0
        sent = {
            "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in b["messages"])
            for b in server.chats
        }
    assert_near(said, runs(catalogue)[0])
    assert said["total"]["calls"] == len(sent) == 80 * CALLS
    assert (said["neurons"], said["to_explain"], said["to_simulate"]) == (80, 80, 80)
    assert said["basis"].startswith("no earlier calls") and "replies guessed" in said["basis"]
    assert said["seconds"] is None, "nobody knows how fast it is"
    assert said["prompts"].keys() == {"explain", "simulate"}
    assert said["prompts"]["explain"] in sent, "the very prompt"
    texts = [prompt.partition(TOLD)[0] for prompt in sent if TOLD in prompt]
    assert said["prompts"]["simulate"].partition(TOLD)[0] in texts, "all but the explanation"


SHOPS: dict[str, Callable[[], Shop]] = {
    "words": lambda: Shop(count=lambda text: len(text.split())),
    "schema": lambda: Shop(schema=True),
    "cached": lambda: Shop(cached=0.7),
    "repairs": lambda: Shop(clumsy),
}


@pytest.mark.parametrize("kind", SHOPS)
def test_an_estimate_after_a_pilot(
    sweeps: Sweeps, catalogue: Path, prices: tuple[str, str], kind: str
) -> None:
    """However the model counts, caches and errs."""
    shop = SHOPS[kind]()
    with serve(shop) as server:
        assert sweeps.run(catalogue, server.base_url, *PILOT, *prices).code == 0
        said = dry(sweeps, catalogue, server, *WHOLE, *prices)
        assert sweeps.run(catalogue, server.base_url, *WHOLE, *prices).code == 0
    run = runs(catalogue)[0]
    assert_near(said, run)
    assert said["basis"] == "earlier calls of this model"
    stages = {"explain", "simulate"} | ({"repair"} if kind == "repairs" else set())
    assert said["stages"].keys() == run["stages"].keys() == stages
    assert ledger_nano(catalogue) == sum(shop.sold), "to the billionth"


def test_an_estimate_of_the_time(sweeps: Sweeps, catalogue: Path) -> None:
    with serve(reply, latency=0.2) as server:
        narrow = ("--concurrency", "8")
        assert sweeps.run(catalogue, server.base_url, "--neurons", "0:300-315", *narrow).code == 0
        said = dry(sweeps, catalogue, server, *SMALL, *narrow)
        assert sweeps.run(catalogue, server.base_url, *SMALL, *narrow).code == 0
    least = 0.2 * CALLS * 40 / 8
    assert least <= said["seconds"] <= 1.5 * least
    assert said["seconds"] <= runs(catalogue)[0]["seconds"] <= 3 * said["seconds"]


def test_an_estimate_of_the_rest_of_an_interrupted_sweep(
    sweeps: Sweeps, catalogue: Path, prices: tuple[str, str]
) -> None:
    with serve(Shop()) as server:
        stopped = sweeps.run(catalogue, server.base_url, *SMALL, *prices, "--max-calls", "70")
        assert stopped.code == 1
        said = dry(sweeps, catalogue, server, *SMALL, *prices)
        assert said["total"]["calls"] == 40 * CALLS - len(server.chats)
        before = len(server.chats)
        assert sweeps.run(catalogue, server.base_url, *SMALL, *prices).code == 0
        assert said["total"]["calls"] == len(server.chats) - before
        spent = runs(catalogue)[0]["prompt_tokens"]
        assert said["total"]["prompt_tokens"] == pytest.approx(spent, rel=0.1)
        done = dry(sweeps, catalogue, server, *SMALL, *prices)
    assert (done["to_explain"], done["to_simulate"], done["stages"]) == (0, 0, {})
    assert done["total"]["calls"] == done["total"]["cost_usd"] == 0


def test_an_estimate_counts_what_no_answer_came_to(sweeps: Sweeps, catalogue: Path) -> None:
    """These are asked again by the same command; what was answered with nonsense is not."""
    down = True

    def sometimes(body: Body) -> str | Response:
        if "JSON list" not in body["messages"][1]["content"]:
            return reply(body)
        kind = kind_of({"messages": body["messages"][:2]}) % 5  # the same for a repair
        if kind == 0 and down:
            return Response("{}", 503)
        return "nonsense" if kind == 1 else reply(body)

    with serve(sometimes) as server:
        # With one try, so that the failures are there at once; one after the other, so that none is the tenth in a row.
        arguments = (*SMALL, "--tries", "1", "--concurrency", "1")
        assert sweeps.run(catalogue, server.base_url, *arguments).code == 3
        assert runs(catalogue)[0]["failures"]["server_error"] > 0
        down = False
        said = dry(sweeps, catalogue, server, *SMALL)
        sweeps.run(catalogue, server.base_url, *arguments)
    run = runs(catalogue)[0]
    assert said["to_simulate"] == run["counts"]["simulated"] > 0
    assert said["stages"]["simulate"]["calls"] == run["stages"]["simulate"]["llm_calls"] > 0


def test_an_estimate_without_a_catalogue_makes_none(
    sweeps: Sweeps, tmp_path: Path, catalogue: Path
) -> None:
    with serve(reply) as server:
        fresh = dry(sweeps, tmp_path / "new.sqlite", server, *WHOLE)
        assert fresh == dry(sweeps, catalogue, server, *WHOLE)
    assert not list(tmp_path.glob("new*"))
    assert fresh["priced"] is False and fresh["total"]["cost_usd"] is None


def test_an_estimate_to_read(sweeps: Sweeps, catalogue: Path, prices: tuple[str, str]) -> None:
    with serve(reply) as server:
        result = sweeps.run(catalogue, server.base_url, *SMALL, "--dry-run", *prices)
        bare = sweeps.run(catalogue, server.base_url, *SMALL, "--dry-run")
    for line in (
        "a prompt to explain:",
        "a prompt to simulate:",
        "40 neurons: 40 to explain, 40 to simulate",
    ):
        assert result.out.splitlines().count(line) == 1
    (whole,) = re.findall(r"^in all +(\d+) +[\d,]+ +[\d,]+ +\$(\d\.\d{4})$", result.out, re.M)
    assert whole[0] == str(40 * CALLS) and 0.01 < float(whole[1]) < 0.1
    assert "no price is known: --prices names a TOML file with one" in bare.out


@pytest.mark.parametrize("concurrency", ["1", "64"])
def test_a_limit_of_calls_is_never_passed(
    sweeps: Sweeps, catalogue: Path, tmp_path: Path, concurrency: str
) -> None:
    more = (*SMALL, "--concurrency", concurrency)
    with serve(reply, latency=0.005) as server:
        for limit in (0, 50, 50, 119):
            before = len(server.chats)
            message = error_of(
                sweeps.run(catalogue, server.base_url, *more, "--max-calls", str(limit))
            )
            assert message.startswith(f"stopped at --max-calls {limit}: ")
            assert message.endswith("the same command with a higher limit goes on")
            assert len(server.chats) <= limit
            newest = runs(catalogue)[0]
            assert (newest["state"], newest["message"]) == ("interrupted", message)
            assert newest["llm_calls"] == len(server.chats) - before
            assert len(server.chats) == limit
        assert sweeps.run(catalogue, server.base_url, *more, "--max-calls", "120").code == 0
        assert set(asked(server).values()) == {1}, "nothing is bought again"
        undisturbed = sweeps.copy(tmp_path / "undisturbed.sqlite")
        assert sweeps.run(undisturbed, server.base_url, *more).code == 0
    assert content(catalogue) == content(undisturbed)


@pytest.mark.parametrize("concurrency", ["1", "64"])
def test_a_limit_of_cost_is_never_passed(
    sweeps: Sweeps, catalogue: Path, prices: tuple[str, str], concurrency: str
) -> None:
    shop = Shop()
    more = (*SMALL, *prices, "--concurrency", concurrency)
    with serve(shop, latency=0.005) as server:
        for limit in ("0", "0.0001", "0.01", "0.01", "0.02"):
            message = error_of(sweeps.run(catalogue, server.base_url, *more, "--max-cost", limit))
            assert message.startswith(f"stopped at --max-cost {float(limit):g}: ")
            assert message.endswith("the same command with a higher limit goes on")
            assert sum(shop.sold) <= float(limit) * 1e9
            assert ledger_nano(catalogue) == sum(shop.sold)
            assert f"${sum(shop.sold) / 1e9:.4f} were spent" in message
            newest = runs(catalogue)[0]
            assert (newest["state"], newest["message"]) == ("interrupted", message)
            if concurrency == "1" and float(limit) > 0.001:
                # A prompt is reckoned with half as much again, and a reply with all that it may take.
                assert sum(shop.sold) > float(limit) * 1e9 - 5_000_000
        assert sweeps.run(catalogue, server.base_url, *more, "--max-cost", "5").code == 0
    assert sum(run["cost_usd"] or 0 for run in runs(catalogue)) * 1e9 == pytest.approx(
        sum(shop.sold)
    )
    assert Counter(dict.fromkeys(asked(server), 1)) == asked(server) == bought(catalogue)


def test_a_limit_of_cost_needs_a_price(sweeps: Sweeps, catalogue: Path) -> None:
    with serve(reply) as server:
        message = error_of(sweeps.run(catalogue, server.base_url, *SMALL, "--max-cost", "1"))
        assert server.chats == []
    assert message.startswith("--max-cost needs the price of test-model; write it into a TOML file")


def test_a_limit_of_cost_needs_a_server_that_counts(
    sweeps: Sweeps, catalogue: Path, prices: tuple[str, str]
) -> None:
    with serve(reply, supports=ALL - {"usage"}) as server:
        arguments = sweeps.arguments(catalogue, server.base_url, *SMALL, *prices)
        probing = [argument for argument in arguments if argument != "--no-probe"]
        message = error_of(neuroexplain(*probing, "--max-cost", "1", OPENAI_API_KEY="none"))
        assert server.chats == []
        assert neuroexplain(*probing, "--max-calls", "500", OPENAI_API_KEY="none").code == 0
    assert message == (
        f"{server.base_url} does not say how many tokens it counted, so that nobody knows what a call has cost: "
        "--max-cost cannot be kept; use --max-calls"
    )


WRONG: dict[str, tuple[str, ...]] = {
    "below 0": ("--max-cost", "-1"),
    "no number": ("--max-calls", "many"),
    "no file": ("--max-cost", "1", "--prices", "none.toml"),
    "no price": ("--prices", str(Path(__file__).parents[2] / "pyproject.toml")),
}


@pytest.mark.parametrize("kind", WRONG)
def test_limits_that_make_no_sense(sweeps: Sweeps, catalogue: Path, kind: str) -> None:
    def refused(*more: str) -> Result:
        return sweeps.run(catalogue, server.base_url, *SMALL, *WRONG[kind], *more)

    with serve(reply) as server:
        for result in (refused(), refused("--dry-run")):
            assert result.code == (2 if kind in ("below 0", "no number") else 1), result.err
            assert result.err.splitlines()[-1].startswith("Error: ")
            assert "Traceback" not in result.err
        assert server.requests == []
