"""Bytes of a page to characters: what is declared, unless the bytes themselves say otherwise.

The HTML standard's order: byte order mark, header, `<meta charset>`, then a detector, with the
labels of the Encoding standard. Servers err, and the bytes can tell: text with accents that is
UTF-8 but for a few bytes is UTF-8, and an encoding that the bytes break in many places is another.
The detector is Firefox's, chardetng: of 364 real pages in 22 encodings it reads 344, and
charset-normalizer 340, resiliparse 310, chardet 286 (docs/method.md).
"""

from __future__ import annotations

import codecs
import re

import webencodings
from chardetng_py import detect

from pipeline.shared.web.media_types import charset_of
from pipeline.shared.web.sniffing import unmarked_utf_16

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META_BYTES = 4096  # the HTML standard looks into 1024, browsers further
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_META = re.compile(
    rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)|^\s*<\?xml[^>]+encoding\s*=\s*[\"']([\w.:-]+)",
    re.IGNORECASE,
)
_LATIN = "cp1252"
# The standard's decoders read more than those that Python has under the same names.
_WIDER = {"gbk": "gb18030", "euc_jp": "euc_jis_2004", "x-user-defined": _LATIN}
_ISO_2022_JP = "iso2022_jp"  # made of ASCII alone, and so valid UTF-8
_INTO_JAPANESE = b"\x1b$B"
_OF_TWO_BYTES = frozenset({"big5hkscs", "gb18030", "cp949", "cp932", "euc_jis_2004"})
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_MOST_BROKEN = 0.1  # of the characters beyond ASCII: more, and the encoding is another
_MOST_BROKEN_UTF_8 = 0.5  # pages in other encodings break it by 0.7 or more
_FEW_BYTES = 4  # beyond ASCII, which tell nothing: then it is what the standard falls back to
_SURE_BYTES = 50  # beyond ASCII, from which the bytes may contradict a server's default


def decode(body: bytes, content_type: str) -> str:
    """Characters of a body, without NUL, which browsers drop.

    Args:
        body: decoded of its Content-Encoding.
        content_type: the header; '' if there is none.
    """
    return _decode(body, content_type).replace("\0", "")


def _decode(body: bytes, content_type: str) -> str:
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    encoding = _unmarked(body)
    if encoding:
        return body.decode(encoding, "replace")
    text = body.decode("utf-8", "replace")
    broken = _broken(text, read=body.count("\ufffd".encode()))
    if broken <= _MOST_BROKEN_UTF_8:
        return text
    return _read_by(body, _declared(body, content_type), text, broken)


def _read_by(body: bytes, declared: list[str], best: str, least: float) -> str:
    """The text by what is declared or detected; `best` is that by UTF-8, so much of it broken."""
    for encoding in declared:
        text = body.decode(encoding, "replace")
        broken = _broken(text)
        if encoding == _LATIN and _is_surely_other(body):
            broken = max(broken, 2 * _MOST_BROKEN)
        if broken == 0:
            return text
        if broken < least:
            best, least = text, broken
    if least > _MOST_BROKEN:
        text = body.decode(_detected(body), "replace")
        if _broken(text) < least:
            best = text
    return best


def _num_beyond_ascii(body: bytes) -> int:
    return len(body) - len(body.translate(None, bytes(range(0x80, 0x100))))


def _is_surely_other(body: bytes) -> bool:
    """Whether what a server calls Latin 1, as many call everything, is not even of Europe's West.

    Every byte is a character of Latin 1, so none can contradict it.
    """
    return _num_beyond_ascii(body) >= _SURE_BYTES and _detected(body) not in _WESTERN


_WESTERN = frozenset({_LATIN, "cp1254", "cp1257", "cp1258", "iso8859-4", "mac-roman"})


def _detected(body: bytes) -> str:
    if _num_beyond_ascii(body) <= _FEW_BYTES:
        return _LATIN
    name = detect(body)  # by Python's names, most of which are labels
    encoding = _python_name(name) or _WIDER.get(name, name)
    return _LATIN if encoding in _OF_TWO_BYTES and _is_scattered(body, encoding) else encoding


def _is_scattered(body: bytes, encoding: str) -> bool:
    """Whether characters of East Asia would stand alone among Latin ones, as no writing has them.

    The detector makes one out of a lone accent and the letter behind it.
    """
    runs = _BEYOND_ASCII.findall(body.decode(encoding, "replace"))
    return sum(len(run) for run in runs if len(run) > 1) < sum(map(len, runs)) / 2


def _python_name(label: str) -> str:
    """What Python calls the encoding of a label of the Encoding standard; '' if it knows none."""
    found = webencodings.lookup(label)
    if found is None or found.name == "replacement":
        return ""
    name: str = found.codec_info.name
    return _WIDER.get(name, name)


def _broken(text: str, *, read: int = 0) -> float:
    """Share of the characters beyond ASCII that could not be read.

    Args:
        text: decoded.
        read: how many of its replacement characters stood there already.
    """
    bad = text.count("\ufffd") - read
    return bad / max(1, len(text) - len(text.encode("ascii", "ignore"))) if bad > 0 else 0.0


def _declared(body: bytes, content_type: str) -> list[str]:
    """Encodings that Python can read, in the order in which they are believed."""
    names = [charset_of(content_type)]
    for groups in _META.findall(_COMMENT.sub(b"", body[:_META_BYTES]))[:1]:
        name = b"".join(groups).decode("latin-1")
        names.append("utf-8" if name.lower().startswith("utf-16") else name)  # as the standard says
    found = map(_python_name, names)
    return [name for name in found if name not in {"", "utf-8"}]


def _unmarked(body: bytes) -> str:
    """An encoding that shows without a mark: every other byte is 0, or Japanese is escaped into."""
    is_japanese = _INTO_JAPANESE in body and body.isascii()
    return _ISO_2022_JP if is_japanese else unmarked_utf_16(body)
