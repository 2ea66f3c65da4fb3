"""Asking a language model for verdicts on numbered items, with one chance to repair an answer that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from neuroexplain.errors import AwaitedError, LLMReplyError
from neuroexplain.llm.answers import LEVELS_SCHEMA, parse_levels
from neuroexplain.llm.base import LLM, Request
from neuroexplain.records import Failure, Floats
from neuroexplain.templates import Message, render

LEAST, PER_ITEM = 200, 12
"""Tokens of a reply at most: some for what stands round the list, and some for each item."""


async def verdicts(
    llm: LLM, template: str, explanation: str, items: Sequence[str], *, per_call: int
) -> list[Floats | Failure]:
    """Levels 0-10 of numbered texts, a few in a call; for each call its levels [item], or why there are none.

    Args:
        llm: is asked.
        template: folder of the prompt: `system`, `user` with explanation and items, `repair`.
        explanation: text.
        items: texts, written out.
        per_call: items of one call.

    Raises:
        LLMError: no reply could be had at all.
    """
    found: list[Floats | Failure] = []
    awaited: AwaitedError | None = None
    for at in range(0, len(items), per_call):
        try:
            found.append(await _call(llm, template, explanation, items[at : at + per_call]))
        except AwaitedError as error:
            awaited = error  # the calls after it go into the same batch
    if awaited is not None:
        raise awaited
    return found


async def _call(
    llm: LLM, template: str, explanation: str, items: Sequence[str]
) -> Floats | Failure:
    user = render(f"{template}/user.jinja", explanation=explanation, items=items)
    request = Request(
        messages=(Message("system", render(f"{template}/system.jinja")), Message("user", user)),
        purpose="score",
        max_tokens=LEAST + PER_ITEM * len(items),
        schema=LEVELS_SCHEMA,
    )
    try:
        reply = await llm.chat(request)
        try:
            return parse_levels(reply.text, len(items))
        except ValueError as error:
            reply = await llm.chat(_repair(request, template, reply.text, str(error), len(items)))
            return parse_levels(reply.text, len(items))
    except ValueError as error:
        return Failure("score", "parse_failed", str(error), reply.text)
    except LLMReplyError as error:
        return Failure("score", error.reason, str(error), error.raw)


def _repair(request: Request, template: str, reply: str, error: str, n: int) -> Request:
    """The same question with the bad reply and what is wrong with it."""
    ask_again = render(f"{template}/repair.jinja", error=error, n=n)
    turns = (Message("assistant", reply), Message("user", ask_again))
    return replace(request, purpose="repair", messages=(*request.messages, *turns))
