"""The catalogue's own tests, on a PostgreSQL server: what they show of a file holds there too."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest

from neuroexplain.catalogue import Catalogue
from tests.catalogue import (
    test_alike,
    test_collections,
    test_entries,
    test_evidence,
    test_fingerprint,
    test_mirror,
    test_ngrams,
    test_rankings,
    test_rated,
    test_results,
    test_scored,
    test_search,
    test_show,
    test_sketches,
    test_texts,
)
from tests.postgres import Server
from tests.postgres import server as server

OF_FILES = {"tmp_path", "path", "monkeypatch", "older"}
"""Arguments of tests that are about files."""
OF_SQLITE = {"sqlite3", "set_trace_callback"}
"""Names that only a test of a file uses."""
WITH_NUL = {"test_explanation_round_trip", "test_ledger_returns_the_newest_good_call"}
"""Tests of texts with the character 0, for which the server has no place."""


@pytest.fixture
def catalogue(server: Server) -> Iterator[Catalogue]:
    with Catalogue(server.emptied()) as opened:
        yield opened


@pytest.fixture
def filled(server: Server, request: pytest.FixtureRequest) -> Iterator[Catalogue]:
    """For tests that search; made once."""
    if "filled" not in server.kept:
        catalogue = request.getfixturevalue("catalogue")
        test_search.fill(*map(request.getfixturevalue, ("catalogue", "collection", "sweep")))
        catalogue.close()
        server.kept["filled"] = server.copy(catalogue.location)
    with Catalogue(server.kept["filled"], read_only=True) as opened:
        yield opened


def shared(module: ModuleType) -> dict[str, object]:
    """Tests, and what they are given, of another module, but those that look into the file."""
    return {
        name: value
        for name, value in vars(module).items()
        if (is_fixture(value) and name not in globals())
        or (name.startswith("test_") and inspect.isfunction(value) and not of_files(value))
    }


def is_fixture(value: object) -> bool:
    return type(value).__name__ == "FixtureFunctionDefinition"


def of_files(test: FunctionType) -> bool:
    """Whether a test, or a function of its module that it calls, takes the catalogue for a file."""
    seen, ahead = set(), [test]
    while ahead:
        function = ahead.pop()
        seen.add(function)
        names = set(function.__code__.co_names)
        if OF_SQLITE & names or OF_FILES & set(inspect.signature(function).parameters):
            return True
        called = (function.__globals__.get(name) for name in names)
        inner = map(inspect.unwrap, filter(inspect.isfunction, called))
        ahead += [f for f in inner if f not in seen]
    return test.__name__ in WITH_NUL


for _module in (
    test_alike, test_collections, test_entries, test_evidence, test_fingerprint, test_mirror, test_ngrams,
    test_rankings, test_rated, test_results, test_scored, test_search, test_show, test_sketches, test_texts,
):  # fmt: skip
    globals().update(shared(_module))
