"""A text's own tokens with their probabilities, as completion endpoints return them (`echo` and `logprobs`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

from neuroexplain.errors import NeuroexplainError
from neuroexplain.llm.alternatives import ROUNDING
from neuroexplain.llm.replies import Response, used

_NO_ECHO = (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading data of another shape raises."""


class NoEchoError(NeuroexplainError):
    """A server does not give the probabilities of a text, or not in a way that can be read.

    `raw` is what it gave, where that cannot be read at all.
    """

    def __init__(self, message: str, raw: str | None = None) -> None:
        super().__init__(message)
        self.raw = raw


@dataclass(frozen=True)
class Echo:
    """Tokens of one text in order."""

    tokens: tuple[str, ...]
    """Exact text of every token."""
    logprobs: tuple[float | None, ...]
    """Log probability of every token, given those before it; None for the first of a text."""
    alternatives: tuple[Mapping[str, float], ...]
    """The most probable tokens at every place with their log probabilities; empty where there are none."""
    prompt_tokens: int | None = None
    """As the server counted them."""

    @property
    def text(self) -> str:
        """The tokens put together."""
        return "".join(self.tokens)

    @property
    def starts(self) -> list[int]:
        """First character of every token."""
        return list(accumulate(map(len, self.tokens[:-1]), initial=0)) if self.tokens else []

    def spelling(self, text: str) -> Echo:
        """The tokens that spell a text, without a leading special token or a generated one.

        Raises:
            NoEchoError: they do not spell it, as where a character is divided among several of them.
        """
        joined = self.text
        at = joined.find(text)
        starts = {start: place for place, start in enumerate([*self.starts, len(joined)])}
        if at < 0 or at not in starts or at + len(text) not in starts:
            raise NoEchoError("the tokens that came back do not spell the text that was sent")
        return self._between(starts[at], starts[at + len(text)])

    def after(self, character: int) -> Echo:
        """The tokens from a character on.

        Raises:
            NoEchoError: no token begins there.
        """
        starts = self.starts
        if character not in starts:
            raise NoEchoError("no token begins where the generated text began")
        return self._between(starts.index(character), len(self.tokens))

    def _between(self, first: int, last: int) -> Echo:
        inside = slice(first, last)
        return Echo(
            self.tokens[inside],
            self.logprobs[inside],
            self.alternatives[inside],
            self.prompt_tokens,
        )


def read_echo(response: Response) -> Echo:
    """The tokens of a completion.

    Raises:
        NoEchoError: there are none with probabilities.
    """
    try:
        data: Any = json.loads(response.body)
        found = data["choices"][0]["logprobs"]
        tokens = tuple(str(token) for token in found["tokens"])
        logprobs = tuple(None if p is None else float(p) for p in found["token_logprobs"])
        tops = found.get("top_logprobs") or [None] * len(tokens)
        alternatives = tuple(
            {str(token): float(p) for token, p in (top or {}).items()} for top in tops
        )
    except _NO_ECHO:
        why = "no probabilities came back for the text that was sent"
        raise NoEchoError(why, response.body) from None
    if not len(tokens) == len(logprobs) == len(alternatives):
        raise NoEchoError("not as many probabilities came back as tokens", response.body)
    listed = chain(logprobs, *(top.values() for top in alternatives))
    if not all(p is None or p <= ROUNDING for p in listed):  # NaN is not either
        raise NoEchoError("what came back are no log probabilities", response.body)
    return Echo(tokens, logprobs, alternatives, used(data).prompt)
