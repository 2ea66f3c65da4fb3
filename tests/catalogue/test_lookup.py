"""Lookups: a connection that every thread keeps, outside transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.catalogue.collections import reader
from neuroexplain.catalogue.collections.spans import SpanReader
from neuroexplain.catalogue.storage.engine import Database
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import TokenCorpus
from neuroexplain.records import NeuronId

COUNT = text("SELECT count(*) FROM thing")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "c.sqlite", read_only=False)
    with made.writing() as connection:
        connection.execute(text("CREATE TABLE thing (id INTEGER PRIMARY KEY)"))
    yield made
    made.close()


def count(database: Database) -> int:
    with database.lookup() as connection:
        return int(connection.execute(COUNT).scalar_one())


def connection_of(database: Database) -> Connection:
    with database.lookup() as connection:
        return connection


def driver(connection: Connection) -> int:
    return id(connection.connection.dbapi_connection)


def test_a_lookup_sees_what_was_written_before_it(database: Database) -> None:
    for expected in range(3):
        assert count(database) == expected
        with database.writing() as connection:
            connection.execute(text("INSERT INTO thing DEFAULT VALUES"))
    with database.lookup() as connection:
        assert connection.connection.dbapi_connection.in_transaction is False  # type: ignore[union-attr]
        assert connection.execute(COUNT).scalar_one() == 3
        with database.writing() as other:  # nobody waits for a lookup
            other.execute(text("INSERT INTO thing DEFAULT VALUES"))
        assert connection.execute(COUNT).scalar_one() == 4


def test_every_thread_keeps_its_connection(database: Database) -> None:
    assert driver(connection_of(database)) == driver(connection_of(database))
    with database.lookup() as outer, database.lookup() as inner:
        assert inner is outer
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(connection_of, database).result()
        assert theirs is not connection_of(database)
        assert pool.submit(connection_of, database).result() is theirs
    assert not theirs.closed
    with ThreadPoolExecutor(1) as pool:
        pool.submit(connection_of, database).result()
    assert theirs.closed, "its thread has ended"


def test_any_number_of_threads(database: Database) -> None:
    """More than a pool of connections has by default."""
    together = threading.Barrier(40)

    def look(_: int) -> int:
        found = count(database)
        together.wait(timeout=60)
        with database.reading() as connection:
            return found + int(connection.execute(COUNT).scalar_one())

    with ThreadPoolExecutor(40) as pool:
        assert sum(pool.map(look, range(40))) == 0


def test_closing_closes_the_connections_of_all_threads(database: Database) -> None:
    with ThreadPoolExecutor(1) as pool:
        theirs, ours = pool.submit(connection_of, database).result(), connection_of(database)
        database.close()
        assert theirs.closed
        assert ours.closed
        assert pool.submit(count, database).result() == count(database) == 0, "opened anew"


def test_closing_waits_for_a_lookup(database: Database) -> None:
    begun, end = threading.Event(), threading.Event()

    def look() -> int:
        with database.lookup() as connection:
            begun.set()
            end.wait(timeout=60)
            return int(connection.execute(COUNT).scalar_one())

    with ThreadPoolExecutor(2) as pool:
        looking = pool.submit(look)
        begun.wait(timeout=60)
        closing = pool.submit(database.close)
        assert not closing.done()
        end.set()
        assert looking.result() == 0
        closing.result()


def test_an_error_is_not_the_next_lookups(database: Database) -> None:
    with pytest.raises(OperationalError, match="nothing"), database.lookup() as connection:
        connection.execute(text("SELECT * FROM nothing"))
    assert connection.closed
    assert count(database) == 0


def test_neurons_are_looked_up_once(catalogue: Catalogue, collection: Collection) -> None:
    asked: list[str] = []
    neuron = NeuronId("tiny", 2, 3)
    with catalogue._database.lookup() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_trace_callback(asked.append)
        rows = [reader.neuron_id(connection, collection, neuron) for _ in range(3)]
        assert len(set(rows)) == len(asked) == 1
        raw.set_trace_callback(None)
        fresh = catalogue.collection()
        assert fresh == collection
        assert reader.neuron_id(connection, fresh, neuron) == rows[0]
        for index in (-1, 4, 4):
            with pytest.raises(CatalogueError, match="no such index; layer 2 of tiny has 0 to 3"):
                reader.neuron_id(connection, collection, NeuronId("tiny", 2, index))


def test_a_row_that_is_not_there_is_looked_for_again(
    catalogue: Catalogue, collection: Collection
) -> None:
    neuron = NeuronId("tiny", 2, 3)
    with catalogue._database.reading() as connection:
        number = reader.neuron_id(connection, collection, neuron)
    collection.rows.clear()
    move = "UPDATE neuron SET idx = {} WHERE id = {}"
    with catalogue._database.writing() as connection:
        connection.execute(text(move.format(9, number)))
    with catalogue._database.lookup() as connection:
        with pytest.raises(CatalogueError, match="no such index"):
            reader.neuron_id(connection, collection, neuron)
        with catalogue._database.writing() as other:
            other.execute(text(move.format(3, number)))
        assert reader.neuron_id(connection, collection, neuron) == number


def test_spans_are_forgotten_and_read_again(
    catalogue: Catalogue,
    collection: Collection,
    corpus: TokenCorpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("neuroexplain.catalogue.collections.spans.KEEP", 5)
    monkeypatch.setattr("neuroexplain.catalogue.collections.spans.BATCH", 2)
    monkeypatch.setattr("neuroexplain.catalogue.collections.spans.KEEP_TOKENS", 40)
    spans = SpanReader()
    numbers = [3, 0, 7, 3, 26, 1, 2]
    with catalogue._database.lookup() as connection:
        for _ in range(3):
            found = spans.read(connection, collection.corpus_id, numbers)
            assert found == {n: corpus.span(n) for n in numbers}
            seen = spans.excerpts(connection, collection.corpus_id, numbers)
            for number, excerpt in seen.items():
                span = found[number]
                assert excerpt == (span.document, span.start, span.tokens, span.first)
            assert list(seen) == list(found)
        again = spans.read(connection, collection.corpus_id, [3])
        assert again[3] == corpus.span(3)
        with pytest.raises(CatalogueError, match="no span 99"):
            spans.read(connection, collection.corpus_id, [99, 3])


def test_spans_share_equal_tokens(catalogue: Catalogue, collection: Collection) -> None:
    spans = catalogue.spans(collection, range(27)).values()
    tokens = [token for span in spans for token in span.tokens]
    assert len({id(token) for token in tokens}) == len(set(tokens)) < len(tokens)
    for span in spans:
        assert span.id_array.tolist() == list(span.token_ids)
        assert span.id_array is span.id_array
