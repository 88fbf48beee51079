"""The rules of a robots.txt that count, however it is written, and at little cost."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from crawling import fetch, fetch_all
from hostile_server import HostileServer, answer
from protego import Protego

from pipeline.crawl.exchange import Answer
from pipeline.crawl.robots_text import MOST_BYTES, product_token, rules_for

TOKEN = "testbot"


def allows(body: bytes, path: str = "/private/page", token: str = TOKEN) -> bool:
    return bool(Protego.parse(rules_for(body, token)).can_fetch(f"http://a.test{path}", token))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", "\r\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_end_of_line_and_a_mark_before_them_are_read(end: str, mark: bytes) -> None:
    body = mark + end.join(["User-agent: *", "Disallow: /private/", ""]).encode()
    assert not allows(body)
    assert allows(body, "/page")


def test_a_robots_txt_in_utf_16_is_read() -> None:
    assert not allows("User-agent: *\nDisallow: /private/\n".encode("utf-16"))


@pytest.mark.parametrize(
    ("line", "is_ours"),
    [
        ("testbot", True),
        ("TestBot", True),
        ("TestBot/1.0", True),
        ("TestBot*", True),
        ("testbot  # ours", True),
        ("test", False),
        ("testbot-images", False),
        ("mytestbot", False),
        ("otherbot", False),
    ],
)
def test_a_group_is_ours_by_its_product_token(line: str, is_ours: bool) -> None:
    body = f"User-agent: {line}\nDisallow: /ours/\n\nUser-agent: *\nDisallow: /all/\n".encode()
    assert allows(body, "/ours/") != is_ours
    assert allows(body, "/all/") == is_ours


def test_groups_for_us_are_one_and_those_for_all_do_not_count_beside_them() -> None:
    body = (
        b"User-agent: a\nUser-agent: testbot\nDisallow: /1\n\nUser-agent: *\nDisallow: /2\n\n"
        b"Sitemap: http://a.test/x\nUser-agent: testbot\nCrawl-delay: 3\nDisallow: /3\n"
    )
    assert [allows(body, path) for path in ("/1", "/2", "/3")] == [False, True, False]
    assert Protego.parse(rules_for(body, TOKEN)).crawl_delay(TOKEN) == 3.0
    assert allows(b"User-agent: testbot\nDisallow:\n\nUser-agent: *\nDisallow: /\n")
    assert allows(b"Disallow: /\n")  # of nobody


@pytest.mark.parametrize(
    "line", ["Disallow /private/", "disallow:/private/", " DISALLOW : /private/"]
)
def test_lines_are_read_as_they_are_meant(line: str) -> None:
    assert not allows(f"useragent: *\n{line}\n".encode())


@pytest.mark.parametrize(
    ("agent", "token"),
    [
        ("testbot/1.0 (+mailto:test@example.org)", "testbot"),
        ("my_crawl-2/0.1", "my_crawl-2"),
        ("OneWord", "OneWord"),
        ("Mozilla/5.0 (compatible; MyBot/2.1; +https://example.org/bot)", "MyBot"),
        ("Mozilla/5.0 (compatible; MyBot; me@example.org)", "MyBot"),
        ("Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 (KHTML, like Gecko) MyBot/1.0", "MyBot"),
        ("Mozilla/5.0 (X11; MyBot/2.0; +https://example.org/bot/1)", "MyBot"),
        ("Mozilla/5.0 (Windows NT 10.0) Firefox/120.0 (+mailto:me@example.org)", ""),
        ("(+mailto:me@example.org)", ""),
        ("", ""),
    ],
)
def test_a_user_agent_has_one_product_token(agent: str, token: str) -> None:
    assert product_token(agent) == token


def test_agents_times_rules_cost_neither_time_nor_memory() -> None:
    agents = b"".join(b"User-agent: bot%d\n" % n for n in range(2000))
    rules = b"".join(b"Disallow: /%d\n" % n for n in range(3000))
    tracemalloc.start()
    text = rules_for(agents + rules + b"User-agent: testbot\nDisallow: /mine\n", TOKEN)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert text == "User-agent: *\ndisallow: /mine\n"
    assert peak < 2_000_000  # 81 kB; read whole, it makes 6 million rules


def test_half_a_megabyte_of_rules_is_read_while_others_are_served(server: HostileServer) -> None:
    lines = b"".join(b"Disallow: /%d*x$\n" % n for n in range(40_000))
    body = (b"User-agent: *\nDisallow: /private/\n" + lines)[:MOST_BYTES]
    server.special["host.test", "/robots.txt"] = answer(body, kind="text/plain")
    private, page = fetch_all(
        server, ["http://host.test/private/a", "http://host.test/page"], timeout_s=5.0
    )
    assert private == "robots_disallowed"
    assert isinstance(page, Answer)


@pytest.mark.parametrize(
    ("coding", "compress"),
    [("none", bytes), ("gzip", bytes), ("utf-8", bytes), ("gzip", gzip.compress)],
)
def test_a_robots_txt_of_any_content_encoding_is_read(
    server: HostileServer, coding: str, compress: type[bytes]
) -> None:
    body = compress(b"User-agent: testbot\nDisallow: /page\n")
    server.special["host.test", "/robots.txt"] = answer(
        body, kind="text/plain", Content_Encoding=coding
    )
    assert fetch(server, "http://host.test/page") == "robots_disallowed"
