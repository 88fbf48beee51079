"""Tokenizers as people have them beside their models give the ids that transformers gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from kinds_of_tokenizers import (
    CORPUS,
    Kind,
    added_tokens,
    another_pattern,
    cut_and_padded,
    digits,
    end_last,
    normalized,
    other_ends,
    plain,
    prefix_space,
    read,
    save,
    write_config,
    write_ranks,
)
from transformers import AutoTokenizer

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.foreign_tokenizer import (
    AnyTokenizer,
    ForeignTokenizer,
    load_any_tokenizer,
)
from pipeline.shared.formats.tokenizer import Tokenizer, write_hugging_face_files
from pipeline.shared.formats.tokenizer_files import TextIds
from pipeline.tokenize.train_bpe import train_tokenizer

TEXTS = [
    *CORPUS[:3],
    "  two  spaces, THEY'RE 1234567\n\n\nand <unk> or <pad> and John's\r\n end ",
    "naïve Ünïcode Ωμέγα 東京タワー 🤦🏽‍♀️ e\u0301",
    "",
]


def assert_as_transformers(ours: AnyTokenizer, folder: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.place(text).tokens == ours.encode(text)
    assert (ours.start, ours.end_of_text) == (theirs.bos_token_id, theirs.eos_token_id)
    assert ours.vocab_size == len(theirs)


@pytest.mark.parametrize("kind", [plain, end_last, cut_and_padded])
def test_one_that_is_gpt2s_but_for_its_tokens_is_run_by_tiktoken(
    kind: Callable[[], Kind], tmp_path: Path
) -> None:
    ours = read(save(kind, tmp_path))
    assert isinstance(ours, Tokenizer)
    assert_as_transformers(ours, tmp_path)


@pytest.mark.parametrize(
    "kind",
    [digits, another_pattern, prefix_space, normalized, added_tokens, other_ends],
)
def test_another_byte_level_one_gives_the_ids_of_transformers(
    kind: Callable[[], Kind], tmp_path: Path
) -> None:
    ours = read(save(kind, tmp_path / "model"))
    assert isinstance(ours, ForeignTokenizer)
    assert_as_transformers(ours, tmp_path / "model")
    ours.save(tmp_path / "saved")
    assert load_any_tokenizer(tmp_path / "saved") == ours


@pytest.mark.parametrize("kind", [digits, another_pattern, added_tokens])
def test_a_token_of_a_foreign_tokenizer_begins_where_its_bytes_stand(
    kind: Callable[[], Kind], tmp_path: Path
) -> None:
    ours = read(save(kind, tmp_path))
    text = "".join(TEXTS[:4]).replace(" or ", " ").replace("<unk>", "").replace("<pad>", "")
    tokens, starts = ours.place(text)
    content = text.encode()
    ends = [*starts[1:], len(content)]
    whole = 0
    for token, start, end in zip(tokens, starts, ends, strict=True):
        piece = ours.pieces[token]
        if piece.decode(errors="replace").encode() == piece:  # no part of a character
            assert content[start:end].startswith(piece) or start == end
            whole += content[start:end] == piece
    assert whole > 0.95 * len(tokens)
    assert ours.decode(tokens) == text


def test_a_text_that_is_changed_before_it_is_read_keeps_its_own_places(tmp_path: Path) -> None:
    ours = read(save(normalized, tmp_path))
    assert isinstance(ours, ForeignTokenizer)
    assert ours.changes == "NFKC, Lowercase"
    text = "ﬁne ﬁne Yes"  # NFKC makes two letters of the first, which has three bytes
    _, starts = ours.place(text)
    assert starts.max() < len(text.encode())
    assert text.encode().index(b" Yes") in starts


def test_merges_as_strings_are_those_as_pairs(tmp_path: Path) -> None:
    save(plain, tmp_path)
    before, path = read(tmp_path), tmp_path / "tokenizer.json"
    data = json.loads(path.read_text())
    data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    path.write_text(json.dumps(data))
    assert read(tmp_path) == before
    assert_as_transformers(before, tmp_path)


def test_ids_that_do_not_follow_the_merges_are_those_of_the_file(tmp_path: Path) -> None:
    path = save(plain, tmp_path) / "tokenizer.json"
    data = json.loads(path.read_text())
    vocabulary = data["model"]["vocab"]
    size = len(vocabulary)
    data["model"]["vocab"] = {token: size - 1 - id_ for token, id_ in vocabulary.items()}
    data["added_tokens"][0]["id"] = size - 1
    path.write_text(json.dumps(data))
    ours = read(tmp_path)
    assert isinstance(ours, ForeignTokenizer)
    assert_as_transformers(ours, tmp_path)


@pytest.fixture(scope="module")
def study() -> Tokenizer:
    """A tokenizer as a study trains it."""
    return train_tokenizer(CORPUS, vocab_size=320)


def test_a_studys_own_files_give_its_tokenizer_back(study: Tokenizer, tmp_path: Path) -> None:
    write_hugging_face_files(study, tmp_path / "model")
    study.save(tmp_path / "tokenizer")
    assert read(tmp_path / "model", rows=384) == Tokenizer("hugging_face", study.ranks)
    assert read(tmp_path / "tokenizer") == study


def test_openais_names_are_those_of_transformers(study: Tokenizer, tmp_path: Path) -> None:
    write_hugging_face_files(study, tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "vocab.json").rename(tmp_path / "encoder.json")
    (tmp_path / "merges.txt").rename(tmp_path / "vocab.bpe")
    assert read(tmp_path) == Tokenizer("hugging_face", study.ranks)


@pytest.mark.parametrize("space", [False, True])
def test_older_files_with_added_tokens_give_the_ids_of_transformers(
    study: Tokenizer, tmp_path: Path, space: bool
) -> None:
    write_hugging_face_files(study, tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings |= {"add_prefix_space": space}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<pad>": 320, "John": 321}))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"pad_token": "<pad>"}))
    write_config(tmp_path, 322)
    assert_as_transformers(read(tmp_path), tmp_path)


def test_its_own_tokenizer_json_comes_before_gpt2s_files(study: Tokenizer, tmp_path: Path) -> None:
    save(digits, tmp_path)
    own = read(tmp_path)
    write_hugging_face_files(study, tmp_path / "other")
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / "other" / name).rename(tmp_path / name)
    assert read(tmp_path) == own
    assert_as_transformers(own, tmp_path)


def test_a_file_of_tiktokens_ranks_is_read_with_gpt2s_pattern(
    study: Tokenizer, tmp_path: Path
) -> None:
    write_ranks(tmp_path / "mine.tiktoken", study.ranks)
    assert read(tmp_path, ids=TextIds(319, 319)) == Tokenizer("tiktoken", study.ranks)
    with pytest.raises(CorruptDataError, match=r"one free id is 319, but config\.json .* with 5"):
        read(tmp_path, ids=TextIds(5, 5))
