"""A disk that fills while a collection is saved: nothing is kept of it, and the message says what to do."""

from __future__ import annotations

import errno
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from neuroexplain.catalogue import Catalogue, Collection
from neuroexplain.errors import CatalogueError
from neuroexplain.recorded import LayerCollection, SubjectInfo, TokenCorpus

resource = pytest.importorskip("resource")
LAYERS = 60


@pytest.fixture
def large(subject: SubjectInfo) -> SubjectInfo:
    return replace(subject, name="large", widths=(4,) * LAYERS)


def many(layers: list[LayerCollection]) -> Iterator[LayerCollection]:
    for number in range(LAYERS):
        yield replace(layers[0], layer=number)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return list(connection.iterdump())


def log_of(catalogue: Catalogue) -> Path:
    return catalogue.path.with_name(f"{catalogue.path.name}-wal")


def test_a_full_disk_leaves_the_catalogue_as_it_was(
    catalogue: Catalogue,
    collection: Collection,
    large: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    before = dump(catalogue.path)
    pages = []

    def limit(connection: Any, _: object) -> None:
        pages.append(connection.execute("PRAGMA page_count").fetchone()[0])
        connection.execute(f"PRAGMA max_page_count = {pages[0] + 40}")

    catalogue._database._backend.reading.dispose()
    event.listen(catalogue._database._backend.reading, "connect", limit)
    saved: list[int] = []
    with pytest.raises(CatalogueError) as caught:
        catalogue.save_collection("k", {}, large, corpus, many(layers), saved.append)
    assert 0 < len(saved) < LAYERS, "it filled up in the middle"
    assert str(caught.value) == (
        f"the disk of {catalogue.path} is full; nothing was saved; "
        "free up to 0.1 GB or give another --catalogue"
    )
    assert dump(catalogue.path) == before
    assert catalogue.collection("tiny") == collection
    event.remove(catalogue._database._backend.reading, "connect", limit)
    catalogue._database._backend.reading.dispose()
    catalogue.save_collection("k", {}, large, corpus, many(layers))
    assert catalogue.collection("large").layers == tuple(range(LAYERS))


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond a size: the operating system refuses the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_refused_write_leaves_the_catalogue_as_it_was(
    catalogue: Catalogue,
    collection: Collection,
    large: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
) -> None:
    before = dump(catalogue.path)
    refused = (
        r"takes no more: a quota, a limit of file sizes, or a defect; nothing was saved; free "
    )
    with file_limit(400_000), pytest.raises(CatalogueError, match=refused):
        catalogue.save_collection("k", {}, large, corpus, many(layers))
    assert dump(catalogue.path) == before
    catalogue.save_collection("k", {}, large, corpus, many(layers))
    assert catalogue.collection("large").layers == tuple(range(LAYERS))


def test_rows_may_fail_for_want_of_room_too(
    catalogue: Catalogue, subject: SubjectInfo, corpus: TokenCorpus, layers: list[LayerCollection]
) -> None:
    def failing(number: int) -> Iterator[LayerCollection]:
        yield layers[0]
        raise OSError(number, "as the operating system says")

    with pytest.raises(CatalogueError, match="is full; nothing was saved"):
        catalogue.save_collection("k", {}, subject, corpus, failing(errno.ENOSPC))
    with pytest.raises(PermissionError):
        catalogue.save_collection("k", {}, subject, corpus, failing(errno.EACCES))
    with pytest.raises(CatalogueError, match="is empty"):
        catalogue.collection()


def test_the_log_of_a_large_transaction_is_shortened(
    catalogue: Catalogue,
    large: SubjectInfo,
    corpus: TokenCorpus,
    layers: list[LayerCollection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalogue.save_collection("k", {}, large, corpus, many(layers))
    assert log_of(catalogue).stat().st_size > 100_000, "a small one is let be"
    monkeypatch.setattr("neuroexplain.catalogue.storage.sqlite._LOG_BYTES", 100_000)
    catalogue.save_collection("again", {}, large, corpus, many(layers))
    assert log_of(catalogue).stat().st_size == 0
    catalogue.make_current(catalogue.collection("large"))
