"""The server: bound to one address, with a browser at it."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from neuroexplain.errors import ConfigError
from neuroexplain.review.app import create_app
from neuroexplain.review.desk import Desk
from neuroexplain.review.security import Guard, Sessions, address, is_loopback

PORT = 8377
"""The usual port, so that bookmarks last."""
WEB = 80
"""The port of addresses that name none."""
_HERE = frozenset({"127.0.0.1", "localhost", "[::1]"})


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens on an address: at the usual port, or another where that one is taken; or at exactly `port`.

    Raises:
        ConfigError: the port is taken, the address is not one of this machine, or it stands for all addresses.
    """
    for attempt in (PORT, 0) if port is None else (port,):
        try:
            family, *_, place = socket.getaddrinfo(host, attempt, type=socket.SOCK_STREAM)[0]
            return _listening(family, place)
        except (OSError, OverflowError) as error:
            if attempt == PORT and port is None and _taken(error):
                continue
            raise ConfigError(
                f"cannot listen on {host} port {attempt}: {getattr(error, 'strerror', error)}; "
                "choose another by --host and --port"
            ) from error
    raise AssertionError("port 0 is always free")


def _listening(family: int, place: tuple[object, ...]) -> socket.socket:
    if ipaddress.ip_address(str(place[0]).partition("%")[0]).is_unspecified:
        # A page that answers to any name answers to names that others point at it too.
        raise ConfigError(
            f"{place[0]} stands for all addresses of this machine; give the one that others use by --host"
        )
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen()  # a browser that is quicker than the server waits
    except OSError:
        made.close()
        raise
    return made


def _taken(error: BaseException) -> bool:
    return getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES)


def host_of(host: str) -> str:
    """An address as it stands in a URL: as browsers write it."""
    with suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    return f"[{host}]" if ":" in host else host.lower()


def hosts_of(host: str, port: int) -> frozenset[str]:
    """Values of the Host header that mean a server of ours; browsers leave the usual port of the web out."""
    names = {host_of(host)} | (_HERE if is_loopback(host) else frozenset())
    given = {f"{name}:{port}" for name in names}
    return frozenset(given | names if port == WEB else given)


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
        browser: open the first of them, where there is a screen.
    """
    port = listening.getsockname()[1]
    origin = f"http://{host_of(host)}:{port}"
    sessions = Sessions(secret, desk.catalogue.location, desk.reviewer)
    first = address(origin, sessions.new_token())
    sessions.on_token = lambda token: say(f"for another browser: {address(origin, token)}")
    server = server_of(create_app(desk, sessions, hosts_of(host, port)))
    say(f"review page, Ctrl-C ends it: {first}")
    if browser and _has_screen():
        # Some wait until the browser is closed.
        threading.Thread(target=webbrowser.open, args=(first,), daemon=True).start()
    try:
        with suppress(KeyboardInterrupt):  # the usual end
            server.run(sockets=[listening])
    finally:
        desk.close()


def server_of(app: Guard) -> uvicorn.Server:
    """What answers requests: no sockets of the web, no names of programs, no lines in the log but warnings."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            server_header=False,
            ws="none",
            lifespan="off",
            proxy_headers=False,
        )
    )


def _has_screen() -> bool:
    """Without one a browser for terminals would take over this one."""
    named = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return named or sys.platform in ("darwin", "win32")
