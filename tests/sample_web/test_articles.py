"""Articles: cut to size, nothing said twice, bounds kept, all that is dropped counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pipeline.sample_web.articles import Article, RepeatFilter, make_articles
from pipeline.sample_web.prose import TextBlock
from pipeline.sample_web.reading import DocReading, DocSection
from pipeline.sample_web.sources import PackageSource


def paragraph(topic: str, words: int) -> TextBlock:
    """Words that no other topic has, so that nothing counts as a repetition."""
    return TextBlock("paragraph", " ".join(f"{topic}{number}" for number in range(words)))


def read(*sections: DocSection, module: str = "pkg.mod") -> DocReading:
    return DocReading(modules=[(PackageSource("pkg", module, Path("x.py")), list(sections))])


def articles_of(
    *readings: DocReading, max_text_bytes: int = 10**9, max_articles: int = 10**9
) -> tuple[list[Article], Counter[str]]:
    left_out: Counter[str] = Counter()
    articles = make_articles(
        readings, max_text_bytes=max_text_bytes, max_articles=max_articles, left_out=left_out
    )
    return articles, left_out


def test_a_class_with_enough_to_say_has_its_own_article() -> None:
    articles, _ = articles_of(
        read(
            DocSection("", "", [paragraph("module", 200)]),
            DocSection("Big", "Big", [paragraph("big", 200)]),
            DocSection("Small", "Small", [paragraph("small", 20)]),
        )
    )
    assert [article.name for article in articles] == ["pkg.mod.Big", "pkg.mod"]
    assert "small0" in articles[1].text


def test_small_modules_of_a_folder_are_told_together() -> None:
    modules = [
        (
            PackageSource("pkg", f"pkg.{name}", Path("x.py")),
            [DocSection("", name, [paragraph(name, 80)])],
        )
        for name in ("one", "two")
    ]
    articles, _ = articles_of(DocReading(modules=modules))
    assert [article.title for article in articles] == ["Notes on pkg"]


def test_a_long_text_is_cut_into_parts_with_names_of_their_own() -> None:
    articles, _ = articles_of(
        read(*(DocSection("", f"f{n}", [paragraph(f"f{n}x", 300)]) for n in range(6)))
    )
    assert [article.name for article in articles] == ["pkg.mod", "pkg.mod (2)"]
    assert all(len(article.text.split()) < 1000 for article in articles)
    assert len({article.key for article in articles}) == 1


def test_what_is_too_small_or_mostly_code_is_counted() -> None:
    code = TextBlock("code", "x = 1\n" * 700)
    small = read(DocSection("", "", [paragraph("few", 10)]), module="a.b")
    mostly = read(DocSection("", "", [paragraph("many", 200), code]), module="c.d")
    articles, left_out = articles_of(small, mostly)
    assert articles == []
    assert left_out["article_too_small"] == 1
    assert left_out["article_mostly_code"] == 1


def test_repeated_blocks_are_left_out_and_counted() -> None:
    block = paragraph("same", 200)
    articles, left_out = articles_of(
        read(DocSection("", "", [block]), module="a.b"),
        read(DocSection("", "", [block]), module="c.d"),
    )
    assert len(articles) == 1
    assert left_out["block_repeated"] == 1


def test_a_block_with_half_of_it_new_stays() -> None:
    repeats = RepeatFilter()
    known, new = paragraph("known", 20), paragraph("new", 40)
    assert list(repeats.keep_new([[known]])) == [[known]]
    mixed = TextBlock("paragraph", f"{known.text} {new.text}")
    assert list(repeats.keep_new([[mixed]])) == [[mixed]]
    assert list(repeats.keep_new([[known]])) == [[]]


def test_a_heading_without_text_below_goes_too() -> None:
    repeats = RepeatFilter()
    known = paragraph("known", 20)
    list(repeats.keep_new([[known]]))
    section = [TextBlock("heading", "Parameters"), known, TextBlock("code", "f()")]
    assert list(repeats.keep_new([section])) == [[]]


def test_the_bounds_are_kept() -> None:
    readings = [
        read(DocSection("", "", [paragraph(f"m{n}x", 200)]), module=f"a.m{n}") for n in range(10)
    ]
    by_count, _ = articles_of(*readings, max_articles=3)
    assert len(by_count) == 3
    by_size, _ = articles_of(*readings, max_text_bytes=5000)
    assert 0 < sum(len(article.text.encode()) for article in by_size) <= 5000


def test_a_run_of_words_never_reaches_over_the_end_of_its_block() -> None:
    repeats = RepeatFilter()
    first, second = "seven words of a text stand here", "and then seven more of its words"
    parts = [TextBlock("paragraph", first), TextBlock("paragraph", second)]
    assert list(repeats.keep_new([parts])) == [parts]
    whole = TextBlock("paragraph", f"{first} {second}")  # each of its runs of eight words is new
    assert list(repeats.keep_new([[parts[0]], [whole], [parts[1]]])) == [[], [whole], []]
