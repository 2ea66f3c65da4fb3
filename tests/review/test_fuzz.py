"""The interface under generated requests: whatever is sent, by its schema or against it, the server says why and stays up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from neuroexplain.review import api
from tests.review.conftest import Site, copy_of, serving
from tests.review.queues import make_queues

NEURON = "made/1/3+"
HOSTILE = (
    "\x00",
    "\u202eabc",
    "'; DROP TABLE event; --",
    "../../etc/passwd",
    "<script>",
    "9" * 400,
)


def described() -> dict[str, Any]:
    """What the server says of itself."""
    app = FastAPI()
    app.include_router(api.router, prefix="/api/v1")
    return app.openapi()


config = schemathesis.Config()
config.projects.get_default().generation.update(
    modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], deterministic=True
)
schema = schemathesis.openapi.from_dict(described(), config=config)


@pytest.fixture(scope="module")
def server(
    made: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, httpx.Client, str]]:
    with serving(copy_of(made, tmp_path_factory.mktemp("reviews"))) as site:
        yield site, site.client("ann"), make_queues(site)["verdict"]


@schema.given(data=st.data())
@schema.parametrize()
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_brings_the_server_down(
    case: schemathesis.Case[Any], server: tuple[Site, httpx.Client, str], data: st.DataObject
) -> None:
    site, client, queue = server
    aim(case, queue, data)
    answer = case.call(
        base_url=site.origin,
        headers={"Origin": site.origin, "Sec-Fetch-Site": "same-origin"},
        cookies=dict(client.cookies),
        timeout=60,
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and "Invalid HTTP request" not in answer.text:
        assert answer.json()["detail"]


def aim(case: schemathesis.Case[Any], queue: str, data: st.DataObject) -> None:
    """Let some requests be about what there is, and some about what nobody would name."""
    real = {"address": NEURON, "uuid": queue, "queue": queue, "neuron": NEURON, "explanation": 3}
    parts: tuple[Any, ...] = (case.path_parameters, case.query, case.body)
    for given in parts:
        if isinstance(given, dict):
            for name in given:
                if name in real and data.draw(st.booleans()):
                    given[name] = real[name]
                elif isinstance(given[name], str) and data.draw(st.integers(0, 9)) == 0:
                    given[name] = data.draw(st.sampled_from(HOSTILE))


def test_the_document_describes_all_of_the_interface() -> None:
    paths = described()["paths"]
    assert len(paths) > 5
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert operation.get("description"), (method, path)
