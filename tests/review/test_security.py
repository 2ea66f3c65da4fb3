"""Whoever was not let in, and every page that is not ours, is refused."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from neuroexplain.catalogue import Catalogue, Reviews
from neuroexplain.errors import ConfigError
from neuroexplain.review.security import (
    MOST_BYTES,
    Guard,
    Session,
    Sessions,
    own_path,
    user_secret,
)
from tests.review.conftest import Site, serving

EVENT = {
    "uuid": "0" * 32,
    "target": {"neuron": "made/0/0+", "text": "rivers"},
    "said": {"kind": "verdict", "verdict": "correct"},
}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    path = tmp_path_factory.mktemp("empty") / "empty.sqlite"
    Catalogue(path).close()
    with serving(path) as found:
        yield found


@pytest.fixture
def client(site: Site) -> httpx.Client:
    return site.client()


def raw(site: Site, request: str) -> bytes:
    """What comes back for bytes that no client library would send."""
    port = int(site.origin.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    "path",
    ["/", "/catalogue", "/queues", "/health", "/static/review.css", "/api/v1/session", "/api/v1/openapi.json", "/nowhere", "/enter"],
)  # fmt: skip
def test_nothing_is_shown_without_having_been_let_in(site: Site, path: str) -> None:
    answer = httpx.get(site.origin + path)
    assert answer.status_code == 403
    assert "neuroexplain review" in answer.text or "used already" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_token_works_once(site: Site) -> None:
    entrance = site.entrance()
    first = httpx.get(entrance)
    assert first.status_code == 303
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert httpx.get(entrance).status_code == 403


def test_an_older_token_is_void_once_there_is_a_new_one(site: Site) -> None:
    older, newer = site.entrance(), site.entrance()
    assert httpx.get(older).status_code == 403
    assert httpx.get(newer).status_code == 303


def test_each_entry_makes_an_address_for_the_next_browser(site: Site) -> None:
    told: list[str] = []
    site.sessions.on_token = told.append
    try:
        assert httpx.get(site.entrance()).status_code == 303
        (token,) = told
        assert httpx.get(f"{site.origin}/enter?token={token}").status_code == 303
    finally:
        site.sessions.on_token = lambda _: None


@pytest.mark.parametrize("token", ["", "x", "é", "%00", "a" * 5000])
def test_a_wrong_token_lets_nobody_in(site: Site, token: str) -> None:
    site.sessions.new_token()
    assert httpx.get(f"{site.origin}/enter", params={"token": token}).status_code == 403


def test_without_a_token_made_none_is_right() -> None:
    assert Sessions("secret", "place", "ann").enter("") is None


def test_a_cookie_is_good_for_its_own_server_and_secret() -> None:
    sessions = Sessions("secret", "one", "ann")
    session = sessions.enter(sessions.new_token())
    assert session is not None
    cookie = sessions.header(session).partition(";")[0]
    assert sessions.read(cookie) == session
    assert Sessions("secret", "one", "bob").read(cookie) == session  # as after a restart
    assert Sessions("other secret", "one", "ann").read(cookie) is None
    renamed = cookie.replace(sessions.cookie, Sessions("secret", "two", "ann").cookie)
    assert Sessions("secret", "two", "ann").read(renamed) is None
    name, _, value = cookie.partition("=")
    for wrong in (
        None,
        "",
        f"{name}=",
        f"{name}=x.y.z",
        f"{name}={value[:-1]}",
        f"{name}={value}x",
        "=;;,",
    ):
        assert sessions.read(wrong) is None, wrong


def test_a_bookmark_works_after_a_restart(place: Path) -> None:
    with serving(place) as first:
        cookies = first.client().cookies
    with serving(place) as again:
        answer = httpx.get(f"{again.origin}/catalogue?q=score%3E0.5", cookies=cookies)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", "evil.example:{port}", "0.0.0.0:{port}", "[::]:{port}", "", "LOCALHOST.:{port}"],
)  # fmt: skip
def test_another_host_is_refused(site: Site, client: httpx.Client, host: str) -> None:
    port = site.origin.rpartition(":")[2]
    answer = client.get("/", headers={"host": host.format(port=port)})
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_every_name_of_this_machine_is_answered(
    site: Site, client: httpx.Client, host: str
) -> None:
    port = site.origin.rpartition(":")[2]
    assert client.get("/", headers={"host": f"{host}:{port}"}).status_code == 200


def test_a_request_without_host_is_refused(site: Site) -> None:
    assert b" 403 " in raw(site, "GET / HTTP/1.1\nConnection: close\n\n").splitlines()[0]
    assert b" 403 " in raw(site, "GET / HTTP/1.0\n\n").splitlines()[0]


FOREIGN: list[dict[str, str]] = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "https://127.0.0.1"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": ""},
    {"content-type": "text/plain"},
    {"content-type": "application/x-www-form-urlencoded"},
    {"content-type": "multipart/form-data; boundary=x"},
    {"content-type": ""},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_decision_that_another_page_sends_is_refused(
    site: Site, client: httpx.Client, headers: dict[str, str]
) -> None:
    before = len(site.reviews.log())
    answer = client.post("/api/v1/events", json=EVENT, headers=headers)
    assert answer.status_code == 403
    assert len(site.reviews.log()) == before


def test_a_decision_without_an_origin_is_refused(site: Site, client: httpx.Client) -> None:
    del client.headers["origin"]
    assert client.post("/api/v1/events", json=EVENT).status_code == 403
    assert not site.reviews.log()


def test_a_decision_that_does_not_say_which_page_sends_it_is_refused(
    site: Site, client: httpx.Client
) -> None:
    del client.headers["sec-fetch-site"]  # every browser says so, to a server of its own machine
    assert client.post("/api/v1/events", json=EVENT).status_code == 403
    assert not site.reviews.log()


def test_over_the_network_browsers_do_not_say_which_page_it_is(site: Site) -> None:
    def status(host: str, **headers: str) -> int:
        given = {"host": host, "origin": f"http://{host}", "content-length": "0"} | headers
        scope = {
            "type": "http", "method": "POST", "path": "/api/v1/undo", "query_string": b"",
            "headers": [(n.encode(), v.encode()) for n, v in given.items()],
        }  # fmt: skip
        sent: list[Message] = []

        async def inside(scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("")(scope, receive, send)

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        guard = Guard(inside, site.sessions, frozenset({host}))
        asyncio.run(guard(scope, receive, send))
        return int(sent[0]["status"])

    cookie = site.sessions.header(Session("ann")).partition(";")[0]
    assert status("192.168.1.2:8377", cookie=cookie) == 200
    foreign = {"cookie": cookie, "sec-fetch-site": "cross-site"}
    assert status("192.168.1.2:8377", **foreign) == 403
    for here in ("127.0.0.1:8377", "127.0.0.2:8377", "localhost", "[::1]:8377"):
        assert status(here, cookie=cookie) == 403
        assert status(here, cookie=cookie, **{"sec-fetch-site": "same-origin"}) == 200


@pytest.mark.parametrize("length", ["0" * 4400, "9" * 4400, "9" * 400])
def test_a_length_that_is_no_number_of_bytes_is_refused(site: Site, length: str) -> None:
    cookie = site.sessions.header(Session("ann")).partition(";")[0]
    host = site.origin.removeprefix("http://")
    answer = raw(
        site,
        f"POST /api/v1/undo HTTP/1.1\nHost: {host}\nOrigin: {site.origin}\nSec-Fetch-Site: same-origin\n"
        f"Cookie: {cookie}\nContent-Type: application/json\nContent-Length: {length}\nConnection: close\n\n",
    )
    assert 400 <= int(answer.split()[1]) < 500, answer[:200]


def test_a_request_to_two_hosts_is_refused(site: Site) -> None:
    cookie = site.sessions.header(Session("ann")).partition(";")[0]
    host = site.origin.removeprefix("http://")

    def answer(*hosts: str) -> bytes:
        lines = "".join(f"Host: {each}\n" for each in hosts)
        return raw(
            site,
            f"GET /api/v1/session HTTP/1.1\n{lines}Cookie: {cookie}\nConnection: close\n\n",
        )

    assert answer(host).startswith(b"HTTP/1.1 200")
    assert 400 <= int(answer(host, "evil.example").split()[1]) < 500
    assert 400 <= int(answer("evil.example", host).split()[1]) < 500


def test_no_answer_says_in_which_folder_the_files_lie(place: Path) -> None:
    with serving(place) as site:
        client = site.client()
        with Reviews(site.reviews.path, read_only=True) as kept:
            site.desk.reviews, writable = kept, site.desk.reviews
            answer = client.post("/api/v1/events", json=EVENT)
            site.desk.reviews = writable
    assert answer.status_code == 400
    assert answer.json()["detail"].endswith(" made.reviews.sqlite is open for reading only")


def test_a_place_that_no_queue_has_is_refused(client: httpx.Client) -> None:
    for number in ("-1", "9" * 20, "9" * 400):
        assert client.get(f"/queues/{'0' * 32}/items/{number}").status_code == 422
    assert client.get(f"/queues/{'0' * 32}/items/7").status_code == 404


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
)
def test_no_method_that_changes_something_gets_past_a_foreign_origin(
    client: httpx.Client, method: str
) -> None:
    headers = {"origin": "http://evil.example"}
    assert client.request(method, "/api/v1/session", headers=headers).status_code == 403


def test_no_other_site_learns_anything(client: httpx.Client) -> None:
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    for answer in (
        client.options("/api/v1/events", headers=headers),
        client.get("/api/v1/session", headers=headers),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("mode", ["no-cors", "cors", "same-origin", "websocket"])
def test_another_site_may_link_here_and_embed_nothing(client: httpx.Client, mode: str) -> None:
    foreign = {"sec-fetch-site": "cross-site", "sec-fetch-mode": mode}
    assert client.get("/static/review.css", headers=foreign).status_code == 403
    linked = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=linked).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/static/review.css", "/api/v1/session", "/nowhere", "/api/v1/nowhere"]
)
def test_every_answer_says_what_a_browser_may_do(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


TRICKS = [
    "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/%2e%2e%2fdesk.py", "/static//etc/passwd",
    "/static/....//app.py", "/static/..\\app.py", "/static/..%5capp.py", "/static/%00", "/static/review.css%00.js",
    "/../../etc/passwd", "//etc/passwd", "/static/~root", "/static/con", "/neurons/../../etc/passwd",
    "/neurons/%2e%2e/%2e%2e/etc/passwd", "/queues/..%2f..%2fetc%2fpasswd", "/api/v1/neurons/../../../etc/passwd",
    "/" + "a" * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("path", TRICKS)
def test_no_path_reaches_a_file_that_is_not_ours(
    site: Site, client: httpx.Client, path: str
) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    host = site.origin.removeprefix("http://")
    answer = raw(
        site, f"GET {path} HTTP/1.1\nHost: {host}\nCookie: {cookie}\nConnection: close\n\n"
    )
    status = int(answer.split()[1])
    assert 400 <= status < 500, answer[:200]
    assert b"root:" not in answer
    assert b"import " not in answer


@pytest.mark.parametrize(
    ("wanted", "gets"),
    [
        ("/neurons/minilm/3/17%2B?x=1", "/neurons/minilm/3/17%2B?x=1"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("/\x00", "/"),
        ("///evil.example", "/"),
        ("//[", "/"),
        ("/[", "/["),
    ],
)
def test_the_way_in_leads_to_this_server_only(wanted: str, gets: str) -> None:
    assert own_path(wanted) == gets


def test_the_way_in_goes_on_to_a_deep_link(site: Site) -> None:
    answer = httpx.get(site.entrance(), params=None)
    assert answer.headers["location"] == "/"
    answer = httpx.get(f"{site.entrance()}&next=%2Fcatalogue%3Fq%3Dx")
    assert answer.headers["location"] == "/catalogue?q=x"


def test_a_way_on_that_is_no_address_does_not_use_the_token_up_for_nothing(site: Site) -> None:
    answer = httpx.get(f"{site.entrance()}&next=//[")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "set-cookie" in answer.headers


def test_an_address_that_was_used_lets_the_same_browser_on(
    site: Site, client: httpx.Client
) -> None:
    used = site.entrance()
    assert client.get(used).status_code == 303
    again = client.get(f"{used}&next=%2Fqueues%3Fa%3Db")
    assert (again.status_code, again.headers["location"]) == (303, "/queues?a=b")
    stranger = httpx.get(f"{used}&next=%2Fqueues%3Fa%3Db")
    assert stranger.status_code == 403
    assert "href='/queues?a=b'" in stranger.text


def test_a_refused_link_can_be_followed_from_our_own_page(site: Site) -> None:
    # A browser that comes from another site does not send the cookie; from this page it does.
    page = httpx.get(f"{site.origin}/neurons/a'%22%3E%3Cscript%3E/1?q='%3E%3Cb%3E&x=1").text
    assert "<script" not in page
    assert "href='/neurons/a%27%22%3E%3Cscript%3E/1?q=&#x27;%3E%3Cb%3E&amp;x=1'" in page


def test_a_request_that_is_too_large_is_refused(site: Site, client: httpx.Client) -> None:
    body = b'{"reviewer": "' + b"x" * MOST_BYTES + b'"}'
    assert client.put("/api/v1/session", content=body, headers=JSON).status_code == 413

    def endless() -> Iterator[bytes]:
        yield b"{}"

    assert client.put("/api/v1/session", content=endless(), headers=JSON).status_code == 403


@pytest.mark.parametrize("name", ["", " ", "a\x00b", "a\nb", "\x7f", "x" * 81, 7, None, ["a"]])
def test_a_reviewer_has_a_name_that_can_be_shown(client: httpx.Client, name: Any) -> None:
    assert client.put("/api/v1/session", json={"reviewer": name}).status_code == 422


def test_nothing_is_written_where_it_is_for_reading_only(place: Path) -> None:
    with serving(place, read_only=True) as site:
        assert site.client().post("/api/v1/events", json=EVENT).status_code == 403
        assert not site.reviews.log()


def test_the_secret_is_kept_and_is_the_users_own(tmp_path: Path) -> None:
    secret = user_secret(tmp_path / "a" / "b")
    assert len(secret) >= 40
    assert user_secret(tmp_path / "a" / "b") == secret
    assert user_secret(tmp_path / "other") != secret
    assert (tmp_path / "a" / "b" / "review-secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("left", ["", "x" * 31, "\xff" * 40])
def test_a_secret_that_was_cut_short_is_made_again(tmp_path: Path, left: str) -> None:
    path = tmp_path / "review-secret"
    path.write_bytes(left.encode("latin-1"))
    path.chmod(0o600)
    secret = user_secret(tmp_path)
    assert len(secret) >= 40
    assert user_secret(tmp_path) == secret == path.read_text()
    forged = Sessions("", "place", "mallory")
    cookie = forged.header(Session("mallory")).partition(";")[0]
    assert Sessions(secret, "place", "ann").read(cookie) is None


@pytest.mark.skipif(os.name != "posix", reason="no such modes")
def test_a_secret_that_others_could_read_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "review-secret"
    path.write_text("y" * 43)
    path.chmod(0o644)
    assert user_secret(tmp_path) != "y" * 43
    assert path.stat().st_mode & 0o777 == 0o600


def test_servers_that_start_together_have_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: user_secret(tmp_path), range(16)))
    assert made == {(tmp_path / "review-secret").read_text()}
    assert [each.name for each in tmp_path.iterdir()] == ["review-secret"]


def test_a_secret_that_cannot_be_kept_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="cannot keep the secret of the review page"):
        user_secret(tmp_path / "taken")
