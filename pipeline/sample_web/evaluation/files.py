"""All sample evaluation files: held-out articles shared out among the sets, written, listed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.sample_web.articles import Article
from pipeline.sample_web.chance import chance, shuffled
from pipeline.sample_web.evaluation import running_text as running
from pipeline.sample_web.evaluation import winograd
from pipeline.sample_web.evaluation.cloze import Cloze, childrens_books, lambada
from pipeline.sample_web.evaluation.questions import conversations, open_questions
from pipeline.sample_web.evaluation.sentences import article_sentences
from pipeline.sample_web.evaluation.summaries import summaries
from pipeline.sample_web.evaluation.translations import columns, sentence_pairs
from pipeline.sample_web.manifest import write_manifest
from pipeline.sample_web.pages import PagePart
from pipeline.shared.files import open_atomic

STATEMENT = (
    "Samples made from the documentation of installed packages in the published formats. They are "
    "not the published sets, and no number measured on them compares with one measured on those."
)
# Shares of the held-out text. A set's test and train articles are different ones.
_SHARES = {
    "cbt": 0.11,  # the longest articles: a question takes 21 sentences
    "wiki_train": 0.18,
    "wiki_test": 0.11,
    "ptb_train": 0.06,
    "ptb_test": 0.09,
    "1bw_train": 0.06,
    "1bw_test": 0.08,
    "lambada": 0.15,
    "questions": 0.16,
}
_MOST_QUESTIONS = 400  # of a set; evaluation takes fewer still
_PAIRS = {"newstest2014": 200, "newstest2013": 100}
_WORDS_WIKITEXT2, _WORDS_WIKITEXT103, _WORDS_PTB = 12_000, 30_000, 8_000
_PASSAGE_SENTENCES, _LEAD_WORDS = 5, 120  # of what is planted
_CBT_PLANTED_EVERY = 10  # their windows of 21 sentences move by one


@dataclass
class EvalFiles:
    """The content of every file, and the passages that may be planted in the web."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By path below eval/."""
    examples: dict[str, int] = field(default_factory=dict)
    """How many examples (lines, articles, questions) each file has."""
    passages: list[PagePart] = field(default_factory=list)

    def add(self, path: str, content: str | bytes, examples: int) -> None:
        """Add one file."""
        self.files[path] = content.encode() if isinstance(content, str) else content
        self.examples[path] = examples

    def add_lines(self, path: str, content: str) -> None:
        """Add one file with an example a line."""
        self.add(path, content, content.count("\n"))

    def add_rows(self, path: str, rows: Iterable[dict[str, Any]]) -> None:
        """Add one file with an object of JSON a line."""
        self.add_lines(path, "".join(json.dumps(row) + "\n" for row in rows))

    def may_plant(self, set_: str, passages: Iterable[str], every: int = 1) -> None:
        """The texts behind a set's examples, in their order; of an empty one nothing is planted."""
        self.passages += [
            PagePart(set_, number, text)
            for number, text in enumerate(passages)
            if text and number % every == 0
        ]

    def write(self, folder: Path) -> None:
        """Write all files and, last, their list with a plain statement of what they are."""
        for path, content in self.files.items():
            with open_atomic(folder / path) as file:
                file.write(content)
        write_manifest(folder, statement=STATEMENT, examples=self.examples)


def make_eval_files(held_out: Sequence[Article], corpus: Sequence[Article], seed: int) -> EvalFiles:
    """All files.

    Args:
        held_out: articles that are not on the web.
        corpus: all articles, whose words make the vocabularies behind `<unk>`.
        seed: of every choice.
    """
    result = EvalFiles()
    groups = _share_out(held_out, seed)
    _add_texts(result, groups, running.count_words(corpus), seed)
    for set_, group in (("wikitext2", "wiki"), ("ptb", "ptb"), ("one_billion_word", "1bw")):
        result.may_plant(set_, map(_beginning, groups[f"{group}_test"]))
    _add_cloze(result, "lambada", "lambada/lambada_test.jsonl", lambada(groups["lambada"]))
    for kind in ("CN", "NE"):
        questions = childrens_books(groups["cbt"], kind, seed)
        path = f"cbt/cbtest_{kind}_valid_2000ex.txt"
        _add_cloze(result, f"cbt_{kind.lower()}", path, questions, _CBT_PLANTED_EVERY)
    _add_questions(result, groups["questions"], groups["cbt"])
    _add_made_up(result, seed)
    return result


def _share_out(held_out: Sequence[Article], seed: int) -> dict[str, list[Article]]:
    """Each article to one group, until the group has its share; parts of one thing together."""
    longest = sorted(held_out, key=lambda article: (-len(article_sentences(article)), article.name))
    order = shuffled(held_out, lambda article: article.key, seed, "groups")
    total = sum(len(article.text) for article in held_out)
    groups: dict[str, list[Article]] = {name: [] for name in _SHARES}
    names = iter(_SHARES)
    name, size, key = next(names), 0, ""
    for article in longest:
        if size >= _SHARES[name] * total:
            break
        groups[name].append(article)
        size += len(article.text)
    taken = {article.name for article in groups[name]}
    for article in order:
        if article.name in taken:
            continue
        if size >= _SHARES[name] * total and article.key != key:
            name, size = next(names, name), 0
        groups[name].append(article)
        size += len(article.text)
        key = article.key
    return groups


def _add_texts(
    result: EvalFiles, groups: Mapping[str, list[Article]], counts: Counter[str], seed: int
) -> None:
    """Both WikiTexts share their test articles, and differ in `<unk>` and in training text."""
    train, test = groups["wiki_train"], groups["wiki_test"]
    for name, size, trained in (
        ("wikitext2", _WORDS_WIKITEXT2, train[: len(train) // 2]),
        ("wikitext103", _WORDS_WIKITEXT103, train),
    ):
        words = running.most_frequent(counts, size)
        for part, articles in (("train", trained), ("test", test)):
            text = running.wikitext(articles, words)
            result.add(f"{name}/wiki.{part}.tokens", text, len(articles))
    result.add("enwik8/enwik8", running.wikipedia_dump([*train, *test]), len(train) + len(test))
    result.add("text8/text8", running.text8([*train, *test]), 1)
    words = running.most_frequent(counts, _WORDS_PTB, lower=True)
    for part, shard in (("train", "-00001-of-00100"), ("test", ".heldout-00000-of-00050")):
        text = running.penn_treebank(groups[f"ptb_{part}"], words)
        result.add_lines(f"ptb/ptb.{part}.txt", text)
        text = running.billion_words(groups[f"1bw_{part}"], seed)
        result.add_lines(f"1bw/news.en{shard}", text)


def _beginning(article: Article) -> str:
    """Its first sentences; empty where it has too few."""
    sentences = article_sentences(article)[:_PASSAGE_SENTENCES]
    return " ".join(sentences) if len(sentences) == _PASSAGE_SENTENCES else ""


def _add_cloze(
    result: EvalFiles, set_: str, path: str, questions: Iterable[Cloze], planted_every: int = 1
) -> None:
    """`planted_every`: questions that share sentences are not all worth planting."""
    taken = list(islice(questions, _MOST_QUESTIONS))
    result.add(path, "".join(question.published for question in taken), len(taken))
    result.may_plant(set_, (question.passage for question in taken), planted_every)


def _add_questions(result: EvalFiles, articles: list[Article], more: list[Article]) -> None:
    stories = list(conversations(articles))
    data = {"version": "1.0", "statement": STATEMENT, "data": stories}
    result.add("coqa/coqa-dev-v1.0.json", json.dumps(data), len(stories))
    result.may_plant("coqa", (row["story"] for row in stories))
    items = list(summaries(articles))
    result.add_rows("cnndm/cnn_dailymail_test.jsonl", items)
    result.may_plant("cnn_dm", (" ".join(row["article"].split()[:_LEAD_WORDS]) for row in items))
    asked = islice(open_questions([*articles, *more]), _MOST_QUESTIONS)
    result.add_rows("nq_open/NQ-open.dev.jsonl", asked)


def _add_made_up(result: EvalFiles, seed: int) -> None:
    """The sets that no documentation holds: pronoun schemas and translations."""
    items = winograd.schemas()
    result.add("wsc273/wsc273.txt", winograd.masked_form(items), len(items))
    result.add_rows("wsc273/winograd_wsc_partial.jsonl", winograd.partial_form(items))
    result.add("wsc273/WSCollection.xml", winograd.collection_form(items), len(items))
    for year, count in _PAIRS.items():
        for language, text in columns(sentence_pairs(count, seed, year)):
            result.add(f"wmt14_fr_en/{year}.{language}", text, count)


def choose_planted(passages: Sequence[PagePart], fraction: float, seed: int) -> list[PagePart]:
    """The part of the passages that is planted in the web."""
    return [p for p in passages if chance(seed, "planted", p.set, p.example) < fraction]
