"""Answers that are no good HTTP and that browsers read all the same."""

from __future__ import annotations

import datetime as dt

import pytest
from crawling import fetch
from hostile_server import PAGE, HostileServer, Request, Send, answer, redirect

from pipeline.crawl.exchange import Answer
from pipeline.crawl.heads import MOST_HEAD_BYTES, tidy_head
from pipeline.crawl.politeness import retry_after_s

URL = "http://odd.test/page"


def fetched(server: HostileServer, answer: object) -> Answer | str:
    server.special["odd.test", "/page"] = answer  # type: ignore[assignment]
    return fetch(server, URL)


def is_page(found: Answer | str) -> bool:
    return isinstance(found, Answer) and found.body == PAGE


def head(*lines: str, length: int | None = len(PAGE)) -> bytes:
    sized = [f"Content-Length: {length}"] if length is not None else []
    return "\r\n".join(["HTTP/1.1 200 OK", *sized, *lines, "", ""]).encode("latin-1")


KIND = "Content-Type: text/html"


@pytest.mark.parametrize(
    "lines",
    [
        [KIND, "this line is no header"],
        [KIND, ": without a name"],
        [KIND, "bad name: x", "b@d[name]: x"],
        [KIND, "<!-- a comment of some template -->"],
        [KIND, "X-Control: a\x01b\x0bc"],
        [KIND, "X-Latin: caf\xe9"],
        ["Content-Type:", " text/html"],
        [KIND, *(f"Set-Cookie: name{n}={'v' * 100}; path=/" for n in range(400))],
        [KIND, "X-Long: " + "y" * 2**16],
        [KIND, f"Content-Length: {len(PAGE)}"],
        [KIND, "Transfer-Encoding: identity"],
        [KIND, "X-CRs: a" + "\r" * 5000],
        ["content-TYPE : text/html"],
    ],
    ids=lambda lines: str(lines[-1])[:20],
)
def test_headers_that_are_none_cost_no_page(server: HostileServer, lines: list[str]) -> None:
    assert is_page(fetched(server, head(*lines) + PAGE))


@pytest.mark.parametrize(
    "status",
    [
        *("HTTP/1.1 200", "http/1.1 200 ok", "HTTP/1.0 200 OK", "HTTP/1.1 200 \xc0\xe7"),
        *("HTTP/1.1  200  OK", "HTTP/1.1", "HTTP 200 OK", "HTTP/2 200", "\nHTTP/1.1 200 OK"),
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_any_status_line_that_browsers_read_is_read(
    server: HostileServer, status: str, end: str
) -> None:
    lines = [status, KIND, f"Content-Length: {len(PAGE)}", "", ""]
    assert is_page(fetched(server, end.join(lines).encode("latin-1") + PAGE))


@pytest.mark.parametrize("length", [None, "junk", "-1", "9" * 400])
def test_a_length_that_is_none_leaves_it_to_the_end_of_the_connection(
    server: HostileServer, length: str | None
) -> None:
    async def serve(request: Request, send: Send) -> None:
        sized = [f"Content-Length: {length}"] if length else []
        await send(head(KIND, *sized, length=None) + PAGE)

    assert is_page(fetched(server, serve))


def test_chunks_go_before_a_length(server: HostileServer) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (PAGE[:99], PAGE[99:]))
    lines = (KIND, "Transfer-Encoding: chunked")
    assert is_page(fetched(server, head(*lines, length=7) + chunks + b"0\r\n\r\n"))


def test_a_head_that_comes_byte_by_byte_behind_an_early_word_is_read(
    server: HostileServer,
) -> None:
    async def serve(request: Request, send: Send) -> None:
        early = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\njunk\r\n\r\n"
        for byte in early + head(KIND, "junk"):
            await send(bytes([byte]))
        await send(PAGE)

    assert is_page(fetched(server, serve))


def test_a_head_beyond_the_cap_of_browsers_is_refused(server: HostileServer) -> None:
    assert fetched(server, head(KIND, "X: " + "y" * MOST_HEAD_BYTES) + PAGE) == "broken"


def test_two_lengths_that_contradict_each_other_are_refused(server: HostileServer) -> None:
    assert fetched(server, head(KIND, "Content-Length: 5") + PAGE) == "broken"


@pytest.mark.parametrize("filler", [b"\r", b" x\r\n", b"a:\r\n", b"\n\r\r", b"\0"])
def test_a_head_of_nothing_but_fillers_costs_no_more_than_its_length(filler: bytes) -> None:
    whole = b"HTTP/1.1 200 OK\r\n" + filler * (MOST_HEAD_BYTES // len(filler)) + b"\r\n\r\n"
    assert tidy_head(whole).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("kind", "is_read"),
    [
        *((kind, True) for kind in ("", "html", "*/*", "text/htm", "text/html charset=utf-8")),
        *((kind, True) for kind in ("text/html, text/html; charset=utf-8", "text/html;;")),
        *((kind, False) for kind in ("image/png", "application/json", "text/css")),
    ],
)
def test_what_is_no_media_type_is_told_by_the_body(
    server: HostileServer, kind: str, is_read: bool
) -> None:
    found = fetched(server, answer(kind=kind))
    assert is_page(found) if is_read else found == "not_html"
    assert fetched(server, answer(b"%PDF-1.4 \0\1", kind="*/*")) == "not_html"


def test_several_lines_of_a_header_are_one(server: HostileServer) -> None:
    found = fetched(server, head("Content-Type: junk", KIND, "Content-Encoding: none") + PAGE)
    assert is_page(found)


def gate(cookie: str, attributes: str = "") -> object:
    """Redirects to itself until the cookie comes back, as many news sites do."""

    async def serve(request: Request, send: Send) -> None:
        if cookie in request.headers.get("cookie", ""):
            await send(answer())
        else:
            line = f"Set-Cookie: {cookie}{attributes}\r\n"
            await send(redirect("/page").replace(b"Location", line.encode() + b"Location", 1))

    return serve


@pytest.mark.parametrize("attributes", ["", "; Path=/; HttpOnly", "; Max-Age=1" + "0" * 99])
def test_a_redirect_that_sets_a_cookie_and_comes_back_is_followed(
    server: HostileServer, attributes: str
) -> None:
    assert is_page(fetched(server, gate("seen=yes", attributes)))


def test_cookies_live_within_one_trail_and_stay_with_their_host(server: HostileServer) -> None:
    assert is_page(fetched(server, gate("seen=yes")))
    assert is_page(fetched(server, gate("seen=yes")))
    sent = [request.headers.get("cookie", "") for request in server.asked("odd.test", "/page")]
    assert sent == ["", "seen=yes", "", "seen=yes"]
    server.special["odd.test", "/page"] = redirect("http://other.test/page").replace(
        b"Location", b"Set-Cookie: a=b\r\nLocation", 1
    )
    assert is_page(fetch(server, URL))
    assert all("cookie" not in request.headers for request in server.asked("other.test"))


def test_a_redirect_that_changes_its_cookie_for_ever_is_given_up(server: HostileServer) -> None:
    count = 0

    async def serve(request: Request, send: Send) -> None:
        nonlocal count
        count += 1
        line = f"Set-Cookie: n={count}\r\nLocation".encode()
        await send(redirect("/page").replace(b"Location", line, 1))

    assert fetched(server, serve) == "too_many_redirects"


@pytest.mark.parametrize(
    "value",
    [
        *("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "Fri, 31 Dec 999999999 23:59:59 GMT"),
        *("Fri, 31 Dec 9999 23:59:59 -2359", "9" * 5000, "Mon, 99 Jan 2020 99:99:99 +9999999999"),
        *("1e400", "-1", "nan", "Fri, 01 Jan 0001 00:00:00 +2359", "\x00", "Fri, 32 Foo"),
    ],
)
def test_no_retry_after_is_more_than_a_wait_or_nothing(server: HostileServer, value: str) -> None:
    wait_s = retry_after_s(value, dt.datetime(2017, 12, 1, tzinfo=dt.UTC))
    assert wait_s is None or wait_s >= 0
    busy = answer(b"", "503 Service Unavailable", Retry_After=value.replace("\0", "0"))
    server.special["odd.test", "/page"] = busy
    assert fetch(server, URL, max_wait_s=0.1) == "http_503"
