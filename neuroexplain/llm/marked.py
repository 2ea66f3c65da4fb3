"""Probabilities of a few answers at marked places of a text, from the alternatives that a server returns for its tokens.

What a server does not list is less probable than the least probable token that it does; where answers are missing and
could matter, the text fails with a reason, for a wrong expectation cannot be told from a right one afterwards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

from neuroexplain.calls import Usage
from neuroexplain.errors import LLMPermanentError, LLMReplyError
from neuroexplain.llm.base import MarkedRequest
from neuroexplain.llm.echo import Echo, NoEchoError
from neuroexplain.llm.endpoint import Endpoint
from neuroexplain.llm.probe import echo
from neuroexplain.llm.replies import Completion

UNSEEN = 0.01
"""Share of the answers' probability that may be missing at a place, because the server does not list them."""


async def marked(endpoint: Endpoint, request: MarkedRequest) -> Completion:
    """The log probabilities of the answers at every marker, as a JSON list of lists; null for one that is not listed.

    Raises:
        LLMPermanentError: the tokens do not begin where the markers do.
        LLMReplyError: this text cannot be read back, or the answers are not among the probable tokens.
        LLMError: the request failed.
    """
    try:
        found = await echo(endpoint, request.text, request.top)
    except NoEchoError as error:
        why = f"{endpoint.url}: {error}"
        raise LLMReplyError(why, raw=error.raw, reason="no_logprobs") from None
    places = _places(found, request, endpoint.url)
    rows = [_row(found.alternatives[place], request.answers, endpoint.url) for place in places]
    return Completion(json.dumps(rows), Usage(found.prompt_tokens, 0), "stop", None)


async def single_tokens(endpoint: Endpoint, candidates: Sequence[str]) -> list[bool]:
    """Which of some answers a model writes as one token, behind a tab.

    Raises:
        LLMError: the request failed.
    """
    text = "".join(f"a\t{candidate}\n" for candidate in candidates)
    try:
        found = await echo(endpoint, text, 1)
    except NoEchoError as error:
        raise LLMPermanentError(f"{endpoint.url}: {error}") from None
    spelled = dict(zip(found.starts, found.tokens, strict=True))
    starts = accumulate((len(c) + 3 for c in candidates[:-1]), initial=2)
    return [spelled.get(at) == c for at, c in zip(starts, candidates, strict=True)]


def _places(found: Echo, request: MarkedRequest, url: str) -> list[int]:
    """Which token every marker begins with."""
    lengths = [len(segment) + len(request.marker) for segment in request.segments]
    ends = accumulate(lengths, initial=len(request.prefix))
    wanted = [end + len(s) for end, s in zip(ends, request.segments, strict=False)]
    starts = {start: place for place, start in enumerate(found.starts)}
    missing = sum(at not in starts for at in wanted)
    if missing == len(wanted):
        raise LLMPermanentError(
            f"{url} joins the marker with what stands before it; use the simulator sparse"
        )
    if missing:
        raise LLMReplyError(
            f"{url} joins {missing} of {len(wanted)} markers with what stands before them",
            reason="no_logprobs",
        )
    return [starts[at] for at in wanted]


def _row(listed: Mapping[str, float], answers: Sequence[str], url: str) -> list[float | None]:
    """Log probabilities of the answers at one place."""
    row = [listed.get(answer) for answer in answers]
    seen = sum(math.exp(p) for p in row if p is not None)
    # Whatever is not listed comes after the last that is.
    unseen = sum(p is None for p in row) * math.exp(min(listed.values(), default=0.0))
    if not seen or unseen > UNSEEN * seen:
        raise LLMReplyError(
            f"the {len(listed)} most probable tokens that {url} lists leave out answers that may matter; "
            "let it list more (vllm serve --max-logprobs), or use the simulator sparse",
            reason="no_logprobs",
        )
    return row
