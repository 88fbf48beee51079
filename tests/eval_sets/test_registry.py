"""Every set: declared, listed, and read from its published format."""

from __future__ import annotations

import importlib
import pkgutil
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
from published_files import PTB, WIKITEXT, write_published_files

import pipeline.eval_sets
from pipeline.eval_sets.cbt import BLANK
from pipeline.eval_sets.eval_set import PAPER_LABELS, EvalSet
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.eval_sets.running_text import whole_characters
from pipeline.eval_sets.sources import Folder
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.examples import Example

PUBLISHED = [eval_set for eval_set in EVAL_SETS.values() if eval_set.test]
# What the paper's tables hold for all four sizes; other numbers are of the largest alone.
TABLE_3 = list(EVAL_SETS)[:9]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published_files(tmp_path_factory.mktemp("published"))


def read(eval_set: EvalSet, folder: Path) -> list[Example]:
    source = Folder(folder, check_digests=False)
    assert eval_set.read_test is not None
    files = {name: source.locate(file) for name, file in eval_set.test.items()}
    return list(eval_set.read_test(files))


def test_winograds_ready_made_form_is_split_before_the_nouns(tmp_path: Path) -> None:
    write_published_files(tmp_path)
    line = (
        '{"context_options": ["It was the dog\'s", "It was the cat\'s"], '
        '"continuation": "turn.", "gold": 1}'
    )
    (tmp_path / "wsc273" / "winograd_wsc_partial.jsonl").write_text(line)
    (example,) = read(EVAL_SETS["winograd"], tmp_path)
    assert (example.context, example.choices) == ("It was the ", ["dog's", "cat's"])
    assert (example.target, example.text) == (" turn.", "It was the cat's turn.")


def test_every_declared_set_is_registered() -> None:
    declared = set()
    for module in pkgutil.iter_modules(pipeline.eval_sets.__path__):
        if module.name == "__main__":
            continue
        names = vars(importlib.import_module(f"pipeline.eval_sets.{module.name}")).values()
        declared |= {value.name for value in names if isinstance(value, EvalSet)}
    assert declared == set(EVAL_SETS)


@pytest.mark.parametrize("eval_set", EVAL_SETS.values(), ids=list(EVAL_SETS))
def test_a_declaration_says_what_a_reader_must_know(eval_set: EvalSet) -> None:
    assert eval_set.licence and eval_set.odd and eval_set.title and eval_set.metrics
    for numbers in eval_set.paper.values():
        assert set(numbers) <= set(PAPER_LABELS)
    for file in (*eval_set.test.values(), *eval_set.train.values(), *eval_set.pairs.values()):
        assert file.url.startswith(("http://", "https://")) and " " not in file.url
        assert file.forms[0].digest or file.archive_digest, "no hash by which to know it"


@pytest.mark.parametrize("name", TABLE_3)
def test_table_3_is_given_for_all_four_sizes(name: str) -> None:
    assert any(set(numbers) == set(PAPER_LABELS) for numbers in EVAL_SETS[name].paper.values())


@pytest.mark.parametrize("eval_set", PUBLISHED, ids=[eval_set.name for eval_set in PUBLISHED])
def test_its_published_format_gives_examples(eval_set: EvalSet, folder: Path) -> None:
    examples = read(eval_set, folder)
    assert examples
    assert len({example.id for example in examples}) == len(examples)
    assert all(example.text.strip() for example in examples)
    if eval_set.read_pairs is not None:
        source = Folder(folder, check_digests=False)
        pairs = {name: source.locate(file) for name, file in eval_set.pairs.items()}
        assert all(pair.source and pair.target for pair in islice(eval_set.read_pairs(pairs), 5))


@pytest.mark.parametrize(
    ("name", "text"), [("wikitext2", WIKITEXT), ("ptb", PTB)], ids=["wikitext2", "ptb"]
)
def test_running_text_is_cut_without_losing_a_character(name: str, text: str, folder: Path) -> None:
    assert "".join(example.target for example in read(EVAL_SETS[name], folder)) == text


def test_wikitext_is_cut_at_the_headings_of_articles(folder: Path) -> None:
    examples = read(EVAL_SETS["wikitext2"], folder)
    assert [example.group for example in examples] == ["First Thing", "Second Thing"]
    assert '$1,000, the "well-known" price' in examples[0].text


@pytest.mark.parametrize("name", ["enwik8", "text8"])
def test_the_last_twentieth_is_the_test_part(name: str, folder: Path) -> None:
    whole = (folder / name / name).read_bytes()
    test = "".join(example.target for example in read(EVAL_SETS[name], folder)).encode()
    assert whole.endswith(test)
    assert len(test) == len(whole) // 20


@pytest.mark.parametrize("cut", range(4))
def test_characters_cut_at_the_ends_are_left_out(cut: int) -> None:
    whole = "é€𝄞 middle 𝄞€é".encode()
    content = whole[cut : len(whole) - cut]
    kept = whole_characters(content).decode()
    assert " middle " in kept
    assert len(content) - len(kept.encode()) <= 6


def test_lambada_asks_for_the_word_after_the_last_space(folder: Path) -> None:
    example = read(EVAL_SETS["lambada"], folder)[0]
    assert f"{example.context} {example.target}" == example.text
    assert " " not in example.target


def test_a_cloze_question_has_its_blank_context_and_answer(folder: Path) -> None:
    example = read(EVAL_SETS["cbt_cn"], folder)[1]
    assert example.target.count(BLANK) == 1
    assert example.context.count("\n") == 19
    assert len(example.choices) == 10
    assert example.choices[example.answer] == "horse"
    assert "Then the horse did n't stop ." in example.text


def test_winograds_nouns_are_cased_as_where_they_stand(folder: Path) -> None:
    first, second = read(EVAL_SETS["winograd"], folder)
    assert first.choices == ["the suitcase", "the trophy"]
    assert first.answer == 1
    assert second.choices == ["the city councilmen", "the demonstrators"]
    sentence = "The trophy doesn't fit into the brown suitcase because the trophy is too large."
    assert first.text == first.context + first.choices[1] + first.target == sentence


def test_a_conversation_ends_with_the_question_and_shows_published_answers(folder: Path) -> None:
    first, _, third = read(EVAL_SETS["coqa"], folder)
    assert first.context.endswith("\n\nQ: Who came?\nA:")
    assert third.context.endswith("Q: Who came?\nA: a dog\nQ: When?\nA: at night\nQ: And then?\nA:")
    assert third.references == ["it left", "the it left"]


DAMAGED = [
    ("lambada", "lambada/lambada_test.jsonl", '{"text": "one"}\n', r"line 1: a passage of less"),
    ("lambada", "lambada/lambada_test.jsonl", '{"words": "a b"}\n', r"line 1: no object .* 'text'"),
    ("cbt_cn", "cbt/cbtest_CN_valid_2000ex.txt", "1 One .\n3 Three .\n", r"line 2: expected sen"),
    ("cbt_cn", "cbt/cbtest_CN_valid_2000ex.txt", "1 One .\n", r"line 1: the file ends within"),
    ("cbt_cn", "cbt/cbtest_CN_valid_2000ex.txt", "1 A XXXXX\tb\t\tc|d\n", r"line 1: no question"),
    ("winograd", "wsc273/winograd_wsc_partial.jsonl", '{"gold": 0}', r"line 1: no object"),
    ("winograd", "wsc273/wsc273.txt", "No mask here.\n\n", r"line 1: expected a sentence"),
    ("winograd", "wsc273/wsc273.txt", "A [MASK] b.\n[MASK]\nc, d\ne\n", r"line 3: expected two"),
    ("cnn_dm", "cnndm/cnn_dailymail_test.jsonl", '{"id": 1}\n', r"line 1: no object"),
    (
        "natural_questions",
        "nq_open/NQ-open.dev.jsonl",
        '{"question": "a", "answer": []}',
        r"line 1",
    ),
    ("wmt14_en_fr", "wmt14_fr_en/newstest2014.fr", "one\n", r"newstest2014\.fr: line 2: missing"),
    ("coqa", "coqa/coqa-dev-v1.0.json", '{"data": [{"story": "x"}]}', r"story 0"),
    ("cnn_dm", "cnndm/test-00000-of-00001.parquet", "PAR1", r"no Parquet file"),
    ("coqa", "coqa/coqa-dev-v1.0.json", '{"data": [', r"not CoQA's JSON"),
]


@pytest.mark.parametrize(("name", "file", "content", "message"), DAMAGED)
def test_damage_is_named_by_file_and_line(
    name: str, file: str, content: str, message: str, tmp_path: Path
) -> None:
    write_published_files(tmp_path)
    (tmp_path / file).write_text(content)
    with pytest.raises(CorruptDataError, match=message) as error:
        read(EVAL_SETS[name], tmp_path)
    assert file in str(error.value)


def test_summaries_are_read_from_parquet_as_from_json_lines(folder: Path, tmp_path: Path) -> None:
    from_lines = read(EVAL_SETS["cnn_dm"], folder)
    lines = folder / "cnndm" / "cnn_dailymail_test.jsonl"
    (tmp_path / "cnndm").mkdir()
    pd.read_json(lines, lines=True, dtype=str).to_parquet(
        tmp_path / "cnndm" / "test-00000-of-00001.parquet"
    )
    assert read(EVAL_SETS["cnn_dm"], tmp_path) == from_lines


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("lambada", 5153),
        ("wikitext2", 60),
        ("wikitext103", 60),
        ("ptb", 3761),
        ("one_billion_word", 6075),
        ("winograd", 273),
        ("coqa", 7983),
        ("cnn_dm", 500),
        ("wmt14_en_fr", 3003),
        ("wmt14_fr_en", 3003),
        ("natural_questions", 3610),
    ],
)
def test_the_real_file_has_its_published_number_of_examples(
    shared_data: Path, name: str, count: int
) -> None:
    eval_set = EVAL_SETS[name]
    source = Folder(shared_data / "eval")
    assert eval_set.read_test is not None
    files = {role: source.locate(file) for role, file in eval_set.test.items()}
    assert len(list(eval_set.read_test(files))) == count


@pytest.mark.shared_data
def test_winograds_two_forms_agree_but_for_the_lost_possessives(
    shared_data: Path, tmp_path: Path
) -> None:
    eval_set = EVAL_SETS["winograd"]
    published = Folder(shared_data / "eval")
    (tmp_path / "wsc273").mkdir()
    (tmp_path / "wsc273" / "wsc273.txt.xz").symlink_to(
        shared_data / "eval" / "wsc273" / "wsc273.txt.xz"
    )
    assert eval_set.read_test is not None
    sentences = [
        [example.text.lower() for example in eval_set.read_test({"test": source.locate(file)})]
        for source in (published, Folder(tmp_path))
        for file in eval_set.test.values()
    ]
    differ = [pair for pair in zip(*sentences, strict=True) if pair[0] != pair[1]]
    assert all(options.replace("'s", "") == blocks.replace("'s", "") for options, blocks in differ)
    assert len(differ) == 26
