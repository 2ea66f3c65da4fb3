"""`scripted:FILE`: canned replies, for tests and for trying things without a model.

The file has a JSON object per line. `{"match": "text", "reply": "..."}` answers every chat whose last user message holds
the text; `{"reply": "..."}` answers one of the other chats, in the order of the file and of the calls. A reply that is to list
what could have begun it is written as that list, `[["7", -0.1], ...]`, in quotes like any other.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from pathlib import Path
from typing import Any

from neuroexplain.errors import ConfigError, LLMPermanentError
from neuroexplain.llm.base import Reply, Request


class ScriptedLLM:
    """A language model that says what it was told to say; tokens are counted as words.

    Args:
        spec: as the user wrote it.
        lines: the script's objects, with `reply` and perhaps `match`.
        identity: what tells two scripts apart for the ledger.
    """

    def __init__(self, spec: str, lines: list[dict[str, str]], identity: str) -> None:
        self.spec = spec
        self.identity = identity
        self._matches = [(line["match"], line["reply"]) for line in lines if "match" in line]
        self._queue = deque(line["reply"] for line in lines if "match" not in line)

    @classmethod
    def load(cls, file: str) -> ScriptedLLM:
        """Read a script.

        Raises:
            ConfigError: the file cannot be read, or a line is no such object.
        """
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigError(f"script {file} cannot be read: {reason}") from None
        lines = [
            _line(line, f"{file}, line {number}")
            for number, line in enumerate(text.split("\n"), start=1)
            if line.strip()
        ]
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(f"scripted:{file}", lines, f"scripted:{digest}")

    async def chat(self, request: Request) -> Reply:
        """The first line that matches, else the next one of those without `match`.

        Raises:
            LLMPermanentError: none matches and the others are used up.
        """
        asked = next((m.text for m in reversed(request.messages) if m.role == "user"), "")
        text = next((reply for match, reply in self._matches if match in asked), None)
        if text is None:
            if not self._queue:
                raise LLMPermanentError(f"{self.spec} has no reply left for: {asked[-80:]!r}")
            text = self._queue.popleft()
        words = sum(len(message.text.split()) for message in request.messages)
        return Reply(text, prompt_tokens=words, completion_tokens=len(text.split()), latency_ms=0.0)

    def stop(self) -> None:
        """Nothing waits here."""

    async def close(self) -> None:
        """Nothing to free."""


def _line(line: str, where: str) -> dict[str, str]:
    try:
        found: Any = json.loads(line)
    except ValueError:
        found = None
    if (
        not isinstance(found, dict)
        or not {"reply"} <= found.keys() <= {"reply", "match"}
        or not all(isinstance(value, str) for value in found.values())
    ):
        raise ConfigError(f'{where}: write {{"reply": "…"}} or {{"match": "…", "reply": "…"}}')
    return found
