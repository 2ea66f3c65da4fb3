"""The server: bound to this machine, with a browser at its address."""

from __future__ import annotations

import ipaddress
import socket
import webbrowser
from collections.abc import Callable

import uvicorn

from neuroexplain.errors import ConfigError
from neuroexplain.review.app import create_app
from neuroexplain.review.desk import Desk
from neuroexplain.review.security import Sessions, address

PORT = 8377
"""The usual port, so that bookmarks last."""


def listen(host: str, port: int | None) -> socket.socket:
    """A socket bound to an address: the usual port, or another where that one is taken; exactly `port` where it is given.

    Raises:
        ConfigError: the port is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for attempt in (PORT, 0) if port is None else (port,):
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, attempt))
        except OSError as error:
            made.close()
            if attempt == PORT and port is None:
                continue
            raise ConfigError(
                f"cannot listen on {host} port {attempt}: {error.strerror}; choose another by --port"
            ) from error
        return made
    raise AssertionError("port 0 is always free")


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def hosts_of(host: str, port: int) -> frozenset[str]:
    """Values of the Host header that mean a server of ours."""
    names = {"127.0.0.1", "localhost", "[::1]"} if is_loopback(host) else {host}
    return frozenset(f"{name}:{port}" for name in names)


def serve(
    desk: Desk,
    listening: socket.socket,
    *,
    host: str,
    secret: str,
    say: Callable[[str], None],
    browser: bool = True,
) -> None:
    """Serve the review page until the process is interrupted.

    Args:
        desk: what it works with; closed at the end.
        listening: see `listen`.
        host: that it is bound to.
        secret: that cookies are signed with.
        say: told each address that lets a browser in.
        browser: open the first of them.
    """
    port = listening.getsockname()[1]
    origin = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    sessions = Sessions(secret, desk.catalogue.location, desk.reviewer)
    first = address(origin, sessions.new_token())
    sessions.on_token = lambda token: say(f"for another browser: {address(origin, token)}")
    config = uvicorn.Config(
        create_app(desk, sessions, hosts_of(host, port)),
        log_level="warning",
        server_header=False,
        ws="none",
        lifespan="off",
        proxy_headers=False,
    )
    say(f"review page: {first}")
    if browser:
        webbrowser.open(first)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        desk.close()
