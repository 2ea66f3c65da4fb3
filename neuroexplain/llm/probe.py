"""What a server can really do, found out by asking: many ignore in silence what they do not know.

A chat that has to fill in a form, a chat whose reply has to be cut, and where a text's own probabilities are wanted, a
few generated tokens that are sent back: the two probabilities of each must agree. One server is known that gives every
token the probability of the next, which looks right and makes every score wrong.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from neuroexplain.errors import LLMError, LLMPermanentError, LLMReplyError, LLMUnavailableError
from neuroexplain.llm import replies
from neuroexplain.llm.base import Request
from neuroexplain.llm.dialect import FEWEST, TOP, Form
from neuroexplain.llm.echo import Echo, NoEchoError, read_echo
from neuroexplain.llm.endpoint import Endpoint
from neuroexplain.llm.replies import Completion, Response
from neuroexplain.templates import Message, render

TOLERANCE = 0.05
"""Nats by which two probabilities of one token may differ: batched kernels do not round alike."""
GENERATED = 4
"""Tokens that are generated and sent back."""
CAP = 8
"""Tokens at which a reply has to be cut."""
_ROOM = 1000  # tokens: models that think before they write need them
_COLOURS = ("mauve", "ochre", "teal")
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": [*_COLOURS]}},
    "required": ["colour"],
    "additionalProperties": False,
}

Alignment = Literal["aligned", "shifted", "none", "not asked"]


@dataclass(frozen=True)
class Capabilities:
    """What one server can do for one model."""

    form: Form
    """What it can be held to: a JSON schema, any JSON object, or nothing (`text`)."""
    cap: Literal["max_completion_tokens", "max_tokens", "none"]
    """The limit of a reply's tokens that it keeps to."""
    refused: tuple[str, ...]
    """Parameters that it refuses."""
    logprobs: bool
    """Whether a chat's reply comes with alternatives to its tokens."""
    n: bool
    """Whether one chat can have several replies."""
    usage: bool
    """Whether it says how many tokens it counted."""
    served_model: str | None
    """The model's name in its answers."""
    prompt_logprobs: Alignment
    """Whether it gives a text's own probabilities, each to its own token."""
    why: str = ""
    """What is wrong with them, where something is."""
    top: int = 0
    """Alternatives that it gives at every place of a text, of those that were asked for."""
    top_logprobs: int = 0
    """The same of a reply's tokens."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"refused": list(self.refused)}


async def probe(endpoint: Endpoint, *, texts: bool, top: int = TOP) -> Capabilities:
    """Find out what a server can do; its dialect is set accordingly.

    Args:
        endpoint: the server.
        texts: whether the probabilities of a text's own tokens are wanted.
        top: alternatives that will be asked for at every place of a text, or of a reply.

    Raises:
        LLMPermanentError: it refuses every chat.
        LLMUnavailableError: it does not answer.
    """
    form = await _form(endpoint)
    endpoint.dialect = replace(endpoint.dialect, form=form)
    found = await _chat(endpoint, top)
    if found["cap"] == "max_tokens":
        endpoint.dialect = replace(endpoint.dialect, cap="max_tokens")
    if 0 < found["top_logprobs"] < top:
        endpoint.dialect = replace(endpoint.dialect, top=found["top_logprobs"])
    alignment, why, alternatives = "not asked", "", 0
    if texts:
        alignment, why, alternatives = await _alignment(endpoint, top)
    return Capabilities(
        form=form,
        refused=tuple(sorted(endpoint.dialect.refused | found.pop("refused"))),
        prompt_logprobs=alignment,  # type: ignore[arg-type]
        why=why,
        top=alternatives,
        **found,
    )


async def _form(endpoint: Endpoint) -> Form:
    """The strictest form that a reply really has when it is asked for."""
    if await _kept(endpoint, "json_schema", "form", ("colour", _COLOURS)):
        return "json_schema"
    if await _kept(endpoint, "json_object", "json", None):
        return "json_object"
    return "text"


async def _kept(
    endpoint: Endpoint, form: Form, template: str, wanted: tuple[str, tuple[str, ...]] | None
) -> bool:
    request = Request(
        (Message("user", render(f"probe/{template}.jinja")),),
        "probe",
        _ROOM,
        schema=json.dumps(_SCHEMA),
    )
    before = endpoint.dialect
    endpoint.dialect = replace(before, form=form)
    try:
        reply = await _twice(endpoint, request)
    except LLMUnavailableError as error:
        # A server is known that fails (500) on every schema. One that is really down fails on the next chat too.
        endpoint.dialect = before
        if error.reason != "server_error":
            raise
        return False
    except LLMReplyError as error:
        # Thought for too long, or declined: it took the form, and nothing speaks against it.
        return error.reason in ("truncated", "refusal", "filtered")
    if endpoint.dialect.form != form:  # it was refused, and left out
        return False
    try:
        data = json.loads(reply.text)
    except (ValueError, RecursionError):
        return reply.finish_reason == "length"
    if wanted is None:
        return isinstance(data, dict)
    return isinstance(data, dict) and data.get(wanted[0]) in wanted[1]


async def _twice(endpoint: Endpoint, request: Request) -> Completion:
    """A chat's completion, where one failure of the server is not taken for its answer."""
    with suppress(LLMUnavailableError):
        return await endpoint.chat(request, probe=True)
    return await endpoint.chat(request, probe=True)


async def _chat(endpoint: Endpoint, top: int) -> dict[str, Any]:
    """What comes of a chat with a short limit, two replies and alternatives to every token."""
    request = Request((Message("user", render("probe/length.jinja")),), "probe", CAP)
    dialect = endpoint.dialect
    body = dialect.body(endpoint.model, request)
    body["messages"] = [{"role": m.role, "content": m.text} for m in request.messages]
    body |= {"n": 2, "logprobs": True, "top_logprobs": top}
    if "temperature" in body:
        body["temperature"] = (
            1.0  # two replies at 0 would be the same one, which is refused by some
        )
    response, refused = await _insist(endpoint, body)
    cap: str = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
    if not _is_cut(response):
        cap = "none"
        if "max_completion_tokens" in body:
            body["max_tokens"] = body.pop("max_completion_tokens")
            response, _ = await _insist(endpoint, body)
            cap = "max_tokens" if _is_cut(response) else "none"
    data = json.loads(response.body)
    served = replies.at(data, "model")
    listed = replies.at(data, "choices", 0, "logprobs", "content", 0, "top_logprobs")
    alternatives = len(listed) if isinstance(listed, list) else 0
    return {
        "cap": cap,
        "refused": refused,
        "logprobs": alternatives > 0,
        "top_logprobs": alternatives,
        "n": _count(data) == 2,
        "usage": replies.used(data).completion is not None,
        "served_model": served if isinstance(served, str) else None,
    }


async def _insist(endpoint: Endpoint, body: dict[str, Any]) -> tuple[Response, frozenset[str]]:
    """Send a chat, leaving out one parameter after the other that the server refuses, or asking for fewer alternatives."""
    refused: set[str] = set()
    optional = ["top_logprobs", "logprobs", "n", "max_completion_tokens", "temperature", "seed"]
    while True:
        response = await endpoint.send(
            "POST", "/chat/completions", json.dumps(body).encode(), probe=True
        )
        if response.status < 300:
            with suppress(LLMReplyError):  # a reply of so few tokens may well be empty
                replies.completion(response)
            return response, frozenset(refused)
        name = replies.refused_parameter(response, [o for o in optional if o in body])
        if name is None:
            raise await endpoint.failure(response)
        value = body.pop(name)
        if name == "top_logprobs" and value > FEWEST:
            body[name] = value // 2
            continue
        refused.add(name)
        if name == "logprobs":
            body.pop("top_logprobs", None)
        if name == "max_completion_tokens":
            body["max_tokens"] = value


def _is_cut(response: Response) -> bool:
    """Whether the limit of a reply's tokens was kept."""
    data = json.loads(response.body)
    used = replies.used(data).completion
    if used is not None:
        return used <= CAP * max(1, _count(data))
    return bool(replies.at(data, "choices", 0, "finish_reason") == "length")


def _count(data: Any) -> int:
    """Replies in a completion."""
    choices = replies.at(data, "choices")
    return len(choices) if isinstance(choices, list) else 0


async def _alignment(endpoint: Endpoint, top: int) -> tuple[Alignment, str, int]:
    """Whether generated tokens, sent back as a text, have the probabilities that they were generated with."""
    prompt = render("probe/text.jinja")
    try:
        first = await _complete(endpoint, prompt, GENERATED, echo=False, top=1)
        generated = read_echo(first)
        second = await echo(endpoint, prompt + generated.text, top, probe=True)
        again = second.after(len(prompt))
    except NoEchoError as error:
        return "none", str(error), 0
    except LLMPermanentError as error:
        if error.whole_server:
            raise
        return "none", str(error), 0
    except LLMReplyError as error:
        return "none", str(error), 0
    if again.tokens != generated.tokens:
        return "none", "the text that was sent back was cut into other tokens", 0
    pairs = list(zip(generated.logprobs, again.logprobs, strict=True))
    worst = max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=None)
    if worst is None or any(b is None for _, b in pairs):
        return "none", "no probabilities came back for the text that was sent", 0
    if worst > TOLERANCE:
        return (
            "shifted",
            f"a token's probability differs by {worst:.2f} nats when it is sent back",
            0,
        )
    return "aligned", "", min((len(t) for t in again.alternatives), default=0)


async def echo(endpoint: Endpoint, text: str, top: int, *, probe: bool = False) -> Echo:
    """A text's own tokens with their probabilities and alternatives.

    Raises:
        NoEchoError: the server does not give them.
        LLMError: the request failed.
    """
    try:
        response = await _complete(endpoint, text, 0, echo=True, top=top, probe=probe)
    except LLMError as error:
        if "max_tokens" not in str(error) and not isinstance(error, LLMUnavailableError):
            raise
        # Servers are known that fail where nothing is to be generated.
        response = await _complete(endpoint, text, 1, echo=True, top=top, probe=probe)
    return read_echo(response).spelling(text)


async def _complete(
    endpoint: Endpoint, prompt: str, max_tokens: int, *, echo: bool, top: int, probe: bool = True
) -> Response:
    body = {
        "model": endpoint.model,
        "prompt": prompt,
        "max_tokens": max_tokens,
        "temperature": 0.0,
        "logprobs": top,
        "echo": echo,
    }
    encoded = json.dumps(body).encode()
    response = await endpoint.send("POST", "/completions", encoded, probe=probe)
    if response.status == 404:  # not for want of the model, which has answered chats
        raise NoEchoError("it completes no texts (404)")
    if response.status >= 300:
        raise await endpoint.failure(response)
    return response
