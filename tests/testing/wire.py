"""A client without manners, and one with."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Final

from neuroexplain.testing import Server

CHAT: Final = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}


def post(
    server: Server, body: Any = None, path: str = CHAT, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Send one JSON body on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, json.dumps(BODY if body is None else body), sent)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def probe(server: Server, **more: Any) -> dict[str, Any]:
    """What the server answers to a probing chat."""
    status, made = post(server, BODY | more, X_Neuroexplain="probe")
    assert status == 200
    return made


def opened(server: Server) -> socket.socket:
    """A connection."""
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=20)


def written(content: bytes, *headers: str, path: str = CHAT) -> bytes:
    """A request."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*lines, "\r\n"]).encode() + content


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def answers(connection: socket.socket, n: int) -> list[tuple[int, dict[str, Any]]]:
    """The next answers on a connection that stays open."""
    stream = connection.makefile("rb")
    found = []
    for _ in range(n):
        status = int(stream.readline().split()[1])
        length = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        found.append((status, json.loads(stream.read(length))))
    return found
