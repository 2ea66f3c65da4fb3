"""A catalogue of schema 1 in the hands of this version: nothing is lost, and what was paid for is not paid for again."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from neuroexplain.catalogue import Catalogue
from neuroexplain.catalogue.collections import steps
from neuroexplain.catalogue.storage import codec, migrations
from neuroexplain.errors import CatalogueError
from neuroexplain.llm.base import Request
from neuroexplain.templates import Message
from neuroexplain.testing import serve
from tests.disks import resize, small_disk
from tests.lives import answer
from tests.program import neuroexplain
from tests.sweeps import Sweeps, bought

NEURONS = 40
SELECTED = ("--neurons", f"0:0-{NEURONS - 1}")
CREATED = "2026-03-01T12:34:56.789000+00:00"
TURNS = (Message("system", "You study neurons."), Message("user", "fröstelt\t9\n“ice”\t10"))


def hash_1(model: str, request: Request) -> str:
    """What schema 1 knew a request by."""
    body = {
        "model": model,
        "messages": [[m.role, m.text] for m in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "sample": request.sample,
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def messages_1(messages: Sequence[Message]) -> str:
    return json.dumps([{"role": m.role, "text": m.text} for m in messages], ensure_ascii=False)


def prompt_1(messages: Sequence[Message]) -> str:
    digest = hashlib.sha256()
    for part in (part.encode() for m in messages for part in (m.role, m.text)):
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()


def call_1(request: Request, model: str = "openai:m@http://here/v1", **changes: Any) -> Any:
    """A row of the ledger as schema 1 had it."""
    row = {
        "request_sha256": hash_1(model, request),
        "run_id": None,
        "purpose": request.purpose,
        "model": model,
        "prompt_sha256": prompt_1(request.messages),
        "messages": messages_1(request.messages),
        "status": "ok",
        "reply": "words about ice",
        "prompt_tokens": 21,
        "completion_tokens": 3,
        "latency_ms": 12.5,
        "attempts": 2,
        "cost_usd": 0.000123457,
        "finish_reason": "stop",
        "error": None,
        "created_at": CREATED,
    }
    return row | changes


def made(path: Path, *rows: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> Path:
    """A catalogue of schema 1 with one run and some calls."""
    first = migrations.available()[0]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(first.sql)
        connection.execute(
            "INSERT INTO schema_migration VALUES (1, ?, ?, ?)", (first.name, first.sha256, CREATED)
        )
        insert(
            connection,
            "run",
            {
                "id": 1, "run_key": "k", "command": "explain", "state": "done", "versions": "{}",
                "config": json.dumps(config or {}), "counts": "{}", "message": "", "started_at": CREATED,
            },
        )  # fmt: skip
        for row in rows:
            insert(connection, "llm_call", row)
    return path


def insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    places = ", ".join("?" * len(row))
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"
    connection.execute(statement, tuple(row.values()))


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return list(connection.iterdump())


def test_every_column_of_the_ledger_is_kept(tmp_path: Path) -> None:
    request = Request(TURNS, "explain", 100)
    failed = {"status": "failed", "reply": "<html>", "error": "broken", "cost_usd": None}
    path = made(
        tmp_path / "c.sqlite",
        call_1(request, run_id=1),
        call_1(request, model="local:x", **failed, finish_reason=None, prompt_tokens=None),
    )
    Catalogue(path).close()
    columns = (
        "call_id, run_id, purpose, model, endpoint, prompt_tokens, completion_tokens, cost_usd, latency_ms, status, "
        "error, created_at, attempts, finish_reason, reply, retired, cached_tokens, reasoning_tokens, served_model"
    )
    moment = CREATED.replace("789000", "789")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"SELECT {columns} FROM v_llm_calls").fetchall()
        prompts = {row[0] for row in connection.execute("SELECT prompt_sha256 FROM v_llm_calls")}
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert rows == [
        (1, 1, "explain", "openai:m@http://here/v1", "", 21, 3, 0.000123457, 12.5, "ok",
         None, moment, 2, "stop", "words about ice", 0, None, None, None),
        (2, None, "explain", "local:x", "", None, 3, None, 12.5, "failed",
         "broken", moment, 2, None, "<html>", 0, None, None, None),
    ]  # fmt: skip
    assert prompts == {prompt_1(TURNS)}, "as in the explanations that were made of it"
    with Catalogue(path, read_only=True) as catalogue:
        messages = [json.loads(text) for _, text, _ in catalogue.sample_calls(rows[0][3], 9)]
    assert messages == [[{"role": m.role, "content": m.text} for m in TURNS]]


SETTINGS: dict[str, tuple[Request, dict[str, Any]]] = {
    "usual": (Request(TURNS, "explain", 100), {}),
    "simulate": (Request(TURNS, "simulate", 1000), {}),
    "seed": (Request(TURNS, "explain", 100, seed=7), {"seed": 7}),
    "chosen": (
        Request(TURNS, "explain", 55, temperature=0.5, seed=3),
        {"explain": {"settings": {"max_tokens": "55", "temperature": 0.5, "shots": 0}, "seed": 3}},
    ),
    "two stages": (
        Request(TURNS, "repair", 300),
        {"explain": {"settings": {"max_tokens": 60}}, "score": {"settings": {"max_tokens": 300}}},
    ),
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_request_is_found_by_the_hash_that_it_has_now(tmp_path: Path, kind: str) -> None:
    request, config = SETTINGS[kind]
    row = call_1(request, run_id=1)
    path = made(tmp_path / "c.sqlite", row, config=config)
    with Catalogue(path) as catalogue:
        found = catalogue.find_reply(request.sha256(row["model"]))
    assert found is not None
    assert (found.text, found.prompt_tokens, found.completion_tokens) == ("words about ice", 21, 3)


STRANGE: dict[str, dict[str, Any]] = {
    "settings that nobody knows": {},
    "no JSON": {"messages": "[{"},
    "other JSON": {"messages": '{"role": 1}'},
    "no hash": {"request_sha256": "none", "prompt_sha256": "zz" * 32},
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_cannot_be_understood_is_kept_all_the_same(tmp_path: Path, kind: str) -> None:
    row = call_1(Request(TURNS, "explain", 12345), **STRANGE[kind])
    path = made(tmp_path / "c.sqlite", row, row)
    Catalogue(path).close()
    with closing(sqlite3.connect(path)) as connection:
        replies = connection.execute("SELECT reply, hex(request) FROM llm_call").fetchall()
    sha256 = hashlib.sha256(b"none").hexdigest() if kind == "no hash" else row["request_sha256"]
    assert replies == [("words about ice", sha256.upper())] * 2


_MADE = "strftime('%Y-%m-%dT%H:%M:%f+00:00', own.created_ms / 1000.0, 'unixepoch')"
THEN = {
    "explanation": f"""
        SELECT own.id, lower(hex(own.key)), collection_id, neuron_id, polarity, plugin, llm, settings, template_sha256,
            lower(hex(prompt_sha256)), text, as_json(data), scale, status, reason, message, raw_reply, parent_id, run_id, {_MADE}
        FROM source.explanation AS own JOIN source.method ON method.id = own.method_id
    """,
    "simulation": f"""
        SELECT own.id, explanation_id, lower(hex(own.key)), split, plugin, llm, settings, n, spans, expected, run_id, {_MADE}
        FROM source.simulation AS own JOIN source.method ON method.id = own.method_id
    """,
    "score": f"""
        SELECT own.id, explanation_id, simulation_id, lower(hex(own.key)), scorer.name, simulator, llm, split, value, reason,
            ci_low, ci_high, null_mean, null_own, null_n, p_value, null_reason, floor, n_tokens, n_nonzero, coverage, run_id,
            {_MADE}
        FROM source.score AS own JOIN source.measure ON measure.id = own.measure_id
        JOIN source.scorer ON scorer.id = measure.scorer_id
    """,
}
"""Rows as schema 1 had them."""


def as_json(data: bytes | None) -> str | None:
    return None if data is None else codec.unpacked_text(data)


def as_schema_1(source: Path, path: Path) -> Path:
    """A swept catalogue as schema 1 would have held it: the same rows, calls under their old names."""
    made(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.create_function("as_json", 1, as_json)
        connection.execute("DELETE FROM run")
        connection.execute("ATTACH ? AS source", (str(source),))
        names = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
        for (name,) in names.fetchall():
            if name.startswith("explanation_fts") or name in ("schema_migration", "llm_call"):
                continue
            columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({name})")]
            quoted = ", ".join(f'"{column}"' for column in columns)
            rows = THEN.get(name, f"SELECT {quoted} FROM source.{name}")
            connection.execute(f"INSERT INTO {name} ({quoted}) {rows}")
        as_halves(connection)
    return path


def as_halves(connection: sqlite3.Connection) -> None:
    """Have all exemplars as float16, as all were then."""
    connection.row_factory = sqlite3.Row
    (first,) = connection.execute("SELECT first FROM corpus").fetchone()
    lengths = dict(connection.execute("SELECT number, length FROM span").fetchall())
    query = "SELECT * FROM source.exemplar WHERE unit IS NOT NULL"
    for row in connection.execute(query).fetchall():
        own = SimpleNamespace(**dict(row))
        tokens = [lengths[n] for n in codec.unfixed(own.spans, 4).tolist()]
        exponents = np.repeat(codec.unfixed(own.exponents, 1), tokens)
        values = np.ldexp(steps.unpacked(own, tokens, first), -exponents)
        connection.execute(
            "UPDATE exemplar SET activations = ? WHERE id = ?", (codec.halves(values), own.id)
        )


def old_calls(source: Path) -> list[dict[str, Any]]:
    """The calls by which explanations were bought, as schema 1 wrote them."""
    with Catalogue(source, read_only=True) as catalogue:
        model = model_of(source)
        replies = {
            messages: catalogue.find_reply(request_of(messages).sha256(model))
            for purpose, messages, _ in catalogue.sample_calls(model, 1000)
            if purpose == "explain"
        }
    assert all(replies.values())
    return [
        call_1(request_of(messages), model, reply=reply.text, run_id=2)
        for messages, reply in replies.items()
        if reply is not None
    ]


def model_of(catalogue: Path) -> str:
    with closing(sqlite3.connect(catalogue)) as connection:
        (model,) = connection.execute("SELECT model FROM llm_source").fetchone()
    return str(model)


def request_of(messages: str) -> Request:
    turns = tuple(Message(turn["role"], turn["content"]) for turn in json.loads(messages))
    return Request(turns, "explain", 100)


@pytest.fixture(scope="module")
def old(sweeps: Sweeps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of schema 1 with explanations that were bought; not to be written to."""
    folder = tmp_path_factory.mktemp("old")
    swept = sweeps.copy(folder / "swept.sqlite")
    with serve(answer) as server:
        assert sweeps.run(swept, server.base_url, *SELECTED).code == 0
    path = as_schema_1(swept, folder / "old.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        for row in old_calls(swept):
            insert(connection, "llm_call", row)
    return path


def copy(old: Path, path: Path) -> Path:
    path.write_bytes(old.read_bytes())
    return path


def test_an_old_catalogue_goes_on_and_buys_no_explanation_again(
    tmp_path: Path, sweeps: Sweeps, old: Path
) -> None:
    path = copy(old, tmp_path / "c.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("score", "simulation_failure", "simulation", "explanation"):
            connection.execute(f"DELETE FROM {table}")  # their keys too are others now
    with serve(answer) as server:
        refused = sweeps.run(path, server.base_url, *SELECTED, "--dry-run")
        assert refused.code == 1 and "any command that writes to it upgrades it" in refused.err
        Catalogue(path).close()
        planned = sweeps.run(path, server.base_url, *SELECTED, "--dry-run", "--json")
        assert planned.code == 0, planned.err
        assert list(planned.json["stages"]) == ["simulate"]
        result = sweeps.run(path, server.base_url, *SELECTED, "--json")
        assert result.code == 0, result.err
        assert len(server.chats) == planned.json["total"]["calls"] == 2 * NEURONS
    assert result.json["counts"]["explained"] == NEURONS
    assert not {"collected", "failed"} & result.json["counts"].keys()


def test_what_an_old_catalogue_holds_can_be_read(tmp_path: Path, old: Path) -> None:
    path = copy(old, tmp_path / "c.sqlite")
    before = dump(path)
    refused = neuroexplain("runs", "--catalogue", str(path))
    assert refused.code == 1 and "has an older schema" in refused.err
    assert dump(path) == before, "a command that reads changes nothing"
    Catalogue(path).close()
    newest, _ = neuroexplain("runs", "--catalogue", str(path), "--json").json
    assert (newest["state"], newest["llm_calls"]) == ("done", NEURONS)
    assert (newest["prompt_tokens"], newest["completion_tokens"]) == (21 * NEURONS, 3 * NEURONS)
    assert newest["cost_usd"] == pytest.approx(0.000123457 * NEURONS)
    found = neuroexplain("search", "place", "--catalogue", str(path), "--json").json
    assert len(found) == NEURONS
    shown = neuroexplain("show", found[0]["neuron"], "--catalogue", str(path), "--json")
    assert shown.json["explanations"][0]["scores"]


def test_a_migration_without_room_leaves_the_file_as_it_was(tmp_path: Path, old: Path) -> None:
    large = copy(old, tmp_path / "large.sqlite")
    with closing(sqlite3.connect(large)) as connection, connection:
        connection.execute("UPDATE llm_call SET reply = hex(zeroblob(20000)) WHERE id % 2")
    before = dump(large)
    with small_disk(tmp_path, large.stat().st_size / 2**20 + 0.4) as disk:
        path = copy(large, disk / "c.sqlite")
        with pytest.raises(CatalogueError, match=r"is full; make room and run the same command"):
            Catalogue(path)
        assert dump(path) == before
        resize(disk, 64)
        Catalogue(path).close()
        assert bought(path).total() == NEURONS


def test_a_row_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    row = call_1(Request(TURNS, "explain", 100), created_at="yesterday")
    path = made(tmp_path / "c.sqlite", row)
    before = dump(path)
    with pytest.raises(CatalogueError, match=r"refuses a row: NOT NULL .*created_ms"):
        Catalogue(path)
    assert dump(path) == before


def test_two_processes_may_upgrade_the_same_file(tmp_path: Path, old: Path) -> None:
    path = copy(old, tmp_path / "c.sqlite")
    code = (
        "import sys; from neuroexplain.catalogue import Catalogue; Catalogue(sys.argv[1]).close()"
    )
    command = [sys.executable, "-c", code, str(path)]
    workers = [subprocess.Popen(command) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0] * 3
    assert bought(path).total() == NEURONS
    with closing(sqlite3.connect(path)) as connection:
        applied = connection.execute("SELECT number FROM schema_migration").fetchall()
    assert applied == [(m.number,) for m in migrations.available()]
