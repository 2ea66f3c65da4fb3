"""How one server wants to be asked: which parameters it takes, and how far it can be held to a form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from neuroexplain.llm.base import Request

Form = Literal["json_schema", "json_object", "text"]
FORMS: tuple[Form, ...] = ("json_schema", "json_object", "text")
"""What a server can be held to, the strictest first; the reader of the reply is strict in any case."""
_OPTIONAL = ("max_completion_tokens", "temperature", "seed", "response_format")
TOP = 20
"""Alternatives to a token that most servers give, at most."""
FEWEST = 5
"""Alternatives than which no server is asked for fewer: they would say too little."""


@dataclass(frozen=True)
class Dialect:
    """What one server takes; refusals lead to another dialect, step by step."""

    refused: frozenset[str] = frozenset()
    """Parameters that it refuses."""
    cap: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    """What it calls the limit of a reply's tokens; older servers know the second only, newer models the first."""
    form: Form = "json_schema"
    top: int | None = None
    """Alternatives to a token that it gives at most; None where that is not known."""

    def encoded(
        self, model: str, request: Request, extra: Mapping[str, Any] | None = None
    ) -> bytes:
        """The whole body of a chat request, as it is sent; see `body`."""
        bare = (
            request.max_tokens,
            request.temperature,
            request.seed,
            request.sample,
            request.schema,
            request.top_logprobs,
        )
        settings = _settings(self, model, bare, json.dumps(extra or {}))
        return f'{settings[:-1]}, "messages": {request.messages_json}}}'.encode()

    def body(
        self, model: str, request: Request, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The JSON body of a chat request, without its messages.

        Args:
            model: the server's name for it.
            request: what is asked.
            extra: further parameters, as the user gave them; they win.
        """
        body: dict[str, Any] = {
            "model": model,
            self.cap: request.max_tokens,
            "temperature": request.temperature,
            # Samples of one prompt must differ on servers that keep to the seed.
            "seed": request.seed + request.sample,
        }
        if request.schema is not None and self.form != "text":
            body["response_format"] = self._format(request.schema)
        if request.top_logprobs:
            body["logprobs"] = True
            body["top_logprobs"] = min(request.top_logprobs, self.top or request.top_logprobs)
        for name in self.refused & body.keys():
            del body[name]
        return body | dict(extra or {})

    def _format(self, schema: str) -> dict[str, Any]:
        if self.form == "json_object":
            return {"type": "json_object"}
        named = {"name": "reply", "strict": True, "schema": json.loads(schema)}
        return {"type": "json_schema", "json_schema": named}

    def optional(
        self, body: Mapping[str, Any], extra: Mapping[str, Any] | None = None
    ) -> list[str]:
        """What of a body may be left out or put otherwise: not what the user gave, which would come back."""
        fewer = ("top_logprobs",) if body.get("top_logprobs", 0) > FEWEST else ()
        names = (*fewer, *_OPTIONAL)
        return [name for name in names if name in body and name not in (extra or {})]

    def without(self, name: str) -> Dialect:
        """The dialect of a server that has refused a parameter."""
        if name == "max_completion_tokens":
            return replace(self, cap="max_tokens")
        if name == "response_format":
            return replace(self, form=FORMS[FORMS.index(self.form) + 1])
        if name == "top_logprobs":
            return replace(self, top=(self.top or TOP) // 2)
        return replace(self, refused=self.refused | {name})


@lru_cache(256)
def _settings(
    dialect: Dialect,
    model: str,
    bare: tuple[int, float, int, int, str | None, int],
    extra: str,
) -> str:
    """A body without messages as JSON; the same for thousands of requests."""
    request = Request((), "explain", *bare)
    return json.dumps(dialect.body(model, request, json.loads(extra)))
