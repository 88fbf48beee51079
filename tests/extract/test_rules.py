"""Each cleaning rule on both sides of its threshold, and what they do to real documents."""

from __future__ import annotations

import io
import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import zstandard

from pipeline.extract.rules import RULES, Page, check_rules_off, reject
from pipeline.shared.errors import UserError

STORY = "The clock struck thirteen and nobody in the old house was surprised at all by it. "
WORDS = 16  # in it
LOREM = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor. "
COOKIES = "We use cookies. By your consent you accept cookies and our privacy policy. "
BASE64 = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg "
TITLES = "\n".join(
    f"Part {n} the {word} one" for n, word in enumerate(STORY.replace(".", "").split() * 2)
)


@pytest.mark.parametrize(
    ("rule", "rejected", "kept"),
    [
        ("empty", "\n\n", STORY * 10),
        ("bad_encoding", "wo\ufffdrd " * 60, STORY * 10 + "\ufffd"),
        ("error_page", "404 Not Found\n" + STORY * 5, "404 Not Found\n" + STORY * 10),
        ("error_page", "Sorry, the page you requested could not be found.\n" + STORY * 5,
         "The page you requested was found in the loft of a house in Kent.\n" + STORY * 5),
        ("error_page", "Access denied\n" + STORY * 5,
         "Access denied: how a nation lost its libraries, and who is to blame\n" + STORY * 5),
        ("needs_script", STORY * 4 + "Please enable JavaScript.",
         STORY * 10 + "Please enable JavaScript."),
        ("needs_script", STORY * 4 + "JavaScript is disabled.", STORY * 4 + "I write JavaScript."),
        ("robot_check", STORY * 4 + "Please verify you are human.",
         STORY * 10 + "Please verify you are human."),
        ("consent_notice", COOKIES * 5, COOKIES + STORY * 8),
        ("too_short", "word and " * 24 + "end", STORY * 4),
        ("not_prose", "w0rd 12345 67890 " * 30, "words 12345 " * 30 + STORY * 3),
        ("long_words", STORY * 4 + BASE64 * 5, STORY * 4 + BASE64 * 3),
        ("long_words", STORY * 4 + BASE64 * 5, STORY * 4 + ("https://a.test/" + BASE64) * 5),
        ("repeated_lines", STORY + "\n" + "Say it again.\n" * 12 + STORY * 4,
         "\n".join(f"Line {n} is not the same." for n in range(30))),
        ("repeated_lines", "One line here.\nAnd another line.\n" * 10, STORY * 4 + "\nA.\nA.\nA."),
        ("repeated_word", "word " * 32 + STORY * 4, "word " * 24 + STORY * 4),
        ("repeated_word", "word " * 32 + STORY * 4, "| " * 60 + STORY * 4),
        ("placeholder", LOREM * 5 + STORY * 4, LOREM + STORY * 9),
        ("only_list", TITLES, TITLES + "\nThat was all of them."),
        ("only_list", TITLES, STORY.replace(".", "") * 8),
    ],
)  # fmt: skip
def test_each_rule_rejects_at_its_threshold(rule: str, rejected: str, kept: str) -> None:
    assert reject(Page("", rejected), min_words=50) == rule
    assert reject(Page("", kept), min_words=50) == ""


def test_the_threshold_of_length_is_the_callers() -> None:
    assert reject(Page("", STORY * 3), min_words=3 * WORDS) == ""
    assert reject(Page("", STORY * 3), min_words=3 * WORDS + 1) == "too_short"


@pytest.mark.parametrize("title", ["404", "Page not found - The Daily Clock", "Error 404 | Clock"])
def test_an_error_page_is_known_by_its_title(title: str) -> None:
    assert reject(Page(title, STORY * 5), min_words=50) == "error_page"
    assert reject(Page(f"How I made a page about {title}", STORY * 5), min_words=50) == ""


def test_a_rule_can_be_turned_off() -> None:
    page = Page("", LOREM * 10)
    assert reject(page, min_words=50) == "placeholder"
    assert reject(page, min_words=50, rules_off=["placeholder"]) == ""
    check_rules_off(RULES[1:])
    with pytest.raises(
        UserError, match=r"extract.rules_off = \[lorem\]: no such rule.*placeholder"
    ):
        check_rules_off(["lorem"])


@pytest.mark.shared_data
def test_real_documents_are_hardly_ever_rejected(shared_data: Path) -> None:
    reasons: Counter[str] = Counter()
    path = sorted((shared_data / "webtext_mini").glob("*.zst"))[0]
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        for line in islice(io.TextIOWrapper(reader, "utf-8"), 3000):
            reasons[reject(Page("", json.loads(line)["text"]), min_words=0)] += 1
    assert reasons[""] > 2990, reasons
