"""All sample evaluation files: held-out articles shared out among the sets, written, listed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.sample_web.articles import Article
from pipeline.sample_web.chance import chance, shuffled
from pipeline.sample_web.evaluation import running_text as running
from pipeline.sample_web.evaluation import winograd
from pipeline.sample_web.evaluation.cloze import Cloze, childrens_books, lambada
from pipeline.sample_web.evaluation.questions import as_jsonl, conversations, open_questions
from pipeline.sample_web.evaluation.sentences import article_sentences
from pipeline.sample_web.evaluation.summaries import summaries
from pipeline.sample_web.evaluation.translations import columns, sentence_pairs
from pipeline.sample_web.pages import PagePart
from pipeline.shared.files import open_atomic, write_json
from pipeline.shared.running.listing import MANIFEST

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
_PASSAGE_SENTENCES = 5
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

    def write(self, folder: Path) -> None:
        """Write all files and, last, their list with a plain statement of what they are."""
        for path, content in self.files.items():
            with open_atomic(folder / path) as file:
                file.write(content)
        listed = [
            {
                "name": path,
                "bytes": len(content),
                "examples": self.examples[path],
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            for path, content in sorted(self.files.items())
        ]
        write_json(folder / MANIFEST, {"statement": STATEMENT, "files": listed})


def make_eval_files(held_out: Sequence[Article], corpus: Sequence[Article], seed: int) -> EvalFiles:
    """All files.

    Args:
        held_out: articles that are not on the web.
        corpus: all articles, whose words make the vocabularies behind `<unk>`.
        seed: of every choice.
    """
    result = EvalFiles()
    groups = _share_out(held_out, seed)
    counts = running.count_words(corpus)
    _add_wiki(result, groups, running.vocabulary(counts, _WORDS_WIKITEXT2), "wikitext2", half=True)
    _add_wiki(result, groups, running.vocabulary(counts, _WORDS_WIKITEXT103), "wikitext103")
    whole = [*groups["wiki_train"], *groups["wiki_test"]]
    result.add("enwik8/enwik8", running.wikipedia_dump(whole), len(whole))
    result.add("text8/text8", running.text8(whole), 1)
    words = running.vocabulary(counts, _WORDS_PTB, lower=True)
    for part in ("train", "test"):
        text = running.penn_treebank(groups[f"ptb_{part}"], words)
        result.add(f"ptb/ptb.{part}.txt", text, text.count("\n"))
    for part, name in (
        ("train", "news.en-00001-of-00100"),
        ("test", "news.en.heldout-00000-of-00050"),
    ):
        text = running.billion_words(groups[f"1bw_{part}"], seed)
        result.add(f"1bw/{name}", text, text.count("\n"))
    for set_, group in (("wikitext2", "wiki"), ("ptb", "ptb"), ("one_billion_word", "1bw")):
        result.passages += _text_passages(set_, groups[f"{group}_test"])
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


def _add_wiki(
    result: EvalFiles,
    groups: dict[str, list[Article]],
    words: frozenset[str],
    name: str,
    *,
    half: bool = False,
) -> None:
    """Both WikiTexts share their test articles, and differ in `<unk>` and in training text."""
    train = groups["wiki_train"]
    for part, articles in (("train", train[: len(train) // 2] if half else train),
                           ("test", groups["wiki_test"])):  # fmt: skip
        text = running.wikitext(articles, words)
        result.add(f"{name}/wiki.{part}.tokens", text, len(articles))


def _text_passages(set_: str, articles: Iterable[Article]) -> list[PagePart]:
    passages = []
    for number, article in enumerate(articles):
        sentences = article_sentences(article)
        if len(sentences) >= _PASSAGE_SENTENCES:
            text = " ".join(sentences[:_PASSAGE_SENTENCES])
            passages.append(PagePart(set_, number, text))
    return passages


def _add_cloze(
    result: EvalFiles, set_: str, path: str, questions: Iterable[Cloze], planted_every: int = 1
) -> None:
    """`planted_every`: questions that share sentences are not all worth planting."""
    taken = [question for _, question in zip(range(_MOST_QUESTIONS), questions, strict=False)]
    result.add(path, "".join(question.published for question in taken), len(taken))
    result.passages += [
        PagePart(set_, number, question.passage)
        for number, question in enumerate(taken)
        if number % planted_every == 0
    ]


def _add_questions(result: EvalFiles, articles: list[Article], more: list[Article]) -> None:
    stories = list(conversations(articles))
    data = {"version": "1.0", "statement": STATEMENT, "data": stories}
    result.add("coqa/coqa-dev-v1.0.json", json.dumps(data), len(stories))
    result.passages += [PagePart("coqa", n, row["story"]) for n, row in enumerate(stories)]
    items = list(summaries(articles))
    result.add("cnndm/cnn_dailymail_test.jsonl", as_jsonl(items), len(items))
    result.passages += [PagePart("cnn_dm", n, _lead(row)) for n, row in enumerate(items)]
    asked: list[dict[str, Any]] = list(open_questions([*articles, *more]))[:_MOST_QUESTIONS]
    result.add("nq_open/NQ-open.dev.jsonl", as_jsonl(asked), len(asked))


def _lead(row: dict[str, Any]) -> str:
    return " ".join(str(row["article"]).split()[:120])


def _add_made_up(result: EvalFiles, seed: int) -> None:
    """The sets that no documentation holds: pronoun schemas and translations."""
    items = winograd.schemas()
    result.add("wsc273/wsc273.txt", winograd.masked_form(items), len(items))
    result.add("wsc273/winograd_wsc_partial.jsonl", winograd.partial_form(items), len(items))
    result.add("wsc273/WSCollection.xml", winograd.collection_form(items), len(items))
    for year, count in _PAIRS.items():
        for language, text in columns(sentence_pairs(count, seed, year)):
            result.add(f"wmt14_fr_en/{year}.{language}", text, count)


def choose_planted(passages: Sequence[PagePart], fraction: float, seed: int) -> list[PagePart]:
    """The part of the passages that is planted in the web."""
    return [p for p in passages if chance(seed, "planted", p.set, p.example) < fraction]
