"""Sending one request and reading the response to its end, over aiohttp where it is installed, else by the openai client.

The openai client's raw request path (`post` with `cast_to`) takes half the time of its own request and response models, and
over aiohttp half of that; aiohttp alone takes a quarter of what is left. With millions of calls it is worth a second way.
"""

from __future__ import annotations

import importlib.util
import socket
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlsplit

import httpx2
import openai

if TYPE_CHECKING:
    import aiohttp

Kind = Literal["refused", "late", "closed", "broken"]

KEEP = 3.0
"""Seconds for which idle connections are kept. Servers drop them too (uvicorn: after 5 s), and a request on such a one fails."""
CONNECT = 10.0
"""Seconds for a connection to be made."""


class WireError(Exception):
    """No whole response came.

    `kind`: nobody answers there (`refused`), not in time (`late`), the connection ended before the first byte, most often
    because it had been kept and the server had closed it (`closed`), or later (`broken`).
    """

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.kind: Kind = kind


class Got(Protocol):
    """A response that has been read to its end."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Found by names in any case."""

    @property
    def text(self) -> str:
        """The body."""


class Wire(Protocol):
    """Connections to one server; belongs to one event loop."""

    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Got:
        """Send a request with further headers, and read the response, whatever its status.

        Raises:
            WireError: no whole response came.
        """

    async def close(self) -> None:
        """Close the connections."""


def wire(url: str, key: str, *, timeout: float, kind: str | None = None) -> Wire:
    """Connections to a server.

    Args:
        url: base URL.
        key: sent with every request.
        timeout: seconds for one request.
        kind: `aiohttp` or `openai`; None takes the faster one that is installed.
    """
    if kind is None:
        kind = "aiohttp" if importlib.util.find_spec("aiohttp") else "openai"
    return AiohttpWire(url, key) if kind == "aiohttp" else OpenAIWire(url, key, timeout)


class _Response:
    """A response, as little as is needed of it."""

    __slots__ = ("headers", "status", "text")

    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text


class AiohttpWire:
    """Connections by aiohttp. Proxies are taken from the environment, as the openai client does."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._proxy = _proxy(url)
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Got:
        """See `Wire.send`."""
        import aiohttp

        session = self._session or self._open()
        started = False
        try:
            async with session.request(
                method,
                self._url + path,
                data=body,
                headers={**self._headers, **headers},
                allow_redirects=False,
                proxy=self._proxy,
            ) as got:
                started = True
                data = await got.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise WireError("refused") from error
        except TimeoutError as error:
            raise WireError("late") from error
        except (aiohttp.ClientError, OSError) as error:
            raise WireError("broken" if started else "closed") from error
        return _Response(got.status, got.headers, data.decode("utf-8", "replace"))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        # How many connections there are is the business of `Pace`.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP)
        waits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT)
        self._session = aiohttp.ClientSession(connector=connector, timeout=waits)
        return self._session


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a server; looked up once, for it takes longer than a request."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)


class OpenAIWire:
    """Connections by the openai client: its raw request path, with its own retries off."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        limits = httpx2.Limits(
            max_connections=10_000, max_keepalive_connections=10_000, keepalive_expiry=KEEP
        )
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=url,
            max_retries=0,  # the policy in retry.py is the only one
            timeout=httpx2.Timeout(timeout, connect=min(CONNECT, timeout)),
            http_client=openai.DefaultAsyncHttpxClient(limits=limits),
        )

    async def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Got:
        """See `Wire.send`."""
        try:
            if method == "POST":
                options: openai.RequestOptions = {"headers": dict(headers)}
                got = await self._client.post(
                    path, content=body, cast_to=httpx2.Response, options=options
                )
            else:
                got = await self._client.get(path, cast_to=httpx2.Response)
        except openai.APIStatusError as error:
            got = error.response
        except openai.APIConnectionError as error:
            raise WireError(_kind(error)) from error
        return _Response(got.status_code, got.headers, got.text)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _kind(error: BaseException) -> Kind:
    """What a failure of the openai client goes back to."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(cause)
    if any(isinstance(c, (ConnectionRefusedError, socket.gaierror)) for c in causes):
        return "refused"
    if any(isinstance(c, TimeoutError) for c in causes):
        return "late"
    if any(isinstance(c, httpx2.ConnectError) for c in causes):
        return "refused"
    words = " ".join(str(cause) for cause in causes)
    return "closed" if "without sending a response" in words else "broken"
