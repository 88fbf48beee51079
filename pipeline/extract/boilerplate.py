"""What stands around the main text of a page, by the names and phrases that web software gives it.

resiliparse keeps nearly all of the main text (recall 0.99) and with it what looks like text: reader
comments, cookie notices, captions, bylines, lists of other stories. Leaving these out takes its F1
on the article-extraction-benchmark from 0.90 to 0.96 (benchmarks/corpus_extract.py), and helps on
the pages of trafilatura's and readability's own tests, on which none of the names was chosen. The
rule for the end of a text was chosen with all of these in sight.
"""

from __future__ import annotations

import re

_COMMENTS = [
    *("#comments", ".comments", ".comments-area", ".comment-list", ".commentlist", "li.comment"),
    *("#respond", ".comment-respond", "#disqus_thread"),
    *('div[class^="comment"]', 'section[class^="comment"]', 'div[id^="comment"]'),
    *('section[id^="comment"]', 'ol[class*="comment"]', 'ul[class*="comment"]'),
]
_NOTICES = [
    *('[class*="cookie"]', '[id*="cookie"]', '[class*="consent"]', '[id*="consent"]'),
    *('[class*="gdpr"]', '[class*="newsletter"]', "footer"),
]
_ABOUT_THE_PAGE = ["header", "h1", "time", ".byline", '[class*="author-bio"]']
_BESIDE = ["figcaption", '[class*="caption"]', '[class*="related"]', '[class*="read-more"]']

ELEMENTS = [*_COMMENTS, *_NOTICES, *_ABOUT_THE_PAGE, *_BESIDE]
"""CSS selectors of elements that hold no main text. The title is kept apart from the text."""

_LONGEST = 300  # characters of a line that can be boilerplate
_LINE = re.compile(
    r"""\W{0,10}(  # a bound, or a line of dots costs the square of its length
    # cookies and advertisements
      (this|our)\ (web)?site\ uses\ cookies.* | we\ use\ cookies.* | .*\buse\ of\ cookies\b.{0,80}
    | accept(\ (all\ )?cookies)? | advertisements? | sponsored(\ content)? | promoted
    # sharing
    | (please\ )?share(\ (this|on|via)\b.{0,60})? | sharing\ is\ caring.? | like\ this\ story\?.*
    | tweet | print | email | facebook | twitter | whatsapp | pinterest | linkedin | reddit
    # comments
    | (leave|post|add|write)\ a\ (comment|reply).* | (\d+\ )?(new,\ )?(\d+\ )?comments?
    | no\ comments(\ yet)? | reply | comments\ are\ closed.* | loading\ comments.*
    | .*comments\ powered\ by\ disqus.* | this\ site\ uses\ akismet.*
    | your\ email\ address\ will\ not\ be\ published.* | required\ fields\ are\ marked.*
    | save\ my\ name,\ email.* | want\ to\ join\ the\ discussion\?.* | feel\ free\ to\ contribute.*
    # other stories
    | read\ (more|next|also)(\ ?[:>»…].{0,120})? | see\ (more|also):? | continue\ reading.*
    | more\ (from|in|on)\b.{0,60} | (most\ (read|popular|viewed)).{0,30} | trending(\ now)?
    | related(\ (articles?|posts?|stories|topics|content|news|coverage|links?|videos?))?:?
    | you\ (may|might)\ also\ (like|enjoy|be\ interested).* | don'?t\ miss.?
    | recommended(\ for\ you)?.? | also\ on\ .{0,100} | (sign\ up|subscribe)\b.{0,60}
    # about this one
    | filed\ under:?.* | tags?(:.{0,120})?
    | (posted|published|updated|written)\ (by|on|in|at)\b.{0,80}
    | by | (?-i:(By|by|BY)(\ [A-Z][\w.'-]*){1,5})
    | (©|copyright|\(c\)).{0,160} | all\ rights\ reserved.?
    | getty\ images.* | photo(graph)?\ ?(by|credit|:).{0,100}
    | image\ (credit|copyright|caption|source).{0,100}
    # ways around the site
    | skip\ to\ (main\ )?content | back\ to\ top | menu | search | home | close | x
    | next | previous | loading(\.\.\.|…)?
    )\W{0,10}""",
    re.IGNORECASE | re.VERBOSE,
)


_PROSE = re.compile(r"[.!?…:;\"'”\u2019)\]]\W*$")
_TAIL_WORDS = 10
_TAIL_FRACTION = 0.1


def trim_tail(lines: list[str]) -> list[str]:
    """Lines without the short ones after the last sentence: names of other stories, buttons, menus.

    Where they are more than a tenth of the words, nothing goes: the text ends in a list or a poem.

    >>> trim_tail(["A story of twenty words or so, " * 4 + "told.", "", "Other stories", "Top"])[1:]
    []
    """
    words = [len(line.split()) for line in lines]
    may_go = _TAIL_FRACTION * sum(words)
    end = len(lines)
    while end and words[end - 1] < _TAIL_WORDS and not _PROSE.search(lines[end - 1][-10:]):
        may_go -= words[end - 1]
        if may_go < 0:
            return lines
        end -= 1
    return lines[:end]


def is_boilerplate(line: str) -> bool:
    """Whether a line of text is no part of what the page says.

    >>> is_boilerplate("Share this on Facebook"), is_boilerplate("Share prices fell on Monday.")
    (True, False)
    """
    return 0 < len(line) <= _LONGEST and _LINE.fullmatch(line) is not None
