"""Of a robots.txt the part that speaks to this crawler, and by which name it is spoken to.

A file of 80 kB can name 4,000 crawlers and then 4,000 rules for each of them, which a parser of all
of it makes 16 million rules of. Read here is what RFC 9309 lets count for one crawler, in one pass.
"""

from __future__ import annotations

import codecs
import re

MOST_BYTES = 500 * 1024  # RFC 9309, section 2.5: the least that a crawler must read
_LINE_END = re.compile(r"\r\n|\r|\n")
_OTHER_ENDS = re.compile(r"[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")  # lines to Python alone
_AGENT = frozenset({"user-agent", "useragent", "user agent"})
_RULES = frozenset({"allow", "disallow", "crawl-delay", "crawl delay"})
# Google's crawler takes these misspellings for what is meant, and so does protego.
_MISSPELT = dict.fromkeys(("dissallow", "dissalow", "disalow", "diasllow", "disallaw"), "disallow")
_NAME = r"[A-Za-z][\w.-]*"
_COMPATIBLE = re.compile(rf"compatible;\s*({_NAME})")
_PRODUCT = re.compile(rf"(?<![\w.-])({_NAME})(/[\w.+-]+)?")
_CONTACT = re.compile(r"\+?(?:https?://|mailto:)\S+|\S+@\S+")
# What user agents name beside the product, for reasons of the browsers' history.
_BROWSERS = frozenset({
    *("mozilla", "applewebkit", "chrome", "safari", "gecko", "khtml", "version", "mobile"),
    *("firefox", "opera", "edg", "edge", "opr", "like", "compatible", "chromium"),
})


def product_token(user_agent: str) -> str:
    """The name by which a robots.txt speaks to a crawler (RFC 9309, section 2.2.1); '' if none.

    >>> product_token("figure4-crawl/1.0 (+mailto:me@example.org)")
    'figure4-crawl'
    >>> product_token("Mozilla/5.0 (compatible; MyBot/2.1; +https://example.org/bot)")
    'MyBot'
    >>> product_token("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; me@a.org) MyBot/2.1")
    'MyBot'
    """
    agent = _CONTACT.sub(" ", user_agent).strip()
    if found := _COMPATIBLE.search(agent):
        return found[1]
    if not agent.lower().startswith("mozilla/"):
        first = _PRODUCT.match(agent)
        return first[1] if first else ""
    outside = _PRODUCT.findall(re.sub(r"\([^)]*\)", " ", agent))
    names = [name for name, version in _PRODUCT.findall(agent) if version]
    names += [name for name, _ in outside]
    return next((name for name in names if name.lower() not in _BROWSERS), "")


def rules_for(body: bytes, token: str) -> str:
    r"""The rules of a robots.txt that count for a crawler, as a file with one group, for all.

    >>> rules_for(b"User-agent: *\rDisallow: /\rUser-Agent: MyBot/1.0\rDisallow: /a # b", "mybot")
    'User-agent: *\ndisallow: /a\n'
    """
    ours: dict[str, None] = {}  # rules in order, each once
    others: dict[str, None] = {}
    is_named = to_us = to_all = in_agents = False
    for line in _LINE_END.split(_text(body)):
        field, value = _read_line(line)
        if field == "user-agent":
            if not in_agents:
                to_us = to_all = False
            in_agents = True
            to_us = to_us or _names(value, token)
            to_all = to_all or value == "*"
            is_named = is_named or to_us
        elif field:
            in_agents = False
            if to_us:
                ours[f"{field}: {value}"] = None
            if to_all:
                others[f"{field}: {value}"] = None
    return "\n".join(["User-agent: *", *(ours if is_named else others), ""])


def _text(body: bytes) -> str:
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = body.decode("utf-16", "replace")
    else:
        text = body.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    return _OTHER_ENDS.sub(" ", text.replace("\0", ""))


def _read_line(line: str) -> tuple[str, str]:
    """Field and value; '' for what is no line of a group. A blank may stand for the colon."""
    line = line.partition("#")[0].strip()
    field, colon, value = line.partition(":")
    name = field.strip().lower()
    if not colon or " " in name:
        field, _, value = line.partition(" ")
        name = field.rstrip(":").lower()
    name = _MISSPELT.get(name, name)
    if name in _AGENT:
        return "user-agent", value.strip(" \t:")
    return (name, value.strip()) if name in _RULES else ("", "")


def _names(value: str, token: str) -> bool:
    """Whether a user-agent line names the crawler: its token, whatever stands behind it."""
    found = re.match(r"[\w.-]+", value.replace("*", ""))
    return found is not None and found[0].lower() == token.lower() != ""
