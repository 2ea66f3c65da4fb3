"""The language model behind a server: the test's own functions, held to what the server supports."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from neuroexplain.testing.replies import (
    Answer,
    Body,
    Made,
    Response,
    completion,
    failure,
    taken,
    text_completion,
)

CHAT = "/v1/chat/completions"
COMPLETE = "/v1/completions"


@dataclass(frozen=True)
class Backend:
    """Answers chats and completions, however they came."""

    answer: Answer
    complete: Answer | None
    supports: frozenset[str]

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Paths that `reply` knows."""
        return (CHAT,) if self.complete is None else (CHAT, COMPLETE)

    def reply(self, path: str, body: Body) -> Response | Awaitable[Response]:
        """The answer to a body at one of the `endpoints`.

        Raises:
            Exception: whatever the test's function raises.
            TypeError: it returned nothing that can be sent.
        """
        wrong = refusal(path, body)
        if wrong is not None:
            return wrong
        function = self.complete if path == COMPLETE else self.answer
        assert function is not None
        made = function(taken(body, self.supports))
        if inspect.isawaitable(made):
            # A task at once: a coroutine that never begins, since the server ends, would be warned of.
            return self._later(asyncio.ensure_future(made), path, body)
        return self._response(made, path, body)

    async def _later(self, made: Awaitable[Made], path: str, body: Body) -> Response:
        return self._response(await made, path, body)

    def _response(self, made: object, path: str, body: Body) -> Response:
        if isinstance(made, str):
            write: Callable[..., Body] = completion if path == CHAT else text_completion
            made = write(made, body, supports=self.supports)
        if isinstance(made, dict):
            return Response(made)
        if isinstance(made, Response):
            return made
        raise TypeError(f"the answer must be a str, a dict or a Response, not {made!r}")


def refusal(path: str, body: dict[str, Any]) -> Response | None:
    """What OpenAI's server says to a body without what every body needs."""
    if not isinstance(body.get("model"), str):
        return failure("you must provide a model parameter", param="model")
    if path == CHAT:
        messages = body.get("messages")
        chat = (
            isinstance(messages, list) and messages and all(isinstance(m, dict) for m in messages)
        )
        if not chat:
            return failure("messages must be a list of messages, not empty", param="messages")
    elif "prompt" not in body:
        return failure("you must provide a prompt", param="prompt")
    return None
