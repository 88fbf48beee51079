"""The right characters: of each encoding's real bytes, declared rightly, wrongly or not at all."""

from __future__ import annotations

import gzip
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import webencodings
import zstandard

from pipeline.extract.characters import decode
from pipeline.extract.main_text import extract
from pipeline.shared.web.media_types import page_type

FRENCH = "L'été à la mer coûte 12\u00a0€, déjà. Où étiez-vous ? Ça va être très agréable. "
RUSSIAN = "Городской совет вчера вечером утвердил бюджет города на следующий год. "
JAPANESE = "市議会は昨夜、来年の市の予算を可決した。市長は地方税は上がらないと述べた。"
CHINESE = "市议会昨晚通过了明年的城市预算。市长提醒说、尽管国家补助减少、地方税不会增加。"
TAIWANESE = "市議會昨晚通過了明年的城市預算。市長提醒說、儘管國家補助減少、地方稅不會增加。"
KOREAN = "시의회는 어젯밤 내년도 시 예산을 통과시켰다. 시장은 지방세가 오르지 않을 것이라고 했다. "
GREEK = "Εχθές το δημοτικό συμβούλιο ενέκρινε το βράδυ τον προϋπολογισμό της πόλης. "

REAL = [
    (FRENCH, "windows-1252", "cp1252"),
    (FRENCH, "iso-8859-15", "iso8859-15"),
    (RUSSIAN, "windows-1251", "cp1251"),
    (RUSSIAN, "koi8-r", "koi8-r"),
    (RUSSIAN, "iso-8859-5", "iso8859-5"),
    (JAPANESE, "shift_jis", "cp932"),
    (JAPANESE, "euc-jp", "euc_jp"),
    (JAPANESE, "iso-2022-jp", "iso2022_jp"),
    (CHINESE, "gb18030", "gb18030"),
    (CHINESE, "gb2312", "gb2312"),
    (TAIWANESE, "big5", "big5"),
    (KOREAN, "euc-kr", "euc_kr"),
    (GREEK, "windows-1253", "cp1253"),
    (FRENCH + RUSSIAN + JAPANESE, "utf-8", "utf-8"),
    (FRENCH + RUSSIAN + JAPANESE, "utf-16le", "utf-16-le"),
    (FRENCH + RUSSIAN + JAPANESE, "utf-16be", "utf-16-be"),
]


def page(text: str, head: str = "") -> str:
    return f"<!DOCTYPE html><html><head>{head}<title>x</title></head><body><p>{text}</p></body>"


@pytest.mark.parametrize(("text", "name", "codec"), REAL)
def test_a_charset_in_the_header_is_believed(text: str, name: str, codec: str) -> None:
    assert decode(page(text).encode(codec), f"text/html; charset={name}") == page(text)
    assert decode(page(text).encode(codec), f'text/html;Charset="{name.upper()}"') == page(text)


@pytest.mark.parametrize(("text", "name", "codec"), REAL)
def test_a_charset_in_the_page_is_found(text: str, name: str, codec: str) -> None:
    for head in (
        f"<meta charset={name}>",
        f'<meta http-equiv="Content-Type" content="text/html; charset={name}">',
        f"{'<!-- a long licence -->' * 80}<meta charset='{name}'>",
    ):
        whole = page(text, head)
        assert decode(whole.encode(codec), "text/html") == whole


def test_the_charset_of_an_xml_declaration_is_found() -> None:
    whole = f'<?xml version="1.0" encoding="windows-1251"?>{page(RUSSIAN)}'
    assert decode(whole.encode("cp1251"), "text/html") == whole


# ISO 8859-15 cannot be told from Windows-1252, nor, in a few words, some others from one another.
@pytest.mark.parametrize(
    ("text", "codec"),
    [(text, codec) for text, _, codec in REAL if codec != "iso8859-15"],
)
def test_bytes_without_any_charset_are_told_by_their_look(text: str, codec: str) -> None:
    assert decode(page(text * 4).encode(codec), "text/html") == page(text * 4)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_stronger_than_the_header(codec: str) -> None:
    body = page(FRENCH + JAPANESE).encode(codec)
    assert decode(body, "text/html; charset=windows-1251") == page(FRENCH + JAPANESE)
    assert page_type("text/html", body) is not None


@pytest.mark.parametrize("wrong", ["iso-8859-1", "windows-1251", "utf-16", "shift_jis", "us-ascii"])
def test_utf_8_under_a_wrong_charset_is_utf_8(wrong: str) -> None:
    for text in (FRENCH, RUSSIAN, JAPANESE):
        assert decode(page(text).encode(), f"text/html; charset={wrong}") == page(text)


@pytest.mark.parametrize(
    ("text", "codec"), [(FRENCH, "cp1252"), (RUSSIAN, "cp1251"), (JAPANESE, "cp932")]
)
def test_bytes_that_are_not_the_utf_8_they_claim_to_be_are_told_by_their_look(
    text: str, codec: str
) -> None:
    body = page(text * 4, "<meta charset=utf-8>").encode(codec)
    assert decode(body, "text/html; charset=utf-8") == page(text * 4, "<meta charset=utf-8>")


def test_the_page_is_believed_where_the_bytes_break_the_headers_charset() -> None:
    whole = page(RUSSIAN, "<meta charset=koi8-r>")
    assert decode(whole.encode("koi8-r"), "text/html; charset=utf-8") == whole


@pytest.mark.parametrize("content_type", ["text/html", "text/html; charset=utf-8"])
def test_a_few_foreign_bytes_in_utf_8_cost_no_more_than_themselves(content_type: str) -> None:
    body = page(RUSSIAN * 9).encode() + "© été".encode("cp1252")
    assert decode(body, content_type) == page(RUSSIAN * 9) + "\ufffd \ufffdt\ufffd"


@pytest.mark.parametrize("content_type", ["text/html", "text/html; charset=iso-8859-1"])
@pytest.mark.parametrize(
    "text", ["une \u00e9t\u00e9, ", RUSSIAN, JAPANESE, "a \u201cquoted\u201d word, "]
)
def test_one_bad_byte_leaves_the_rest_utf_8(text: str, content_type: str) -> None:
    before, after = page(text), page(text * 3)
    found = decode(before.encode() + b"\xe9 " + after.encode(), content_type)
    assert found == f"{before}\ufffd {after}"


@pytest.mark.parametrize("content_type", ["text/html", "text/html; charset=utf-8"])
@pytest.mark.parametrize("mark", [*"\u2019\u2013\u00e9\u00a0\u2026\u20ac\u00df", "\u201c\u201d"])
def test_a_single_character_of_windows_1252_is_no_korean(mark: str, content_type: str) -> None:
    text = f"Fishermen don{mark}t argue about the best place to drop their nets. "
    for count in (1, 2, 5):
        whole = page(text + "They went home late in the evening. " * 30) * count
        assert decode(whole.encode("cp1252"), content_type) == whole


@pytest.mark.parametrize(
    "word",
    ["\u00c8but", "na\u00efve", "\u00c9t\u00e9", "r\u00e9sum\u00e9", "\u2014\u2014", "\u00bfy"],
)
def test_a_lone_accent_and_the_letter_behind_it_are_no_chinese(word: str) -> None:
    whole = page(f"They said {word} in the evening, and nothing else of note was said. " * 2)
    assert decode(whole.encode("cp1252"), "text/html") == whole


def test_what_a_server_calls_latin_1_may_be_of_another_script() -> None:
    for text, codec in ((RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (GREEK, "cp1253"),
                        (JAPANESE, "cp932"), (KOREAN, "euc_kr"), (CHINESE, "gb18030")):  # fmt: skip
        whole = page(text * 4)
        assert decode(whole.encode(codec), "text/html; charset=iso-8859-1") == whole
    french = page(FRENCH * 9)
    assert decode(french.encode("cp1252"), "text/html; charset=iso-8859-1") == french


def test_nul_is_dropped_wherever_it_stands() -> None:
    assert decode(b"<p>\0a\0b\xc3\xa9\0</p>", "text/html; charset=utf-8") == "<p>ab\u00e9</p>"


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        *(("x-sjis", "cp932", JAPANESE), ("ks_c_5601-1987", "cp949", KOREAN)),
        *(("latin1", "cp1252", FRENCH), ("us-ascii", "cp1252", FRENCH)),
        *(("x-cp1251", "cp1251", RUSSIAN), ("tis-620", "cp874", "\u0e20\u0e32\u0e29\u0e32")),
        *(("gb2312", "gb18030", CHINESE), ("big5-hkscs", "big5hkscs", TAIWANESE)),
        *(
            ("iso-8859-9", "cp1254", "\u0131\u011f\u015f"),
            ("dos-874", "cp874", "\u0e44\u0e17\u0e22"),
        ),
        *(("logical", "iso8859-8", "\u05e2\u05d1\u05e8\u05d9\u05ea"), ("utf8", "utf-8", FRENCH)),
    ],
)
def test_the_labels_are_those_of_the_encoding_standard(label: str, codec: str, text: str) -> None:
    assert decode(page(text).encode(codec), f"text/html; charset={label}") == page(text)


def test_a_charset_in_a_comment_does_not_count() -> None:
    head = "<!-- <meta charset=koi8-r> --><meta charset=windows-1251>"
    assert decode(page(RUSSIAN, head).encode("cp1251"), "text/html") == page(RUSSIAN, head)


@pytest.mark.shared_data
def test_real_pages_that_are_no_utf_8_are_read_in_their_encoding(shared_data: Path) -> None:
    """Truth: what each page declares; here it is read as if it declared nothing."""
    right, pages = Counter[str](), Counter[str]()
    for body in _legacy_pages(shared_data):
        declared = re.search(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", body, re.IGNORECASE)
        label = declared[1].decode().lower() if declared else ""
        encoding = webencodings.lookup(label)
        if encoding is None or encoding.name == "utf-8":
            continue
        undeclared = re.sub(rb"(?i)charset\s*=\s*[\"']?\s*[\w-]+", b"x", body)
        pages[encoding.name] += 1
        truth = encoding.codec_info.decode(undeclared, "replace")[0]
        right[encoding.name] += decode(undeclared, "text/html") == truth.replace("\0", "")
    assert pages == {"windows-1252": 16, "gbk": 1, "windows-1250": 1, "iso-8859-2": 1}
    assert right == pages


def _legacy_pages(shared_data: Path) -> Iterator[bytes]:
    """The pages of the sample that are no UTF-8."""
    for path in sorted((shared_data / "crawl_sample" / "html").glob("*.tar.zst")):
        with path.open("rb") as file:
            stream = zstandard.ZstdDecompressor().stream_reader(file)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    content = archive.extractfile(member)
                    body = content.read() if content else b""
                    body = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
                    with suppress(UnicodeDecodeError):
                        body.decode()
                        continue
                    yield body


@pytest.mark.parametrize(
    "charset", ["utf-7", "unicode_escape", "zlib", "undefined", "utf-8\0", "no-such-thing", ""]
)
def test_a_bad_charset_harms_nobody(charset: str) -> None:
    body = page("Plain words. " * 60).encode()
    assert extract(body, f"text/html; charset={charset}").text == ("Plain words. " * 60).strip()
