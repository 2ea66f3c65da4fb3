"""Every error that this package raises on purpose.

    NeuroexplainError                base; catch this to catch them all
    ├── SubjectError                 a subject model cannot be found, loaded or hooked
    │   └── BusyError                others have not done with it
    ├── CorpusError                  a corpus cannot be found, read or split
    ├── CollectError                 activations are not finite, a span does not fit the subject
    ├── PluginError                  an unknown explainer, simulator or scorer, or a bad setting of one
    ├── PromptError                  a prompt template is missing, or lacks a variable
    ├── ConfigError                  a setting, selector or spec that makes no sense
    ├── CatalogueError               the catalogue file is missing, foreign, newer, locked or has no such row
    ├── QueryError                   a search query that names an unknown field or a bad value
    ├── ExchangeError                a file of an exchange format cannot be read or written
    ├── RunError                     a run cannot begin or go on
    │   ├── HeldError                another process works on it
    │   └── LimitError               it has reached what it may spend
    ├── RescoringError               an edited explanation cannot be scored
    ├── BatchError                   a folder of offline batches, or the service that answers them, is of no use
    ├── LLMError                     a language model call that failed
    │   ├── LLMPermanentError        will fail again: refused key, unknown model, bad request
    │   ├── LLMReplyError            nothing usable for this one call: a refusal, a filter, no text, too long a prompt
    │   └── LLMUnavailableError      may work later: rate limit, server error, time-out, dropped connection
    └── PostponedError               no failure: work that is left for the next time, and never reaches the user
        ├── StoppingError            because the run is being stopped
        └── AwaitedError             because the answer comes with an offline batch

All but the last are things the user can mend: the command line prints the message as one line and exits with 1.
Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from neuroexplain.calls import Usage


class NeuroexplainError(Exception):
    """What went wrong, where, the valid values and what to do, in one line."""


class SubjectError(NeuroexplainError):
    """A subject model cannot be found, loaded or hooked."""


class BusyError(SubjectError):
    """A subject model is busy for others; it may be free later."""


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


class AbsentError(CatalogueError):
    """The catalogue, or the file of reviews, does not hold what was asked for."""


class QueryError(NeuroexplainError):
    """A search query that cannot be understood; `column` is the place in it, from 1, where there is one."""

    def __init__(self, message: str, *, column: int | None = None) -> None:
        super().__init__(message if column is None else f"{message}, at column {column}")
        self.column = column


class ExchangeError(NeuroexplainError):
    """A file of an exchange format is not what it should be; `batch` names what is left out because of it."""

    def __init__(self, message: str, *, batch: str = "") -> None:
        super().__init__(message)
        self.batch = batch


class RunError(NeuroexplainError):
    """A run cannot begin or go on."""


class HeldError(RunError):
    """Another process works on the same run."""


class LimitError(RunError):
    """A run has reached what it may spend; a higher limit lets it go on."""


class RescoringError(NeuroexplainError):
    """An edited explanation cannot be scored: there is nothing to score it on, or nothing that it was edited from."""


class BatchError(NeuroexplainError):
    """A folder of offline batches is of no use, or the service that answers them is not."""


class LLMError(NeuroexplainError):
    """A language model call failed; `raw` keeps what came back, if anything did.

    `attempts` counts the requests that were made, retries included. `usage` is what the server says that it counted.
    """

    default_reason: ClassVar[str] = "llm_failed"

    def __init__(
        self,
        message: str,
        *,
        raw: str | None = None,
        reason: str | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.raw = raw
        self.reason = reason or self.default_reason
        """Short code under which the failures of a run are counted."""
        self.usage = usage
        self.attempts = 1
        self.endpoint = ""
        """Base URL of the server that was asked last; empty where there is none."""


class LLMPermanentError(LLMError):
    """The same call would fail again: a refused key, an unknown model, a bad request.

    `whole_server` tells that any other call to this server would fail too.
    """

    default_reason = "llm_refused"

    def __init__(
        self,
        message: str,
        *,
        raw: str | None = None,
        reason: str | None = None,
        usage: Usage | None = None,
        whole_server: bool = False,
    ) -> None:
        super().__init__(message, raw=raw, reason=reason, usage=usage)
        self.whole_server = whole_server


class LLMReplyError(LLMError):
    """The server answered this one call with nothing that can be used: a refusal, a filtered reply, no choices, no text.

    A prompt that does not fit the model is one too. Other calls may well succeed: only this neuron or these spans fail.
    """

    default_reason = "no_reply"


NO_ANSWER = frozenset(
    {
        *("llm_refused", "llm_unavailable", "rate_limited", "server_error", "broken_reply"),
        *("unreachable", "timed_out", "connection_lost"),
    }
)
"""Reasons of failures in which no answer came, so that asking again may help and buys nothing twice."""


class LLMUnavailableError(LLMError):
    """The same call may succeed later; `retry_after` is the server's own wish, in seconds.

    `overload` tells that the server has more than it can do.
    """

    default_reason = "llm_unavailable"

    def __init__(
        self,
        message: str,
        *,
        raw: str | None = None,
        reason: str | None = None,
        retry_after: float | None = None,
        overload: bool = False,
    ) -> None:
        super().__init__(message, raw=raw, reason=reason)
        self.retry_after = retry_after
        self.overload = overload


class PostponedError(NeuroexplainError):
    """Work on a neuron is left for the next time; nothing has failed, and nothing is recorded."""


class StoppingError(PostponedError):
    """The run is being stopped: what has not begun does not begin."""


class AwaitedError(PostponedError):
    """The answer will come with an offline batch."""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A message for a wrong name, with the valid ones and the closest.

    >>> unknown("scorer", "corelation", ["correlation", "detection"])
    'unknown scorer "corelation"; known: correlation, detection; did you mean "correlation"?'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    return f'unknown {what} "{name}"; known: {", ".join(names) or "none"}{hint}'
