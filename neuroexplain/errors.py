"""Every error that this package raises on purpose.

    NeuroexplainError                base; catch this to catch them all
    ├── SubjectError                 a subject model cannot be found, loaded or hooked
    ├── CorpusError                  a corpus cannot be found, read or split
    ├── CollectError                 activations are not finite, a span does not fit the subject
    ├── PluginError                  an unknown explainer, simulator or scorer, or a bad setting of one
    ├── PromptError                  a prompt template is missing, or lacks a variable
    ├── ConfigError                  a setting, selector or spec that makes no sense
    ├── CatalogueError               the catalogue file is missing, foreign, newer, locked or has no such row
    ├── QueryError                   a search query that names an unknown field or a bad value
    └── LLMError                     a language model call that failed
        ├── LLMPermanentError        will fail again: refused key, unknown model, bad request
        ├── LLMReplyError            nothing usable for this one call: a refusal, a filter, no text, too long a prompt
        └── LLMUnavailableError      may work later: rate limit, server error, time-out, dropped connection

All of them are things the user can mend: the command line prints the message as one line and exits with 1.
Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class NeuroexplainError(Exception):
    """What went wrong, where, the valid values and what to do, in one line."""


class SubjectError(NeuroexplainError):
    """A subject model cannot be found, loaded or hooked."""


class CorpusError(NeuroexplainError):
    """A corpus cannot be found, read or split."""


class CollectError(NeuroexplainError):
    """The collector met activations or spans that it cannot record."""


class PluginError(NeuroexplainError):
    """An unknown plug-in, or a setting that it does not have."""


class PromptError(NeuroexplainError):
    """A prompt template is missing or was given too few variables."""


class ConfigError(NeuroexplainError):
    """A setting, a selector or a spec that makes no sense."""


class CatalogueError(NeuroexplainError):
    """The catalogue cannot be opened, or lacks what was asked of it."""


class QueryError(NeuroexplainError):
    """A search query that cannot be understood."""


class LLMError(NeuroexplainError):
    """A language model call failed; `raw` keeps what came back, if anything did.

    `attempts` counts the requests that were made, retries included.
    """

    reason: ClassVar[str] = "llm_failed"
    """Short code under which the failures of a run are counted."""

    def __init__(self, message: str, *, raw: str | None = None) -> None:
        super().__init__(message)
        self.raw = raw
        self.attempts = 1


class LLMPermanentError(LLMError):
    """The same call would fail again: a refused key, an unknown model, a bad request."""

    reason = "llm_refused"


class LLMReplyError(LLMError):
    """The server answered this one call with nothing that can be used: a refusal, a filtered reply, no choices, no text.

    A prompt that does not fit the model is one too. Other calls may well succeed: only this neuron or these spans fail.
    """

    reason = "no_reply"


class LLMUnavailableError(LLMError):
    """The same call may succeed later; `retry_after` is the server's own wish, in seconds."""

    reason = "llm_unavailable"

    def __init__(
        self, message: str, *, raw: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, raw=raw)
        self.retry_after = retry_after


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A message for a wrong name, with the valid ones and the closest.

    >>> unknown("scorer", "corelation", ["correlation", "detection"])
    'unknown scorer "corelation"; known: correlation, detection; did you mean "correlation"?'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    return f'unknown {what} "{name}"; known: {", ".join(names) or "none"}{hint}'
