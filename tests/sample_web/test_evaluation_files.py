"""The sample evaluation files keep to the published formats: one check for ours and the real."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.sample_web.articles import Article
from pipeline.sample_web.evaluation.files import EvalFiles, choose_planted, make_eval_files
from pipeline.sample_web.evaluation.sentences import split_sentences, tokenise
from pipeline.sample_web.evaluation.translations import sentence_pairs
from pipeline.sample_web.prose import TextBlock
from pipeline.sample_web.reading import DocSection

NOUNS = [
    "table",
    "buffer",
    "index",
    "cursor",
    "window",
    "column",
    "record",
    "thread",
    "socket",
    "handle",
    "packet",
    "column",
]
NAMES = [
    "Python",
    "Unicode",
    "Windows",
    "Linux",
    "Series",
    "Table",
    "Cursor",
    "Decimal",
    "Fraction",
    "Counter",
    "Enum",
]


def make_article(number: int) -> Article:
    """A page of 60 sentences about things with names, in the way of documentation."""
    sentences = [
        f"When the {NOUNS[(number + n) % 12]} is read by {NAMES[(number * 5 + n) % 11]} number "
        f"{number}, every {NOUNS[(n * 7) % 12]} must hold the {NOUNS[(number + n) % 12]}."
        for n in range(60)
    ]
    paragraphs = [TextBlock("paragraph", " ".join(sentences[i : i + 6])) for i in range(0, 60, 6)]
    lead = TextBlock("paragraph", f"Return the record of the table number {number}.")
    definition = TextBlock(
        "definition", "The width of the table in characters.", "width : int, optional"
    )
    note = TextBlock("paragraph", "Raises ValueError for a table that is empty.")
    sections = [
        DocSection("", "make", [lead, definition, note]),
        DocSection(
            "", "read", [TextBlock("paragraph", "Read the whole table at once."), *paragraphs]
        ),
    ]
    return Article(f"pkg.mod{number}", "pkg", f"mod{number}", sections)


ARTICLES = [make_article(number) for number in range(60)]


@pytest.fixture(scope="module")
def made() -> EvalFiles:
    return make_eval_files(ARTICLES, ARTICLES, seed=1)


def check_wikitext(text: str) -> None:
    lines = text.split("\n")
    assert lines[-1] == ""
    assert all(line.startswith(" ") and line.endswith(" ") for line in lines[:-1])
    assert re.search(r"^ = [^=]+ = $", text, re.MULTILINE)
    assert re.search(r"^ = = [^=]+ = = $", text, re.MULTILINE)


def check_ptb(text: str) -> None:
    assert all(line.startswith(" ") and line.endswith(" ") for line in text.split("\n")[:-1])
    assert not re.search(r"[A-MO-Z]|\s[,;:!?]\s", text)


def check_text8(text: str) -> None:
    assert re.fullmatch(r" [a-z]+( [a-z]+)* ?", text)


def check_billion_words(text: str) -> None:
    assert text.endswith("\n")
    assert not re.search(r"<unk>|\w[,;]\s|  ", text)


def check_enwik8(text: str) -> None:
    assert text.startswith("<mediawiki xmlns=")
    root = ElementTree.fromstring(text[: text.rindex("</page>")] + "</page></mediawiki>")
    pages = [element for element in root if element.tag.endswith("page")]
    assert all(page.find("{*}revision/{*}text") is not None for page in pages)


def check_lambada(text: str) -> None:
    for line in text.splitlines():
        row = json.loads(line)
        assert list(row) == ["text"]
        assert re.search(r"\w$", row["text"])


def check_winograd(text: str) -> None:
    for block in text.rstrip("\n").split("\n\n"):
        sentence, mask, candidates, answer = block.split("\n")
        assert sentence.count("[MASK]") == 1 and mask == "[MASK]"
        assert answer.strip() in [name.strip() for name in candidates.split(",")]


def check_winograd_partial(text: str) -> None:
    for line in text.splitlines():
        row = json.loads(line)
        assert set(row) == {"context_options", "continuation", "gold"}
        assert len(row["context_options"]) == 2 and row["gold"] in {0, 1}


def check_winograd_collection(text: str) -> None:
    for schema in ElementTree.fromstring(text.encode("iso-8859-1")).findall("schema"):
        assert schema.find("text/txt1") is not None and schema.find("text/pron") is not None
        assert len(schema.findall("answers/answer")) == 2
        assert (schema.findtext("correctAnswer") or "").strip()[0] in "AB"


def check_coqa(text: str) -> None:
    for story in json.loads(text)["data"]:
        turns = [turn["turn_id"] for turn in story["questions"]]
        assert turns == list(range(1, len(turns) + 1))
        assert story["story"] and story["id"] and story["source"]
        for answers in (story["answers"], *story["additional_answers"].values()):
            assert [answer["turn_id"] for answer in answers] == turns
        assert set(story["additional_answers"]) == {"0", "1", "2"}


def check_cnn_dm(text: str) -> None:
    for line in text.splitlines():
        assert list(json.loads(line)) == ["id", "article", "highlights"]


def check_nq(text: str) -> None:
    for line in text.splitlines():
        row = json.loads(line)
        assert list(row) == ["question", "answer"]
        assert row["answer"] and not row["question"].endswith("?")


HELD_OUT = "1bw/news.en.heldout-00000-of-00050"
PARTIAL = "wsc273/winograd_wsc_partial.jsonl"
FORMATS: list[tuple[str, str, Callable[[str], None]]] = [
    ("wikitext2/wiki.test.tokens", "wikitext2/wiki.test.tokens.xz", check_wikitext),
    ("wikitext103/wiki.test.tokens", "wikitext103/wiki.test.tokens.xz", check_wikitext),
    ("ptb/ptb.test.txt", "ptb/ptb.test.txt.xz", check_ptb),
    ("text8/text8", "text8/text8_prefix_derived.txt.xz", check_text8),
    ("enwik8/enwik8", "enwik8/enwik8_prefix_4154064.bin.xz", check_enwik8),
    (HELD_OUT, f"{HELD_OUT}.xz", check_billion_words),
    ("lambada/lambada_test.jsonl", "lambada/lambada_test.jsonl.xz", check_lambada),
    ("wsc273/wsc273.txt", "wsc273/wsc273.txt.xz", check_winograd),
    (PARTIAL, f"{PARTIAL}.xz", check_winograd_partial),
    ("wsc273/WSCollection.xml", "wsc273/WSCollection.xml.xz", check_winograd_collection),
    ("coqa/coqa-dev-v1.0.json", "coqa/coqa-dev-v1.0.rebuilt.json.xz", check_coqa),
    ("cnndm/cnn_dailymail_test.jsonl", "cnndm/cnn_dailymail_test_first500.jsonl.xz", check_cnn_dm),
    ("nq_open/NQ-open.dev.jsonl", "nq_open/NQ-open.dev.jsonl.xz", check_nq),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "real", "check"), FORMATS, ids=[ours for ours, _, _ in FORMATS])
def test_a_sample_has_its_format(
    made: EvalFiles, ours: str, real: str, check: Callable[[str], None]
) -> None:
    text = made.files[ours].decode()
    assert len(text) > 200
    check(text)


@pytest.mark.shared_data
@pytest.mark.parametrize(("ours", "real", "check"), FORMATS, ids=[ours for ours, _, _ in FORMATS])
def test_the_same_check_holds_for_the_published_file(
    shared_data: Path, ours: str, real: str, check: Callable[[str], None]
) -> None:
    with lzma.open(shared_data / "eval" / real) as file:
        check(file.read().decode())


@pytest.mark.parametrize("kind", ["CN", "NE"])
def test_a_childrens_book_question_has_21_lines_and_ten_candidates(
    made: EvalFiles, kind: str
) -> None:
    text = made.files[f"cbt/cbtest_{kind}_valid_2000ex.txt"].decode()
    questions = text.rstrip("\n").split("\n\n")
    assert len(questions) > 20
    for question in questions:
        lines = question.split("\n")
        assert [line.split(" ", 1)[0] for line in lines] == [str(n) for n in range(1, 22)]
        query, answer, blank, candidates = lines[20].split("\t")
        assert query.split().count("XXXXX") == 1 and blank == ""
        names = candidates.split("|")
        assert len(set(names)) == 10 and answer in names
        context = " ".join(lines[:20]).split()
        assert answer in context


def test_the_last_word_of_a_lambada_passage_stands_in_it_before(made: EvalFiles) -> None:
    for line in made.files["lambada/lambada_test.jsonl"].splitlines():
        *context, last = re.findall(r"\w+", json.loads(line)["text"])
        assert last in context


def test_train_and_test_texts_share_no_article(made: EvalFiles) -> None:
    shards = ("1bw/news.en-00001-of-00100", "1bw/news.en.heldout-00000-of-00050")
    train, test = (set(re.findall(r"number (\d+)", made.files[s].decode())) for s in shards)
    assert train and test and not train & test


def test_both_wikitexts_share_their_test_articles_and_differ_in_training_text(
    made: EvalFiles,
) -> None:
    small, large = (made.files[f"wikitext{n}/wiki.train.tokens"] for n in (2, 103))
    assert len(small) < len(large)
    tests = [made.files[f"wikitext{n}/wiki.test.tokens"] for n in (2, 103)]
    assert tests[0].count(b"\n") == tests[1].count(b"\n")


def test_passages_are_those_of_the_examples_they_name(made: EvalFiles) -> None:
    lines = made.files["lambada/lambada_test.jsonl"].splitlines()
    passages = [passage for passage in made.passages if passage.set == "lambada"]
    assert [json.loads(lines[p.example])["text"] for p in passages] == [p.text for p in passages]


def test_about_the_wished_part_of_the_passages_is_planted(made: EvalFiles) -> None:
    assert choose_planted(made.passages, 0.0, 1) == []
    assert choose_planted(made.passages, 1.0, 1) == made.passages
    part = choose_planted(made.passages, 0.5, 1)
    assert 0.3 < len(part) / len(made.passages) < 0.7


def test_the_manifest_says_that_these_are_samples(made: EvalFiles, tmp_path: Path) -> None:
    made.write(tmp_path)
    manifest = json.loads((tmp_path / "_manifest.json").read_text())
    assert "not the published sets" in manifest["statement"]
    assert {file["name"] for file in manifest["files"]} == set(made.files)


def test_translations_keep_french_gender_and_elision() -> None:
    pairs = sentence_pairs(500, 1, "x")
    assert len({pair.en for pair in pairs}) == 500
    text = " ".join(pair.fr for pair in pairs)
    assert "n'ouvre pas" in text and " ne ouvre" not in text
    assert not re.search(r"la \w+ est (vert|lent|prêt|local|important)\b", text)
    assert all(pair.fr[0].isupper() and pair.fr.endswith(".") for pair in pairs)


def test_sentences_and_tokens() -> None:
    assert split_sentences("See Fig. 3 for it. Then stop!") == ["See Fig. 3 for it.", "Then stop!"]
    assert tokenise("Don't use f(x).") == ["Do", "n't", "use", "f", "(", "x", ")", "."]
