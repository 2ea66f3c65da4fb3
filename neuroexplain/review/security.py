"""Who is let in, and what a browser may do with what it gets.

Tokens are arbitrary text from the web, and explanations are model output steered by that text. So nothing on a page may run
but our own files, and no other site may have a browser act here. An address with a token is printed when the server starts;
it works once, for a cookie that is signed with a secret of this user, so that a bookmark works after a restart too.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import stat
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import platformdirs
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neuroexplain.errors import ConfigError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SAFE = ("GET", "HEAD")
ENTER = "/enter"
DAYS = 30
"""For which a session lasts."""
MOST_BYTES = 2_000_000
"""Of a request."""
SHORTEST = 32
"""Characters of a secret that nobody guesses."""


@dataclass(frozen=True)
class Session:
    """Who holds a cookie."""

    reviewer: str


class Sessions:
    """Makes sessions from tokens that work once, and reads them from cookies.

    Args:
        secret: that cookies are signed with.
        place: names the catalogue, so that two servers on one machine do not take each other's cookies.
        reviewer: name of those who enter.
    """

    def __init__(self, secret: str, place: str, reviewer: str) -> None:
        digest = hashlib.sha256(place.encode()).hexdigest()[:12]
        self.cookie = f"neuroexplain-{digest}"
        self.reviewer = reviewer
        self._signer = URLSafeTimedSerializer(secret, salt=f"neuroexplain review {digest}")
        self._token = ""
        self._lock = threading.Lock()
        self.on_token: Callable[[str], None] = lambda _: None
        """Called with each new token: the one before it is used up."""

    def new_token(self) -> str:
        """A token for one browser, in place of the one before."""
        with self._lock:
            self._token = secrets.token_urlsafe(24)
            return self._token

    def enter(self, token: str) -> Session | None:
        """The session that a token is good for; None where it is wrong or used up."""
        with self._lock:
            good = bool(self._token) and hmac.compare_digest(token.encode(), self._token.encode())
            if good:
                self._token = ""
        if not good:
            return None
        self.on_token(self.new_token())
        return Session(self.reviewer)

    def read(self, cookies: str | None) -> Session | None:
        """The session in a Cookie header; None where there is no valid one."""
        try:
            morsel = SimpleCookie(cookies or "").get(self.cookie)
            value = self._signer.loads(morsel.value, max_age=DAYS * 86_400) if morsel else None
        except (CookieError, BadSignature):
            return None
        return Session(value) if isinstance(value, str) else None

    def header(self, session: Session) -> str:
        """A Set-Cookie header for a session."""
        signed = self._signer.dumps(session.reviewer)
        return f"{self.cookie}={signed}; Path=/; Max-Age={DAYS * 86_400}; HttpOnly; SameSite=Strict"


def user_secret(folder: Path | None = None) -> str:
    """The secret of this user that cookies are signed with; made where there is none that only the user can know.

    Raises:
        ConfigError: it cannot be written.
    """
    path = (folder or platformdirs.user_data_path("neuroexplain")) / "review-secret"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = _kept(path)
        if kept is not None:
            return kept
        made = secrets.token_urlsafe(SHORTEST)
        _keep(path, made)
        return _kept(path) or made  # another server may have been quicker
    except OSError as error:
        raise ConfigError(
            f"cannot keep the secret of the review page in {path}: {error.strerror}"
        ) from error


def _kept(path: Path) -> str | None:
    """The secret in a file; None where the file is missing, cut short, or within reach of another user."""
    try:
        with path.open("rb") as file:
            about, said = os.fstat(file.fileno()), file.read()
    except (FileNotFoundError, PermissionError):
        return None
    if os.name == "posix" and (about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077):
        return None
    return said.decode("ascii") if len(said) >= SHORTEST and said.isascii() else None


def _keep(path: Path, secret: str) -> None:
    """Write a secret so that no reader ever sees a part of it; a good one that came meanwhile is let be."""
    handle, written = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}-")  # the user's own
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # there is one, or the disk has no links
            os.link(written, path)
        if _kept(path) is None:
            Path(written).replace(path)
    finally:
        Path(written).unlink(missing_ok=True)


class Guard:
    """Refuses every request that is not from a browser that was let in, for a page of our own.

    Args:
        app: what is guarded.
        sessions: who is let in.
        hosts: values of the Host header that are ours, with the port.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, hosts: frozenset[str]) -> None:
        self._app = app
        self._sessions = sessions
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # there are no sockets here
        answer = self._answer(scope)
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _answer(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        hosts = headers.getlist("host")
        host = hosts[0] if len(hosts) == 1 else ""
        if host not in self._hosts:
            return _refused(scope, "this is not an address of the review page")
        if path == ENTER and scope["method"] == "GET":
            return self._entered(scope, headers)
        session = self._sessions.read(headers.get("cookie"))
        if session is None:
            return _refused(scope, "open the address that `neuroexplain review` printed")
        why = _foreign_read(headers) if scope["method"] in SAFE else _foreign(headers, host)
        if why:
            return _refused(scope, why)
        if scope["method"] not in SAFE and _is_long(headers):
            return JSONResponse({"detail": f"more than {MOST_BYTES:,} bytes"}, status_code=413)
        scope["session"] = session
        return None

    def _entered(self, scope: Scope, headers: Headers) -> Response:
        given = parse_qs(scope["query_string"].decode("latin-1"))
        onward = own_path(given.get("next", ["/"])[0])
        session = self._sessions.enter(given.get("token", [""])[0])
        if session is not None:
            answer = RedirectResponse(onward, status_code=303)
            answer.headers["Set-Cookie"] = self._sessions.header(session)
            return answer
        if self._sessions.read(headers.get("cookie")) is not None:
            return RedirectResponse(onward, status_code=303)  # it was let in by this address before
        why = "this address was used already; the terminal shows a new one for another browser"
        return _refused(scope, why, onward)


def own_path(path: str) -> str:
    """A path on this server, whatever was asked for: no other host, no other scheme."""
    try:
        elsewhere = urlsplit(path).netloc
    except ValueError:  # no address at all
        return "/"
    fine = path.startswith("/") and not path.startswith(("//", "/\\")) and not elsewhere
    return path if fine and path.isprintable() else "/"


def address(origin: str, token: str) -> str:
    """The address that lets a browser in."""
    return f"{origin}{ENTER}?{urlencode({'token': token})}"


def _foreign_read(headers: Headers) -> str | None:
    """Why a request that only reads is refused: another site may link here, and embed nothing."""
    site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "navigate")
    if site in ("cross-site", "same-site") and mode != "navigate":
        return "the request comes from another site"
    return None


def _foreign(headers: Headers, host: str) -> str | None:
    """Why a request that changes something is refused."""
    if headers.get("origin") != f"http://{host}":
        return "the request comes from another site"
    # Browsers leave it out where a page comes over the network without encryption, and only there.
    left_out = None if is_loopback(_name(host)) else "same-origin"
    if headers.get("sec-fetch-site", left_out) != "same-origin":
        return "the request comes from another site"
    length = headers.get("content-length", "0")
    if not length.isdecimal() or "transfer-encoding" in headers:
        return "a request that changes something has to say its length"
    if (
        length != "0"
        and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json"
    ):
        return "a request that changes something has to be JSON"
    return None


def _is_long(headers: Headers) -> bool:
    """Whether a request says that it is too long; its length is digits already, of whatever number."""
    length = headers.get("content-length", "0")
    return len(length) > len(str(MOST_BYTES)) or int(length) > MOST_BYTES


def is_loopback(host: str) -> bool:
    """Whether an address, as it was given, can be reached from this machine only."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def _name(host: str) -> str:
    """What a Host header that is ours names, without the port."""
    return urlsplit(f"//{host}").hostname or ""


def _refused(scope: Scope, why: str, onward: str | None = None) -> Response:
    if scope["path"].startswith("/api/"):
        return JSONResponse({"detail": why}, status_code=403)
    # A link on another site does not send the cookie; following this one does.
    query = scope["query_string"].decode("latin-1")
    again = onward or own_path(quote(scope["path"]) + (f"?{query}" if query else ""))
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Not let in</title>"
        f"<main><h1>Not let in</h1><p>{escape(why)}.</p>"
        f"<p>If you came here by a link on another page, <a href='{escape(again, quote=True)}'>go on to the review page</a>.</p></main>",
        status_code=403,
    )


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending
