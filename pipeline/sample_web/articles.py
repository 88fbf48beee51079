"""Articles: one class's or module's worth of prose, nothing said twice.

Docstrings repeat one another: a parameter's text stands in forty functions, overloads copy their
base. A block whose 8-word runs were mostly seen before is left out, so that pages differ, and
documentation held out for the evaluation files seldom comes back by another door.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.sample_web.prose import TextBlock
from pipeline.sample_web.reading import DocReading, DocSection
from pipeline.sample_web.sources import PackageSource
from pipeline.shared.running.progress import Progress
from pipeline.shared.text.ngrams import combine_lengths
from pipeline.shared.text.words import hash_texts

_LEAST_WORDS = 130
_MOST_WORDS = 900
_REPEAT_WORDS = 8
_MOST_CODE = 0.4  # of a page's characters


@dataclass(frozen=True)
class Article:
    """What one page says."""

    name: str
    """Unique, e.g. `torch.nn.modules.linear.Linear`; ` (2)` follows where it is a second part."""
    package: str
    title: str
    sections: list[DocSection]

    def blocks(self) -> Iterator[TextBlock]:
        """All blocks, the name of each section before it as a heading."""
        for section in self.sections:
            if section.name and section.name != self.title:
                yield TextBlock("heading", section.name)
            yield from section.blocks

    @property
    def text(self) -> str:
        """Its visible text, one block a paragraph."""
        return "\n\n".join(block.running_text for block in self.blocks())

    @property
    def key(self) -> str:
        """The same for all parts of one thing, so that they share their fate."""
        return self.name.partition(" (")[0]


class RepeatFilter:
    """Leaves out blocks that mostly repeat earlier ones."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self.num_repeated = 0

    def keep_new(self, sections: Sequence[list[TextBlock]]) -> Iterator[list[TextBlock]]:
        """Of each section's blocks those with something new to say, and their headings and code."""
        hashes = _hash_runs([b for blocks in sections for b in blocks if b.is_text])
        for blocks in sections:
            kept = [b for b in blocks if not b.is_text or self._is_new(next(hashes))]
            self.num_repeated += len(blocks) - len(kept)
            yield _without_orphans(kept)

    def _is_new(self, hashes: list[int]) -> bool:
        known = sum(value in self._seen for value in hashes)
        self._seen.update(hashes)
        return bool(hashes) and 2 * known < len(hashes)


def _hash_runs(blocks: Sequence[TextBlock]) -> Iterator[list[int]]:
    """Hashes of each block's runs of words; a block of fewer words is one run by itself.

    All blocks together: numpy's calls take longer than what they do for one.
    """
    words, ends = hash_texts([block.running_text for block in blocks])
    runs = list(combine_lengths(words, range(1, _REPEAT_WORDS + 1)))
    start = 0
    for end in ends.tolist():
        length = min(_REPEAT_WORDS, end - start)
        yield runs[length - 1][start : end - length + 1].tolist() if length else []
        start = end


def _without_orphans(blocks: list[TextBlock]) -> list[TextBlock]:
    """Without headings that head nothing and code that no text introduces."""
    kept: list[TextBlock] = []
    for block in blocks:
        if block.kind == "code" and (not kept or not kept[-1].is_text):
            continue
        if block.kind == "heading" and kept and kept[-1].kind == "heading":
            kept.pop()
        kept.append(block)
    if kept and kept[-1].kind == "heading":
        kept.pop()
    return kept


def make_articles(
    readings: Iterable[DocReading],
    *,
    max_text_bytes: int,
    max_articles: int,
    left_out: Counter[str],
    progress: Progress | None = None,
) -> list[Article]:
    """Articles in the order of the files, until one of the bounds is reached."""
    repeats = RepeatFilter()
    articles: list[Article] = []
    names: Counter[str] = Counter()
    size = 0
    for article in _all_articles(readings, repeats, left_out):
        article_bytes = len(article.text.encode())
        size += article_bytes
        if size > max_text_bytes or len(articles) >= max_articles:
            break
        names[article.name] += 1
        number = names[article.name]
        name = article.name if number == 1 else f"{article.name} ({number})"
        title = article.title if number == 1 else f"{article.title}, part {number}"
        articles.append(Article(name, article.package, title, article.sections))
        if progress:
            progress.update(article_bytes)
    left_out["block_repeated"] += repeats.num_repeated
    return articles


def _all_articles(
    readings: Iterable[DocReading], repeats: RepeatFilter, left_out: Counter[str]
) -> Iterator[Article]:
    for reading in readings:
        left_out.update(reading.left_out)
        small: dict[tuple[str, str], list[DocSection]] = defaultdict(list)
        for source, sections in reading.modules:
            kept = repeats.keep_new([section.blocks for section in sections])
            fresh = [
                DocSection(section.owner, section.name, blocks)
                for section, blocks in zip(sections, kept, strict=True)
                if blocks
            ]
            yield from _module_articles(source, fresh, small, left_out)
        for (package, folder), pooled in small.items():
            title = f"Notes on {folder}"
            yield from _split(Article(f"{folder}.notes", package, title, pooled), left_out)


def _module_articles(
    source: PackageSource,
    sections: list[DocSection],
    small: dict[tuple[str, str], list[DocSection]],
    left_out: Counter[str],
) -> Iterator[Article]:
    """One article for each class with enough to say, one for the rest of the module."""
    groups: dict[str, list[DocSection]] = defaultdict(list)
    for section in sections:
        groups[section.owner.partition(".")[0]].append(section)
    rest = groups.pop("", [])
    for owner, group in groups.items():
        if _num_words(group) < _LEAST_WORDS:
            rest += group
        else:
            yield from _split(
                Article(f"{source.module}.{owner}", source.package, owner, group), left_out
            )
    if _num_words(rest) >= _LEAST_WORDS:
        yield from _split(Article(source.module, source.package, source.module, rest), left_out)
    elif rest:
        small[source.package, source.module.rpartition(".")[0] or source.package] += rest


def _num_words(sections: list[DocSection]) -> int:
    return sum(section.num_words for section in sections)


def _split(article: Article, left_out: Counter[str]) -> Iterator[Article]:
    """Parts of at most `_MOST_WORDS` words; too small or mostly code: counted instead."""
    part: list[DocSection] = []
    for section in [*_short_sections(article.sections), None]:
        if section is not None and (
            not part or _num_words(part) + section.num_words <= _MOST_WORDS
        ):
            part.append(section)
            continue
        if _num_words(part) < _LEAST_WORDS:
            left_out["article_too_small"] += 1
        elif _code_fraction(part) > _MOST_CODE:
            left_out["article_mostly_code"] += 1
        else:
            yield Article(article.name, article.package, article.title, part)
        part = [section] if section is not None else []


def _short_sections(sections: Iterable[DocSection]) -> Iterator[DocSection]:
    """The sections, those longer than a page cut between blocks."""
    for section in sections:
        blocks: list[TextBlock] = []
        size = 0
        for block in section.blocks:
            words = len(block.text.split())
            if blocks and size + words > _MOST_WORDS and block.kind != "code":
                yield DocSection(section.owner, section.name, blocks)
                blocks, size = [], 0
            blocks.append(block)
            size += words
        yield DocSection(section.owner, section.name, blocks)


def _code_fraction(sections: list[DocSection]) -> float:
    blocks = [block for section in sections for block in section.blocks]
    code = sum(len(block.text) for block in blocks if block.kind == "code")
    return code / max(1, sum(len(block.text) for block in blocks))
