"""Archives as tools write them: dictionaries, skippable frames, heads that are missing or odd."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
import zstandard
from fastwarc.warc import ArchiveIterator as FastWarcIterator
from warcio.archiveiterator import ArchiveIterator

from pipeline.extract.judge import Caps, judge_body
from pipeline.extract.warc_pages import NoPage, WebPage, read_pages
from pipeline.extract.warc_records import Damage, is_web_archive

SENTENCES = [
    "The council voted to repair the sea wall before the storms of the next winter.",
    "Fishermen argued about the best place to drop their nets beyond the northern reef.",
    "A clerk in the customs house wrote down the weight of every crate that came ashore.",
]


def page(number: int) -> bytes:
    text = " ".join(random.Random(number).choices(SENTENCES, k=8))
    return f"<!DOCTYPE html><html><title>{number}</title><p>{number}. {text}</p></html>".encode()


def record(block: bytes, url: str = "http://a.test/0", kind: str = "response") -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n"
        f"WARC-Date: 2020-01-01T00:00:00Z\r\nWARC-Record-ID: <urn:uuid:0>\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def response(body: bytes, *lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, *lines, "", ""]).encode("latin-1") + body


def records() -> list[bytes]:
    return [
        record(response(page(n), "Content-Type: text/html"), f"http://a.test/{n}") for n in range(6)
    ]


def read(path: Path, content: bytes) -> list[WebPage | NoPage | Damage]:
    path.write_bytes(content)
    return list(read_pages(path, 10**6))


def bodies(found: list[WebPage | NoPage | Damage]) -> list[bytes]:
    assert all(isinstance(one, WebPage) for one in found), found
    return [one.body for one in found if isinstance(one, WebPage)]


def frame(mark: bytes, content: bytes) -> bytes:
    """A frame that zstd skips (RFC 8878, section 3.1.2)."""
    return mark + b"\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


def with_dictionary(*, is_packed: bool, skipped: bytes = b"") -> bytes:
    """A file as Archive Team writes it, by IIPC's specification of WARC with zstd."""
    samples = [records()[n % 6] + bytes(str(n), "ascii") for n in range(300)]
    dictionary = zstandard.train_dictionary(2000, samples)
    content = dictionary.as_bytes()
    first = frame(b"\x5d", zstandard.compress(content) if is_packed else content)
    compressor = zstandard.ZstdCompressor(dict_data=dictionary)
    return first + b"".join(skipped + compressor.compress(one) for one in records())


@pytest.mark.parametrize("is_packed", [True, False], ids=["packed", "plain"])
def test_a_dictionary_at_the_beginning_is_used_for_every_record(
    tmp_path: Path, is_packed: bool
) -> None:
    content = with_dictionary(is_packed=is_packed)
    path = tmp_path / "a.warc.zst"
    assert bodies(read(path, content)) == [page(n) for n in range(6)]
    assert is_web_archive(path)
    size = 8 + int.from_bytes(content[4:8], "little")
    without = read(path, content[size:])
    assert without and all(isinstance(one, Damage) for one in without)


@pytest.mark.parametrize("length", [0, 1, 70_000])
def test_frames_to_be_skipped_are_skipped(tmp_path: Path, length: int) -> None:
    skipped = frame(b"\x50", b"s" * length) + frame(b"\x5f", b"")
    path = tmp_path / "a.warc.zst"
    plain = b"".join(skipped + zstandard.compress(one) for one in records()) + skipped
    assert bodies(read(path, plain)) == [page(n) for n in range(6)]
    assert is_web_archive(path)
    packed = with_dictionary(is_packed=True, skipped=skipped)
    assert bodies(read(path, packed)) == [page(n) for n in range(6)]


def test_damage_behind_a_dictionary_costs_one_record(tmp_path: Path) -> None:
    content = bytearray(with_dictionary(is_packed=True))
    starts = [n for n in range(len(content)) if content.startswith(b"\x28\xb5\x2f\xfd", n)]
    middle = (starts[3] + starts[4]) // 2
    content[middle : middle + 4] = bytes(byte ^ 0xFF for byte in content[middle : middle + 4])
    found = read(tmp_path / "a.warc.zst", bytes(content))
    assert len([one for one in found if isinstance(one, WebPage)]) == 5


def test_a_dictionary_that_is_none_costs_the_records_that_need_it(tmp_path: Path) -> None:
    plain = zstandard.compress(records()[0])
    needing = with_dictionary(is_packed=False)
    needing = needing[8 + int.from_bytes(needing[4:8], "little") :]
    found = read(tmp_path / "a.warc.zst", frame(b"\x5d", b"\x28\xb5\x2f\xfdjunk") + plain + needing)
    assert isinstance(found[0], WebPage)
    assert found[1:] and all(isinstance(one, Damage) for one in found[1:])
    (damage, *_) = read(tmp_path / "a.warc.zst", b"\x5d\x2a\x4d\x18\xff\xff\xff\xff" + plain)
    assert isinstance(damage, Damage)


@pytest.mark.parametrize(
    "status",
    ["HTTP/1.1 200", "http/1.1 200 ok", "HTTP/1.0 200 OK", "HTTP/1.1", "HTTP 200 OK", "Http/2 200"],
)
@pytest.mark.parametrize("lines", [[], ["Content-Type: text/html"], ["no header", "a b: c"]])
def test_any_status_line_with_any_headers_or_none_is_read(
    tmp_path: Path, status: str, lines: list[str]
) -> None:
    for block in (response(page(1), *lines, status=status),
                  response(page(1), *lines, status=status).replace(b"\r\n", b"\n")):  # fmt: skip
        assert bodies(read(tmp_path / "a.warc", record(block))) == [page(1)]


def test_a_body_with_empty_lines_behind_a_bare_status_is_whole(tmp_path: Path) -> None:
    body = b"<!doctype html><p>one</p>\r\n\r\n<p>two</p>\n\n<p>three</p>"
    assert bodies(read(tmp_path / "a.warc", record(response(body)))) == [body]


def test_a_record_without_any_head_is_a_page_if_it_looks_like_one(tmp_path: Path) -> None:
    html, other = read(tmp_path / "a.warc", record(page(2)) + record(b"\x89PNG\r\n\x1a\n"))
    assert isinstance(html, WebPage) and html.body == page(2)
    assert other == NoPage("no_http")
    line = f"http://a.test/ 10.0.0.1 20080430204825 text/html {len(page(2))}\n".encode()
    assert bodies(read(tmp_path / "a.arc", line + page(2) + b"\n")) == [page(2)]


@pytest.mark.parametrize("url", ["http://a.test/b c d", "http://a.test/?10.0.0.1 x"])
@pytest.mark.parametrize("more", ["", "200 ABC123 - 512 a.arc.gz "])
def test_a_line_of_arc_may_hold_spaces_and_more_fields(tmp_path: Path, url: str, more: str) -> None:
    block = response(page(3), "Content-Type: text/html")
    line = f"{url} 10.0.0.1 20080430204825 text/html {more}{len(block)}\n".encode()
    (found,) = read(tmp_path / "a.arc", line + block + b"\n")
    assert isinstance(found, WebPage)
    assert (found.url, found.body) == (url, page(3))


@pytest.mark.parametrize("coding", ["none", "identity", "gzip", "utf-8", "br, gzip"])
@pytest.mark.parametrize("kind", ["", "html", "*/*", "text/html, text/html", "text/htm"])
def test_an_archived_page_is_read_whatever_its_head_says(
    tmp_path: Path, coding: str, kind: str
) -> None:
    lines = [f"Content-Type: {kind}", f"Content-Encoding: {coding}"]
    (found,) = read(tmp_path / "a.warc", record(response(page(4), *lines)))
    assert isinstance(found, WebPage)
    judged, reason = judge_body(
        Caps(10**6, 20), found.body, found.content_type, found.content_encoding
    )
    assert reason == "" and judged.text.startswith("4. ")


def test_two_members_of_gzip_are_one_body_with_its_nul_dropped(tmp_path: Path) -> None:
    body = page(5).replace(b"<p>", b"\0<p>")
    packed = gzip.compress(body[:60], mtime=0) + gzip.compress(body[60:], mtime=0)
    lines = ["Content-Type: text/html", "Content-Encoding: gzip"]
    (found,) = read(tmp_path / "a.warc", record(response(packed, *lines)))
    assert isinstance(found, WebPage)
    judged, reason = judge_body(Caps(10**6, 20), found.body, found.content_type, "gzip")
    assert (reason, judged.title) == ("", "5")
    assert judged.text.startswith("5. ") and "\0" not in judged.text


def test_odd_files_have_the_records_that_warcio_and_fastwarc_find(tmp_path: Path) -> None:
    blocks = [response(page(n), "junk", status=status) for n, status in
              enumerate(["HTTP/1.1 200", "HTTP/1.0 200 OK"])]  # fmt: skip
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(gzip.compress(record(block), mtime=0) for block in blocks))
    with path.open("rb") as file:
        by_warcio = [one.content_stream().read() for one in ArchiveIterator(file)]
    with path.open("rb") as file:
        by_fastwarc = [one.reader.read() for one in FastWarcIterator(file, parse_http=True)]
    found = bodies(list(read_pages(path, 10**6)))
    assert found == by_warcio == by_fastwarc == [page(0), page(1)]


# Before, each of these took time by the square of its length: minutes to hours.
@pytest.mark.parametrize(
    "content",
    [
        b"WARC/1.0\r\nA: b" + b"\r" * 2_000_000,
        b"WARC/1.0\r\n" + (b"A: b" + b"\r" * 8000 + b"x\n") * 200,
        b"http://a" + b" 1.1.1.1 20080430204825" * 100_000,
        b"http://a" + b" 1" * 1_000_000,
        b"http://a.test/ 10.0.0.1 20080430204825 text/html 999999999999\n" * 5000,
        b"\nhttp:" * 100_000,
        record(b"HTTP/1.1 200 OK\r\nA: b" + b"\r" * 2_000_000),
        record(b"HTTP/1.1 200 OK\r\n" + b" x\r\n" * 500_000),
        record(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx" * 300_000),
    ],
    ids=["crs", "lines of crs", "arc words", "arc spaces", "arc lengths", "schemes", "http crs",
         "folded", "chunks"],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_hostile_head_costs_no_more_than_its_length(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    path = tmp_path / f"a.warc{suffix}"
    found = read(path, gzip.compress(content, 1, mtime=0) if suffix else content)
    assert len(found) <= 5000
    is_web_archive(path)
