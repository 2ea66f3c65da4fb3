"""A client that asks a server on loopback, and answers to give it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.openai_http import OpenAIChat
from neuroexplain.templates import Message
from neuroexplain.testing import Answer, Response, completion

KEY = "sk-very-secret-123"
ASKED = Request((Message("system", "Be brief."), Message("user", "Hi")), "explain", max_tokens=9)
Body = dict[str, Any]


def chat(
    url: str, *requests: Request, transport: str | None = None, **settings: Any
) -> list[Reply]:
    """Answer some requests at once with a client that waits next to nothing between tries."""
    settings = {"wait_initial": 0.001, "wait_max": 0.002, "tries": 3, "timeout": 10.0} | settings

    async def run() -> list[Reply]:
        llm = OpenAIChat("m", base_url=url, transport=transport, **settings)
        try:
            return await asyncio.gather(*(llm.chat(request) for request in requests or (ASKED,)))
        finally:
            await llm.close()

    return asyncio.run(run())


def in_turn(*answers: Response | str) -> Answer:
    """Answers one after another, then the last one for ever."""
    left = iter(answers)
    return lambda body: next(left, answers[-1])


def changed(text: str = "ok", **choice: Any) -> Callable[[Body], Body]:
    """A completion whose only choice is changed."""

    def make(body: Body) -> Body:
        made = completion(text, body)
        made["choices"][0] |= choice
        return made

    return make


def error(message: str = "no", **more: Any) -> Body:
    return {"error": {"message": message, **more}}


def refusing(*names: str, param: bool = True, status: int = 400) -> Answer:
    """A server that knows fewer parameters."""

    def answer(body: Body) -> str | Response:
        bad = next((name for name in names if name in body), None)
        if bad is None:
            return "fine"
        if param:
            return Response(error("unsupported", param=bad, code="unsupported_parameter"), status)
        return Response({"detail": [{"loc": ["body", bad], "msg": "extra"}]}, status)

    return answer
