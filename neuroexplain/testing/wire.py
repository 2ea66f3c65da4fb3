"""HTTP/1.1 as bytes: whole requests out of a stream, the head of an answer, the parts of a form."""

from __future__ import annotations

import functools
import http.client
import time
from dataclasses import dataclass
from email.message import Message
from email.utils import formatdate

from neuroexplain.testing.replies import Response

_HEAD_LIMIT = 65_536
_METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS")
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


class MalformedError(Exception):
    """Bytes that are no request; the connection cannot be used any longer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request."""

    method: str
    path: str
    version: str
    headers: dict[str, str]
    """Names in lower case."""
    content: bytes

    @property
    def keeps(self) -> bool:
        """Whether the client wants to use the connection again."""
        wish = self.headers.get("connection", "").lower()
        return "keep-alive" in wish if self.version == "HTTP/1.0" else "close" not in wish


class Reader:
    """Gathers bytes and gives the requests that they make, one by one."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[str, str, str, dict[str, str]] | None = None
        self._chunks = bytearray()

    def __len__(self) -> int:
        """Bytes that belong to no request yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        self._buffer += data

    def next(self) -> Request | None:
        """The next request, if all of it is here.

        Raises:
            MalformedError: this will never be one.
        """
        if self._head is None:
            self._head = self._take_head()
            if self._head is None:
                return None
        headers = self._head[3]
        if "transfer-encoding" in headers:
            content = self._take_chunks()
        else:
            content = self._take(_length(headers))
        if content is None:
            return None
        request = Request(*self._head, content)
        self._head = None
        return request

    def waits(self) -> bool:
        """Whether the client waits to be told to go on; true once for a request."""
        return self._head is not None and self._head[3].pop("expect", "") == "100-continue"

    def _take_head(self) -> tuple[str, str, str, dict[str, str]] | None:
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise MalformedError("the headers are too long", 431)
            if self._buffer and self._buffer != b"\r" and not self._buffer[:1].isalpha():
                raise MalformedError("this is no HTTP")
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise MalformedError("no request line of HTTP/1.1")
        if words[0] not in _METHODS:
            raise MalformedError(f"no such method: {words[0]}", 405)
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise MalformedError("a header line without a name")
            headers[name.lower()] = value.strip()
        return words[0], words[1], words[2], headers

    def _take(self, length: int) -> bytes | None:
        if len(self._buffer) < length:
            return None
        with memoryview(self._buffer) as view:
            content = bytes(view[:length])
        del self._buffer[:length]
        return content

    def _take_chunks(self) -> bytes | None:
        while (end := self._buffer.find(b"\r\n")) >= 0:
            try:
                size = int(self._buffer[:end].partition(b";")[0], 16)
            except ValueError:
                raise MalformedError("a chunk without a size") from None
            if size == 0:
                last = self._buffer.find(b"\r\n\r\n", end)
                if last < 0:
                    return None
                del self._buffer[: last + 4]
                content, self._chunks = bytes(self._chunks), bytearray()
                return content
            if len(self._buffer) < end + size + 4:
                return None
            self._chunks += self._buffer[end + 2 : end + 2 + size]
            del self._buffer[: end + size + 4]
        return None


def _length(headers: dict[str, str]) -> int:
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise MalformedError("Content-Length is no number")
    return int(length)


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def head(response: Response, length: int, *, close: bool = False) -> bytes:
    """Status line and headers of an answer."""
    headers = {
        "Date": _date(int(time.time())),
        "Content-Type": "application/json",
        "Content-Length": str(length),
    }
    if close:
        headers["Connection"] = "close"
    if response.headers:
        headers |= {name.title(): value for name, value in response.headers.items()}
    phrase = http.client.responses.get(response.status, "")
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return f"HTTP/1.1 {response.status} {phrase}\r\n{''.join(lines)}\r\n".encode("latin-1")


@dataclass(frozen=True)
class Part:
    """A field of a form."""

    content: bytes
    filename: str | None


def parts(content: bytes, content_type: str) -> dict[str, Part]:
    """The fields of a `multipart/form-data` body by name.

    Raises:
        ValueError: it is none, or not a whole one.
    """
    boundary = _message(f"Content-Type: {content_type}").get_boundary()
    if not boundary:
        raise ValueError("no boundary")
    _, *pieces = (b"\r\n" + content).split(b"\r\n--" + boundary.encode())
    if not pieces or not pieces.pop().startswith(b"--"):
        raise ValueError("the form has no end")
    found = {}
    for piece in pieces:
        written, blank, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        message = _message(written.decode())
        name = message.get_param("name", header="content-disposition")
        if not blank or not isinstance(name, str):
            raise ValueError("a part without a name")
        found[name] = Part(data, message.get_filename())
    return found


def _message(written: str) -> Message:
    message = Message()
    for line in written.split("\r\n"):
        name, _, value = line.partition(":")
        message[name] = value.strip()
    return message
