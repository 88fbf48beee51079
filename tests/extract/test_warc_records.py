"""WARC and ARC files are read as other readers read them, and behind damage as none does."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from fastwarc.warc import ArchiveIterator as FastWarcIterator
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from pipeline.extract.warc_pages import NoPage, WebPage, read_pages
from pipeline.extract.warc_records import Damage, Record, is_web_archive, read_records

BODIES = [random.Random(n).randbytes(40).hex().encode() * (1 + 40 * n) for n in range(6)]


def make_record(url: str, kind: str, content_type: str, block: bytes) -> bytes:
    head = (
        f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def make_response(url: str, status: str, fields: str, body: bytes) -> bytes:
    block = f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n".encode() + body
    return make_record(url, "response", "application/http; msgtype=response", block)


def make_records() -> list[bytes]:
    """A WARC file's records, each a page of its own, uncompressed."""
    return [
        make_response(f"http://a.test/{number}", "200 OK", "Content-Type: text/html", body)
        for number, body in enumerate(BODIES)
    ]


def numbers(pages: list[WebPage | NoPage | Damage]) -> list[int]:
    """Which pages are there, each as it was."""
    found = [page for page in pages if isinstance(page, WebPage)]
    assert all(page.body == BODIES[int(page.url[-1])] for page in found)
    return [int(page.url[-1]) for page in found]


def read(path: Path, content: bytes) -> list[WebPage | NoPage | Damage]:
    path.write_bytes(content)
    return list(read_pages(path, 10**6))


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("together", [False, True], ids=["a member each", "all in one"])
def test_all_forms_of_a_file_give_its_pages(tmp_path: Path, suffix: str, together: bool) -> None:
    compress = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[suffix]
    records = [b"".join(make_records())] if together else make_records()
    path = tmp_path / f"a.warc{suffix}"
    assert numbers(read(path, b"".join(map(compress, records)))) == list(range(6))
    assert is_web_archive(path)


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_in_a_compressed_file_costs_one_record(tmp_path: Path, seed: int) -> None:
    members = [gzip.compress(record, mtime=0) for record in make_records()]
    content = bytearray(b"".join(members))
    place = random.Random(seed).randrange(len(content))
    content[place] ^= 1 << seed % 8
    ends = [sum(map(len, members[: n + 1])) for n in range(6)]
    hit = next(n for n, end in enumerate(ends) if place < end)
    found = read(tmp_path / "a.warc.gz", bytes(content))
    damages = [damage for damage in found if isinstance(damage, Damage)]
    if damages:  # or else the bit lay in what gzip does not check: a name, a date
        assert numbers(found) == [n for n in range(6) if n != hit]
        assert [damage.place.member for damage in damages] == [ends[hit] - len(members[hit])]
    else:
        assert numbers(found) == list(range(6)) and place - ends[hit] + len(members[hit]) < 10


@pytest.mark.parametrize("seed", range(20))
def test_bytes_cut_out_of_a_plain_file_cost_the_records_they_touch(
    tmp_path: Path, seed: int
) -> None:
    records = make_records()
    starts = [sum(map(len, records[:n])) for n in range(7)]
    content = b"".join(records)
    first = random.Random(seed).randrange(len(content) - 200)
    last = first + random.Random(seed).randrange(1, 200)
    found = read(tmp_path / "a.warc", content[:first] + content[last:])
    untouched = [
        n for n, (start, end) in enumerate(pairwise(starts)) if last <= start or end <= first
    ]
    assert set(numbers(found)) >= set(untouched)
    assert len(numbers(found)) + sum(isinstance(damage, Damage) for damage in found) >= 5


@pytest.mark.parametrize("length", [b"7", b"999999999", b"-1", b"x", b""])
def test_a_wrong_length_costs_its_record_alone(tmp_path: Path, length: bytes) -> None:
    records = make_records()
    before, colon, after = records[2].partition(b"Content-Length: ")
    records[2] = before + colon + length + after[after.index(b"\r\n") :]
    found = read(tmp_path / "a.warc", b"".join(records))
    assert numbers(found) == [0, 1, 3, 4, 5]
    (damage,) = [damage for damage in found if isinstance(damage, Damage)]
    assert str(damage.place) == f"byte {len(records[0] + records[1])}"


@pytest.mark.parametrize("suffix", [".gz", ".zst", ""])
def test_a_file_that_breaks_off_gives_what_is_whole(tmp_path: Path, suffix: str) -> None:
    compress = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[suffix]
    content = b"".join(map(compress, make_records()))
    found = read(tmp_path / f"a.warc{suffix}", content[:-10])
    assert numbers(found) == [0, 1, 2, 3, 4]
    assert isinstance(found[-1], Damage)


def test_what_is_no_page_is_told_by_a_word(tmp_path: Path) -> None:
    chunked = "Content-Type: text/html; charset=utf-8\r\nTransfer-Encoding: chunked"
    records = [
        make_response("http://a.test/x", "404 Not Found", "Content-Type: text/html", b""),
        make_response("http://a.test/x", "200 OK", "Content-Type: image/png", b""),
        make_record("dns:a.test", "resource", "text/dns", b""),
        make_record("http://a.test/y", "metadata", "text/plain", b""),
        make_record("http://a.test/y", "conversion", "text/plain", b"Extracted."),
        make_response(
            "<http://a.test/z>", "200 OK", chunked, b"4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n"
        ),
    ]
    *others, text, page = read(tmp_path / "a.warc", b"".join(records))
    words = ["http_404", "not_html", "bad_scheme", "metadata"]
    assert others == [NoPage(word) for word in words]
    assert text == WebPage("http://a.test/y", "text/plain", "", b"Extracted.")
    assert page == WebPage("http://a.test/z", "text/html; charset=utf-8", "", b"Wikipedia")


def test_a_long_body_is_read_to_one_byte_beyond_the_cap(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(b"".join(make_records()))
    pages = [page for page in read_pages(tmp_path / "a.warc", 100) if isinstance(page, WebPage)]
    assert [len(page.body) for page in pages] == [80, *[101] * 5]


def kinds_by(path: Path, archive_iterator: type) -> Counter[str] | None:
    """Records by type; None if the reader gives up."""
    found: Counter[str] = Counter()
    with path.open("rb") as file, suppress(OSError, ArchiveLoadFailed):
        for record in archive_iterator(file):
            headers = getattr(record, "rec_headers", None) or record.headers
            found[headers.get("WARC-Type")] += 1
        return found
    return None


def our_records(path: Path) -> Iterator[Record | Damage]:
    with path.open("rb") as file:
        yield from read_records(file, 1000)


@pytest.mark.shared_data
@pytest.mark.filterwarnings("ignore")
def test_real_files_have_the_records_that_warcio_and_fastwarc_find(shared_data: Path) -> None:
    agreed, damaged = 0, {}
    for path in sorted((shared_data / "crawl_sample" / "warc").iterdir()):
        records = list(our_records(path))
        problems = [record for record in records if isinstance(record, Damage)]
        found = Counter(record.kind for record in records if isinstance(record, Record))
        if problems:
            damaged[path.name.partition("__")[2]] = len(problems), sum(found.values())
            continue
        theirs = [kinds_by(path, reader) for reader in (ArchiveIterator, FastWarcIterator)]
        readable = [counts for counts in theirs if counts]
        agreed += 1
        if ".warc" in path.name:
            assert readable and all(counts == found for counts in readable), path.name
    assert agreed == 39
    assert damaged == {
        "bad.arc": (3, 1),
        "example.warc": (1, 5),
        "example-space-in-url.arc": (1, 1),
        "example-trunc.warc": (1, 3),
    }
