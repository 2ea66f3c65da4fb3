"""Asking a language model for verdicts on numbered items, with one chance to repair an answer that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence

from neuroexplain.errors import AwaitedError
from neuroexplain.llm.answers import LEVELS_SCHEMA, parse_levels
from neuroexplain.llm.base import LLM, Request
from neuroexplain.llm.repairing import understood
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
    return await understood(
        *(llm, request),
        lambda reply: parse_levels(reply.text, len(items)),
        lambda error: render(f"{template}/repair.jinja", error=error, n=len(items)),
        stage="score",
    )
