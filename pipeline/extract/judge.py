"""What becomes of a response's body: the page in it, or the rule by which it gives no document."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.extract.main_text import extract
from pipeline.extract.rules import Page, check_rules_off, reject
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.web.bodies import BrokenBodyError, TooLargeError, decode_body
from pipeline.shared.web.media_types import page_type

NO_PAGE = Page("", "")
FAILED = "parser_failed"


class Caps(NamedTuple):
    """Parameters of extraction."""

    max_body_bytes: int
    min_words: int
    consensus: bool = True
    """Whether more than one extractor is asked."""
    rules_off: tuple[str, ...] = ()
    max_page_s: float = 10.0
    """CPU time. A page takes 20 ms; one of 2 MB and 20,000 tags a second."""


def caps_of(params: ProfileParams) -> Caps:
    """Those that a study asks for.

    Raises:
        UserError: `extract.rules_off` names a rule that does not exist.
    """
    asked = params.extract
    check_rules_off(asked.rules_off)
    return Caps(
        params.crawl.max_body_bytes,
        asked.min_document_words,
        asked.extractor == "consensus",
        tuple(asked.rules_off),
    )


def judge_body(
    caps: Caps, body: bytes, content_type: str, content_encoding: str
) -> tuple[Page, str]:
    """The page in a body as it came, and the rule by which it gives no document, or ''."""
    try:
        body = decode_body(body, content_encoding, caps.max_body_bytes)
    except TooLargeError:
        return NO_PAGE, "too_large"
    except BrokenBodyError:
        return NO_PAGE, "broken"
    kind = page_type(content_type, body)
    if kind is None:
        return NO_PAGE, "not_text"
    try:
        page = extract(body, str(kind), consensus=caps.consensus)
    except ImportError:  # the environment's fault and no page's
        raise
    except Exception:  # whatever a parser may raise, it costs one page, counted
        return NO_PAGE, FAILED
    return page, reject(page, min_words=caps.min_words, rules_off=caps.rules_off)
