"""Where the servers of an `openai:` model are: `URL[,weight=2][,key=ENV_NAME][,name=NAME][,rpm=500][,tpm=200000]`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from neuroexplain.errors import ConfigError, LLMPermanentError, unknown

OPENAI_URL = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
_FIELDS = ("weight", "key", "name", "rpm", "tpm")


@dataclass(frozen=True)
class Address:
    """One server."""

    url: str
    """Base URL, usually ending in `/v1`, without a slash at its end."""
    weight: float = 1.0
    """Its share of the requests, beside those of the others."""
    key: str = KEY
    """Environment variable that holds its key; the key itself is never kept with the settings."""
    name: str | None = None
    """What the ledger knows it by; None for the URL."""
    rpm: float | None = None
    """Requests a minute at most."""
    tpm: float | None = None
    """Tokens a minute at most."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read one.

        >>> Address.parse("http://127.0.0.1:8000/v1/,weight=2").url
        'http://127.0.0.1:8000/v1'

        Raises:
            ConfigError: it is no web address, holds a secret, or has an unknown or bad setting.
        """
        url, *pairs = text.strip().split(",")
        url = checked_url(url)
        values: dict[str, str] = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if name not in _FIELDS or not equals or not value:
                raise ConfigError(f"base URL {url}: {unknown('setting', name, _FIELDS)}")
            values[name] = value
        numbers = {
            n: _positive(url, n, values.pop(n)) for n in ("weight", "rpm", "tpm") if n in values
        }
        return cls(url, **numbers, **values)  # type: ignore[arg-type]

    def secret(self) -> str:
        """The key from the environment; empty where the server needs none.

        Raises:
            LLMPermanentError: OpenAI's own server without a key, or a key that cannot be sent.
        """
        key = os.environ.get(self.key, "").strip()
        if not key and urlsplit(self.url).hostname == urlsplit(OPENAI_URL).hostname:
            raise LLMPermanentError(
                f"{self.url} needs a key: set {self.key}, or name another server with --base-url"
            )
        if not key and self.key != KEY:
            raise LLMPermanentError(f"{self.url}: the environment variable {self.key} holds no key")
        if not (key.isascii() and key.isprintable()):
            raise LLMPermanentError(f"{self.key} holds characters that cannot be sent; set it anew")
        return key


def addresses(base_url: str | Sequence[str] | None) -> tuple[Address, ...]:
    """The servers that an option names; without one, `OPENAI_BASE_URL`'s, then OpenAI's own.

    Raises:
        ConfigError: as `Address.parse`.
    """
    given = [base_url] if isinstance(base_url, str) else list(base_url or ())
    return tuple(
        Address.parse(text) for text in given or [os.environ.get("OPENAI_BASE_URL") or OPENAI_URL]
    )


def name_of(servers: Sequence[Address]) -> str:
    """What the ledger knows some servers by, that answer alike: the name given, else the first one's URL."""
    return next((s.name for s in servers if s.name is not None), servers[0].url)


def checked_url(url: str) -> str:
    """A base URL without a slash at its end.

    Raises:
        ConfigError: it is none, or holds what may be a secret.
    """
    if "@" in url or "?" in url:
        # Whatever stands there would end up in the catalogue and in messages.
        raise ConfigError(
            f"the base URL holds a password or a query; give the key in {KEY} instead"
        )
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(
            f'base URL "{url}" is no web address; write one such as http://127.0.0.1:8000/v1'
        )
    return url.rstrip("/")


def _positive(url: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ConfigError(f'base URL {url}: {name} must be a number above 0, not "{text}"')
    return value
