"""Heuristic cleaning: the rules by which a page's text makes no document, each with a name.

The paper names "heuristic based cleaning" and no heuristic. These are conservative: what they say
of real documents stands in docs/method.md. `extract.rules_off` turns single ones off.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.shared.errors import UserError


class Page(NamedTuple):
    """What was read from a page."""

    title: str
    text: str


class _Text:
    """A page with the counts that several rules ask for."""

    def __init__(self, page: Page, min_words: int) -> None:
        self.title, self.text = page
        self.min_words = min_words
        self.words = page.text.split()
        self.is_short = len(self.words) < _NOTICE_WORDS
        """Of the length of a notice: what a long text mentions in passing does not condemn it."""
        self.letters = _count_letters(page.text)
        self.solid = sum(map(len, self.words))
        """Characters that are no spaces."""


def _count_letters(text: str) -> int:
    ascii_only = text.encode("ascii", "ignore")
    letters = len(ascii_only.translate(None, _NO_LETTERS))
    if len(ascii_only) < len(text):
        letters += sum(c.isalpha() and not c.isascii() for c in text)
    return letters


_NO_LETTERS = bytes(n for n in range(128) if not chr(n).isalpha())
_NOTICE_WORDS = 150
_MOST_OF_LINE = 1000  # characters of a first line or title that may tell of an error
_MOST_BROKEN = 0.01  # replacement characters: more, and the encoding was guessed wrong
_LEAST_LETTERS = 0.5  # of the characters that are no spaces
_LONG_WORD, _MOST_IN_LONG_WORDS = 40, 0.5  # characters; of all that are no spaces
_LINES, _MOST_REPEATED_LINES = 10, 0.5
_MOST_OF_ONE_WORD = 0.3  # in English "the" is 0.07 of them
_MOST_FILLER = 0.2  # of the words
_FILLER = re.compile(
    r"\W*+(lorem|ipsum|dolore?|sit|amet|consectetur|adipisi?cing|elit|sed|eiusmod|tempor|incididunt"
    r"|ut|labore|et|magna|aliqua|enim|minim|veniam|quis|nostrud|exercitation|ullamco|laboris|nisi"
    r"|aliquip|ex|ea|commodo|consequat|duis|aute|irure|reprehenderit|voluptate|velit|esse|cillum"
    r"|eu|fugiat|nulla|pariatur|excepteur|sint|occaecat|cupidatat|proident|sunt|culpa|qui|officia"
    r"|deserunt|mollit|anim|id|est|laborum)\W*",
    re.IGNORECASE,
)
_ERROR = re.compile(
    r"\W*+(?:(?:http )?(?:error )?(?:404|403|410|500|502|503)\b.{0,40}"
    r"|(?:sorry,? |oops\W*)?(?:the |this |that )?(?:page|file|url|article|content|site|account)"
    r"(?: you (?:requested|are looking for|were looking for))?"
    r" (?:was |is |could |can |has |does )?(?:not|no longer|been)"
    r" (?:be |been )?(?:found|exist|available|removed|deleted|suspended)\b.{0,40}"
    r"|(?:page )?not found\b.{0,40}|access (?:denied|forbidden)\b.{0,40}|forbidden|bad gateway"
    r"|service (?:temporarily )?unavailable|internal server error)",
    re.IGNORECASE,
)
_SCRIPT = re.compile(
    r"(?:enable|turn on|activate|requires?|without|allow) java ?script"
    r"|java ?script (?:is |must be |seems to be |needs to be )?"
    r"(?:currently )?(?:disabled|enabled|turned off|required|not (?:enabled|supported))",
    re.IGNORECASE,
)
_ROBOT = re.compile(
    r"(?:verify|confirm|prove)(?: that)? you(?: a|')re (?:a )?(?:human|not a (?:ro)?bot)"
    r"|are you a (?:human|(?:ro)?bot)\b|checking your browser|unusual traffic from your"
    r"|complete the (?:captcha|security check)|automated access to",
    re.IGNORECASE,
)
_CONSENT = re.compile(r"\bcookies?\b|\bconsent\b|privacy policy|personali[sz]ed ads", re.IGNORECASE)
_CONSENTS, _WORDS_PER_CONSENT = 3, 30
_SENTENCE_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"'\u201d\u2019)\]]*(?:\s|$)")
_LIST_WORDS, _LIST_WORDS_PER_LINE = 50, 8


def _is_error(text: _Text) -> bool:
    first_line, title = (
        line if len(line) <= _MOST_OF_LINE else ""
        for line in (text.text.partition("\n")[0], text.title)
    )
    return text.is_short and any(map(_ERROR.fullmatch, (first_line, _without_site(title))))


def _without_site(title: str) -> str:
    """A title without the site's name before or after it."""
    parts = re.split(r"\s+[-\u2013\u2014|\u00b7:\u00bb]\s+", title)
    return next(filter(_ERROR.fullmatch, parts), title)


def _is_consent(text: _Text) -> bool:
    marks = len(_CONSENT.findall(text.text)) if text.is_short else 0
    return marks >= _CONSENTS and marks * _WORDS_PER_CONSENT > len(text.words)


def _has_long_words(text: _Text) -> bool:
    long = sum(
        len(word)
        for word in text.words
        if len(word) > _LONG_WORD and word.isascii() and "://" not in word
    )
    return long > _MOST_IN_LONG_WORDS * text.solid


def _repeats_lines(text: _Text) -> bool:
    lines = [line for line in text.text.split("\n") if line]
    return len(lines) >= _LINES and len(set(lines)) < (1 - _MOST_REPEATED_LINES) * len(lines)


def _repeats_a_word(text: _Text) -> bool:
    counts = Counter(text.words).items()  # between the cells of a table stands a line, no word
    most = max((n for word, n in counts if any(map(str.isalnum, word))), default=0)
    return most > _MOST_OF_ONE_WORD * len(text.words)


def _is_filler(text: _Text) -> bool:
    if "ipsum" not in text.text and "Ipsum" not in text.text:
        return False
    filler = sum(bool(_FILLER.fullmatch(word)) for word in text.words)
    return filler > _MOST_FILLER * len(text.words)


def _is_list(text: _Text) -> bool:
    lines = len([line for line in text.text.split("\n") if line])
    short = _LIST_WORDS <= len(text.words) < _LIST_WORDS_PER_LINE * lines
    return short and not _SENTENCE_END.search(text.text)


_Rule = Callable[[_Text], bool]
_RULES: dict[str, _Rule] = {
    "empty": lambda text: not text.words,
    "bad_encoding": lambda text: text.text.count("\ufffd") > _MOST_BROKEN * len(text.text),
    "error_page": _is_error,
    "needs_script": lambda text: text.is_short and bool(_SCRIPT.search(text.text)),
    "robot_check": lambda text: text.is_short and bool(_ROBOT.search(text.text)),
    "consent_notice": _is_consent,
    "too_short": lambda text: len(text.words) < text.min_words,
    "not_prose": lambda text: text.letters < _LEAST_LETTERS * text.solid,
    "long_words": _has_long_words,
    "repeated_lines": _repeats_lines,
    "repeated_word": _repeats_a_word,
    "placeholder": _is_filler,
    "only_list": _is_list,
}
RULES = tuple(_RULES)
"""Names in the order in which they are asked; the first that applies is the reason."""


def check_rules_off(names: Sequence[str]) -> None:
    """Refuse a name in `extract.rules_off` that is no rule's.

    Raises:
        UserError: such a name.
    """
    for name in names:
        if name not in _RULES or name == "empty":
            raise UserError(
                f"params.yaml: extract.rules_off = [{name}]: no such rule, or none that can be "
                f"off; choose from {', '.join(RULES[1:])}"
            )


def reject(page: Page, *, min_words: int, rules_off: Sequence[str] = ()) -> str:
    """The name of the rule by which a page gives no document, or ''."""
    text = _Text(page, min_words)
    return next((n for n, rule in _RULES.items() if n not in rules_off and rule(text)), "")
