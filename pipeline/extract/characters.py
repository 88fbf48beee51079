"""Bytes of a page to characters: what is declared, unless the bytes themselves say otherwise.

The HTML standard believes the header, then `<meta charset>`. Servers err, and the bytes can tell:
text with accents that is valid UTF-8 is UTF-8, and a declared encoding that the bytes break in
many places is wrong. Where neither shows, the standard's order stands.
"""

from __future__ import annotations

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_META_BYTES = 4096  # the HTML standard looks into 1024, browsers further
_META = re.compile(
    rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)|^\s*<\?xml[^>]+encoding\s*=\s*[\"']([\w.:-]+)",
    re.IGNORECASE,
)
# The standard's decoders read more than those that Python has under the same names.
_WIDER = {"gbk": "gb18030", "gb2312": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949",
          "big5": "big5hkscs", "iso8859-11": "cp874"}  # fmt: skip
_NOT_MAPPED = {"x-mac-cyrillic": "mac-cyrillic", "x-user-defined": "cp1252"}
_ISO_2022_JP = "iso2022_jp"  # made of ASCII alone, and so valid UTF-8
_INTO_JAPANESE = b"\x1b$B"
_MOST_BROKEN = 0.1  # of the characters beyond ASCII: more, and the encoding is another


def decode(body: bytes, content_type: str) -> str:
    """Characters of a body.

    Byte order mark, charset of the header, `<meta charset>`, UTF-8, then what the bytes look like.
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    if b"\0" not in body[:_META_BYTES] and _INTO_JAPANESE not in body:
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return _read_by(body, _declared(body, content_type) + _unmarked(body))


def has_unicode_mark(body: bytes) -> bool:
    """Whether a body begins as UTF-8, UTF-16 or UTF-32 does, so that NUL bytes are no surprise."""
    return any(body.startswith(mark) for mark, _ in _BOMS) or bool(_unmarked(body))


def _read_by(body: bytes, declared: list[str]) -> str:
    best, least = "", 2.0
    for encoding in (*declared, "utf-8"):
        text = body.decode(encoding, "replace")
        if (broken := _broken(text)) == 0:
            return text
        if broken < least:
            best, least = text, broken
    if least > _MOST_BROKEN:
        for encoding in _guesses(body):
            text = body.decode(encoding, "replace")
            if (broken := _broken(text)) < least:
                best, least = text, broken
    return best


def _guesses(body: bytes) -> list[str]:
    detected = detect_encoding(body, from_html_meta=False) or "utf-8"
    if detected == "utf-8":  # which it is not: the detector knows no Korean
        return ["cp949", "cp1252"]
    return [_WIDER.get(detected, detected)]


def _broken(text: str) -> float:
    """Share of the characters beyond ASCII that could not be read."""
    bad = text.count("\ufffd")
    return bad / max(1, len(text) - len(text.encode("ascii", "ignore"))) if bad else 0.0


def _declared(body: bytes, content_type: str) -> list[str]:
    """Encodings that Python can read, in the order in which they are believed."""
    names = _CHARSET.findall(content_type)[:1]
    for groups in _META.findall(body[:_META_BYTES])[:1]:
        name = b"".join(groups).decode()
        names.append("utf-8" if name.lower().startswith("utf-16") else name)  # as the standard says
    found = []
    for name in names:
        encoding = map_encoding_to_html5(name, fallback_utf8=False) or _NOT_MAPPED.get(name.lower())
        if encoding:
            found.append(_WIDER.get(encoding, encoding))
    return found


def _unmarked(body: bytes) -> list[str]:
    """Encodings that show without a mark: every other byte is 0, or Japanese is escaped into."""
    start = body[:8]
    if len(start) == 8 and all(start[::2]) and not any(start[1::2]):
        return ["utf-16-le"]
    if len(start) == 8 and all(start[1::2]) and not any(start[::2]):
        return ["utf-16-be"]
    return [_ISO_2022_JP] if _INTO_JAPANESE in body else []
