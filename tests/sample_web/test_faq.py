"""Pages that end in questions with answers, which follow from what the pages say."""

from __future__ import annotations

import re

from pipeline.sample_web.articles import Article
from pipeline.sample_web.faq import with_questions
from pipeline.sample_web.prose import Block
from pipeline.sample_web.reading import Section

SEED = 1


def article(name: str, num_parameters: int) -> Article:
    """Documentation of parameters, some of them optional."""
    terms = [f"p{n} : int" + ", optional" * (n % 2) for n in range(num_parameters)]
    blocks = [Block("definition", "What it is for.", term) for term in terms]
    return Article(
        name, "package", name, [Section("", "f", blocks or [Block("paragraph", "It is.")])]
    )


def test_answers_follow_from_the_page_and_only_some_pages_have_them() -> None:
    plain = [article(f"module{n}", 4) for n in range(40)]
    asked = [with_questions(page, SEED) for page in plain]
    changed = [new for old, new in zip(plain, asked, strict=True) if new != old]
    assert 20 < len(changed) < 40
    for page in changed:
        assert page.sections[:-1] == plain[0].sections
        text = page.sections[-1].blocks[-1].text
        pairs = re.findall(r"^(.+\?)\nA: (.+)$", text, re.MULTILINE)
        assert len(pairs) == text.count("\nA: ") == 8
        assert ("What type is the parameter p2 of f?", "int") in pairs
        assert ("Is p1 of f optional?", "yes") in pairs
        assert ("Is p2 of f optional?", "no") in pairs


def test_a_page_that_answers_nothing_stays_as_it_is() -> None:
    for n in range(10):
        page = article(f"module{n}", 0)
        assert with_questions(page, SEED) == page
