"""The tokenizer agrees with GPT-2's published files and with transformers, and round-trips."""

from __future__ import annotations

import json
import pickle
from itertools import pairwise
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from pipeline.shared.errors import CorruptDataError, RetryableError
from pipeline.shared.formats.tokenizer import (
    END_OF_TEXT,
    Tokenizer,
    find_merges,
    gpt2_tokenizer,
    load_tokenizer,
    to_bytes,
    to_text,
    write_hugging_face_files,
)
from pipeline.tokenize.train_bpe import train_tokenizer

TRICKY = [
    "",
    "Hello world",
    "I'll say it's John's; we've THEY'RE 'd",
    "  two  spaces, a\ttab\n\nand lines \n ends in space ",
    "numbers 123456 and x1y2",
    "naïve Ünïcode Ωμέγα 東京タワー 🤦🏽‍♀️ e\u0301",
    "nul \x00 and nbsp\u00a0here\u3000wide",
    f"before {END_OF_TEXT} after",
    "a" * 5000,
    " " * 5000 + "x",
]


@pytest.fixture(scope="session")
def small() -> Tokenizer:
    texts = [f"The number {n} is followed by {n + 1}, isn't it? Yes: it is." for n in range(400)]
    return train_tokenizer(texts, vocab_size=320)


@pytest.fixture(scope="session")
def gpt2(shared_data: Path) -> Tokenizer:
    return gpt2_tokenizer(shared_data / "gpt2_bpe")


def test_ids_end_with_end_of_text(small: Tokenizer) -> None:
    assert small.vocab_size == 320
    assert small.end_of_text == 319
    assert small.encoding.n_vocab == 320
    assert small.decode([small.end_of_text]) == END_OF_TEXT


@pytest.mark.parametrize("text", TRICKY)
def test_a_text_comes_back_from_its_ids(small: Tokenizer, text: str) -> None:
    assert small.decode(small.encode(text)) == text


@pytest.mark.parametrize("text", TRICKY)
def test_each_token_begins_where_the_bytes_of_those_before_it_end(
    small: Tokenizer, text: str
) -> None:
    tokens, starts = small.place(text)
    content = text.encode()
    places = [*starts, len(content)]
    pieces = [content[start:end] for start, end in pairwise(places)]
    assert [small.ranks[piece] for piece in pieces] == tokens == small.encode(text)


@given(st.text())
@settings(deadline=None)
def test_any_text_comes_back_from_its_ids(small: Tokenizer, text: str) -> None:
    assert small.decode(small.encode(text)) == text


def test_a_row_that_only_pads_an_embedding_is_no_text(small: Tokenizer) -> None:
    assert small.decode([*small.encode("Yes"), 320, 50_303]) == "Yes"


def test_end_of_text_may_have_any_id(small: Tokenizer, tmp_path: Path) -> None:
    other = Tokenizer("other", {token: id_ + 1 for token, id_ in small.ranks.items()})
    assert (other.end_of_text, other.vocab_size) == (0, 320)
    other.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.encode("The number") == [id_ + 1 for id_ in small.encode("The number")]
    assert loaded.decode([0]) == END_OF_TEXT


def test_end_of_text_written_in_a_text_is_text(small: Tokenizer) -> None:
    ids = small.encode(f"before {END_OF_TEXT} after")
    assert small.end_of_text not in ids
    assert len(ids) > 5


def test_a_batch_is_encoded_as_its_texts_are(small: Tokenizer) -> None:
    assert small.encode_batch(TRICKY, num_threads=2) == [small.encode(text) for text in TRICKY]


def test_a_tokenizer_saved_twice_gives_the_same_bytes_and_comes_back(
    small: Tokenizer, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        small.save(tmp_path / name)
    for file in ("ranks.tiktoken", "encoding.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    loaded = load_tokenizer(tmp_path / "a")
    assert loaded == small
    assert loaded.sha256 == small.sha256
    assert loaded.encode_batch(TRICKY) == small.encode_batch(TRICKY)


def test_another_tokenizer_has_another_hash(small: Tokenizer) -> None:
    fewer = dict(sorted(small.ranks.items(), key=lambda item: item[1])[:-1])
    assert Tokenizer("trained", fewer).sha256 != small.sha256


def test_a_tokenizer_can_be_sent_to_another_process(small: Tokenizer) -> None:
    copy = pickle.loads(pickle.dumps(small.encoding))
    assert copy.encode_ordinary("The number") == small.encode("The number")


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing", "other settings"])
def test_a_damaged_tokenizer_is_named(small: Tokenizer, tmp_path: Path, damage: str) -> None:
    small.save(tmp_path)
    ranks, settings_file = tmp_path / "ranks.tiktoken", tmp_path / "encoding.json"
    content = ranks.read_bytes()
    if damage == "truncated":
        ranks.write_bytes(content[:-7])
    elif damage == "changed":
        ranks.write_bytes(content.replace(b" 300\n", b" 301\n"))
    elif damage == "missing":
        ranks.unlink()
    else:
        settings_file.write_text(settings_file.read_text().replace("320", "321"))
    with pytest.raises(CorruptDataError, match=r"ranks\.tiktoken: not"):
        load_tokenizer(tmp_path)


def test_merges_are_found_again_from_ranks(small: Tokenizer) -> None:
    merges = list(find_merges(small.ranks))
    assert len(merges) == small.vocab_size - 1 - 256
    for left, right in merges:
        assert max(small.ranks[left], small.ranks[right]) < small.ranks[left + right]


@given(st.binary())
def test_bytes_and_their_visible_form_are_one_to_one(token: bytes) -> None:
    assert to_bytes(to_text(token)) == token
    assert to_text(token).isprintable()
    assert not any(character.isspace() for character in to_text(token))


def test_transformers_gives_the_same_ids(small: Tokenizer, tmp_path: Path) -> None:
    write_hugging_face_files(small, tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs.eos_token_id == theirs.bos_token_id == small.end_of_text
    assert len(theirs) == small.vocab_size
    for text in TRICKY:
        if END_OF_TEXT not in text:
            assert theirs(text)["input_ids"] == small.encode(text)


@pytest.mark.shared_data
def test_gpt2s_own_files_give_gpt2s_ids(gpt2: Tokenizer) -> None:
    assert gpt2.vocab_size == 50_257
    assert gpt2.end_of_text == 50_256
    assert gpt2.encode("Hello world") == [15496, 995]


@pytest.mark.shared_data
def test_gpt2s_merges_are_written_as_openai_published_them(
    gpt2: Tokenizer, shared_data: Path, tmp_path: Path
) -> None:
    published = shared_data / "gpt2_bpe"
    write_hugging_face_files(gpt2, tmp_path)
    assert (tmp_path / "merges.txt").read_bytes() == (published / "vocab.bpe").read_bytes()
    vocabulary = json.loads((published / "encoder.json").read_bytes())
    assert json.loads((tmp_path / "vocab.json").read_bytes()) == vocabulary


@pytest.mark.shared_data
def test_transformers_agrees_on_gpt2s_ids(gpt2: Tokenizer, tmp_path: Path) -> None:
    write_hugging_face_files(gpt2, tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    texts = [text for text in TRICKY if END_OF_TEXT not in text]
    assert theirs(texts)["input_ids"] == gpt2.encode_batch(texts)


@pytest.mark.shared_data
def test_a_changed_file_is_not_taken_for_gpt2s(shared_data: Path, tmp_path: Path) -> None:
    content = (shared_data / "gpt2_bpe" / "encoder.json").read_bytes()
    (tmp_path / "encoder.json").write_bytes(content.replace(b"Hello", b"Hallo", 1))
    with pytest.raises(CorruptDataError, match=r"encoder\.json: not GPT-2's published file"):
        gpt2_tokenizer(tmp_path)


def test_a_missing_file_of_gpt2_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(CorruptDataError, match=r"encoder\.json: No such file.*gpt2_bpe_folder"):
        gpt2_tokenizer(tmp_path)


def test_without_a_network_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that refuses connections stands for a machine without a network."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    with pytest.raises(RetryableError, match=r"could not be fetched.*tokenize\.gpt2_bpe_folder"):
        gpt2_tokenizer(None)
