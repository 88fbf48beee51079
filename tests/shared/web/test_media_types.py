"""Content types as servers send them, told as browsers tell them."""

from __future__ import annotations

import pytest

from pipeline.shared.web.media_types import (
    MediaType,
    charset_of,
    extract_media_type,
    may_be_page,
    page_type,
)

HTML_BODY = b"<!DOCTYPE html><html><head><title>x</title></head><body><p>Words.</p></body></html>"
TEXT_BODY = b"Words, and no markup.\n"
PDF_BODY = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"


# What Fetch's "extract a MIME type" gives, by its own examples and steps.
@pytest.mark.parametrize(
    ("header", "essence", "charset"),
    [
        ("text/html", "text/html", ""),
        ("TEXT/HTML; Charset=UTF-8", "text/html", "UTF-8"),
        ("text/plain;charset=gbk, text/html", "text/html", ""),
        ("text/html;charset=gbk;a=b, text/html;x=y", "text/html", "gbk"),
        ("text/html;charset=gbk, x/x, text/html;x=y", "text/html", ""),
        ("text/html, cannot-parse", "text/html", ""),
        ("text/html, */*", "text/html", ""),
        ("text/html, */*;charset=gbk", "text/html", ""),
        ('text/html;x=","; charset=koi8-r, junk', "text/html", "koi8-r"),
        ('text/html;charset="shift_jis"iso-2022-jp', "text/html", "shift_jis"),
        ("text/html;charset= utf-8", "text/html", " utf-8"),
        ("text/html;charset=;charset=gbk", "text/html", "gbk"),
        ("application/json, text/html;charset=a;charset=b", "text/html", "a"),
    ],
)
def test_of_several_values_the_last_that_is_one_counts(
    header: str, essence: str, charset: str
) -> None:
    assert extract_media_type(header) == MediaType(essence, charset)


@pytest.mark.parametrize(
    "header",
    [
        *("", "html", "*/*", "text", "/", "text/", "/html", "text/html charset=utf-8", ","),
        *("te xt/html", "text/ht\xe9ml", "; charset=utf-8", "charset=utf-8", "{content_type}"),
    ],
)
def test_what_is_no_type_leaves_it_to_the_bytes(header: str) -> None:
    assert extract_media_type(header) is None
    assert may_be_page(header)
    assert page_type(header, HTML_BODY) == MediaType("text/html", charset_of(header))
    assert page_type(header, TEXT_BODY) == MediaType("text/plain", charset_of(header))
    assert page_type(header, PDF_BODY) is None


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("text/html, text/html; charset=utf-8", "text/html"),
        ("text/html,charset=utf-8", "text/html"),
        ("text/html;;charset=utf-8", "text/html"),
        ("text/htm", "text/html"),
        ("text/x-server-parsed-html", "text/html"),
        ("application/xhtml+xml", "text/html"),
        ("application/unknown", "text/html"),
        ("unknown/unknown", "text/html"),
        ("text/plain", "text/plain"),
        ("text/plain; charset=utf-8", "text/plain"),
        ("text/html, application/pdf", ""),
        ("application/octet-stream", ""),
        ("application/json", ""),
        ("text/css", ""),
        ("text/javascript", ""),
        ("image/png", ""),
    ],
)
def test_a_page_is_what_a_browser_takes_for_one(header: str, kind: str) -> None:
    found = page_type(header, HTML_BODY)
    assert (found.essence if found else "") == kind
    assert may_be_page(header) == bool(kind)


@pytest.mark.parametrize("kind", ["application/xml", "text/xml", "application/x-page+xml"])
def test_xml_is_a_page_if_its_root_is_html(kind: str) -> None:
    prolog = b"<?xml version='1.0'?>\n<!-- a page --><!DOCTYPE html>\n"
    assert page_type(kind, prolog + b"<html xmlns='x'/>") == MediaType("text/html")
    assert page_type(kind, prolog + b"<rss><html/></rss>") is None
    assert page_type("", prolog + b"<html xmlns='x'/>") == MediaType("text/html")


@pytest.mark.parametrize(
    "body",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        PDF_BODY,
        b"PK\x03\x04\x14\0\0\0",
        b"\x1f\x8b\x08\0\0\0\0\0",
        b"GIF89a\1\0\1\0",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        bytes(range(32)) * 40,
    ],
)
def test_pictures_and_archives_that_call_themselves_pages_are_none(body: bytes) -> None:
    assert page_type("text/html; charset=utf-8", body) is None
    assert page_type("", body) is None


@pytest.mark.parametrize("place", [0, 20, 55, len(HTML_BODY)])
def test_a_nul_does_not_make_a_page_of_html_binary(place: int) -> None:
    body = HTML_BODY[:place] + b"\0" + HTML_BODY[place:]
    assert page_type("text/html; charset=utf-8", body) is not None


def test_plain_text_that_apache_does_not_know_is_text_without_binary_bytes_alone() -> None:
    assert page_type("text/plain", b"GIF words") == MediaType("text/plain")
    assert page_type("text/plain", b"words \0\1\2 words") is None
    assert page_type("text/plain; charset=UTF-8", b"words \0 words") is None


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_page_in_any_unicode_is_a_page_without_its_type(codec: str) -> None:
    found = page_type("", HTML_BODY.decode().encode(codec))
    assert found == MediaType("text/html")


@pytest.mark.parametrize("mark", [b"BM", b"RIFF", b"ID3", b"OTTO", b"FORM"])
def test_a_text_may_begin_with_a_word_that_marks_a_format(mark: bytes) -> None:
    assert page_type("", mark + b" is a word here") == MediaType("text/plain")
    assert page_type("", mark + b"\0\0\1\2") is None
