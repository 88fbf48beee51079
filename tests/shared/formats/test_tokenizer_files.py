"""Tokenizers as people have them beside their models give the ids that transformers gives."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import (
    AddedToken,
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers import Tokenizer as Library
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.foreign_tokenizer import (
    AnyTokenizer,
    ForeignTokenizer,
    load_any_tokenizer,
)
from pipeline.shared.formats.tokenizer import (
    END_OF_TEXT,
    Tokenizer,
    to_bytes,
    write_hugging_face_files,
)
from pipeline.shared.formats.tokenizer_files import TextIds, read_tokenizer
from pipeline.tokenize.train_bpe import train_tokenizer

CORPUS = [
    f"The number {n} is followed by {n + 1}, isn't it?\n\tYes, John: ça suffit!" for n in range(300)
]
TEXTS = [
    *CORPUS[:3],
    "  two  spaces, THEY'RE 1234567\n\n\nand <unk> or <pad> and John's\r\n end ",
    "naïve Ünïcode Ωμέγα 東京タワー 🤦🏽‍♀️ e\u0301",
    "",
]
# GPT-4's way to cut a text, which many take for their own tokenizer.
DIGITS_BY_THREE = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"
Kind = tuple[Library, dict[str, Any]]


def train(pre: Any = None, *, special: tuple[str, ...] = (END_OF_TEXT,)) -> Library:
    """A byte-level BPE whose special tokens have the first ids."""
    trained = Library(models.BPE())
    trained.pre_tokenizer = pre or pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(special),
        show_progress=False,
    )
    trained.train_from_iterator(CORPUS, trainer)
    return trained


def plain() -> Kind:
    return train(), {}


def end_last() -> Kind:
    trained = train(special=())
    trained.add_special_tokens([END_OF_TEXT])
    return trained, {}


def cut_and_padded() -> Kind:
    trained = train()
    trained.enable_truncation(4)
    trained.enable_padding(length=9, pad_token=END_OF_TEXT)
    return trained, {}


def digits() -> Kind:
    cut = [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    return train(pre_tokenizers.Sequence(cut)), {}


def another_pattern() -> Kind:
    cut = pre_tokenizers.Split(Regex(DIGITS_BY_THREE), "isolated")
    bytes_alone = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return train(pre_tokenizers.Sequence([cut, bytes_alone])), {}


def prefix_space() -> Kind:
    return train(pre_tokenizers.ByteLevel(add_prefix_space=True)), {}


def normalized() -> Kind:
    trained = train()
    trained.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    return trained, {}


def added_tokens() -> Kind:
    trained = train()
    trained.add_tokens(["John", AddedToken("or", lstrip=True, rstrip=True)])
    trained.add_special_tokens(["<unk>", "<pad>"])
    return trained, {"unk_token": "<unk>", "pad_token": "<pad>"}


def other_ends() -> Kind:
    trained = train(special=("<s>", "</s>"))
    trained.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return trained, {"bos_token": "<s>", "eos_token": "</s>"}


def write_config(folder: Path, vocab_size: int, **more: object) -> None:
    config = {"model_type": "gpt2", "vocab_size": vocab_size, **more}
    (folder / "config.json").write_text(json.dumps(config))


def save(kind: Callable[[], Kind], folder: Path) -> Path:
    """As transformers 5 saves a tokenizer beside a model."""
    trained, names = kind()
    ends = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT} | names
    PreTrainedTokenizerFast(tokenizer_object=trained, **ends).save_pretrained(folder)
    write_config(folder, trained.get_vocab_size())
    return folder


MUTE = TextIds(None, None)


def read(folder: Path, *, rows: int = 1000, ids: TextIds = MUTE) -> AnyTokenizer:
    tokenizer = read_tokenizer(folder, rows=rows, ids=ids)
    assert tokenizer is not None
    return tokenizer


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


def write_ranks(path: Path, ranks: dict[bytes, int]) -> None:
    lines = (b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items())
    path.write_bytes(b"".join(lines))


def test_a_file_of_tiktokens_ranks_is_read_with_gpt2s_pattern(
    study: Tokenizer, tmp_path: Path
) -> None:
    write_ranks(tmp_path / "mine.tiktoken", study.ranks)
    assert read(tmp_path, ids=TextIds(319, 319)) == Tokenizer("tiktoken", study.ranks)
    with pytest.raises(CorruptDataError, match=r"one free id is 319, but config\.json .* with 5"):
        read(tmp_path, ids=TextIds(5, 5))


def test_ranks_of_another_pattern_are_refused(tmp_path: Path) -> None:
    data = json.loads((save(another_pattern, tmp_path / "a") / "tokenizer.json").read_text())
    tokens = [token for token in data["model"]["vocab"] if token != END_OF_TEXT]
    write_ranks(tmp_path / "x.tiktoken", {to_bytes(token): n for n, token in enumerate(tokens)})
    with pytest.raises(CorruptDataError, match="GPT-2's pattern never gives its token"):
        read(tmp_path)


def test_no_file_of_a_tokenizer_is_none(tmp_path: Path) -> None:
    assert read_tokenizer(tmp_path, rows=50_257, ids=MUTE) is None


def write_json(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / name
    data = json.loads(path.read_text()) if path.is_file() else {}
    change(data)
    path.write_text(json.dumps(data))


def word_piece(folder: Path) -> None:
    write_json(folder, "tokenizer.json", lambda d: d["model"].update(type="WordPiece"))


def whole_words(folder: Path) -> None:
    split = {"type": "Whitespace"}
    write_json(folder, "tokenizer.json", lambda d: d.update(pre_tokenizer=split))


def no_ends(folder: Path) -> None:
    write_json(folder, "tokenizer_config.json", lambda d: d.update(eos_token="</s>"))
    write_json(folder, "tokenizer.json", lambda d: d.update(added_tokens=[]))
    write_json(folder, "tokenizer.json", lambda d: d["model"]["vocab"].pop(END_OF_TEXT))


def bytes_missing(folder: Path) -> None:
    write_json(folder, "tokenizer.json", lambda d: d["model"]["vocab"].pop("Ã"))


def two_sayings(folder: Path) -> None:
    """Version 4 of transformers takes the file's rules, 5 those of the class."""
    write_json(folder, "tokenizer_config.json", lambda d: d.update(tokenizer_class="GPT2Tokenizer"))
    write_json(folder, "tokenizer.json", lambda d: d.update(normalizer={"type": "NFC"}))


def no_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": ')


def odd_json(folder: Path) -> None:
    write_json(folder, "tokenizer.json", lambda d: d.update(added_tokens=[{"content": "x"}]))


def sentence_pieces(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "spiece.model")


def settings_alone(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def no_merges(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (word_piece, "model.type = 'WordPiece' is no byte-level BPE"),
        (whole_words, "its pre_tokenizer is not byte-level"),
        (no_ends, "no token is known to end a text .</s> is not among the tokens.; name it as"),
        (bytes_missing, "no tokens for 1 bytes, such as 0xc3"),
        (two_sayings, 'GPT2Tokenizer.*write "tokenizer_class": "PreTrainedTokenizerFast" there'),
        (no_json, r"tokenizer\.json"),
        (odd_json, "its tokenizer's files are not as transformers writes them"),
        (sentence_pieces, r"spiece\.model is no byte-level BPE; put the model's tokenizer\.json"),
        (settings_alone, r"tokenizer_config\.json speaks of a tokenizer, not there"),
        (no_merges, r"no merges\.txt beside it"),
    ],
)
def test_what_cannot_be_read_as_transformers_reads_it_is_refused_in_one_line(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(save(plain, tmp_path))
    with pytest.raises(CorruptDataError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_model_of_fewer_rows_than_tokens_is_refused(tmp_path: Path) -> None:
    save(plain, tmp_path)
    with pytest.raises(CorruptDataError, match="has 330 tokens, but the model rows for 329"):
        read(tmp_path, rows=329)
