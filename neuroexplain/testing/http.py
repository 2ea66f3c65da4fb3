"""A small HTTP/1.1 server: one event loop in one thread, connections that are kept, faults on demand."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import cast

from neuroexplain.testing.replies import Response, failure
from neuroexplain.testing.wire import GO_ON, MalformedError, Reader, Request, head

_LAST_BYTES = 1.0  # seconds that a client has to hang up, once it has its last answer
Latency = float | Callable[[], float]
"""Seconds, always the same or drawn anew."""
NOTHING = Response(cut=-1)
"""What a client gets of an answer that was never made: the end of the connection."""


class Mistakes:
    """Keeps what a test's own function raises inside of a `with` block, and lets the server live on."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None or isinstance(error, KeyboardInterrupt | SystemExit):
            return False
        self.errors.append(error)
        return True


class HttpServer(ABC):
    """Listens from the moment it is made; answers from `start` to `stop`.

    Attributes:
        answered: answers whose last byte was written.
        mistakes: keeps what the functions behind it raise.
    """

    def __init__(self, host: str, port: int, latency: Latency) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=family)
        self.server_port: int = self._listening.getsockname()[1]
        self.host = host
        self.answered = 0
        self.mistakes = Mistakes()
        self._latency = latency
        self._open: set[Connection] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def errors(self) -> list[BaseException]:
        """What the functions behind the server raised, in order."""
        return self.mistakes.errors

    @abstractmethod
    def respond(self, request: Request) -> Response | Awaitable[Response]:
        """The answer to a request; called in the thread of the event loop, in the order of arrival."""

    def wait(self) -> float:
        """Seconds to wait before the next answer."""
        return self._latency if isinstance(self._latency, int | float) else self._latency()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Stop listening and end every connection."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def joined(self, connection: Connection) -> None:
        """Remember a connection, so that it can be ended."""
        self._open.add(connection)

    def left(self, connection: Connection) -> None:
        """Forget a connection that ended."""
        self._open.discard(connection)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._keep)
        self._stopping = asyncio.Event()
        server = await self._loop.create_server(
            lambda: Connection(self), sock=self._listening, backlog=4096
        )
        self._started.set()
        await self._stopping.wait()
        server.close()
        for connection in list(self._open):
            connection.abort()
        while self._open:
            await asyncio.sleep(0)

    def _keep(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        self.errors.append(
            error if isinstance(error, BaseException) else RuntimeError(context["message"])
        )


class Connection(asyncio.Protocol):
    """One client; its requests are answered one after another."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._busy = False
        self._keep = True
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: Response | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        # An answer counts once the system has all of it: be told as soon as nothing is left here.
        self._transport.set_write_buffer_limits(0)
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a client that went away is no error."""
        if self._timer is not None:
            self._timer.cancel()
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes; what comes before the answer to an earlier request waits."""
        if not self._over:
            self._reader.feed(data)
        if not self._busy:
            self._read()

    def resume_writing(self) -> None:
        """All that was written is on its way."""
        if self._flushing is not None:
            response, self._flushing = self._flushing, None
            self._done(response)

    def abort(self) -> None:
        """End at once, whatever is under way."""
        self._transport.abort()

    def _read(self) -> None:
        if self._busy or self._transport.is_closing():
            return
        try:
            request = self._reader.next()
        except MalformedError as error:
            self._busy, self._keep = True, False
            self._write(failure(str(error), error.status))
            return
        if request is None:
            if self._reader.waits():
                self._transport.write(GO_ON)
            return
        self._busy, self._keep = True, request.keeps
        made = self._server.respond(request)
        if isinstance(made, Response):
            self._send(made)
        else:
            asyncio.ensure_future(made).add_done_callback(self._made)

    def _made(self, task: asyncio.Future[Response]) -> None:
        response = NOTHING
        if not task.cancelled():
            with self._server.mistakes:
                response = task.result()
        if not self._transport.is_closing():
            self._send(response)

    def _send(self, response: Response) -> None:
        wait = self._server.wait() + response.delay
        if wait > 0:
            self._timer = self._loop.call_later(wait, self._write, response)
        else:
            self._write(response)

    def _write(self, response: Response) -> None:
        data = None
        if response.cut != -1:
            with self._server.mistakes:
                data = response.encoded()
                start = head(response, len(data), close=not self._keep)
        if data is None:
            self._close(response)
            return
        if response.cut is not None and response.cut < len(data):
            data = data[: response.cut]
        if response.drip > 0:
            self._transport.write(start)
            self._drip(response, data, 0)
        else:
            self._transport.writelines((start, data))
            self._written(response)

    def _drip(self, response: Response, data: bytes, place: int) -> None:
        if place:
            self._transport.write(data[place - 1 : place])
        if place == len(data):
            self._written(response)
        else:
            self._timer = self._loop.call_later(
                response.drip, self._drip, response, data, place + 1
            )

    def _written(self, response: Response) -> None:
        if self._transport.get_write_buffer_size():
            self._flushing = response
        else:
            self._done(response)

    def _done(self, response: Response) -> None:
        if self._transport.is_closing():  # the client was faster
            return
        if response.cut is None or response.cut >= len(response.encoded()):
            self._server.answered += 1
        if response.cut is not None:
            self._close(response)
        elif not self._keep:
            # Bytes that are still under way would make a reset of the end, and the answer would be lost.
            self._over = True
            self._transport.write_eof()
            self._timer = self._loop.call_later(_LAST_BYTES, self._transport.close)
        else:
            self._busy = False
            if self._reader:
                self._loop.call_soon(self._read)

    def _close(self, response: Response) -> None:
        if response.reset:
            off = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
            peer: socket.socket = self._transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, off)
            self._transport.abort()
        else:
            self._transport.close()
