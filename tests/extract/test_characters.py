"""The right characters: of each encoding's real bytes, declared rightly, wrongly or not at all."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(
    "charset", ["utf-7", "unicode_escape", "zlib", "undefined", "utf-8\0", "no-such-thing", ""]
)
def test_a_bad_charset_harms_nobody(charset: str) -> None:
    body = page("Plain words. " * 60).encode()
    assert extract(body, f"text/html; charset={charset}").text == ("Plain words. " * 60).strip()
