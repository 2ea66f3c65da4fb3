"""The most probable tokens at one place of a reply with their log probabilities, as the text of such a reply.

A request with `top_logprobs` is answered by them in place of words. As text they go through the ledger and through files of
offline batches like any other reply.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from typing import Any, TypeGuard

ROUNDING = 0.01
"""By which a log probability may be above 0."""
Alternatives = list[tuple[str, float]]
"""Tokens with their log probabilities, the most probable first. Parts of one character may look alike."""


def written(alternatives: Iterable[tuple[str, float]]) -> str:
    r"""As JSON in one form; what has no finite log probability is left out.

    >>> written([("0", -2.5), ("7", -0.25), ("é", float("-inf"))])
    '[["7",-0.25],["0",-2.5]]'
    """
    finite = [(token, p) for token, p in alternatives if math.isfinite(p)]
    return json.dumps(sorted(finite, key=lambda pair: -pair[1]), separators=(",", ":"))


def is_logprob(p: Any) -> TypeGuard[float]:
    """Whether something is a finite number, and no integer that is too large to be one."""
    number = isinstance(p, int | float) and not isinstance(p, bool)
    return number and abs(p) <= sys.float_info.max


def read(text: str) -> Alternatives:
    """What `written` wrote.

    >>> read('[["7",-0.25]]')
    [('7', -0.25)]

    Raises:
        ValueError: something else did.
    """
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if not isinstance(found, list):
        raise ValueError("no list of [token, log probability] pairs")
    alternatives = []
    for pair in found:
        match pair:
            case [str() as token, p] if is_logprob(p) and p <= ROUNDING:
                alternatives.append((token, float(p)))
            case _:
                raise ValueError(f"{json.dumps(pair)[:80]} is no [token, log probability] pair")
    return alternatives
