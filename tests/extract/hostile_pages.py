"""Markup that costs parsers much: kinds that did, and others made of the same parts by chance.

    PYTHONPATH=. python tests/extract/hostile_pages.py HOURS

judges such pages for so long, and prints each that was given up or took more than a second.
"""

from __future__ import annotations

import itertools
import random
import sys
import time

BOMBS = {
    "open tags that never end": "<a" * 100_000,
    "scripts in comments in scripts": "<script><!--<script" * 20_000,
    "options": "<select><option>" * 50_000,
    "options without end": "<select>" + "<option>x" * 100_000,
    "attributes": "<p" + "".join(f" a{n}=b" for n in range(200_000)),
    "quotes that are attributes": '<p " ' + "".join(f" a{n}='>'" for n in range(200_000)),
    "formatting elements to open again": "".join(f"<p><font size={n}>x" for n in range(20_000)),
    "depth": "<div>" * 50_000 + "five words in the deep",
    "tables in tables": "<table><tr><td>" * 20_000,
    "text beside tables": "<table>x" * 20_000,
    "anchors": "<a><p>x" * 20_000,
    "misnested": "<b><div></b>x" * 10_000,
    "declarations": "<!" * 200_000,
    "references": "&#x" * 200_000,
    "less-than signs": "<" * 500_000,
    "classes": '<div class="' + "a " * 500_000 + '">x',
    "spaces": "<p>" + " " * 2_000_000 + "x",
    "dots": "<p>" + "." * 500_000,
    "one word": "a" * 2_000_000,
    "JSON in JSON": '<script type="application/ld+json">' + "[" * 100_000 + "</script><p>word",
}
_TAGS = (
    *("a", "b", "font", "p", "div", "table", "tr", "td", "select", "option", "script", "style"),
    *("svg", "math", "template", "form", "button", "ul", "li", "h1", "title", "textarea", "nobr"),
    *("noscript", "frameset", "ruby", "rt", "html", "body", "head", "iframe"),
)
_PARTS = (
    *(
        "<{0}>",
        "</{0}>",
        "<{0}",
        "<{0} a{1}=b>",
        "<{0} class='{0} {1}'>",
        "<{0}/>",
        "<!doctype {0}>",
    ),
    *("x", "word. ", "<!--", "-->", "<![CDATA[", "]]>", "&amp;", "&#{1};", "<?{0}"),
    *("<", ">", "\0", "\n", "'", '"', "\u00e4"),
)
_MOST_PARTS, _MOST_CHARACTERS = 6, 300_000


def make_hostile(seed: int) -> bytes:
    """A few parts of markup, chosen by `seed`, repeated up to 300,000 characters."""
    chance = random.Random(seed)
    parts = [
        chance.choice(_PARTS).format(chance.choice(_TAGS), chance.randrange(10**6))
        for _ in range(chance.randint(1, _MOST_PARTS))
    ]
    unit = "".join(parts)
    size = int(10 ** chance.uniform(2, 5.5))
    return (unit * (min(size, _MOST_CHARACTERS) // len(unit) + 1)).encode()


def _fuzz(hours: float) -> None:
    from pipeline.extract.judge import Caps
    from pipeline.extract.lone_parser import CRASHED, HUNG, LoneParser

    end = time.monotonic() + hours * 3600
    with LoneParser(Caps(10**7, 5)) as parser:
        for seed in itertools.count():
            began = time.monotonic()
            page, reason = parser.judge(body := make_hostile(seed), "text/html", "")
            seconds = time.monotonic() - began
            if reason in {CRASHED, HUNG, "parser_failed"} or seconds > 1:
                print(seed, len(body), f"{seconds:.1f} s", reason, body[:80], flush=True)
            if not (reason or page.text):
                raise SystemExit(f"page {seed} has neither text nor a reason")
            if time.monotonic() > end:
                print(f"{seed + 1} pages judged")
                return


if __name__ == "__main__":
    _fuzz(float(sys.argv[1]))
