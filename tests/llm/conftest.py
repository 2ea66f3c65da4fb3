"""Settings of a client's environment."""

from __future__ import annotations

import pytest

from tests.llm.asking import KEY


@pytest.fixture
def openai_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment, and no server."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture(params=["aiohttp", "openai"])
def transport(request: pytest.FixtureRequest) -> str:
    """Both ways to send a request."""
    name: str = request.param
    if name == "aiohttp":
        pytest.importorskip("aiohttp")
    return name
