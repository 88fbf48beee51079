"""Content-Encoding as servers send it, undone as browsers and curl undo it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from pipeline.shared.web.bodies import BodyReader, BrokenBodyError, TooLargeError, decode_body

PAGE = b"<!doctype html><p>" + b"The harbour town woke late that morning. " * 50
LONG = b"".join(b"%d words of a page. " % n for n in range(20_000))
SKIPPED = b"\x5a\x2a\x4d\x18\x05\x00\x00\x00abcde"  # a frame to be skipped, RFC 8878
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


def gzip_with_all_fields(data: bytes) -> bytes:
    """A member with further fields, a name, a comment and a checksum of its head (RFC 1952)."""
    head = b"\x1f\x8b\x08\x1e\0\0\0\0\0\x03" + b"\x04\x00ABCD" + b"name\0comment\0" + b"\0\0"
    return head + raw_deflate(data) + zlib.crc32(data).to_bytes(4, "little") + b"\0\0\0\0"


def read(data: bytes, coding: str, step: int) -> bytes:
    reader = BodyReader(coding, 10**6)
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
    return reader.finish()


@pytest.mark.parametrize("step", [1, 7, 10**6])
@pytest.mark.parametrize(
    ("coding", "data"),
    [
        # Values that nobody knows leave the body as it is.
        *((coding, PAGE) for coding in ("none", "identity", "utf-8", "8bit", "binary", "x-rot13")),
        *((coding, PAGE) for coding in ("", ",", "none, identity", "text/html", "UTF-8;q=1")),
        # So does a label without compression.
        *((coding, PAGE) for coding in ("gzip", "x-gzip", "deflate", "br", "zstd", "gzip, br")),
        ("GZIP", gzip.compress(PAGE, mtime=0)),
        ("gzip;q=1", gzip.compress(PAGE, mtime=0)),
        ("gzip, gzip", gzip.compress(PAGE, mtime=0)),
        ("gzip, gzip", gzip.compress(gzip.compress(PAGE, mtime=0), mtime=0)),
        ("br, gzip", gzip.compress(brotli.compress(PAGE), mtime=0)),
        ("none, gzip", gzip.compress(PAGE, mtime=0)),
        # Members and frames, and what stands between and behind them.
        (
            "gzip",
            gzip.compress(PAGE[:99], mtime=0)
            + gzip.compress(b"", mtime=0)
            + gzip.compress(PAGE[99:], mtime=0),
        ),
        ("gzip", gzip.compress(PAGE, mtime=0) + b"\0" * 100),
        ("gzip", gzip.compress(PAGE, mtime=0) + b"no member"),
        ("gzip", gzip_with_all_fields(PAGE)),
        ("zstd", zstandard.compress(PAGE[:99]) + SKIPPED + zstandard.compress(PAGE[99:])),
        ("zstd", SKIPPED + zstandard.compress(PAGE)),
        # Trailers that are missing, cut or wrong.
        ("gzip", gzip.compress(PAGE, mtime=0)[:-8]),
        ("gzip", gzip.compress(PAGE, mtime=0)[:-3]),
        ("gzip", gzip.compress(PAGE, mtime=0)[:-8] + b"\1\2\3\4\5\6\7\x08"),
        ("deflate", zlib.compress(PAGE)[:-4]),
        ("deflate", raw_deflate(PAGE)),
    ],
)
def test_a_body_is_read_as_browsers_read_it(coding: str, data: bytes, step: int) -> None:
    assert read(data, coding, step) == PAGE


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_that_ends_too_soon_gives_what_there_is(coding: str) -> None:
    data = CODINGS[coding](LONG)
    got = decode_body(data[: len(data) * 3 // 4], coding, 10**7)
    assert 10_000 < len(got) < len(LONG) and LONG.startswith(got)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])  # brotli reads nearly anything
def test_damage_in_the_middle_is_an_error(coding: str) -> None:
    data = CODINGS[coding](LONG)
    good = len(data) // 3
    with pytest.raises(BrokenBodyError):
        decode_body(data[:good] + b"\xff" * (len(data) - good), coding, 10**7)


@pytest.mark.parametrize("step", [499, 2**16, 10**7])
@pytest.mark.parametrize("coding", CODINGS)
def test_a_long_body_comes_whole(coding: str, step: int) -> None:
    assert read(CODINGS[coding](LONG), coding, step) == LONG


def test_text_under_a_wrong_label_is_text_and_other_bytes_are_broken() -> None:
    text = b"Plain words without any markup, as of a licence. " * 9
    for coding in CODINGS:
        assert decode_body(text, coding, 10**6) == text
    with pytest.raises(BrokenBodyError):
        decode_body(b"\x1f\x8b\x07\0" + bytes(99), "gzip", 10**6)


@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip, br", "zstd, gzip"])
def test_a_bomb_in_a_bomb_costs_its_cap(coding: str) -> None:
    data = bytes(20_000_000)
    for name in coding.split(", "):
        data = CODINGS[name](data)
    with pytest.raises(TooLargeError):
        decode_body(data, coding, 10**5)


def test_a_coding_on_the_way_is_capped_too() -> None:
    many_empty = gzip.compress(b"", mtime=0) * 200_000  # 4 MB of members with nothing in them
    with pytest.raises(TooLargeError):
        decode_body(gzip.compress(many_empty, mtime=0), "gzip, gzip", 10**5)


def test_more_codings_than_curl_takes_are_refused() -> None:
    assert decode_body(PAGE, "gzip, " * 4 + "gzip", 10**6) == PAGE
    with pytest.raises(BrokenBodyError):
        decode_body(PAGE, "gzip, " * 5 + "gzip", 10**6)
