"""A language model that says what it is told to, and remembers what it was asked."""

from __future__ import annotations

import json

from neuroexplain.llm.base import Reply, Request
from neuroexplain.llm.scripted import ScriptedLLM


class Told(ScriptedLLM):
    """Canned replies in order."""

    def __init__(self, *replies: str) -> None:
        super().__init__("scripted:told", [{"reply": reply} for reply in replies], "told")
        self.requests: list[Request] = []

    async def chat(self, request: Request) -> Reply:
        self.requests.append(request)
        return await super().chat(request)


def fires(*pairs: tuple[int, int]) -> str:
    """A reply with levels of numbered things."""
    return json.dumps({"fires": [list(pair) for pair in pairs]})
