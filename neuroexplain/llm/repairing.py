"""A reply that cannot be read goes back to the model once, with what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeVar

from neuroexplain.errors import LLMReplyError
from neuroexplain.llm.base import LLM, Reply, Request
from neuroexplain.records import Failure
from neuroexplain.templates import Message

T = TypeVar("T")
Stage = Literal["explain", "simulate", "score"]


async def understood(
    llm: LLM,
    request: Request,
    read: Callable[[Reply], T],
    ask_again: Callable[[str], str],
    *,
    stage: Stage,
    reason: Callable[[ValueError, Reply], str] | None = None,
) -> T | Failure:
    """What a reply says, or the record of why it says nothing.

    Args:
        llm: is asked.
        request: the question.
        read: takes in a reply; a ValueError says what is wrong with it in words that the model can act on.
        ask_again: the next turn, from those words.
        stage: of the failure.
        reason: of a second reply that cannot be read either; `parse_failed` unless given.

    Raises:
        LLMError: no reply could be had at all.
    """
    try:
        reply = await llm.chat(request)
        try:
            return read(reply)
        except ValueError as error:
            turns = (Message("assistant", reply.text), Message("user", ask_again(str(error))))
        reply = await llm.chat(
            replace(request, purpose="repair", messages=(*request.messages, *turns))
        )
        return read(reply)
    except ValueError as error:
        why = "parse_failed" if reason is None else reason(error, reply)
        return Failure(stage, why, str(error), reply.text)
    except LLMReplyError as error:
        return Failure(stage, error.reason, str(error), error.raw)
