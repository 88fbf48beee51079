"""The tokenizer that lies beside a model: whose it is, and what runs it.

Read are, the first that is there: `tokenizer.json`; `vocab.json` and `merges.txt`, or under
OpenAI's names; a study's own files; a file of tiktoken's ranks. One that is GPT-2's but for its
tokens is run by tiktoken, as a study's own is, any other byte-level BPE by `tokenizers`. Of any
other kind, or where files contradict each other, there is an error: a model is never given
another's tokenizer.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.files import read_json
from pipeline.shared.formats.foreign_tokenizer import AnyTokenizer, ForeignTokenizer
from pipeline.shared.formats.tokenizer import (
    END_OF_TEXT,
    Tokenizer,
    find_merges,
    load_tokenizer,
    to_bytes,
    to_text,
)

_SETTINGS, _SPECIAL, _ADDED = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
_PAIRS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
# Of other kinds: WordPiece, SentencePiece, Mistral's, a pickle.
_OTHERS = ("vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "tokenizer.pkl")
# Classes of transformers that take tokenizer.json as it stands; GPT-2's own takes its tokens alone.
_GPT2_CLASS = "GPT2Tokenizer"
_NAMED = (
    "bos_token",
    "eos_token",
    "unk_token",
    "pad_token",
    "sep_token",
    "cls_token",
    "mask_token",
)
# All bytes but those that no UTF-8 has.
_BYTES_OF_TEXT = [n for n in range(256) if n not in {0xC0, 0xC1} and n < 0xF5]


class TextIds(NamedTuple):
    """What a model's configuration says of its texts' ends; None where it is mute."""

    start: int | None
    end: int | None


def read_tokenizer(folder: Path, *, rows: int, ids: TextIds) -> AnyTokenizer | None:
    """The tokenizer beside a model of `rows` tokens; None where no file speaks of one.

    Raises:
        CorruptDataError: files are damaged, contradict each other, are of no byte-level BPE, or
            have more tokens than the model.
    """
    try:
        tokenizer = _read(folder, _settings(folder), rows, ids)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise CorruptDataError(
            f"{folder}: its tokenizer's files are not as transformers writes them ({error!r}); "
            "fetch them again"
        ) from None
    if tokenizer is not None and tokenizer.vocab_size > rows:
        raise CorruptDataError(
            f"{folder}: its tokenizer has {tokenizer.vocab_size:,} tokens, but the model rows for "
            f"{rows:,}; they are not of one model, or its embedding was not enlarged"
        )
    return tokenizer


def _read(
    folder: Path, settings: Mapping[str, Any], rows: int, ids: TextIds
) -> AnyTokenizer | None:
    if (path := folder / "tokenizer.json").is_file():
        return _interpret(path, _read_definition(path, settings), settings, ids)
    for vocabulary, merges in _PAIRS:
        if (path := folder / vocabulary).is_file() or (folder / merges).is_file():
            definition = _define(path, folder / merges, settings)
            return _interpret(path, definition, settings, ids)
    if (folder / "encoding.json").is_file():
        return load_tokenizer(folder)
    found = [*sorted(folder.glob("*.tiktoken")), *folder.glob("tokenizer.model")]
    if found:
        return _read_tiktoken(found[0], rows, ids)
    signs = [name for name in (*_OTHERS, _SETTINGS, _SPECIAL, _ADDED) if (folder / name).is_file()]
    if signs:
        what = "is no byte-level BPE" if signs[0] in _OTHERS else "speaks of a tokenizer, not there"
        raise CorruptDataError(
            f"{folder / signs[0]} {what}; put the model's tokenizer.json, or vocab.json and "
            "merges.txt, there"
        )
    return None


def _settings(folder: Path) -> dict[str, Any]:
    """`tokenizer_config.json`, and what older files beside it add; `model_class` of config.json."""
    found: dict[str, Any] = {}
    for name in (_SPECIAL, _SETTINGS):
        if (folder / name).is_file():
            found |= {k: v for k, v in _object(folder / name).items() if v is not None}
    special = {_content(found[name]) for name in _NAMED if name in found}
    tokens: dict[str, dict[str, Any]] = {}
    if (folder / _ADDED).is_file():
        for content, id_ in _object(folder / _ADDED).items():
            tokens[content] = _added(content, id_, special=content in special)
    for id_, token in found.get("added_tokens_decoder", {}).items():
        tokens[token["content"]] = {**_added(token["content"], int(id_)), **token, "id": int(id_)}
    if "tokenizer_class" not in found and (folder / "config.json").is_file():
        found["tokenizer_class"] = _object(folder / "config.json").get("tokenizer_class")
    return found | {"added": tokens}


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise CorruptDataError(f"{path}: holds no object; fetch it again")
    return value


def _added(content: str, id_: int, *, special: bool = False) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    return {"id": id_, "content": content, **flags, "normalized": not special, "special": special}


def _content(token: Any) -> str:
    """The text of a token that a settings file names, in either of its forms."""
    return str(token.get("content")) if isinstance(token, dict) else str(token)


def _read_definition(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A `tokenizer.json`, checked for its kind and for a contradiction with its settings."""
    data = _object(path)
    model = data.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        kind = model.get("type") if isinstance(model, dict) else None
        raise CorruptDataError(f"{path}: model.type = {kind!r} is no byte-level BPE; {_GIVE_ONE}")
    if model.get("type", "BPE") != "BPE" or "merges" not in model:
        raise CorruptDataError(
            f"{path}: model.type = {model.get('type')!r} is no byte-level BPE; {_GIVE_ONE}"
        )
    if "ByteLevel" not in json.dumps([data.get("pre_tokenizer"), data.get("normalizer")]):
        raise CorruptDataError(f"{path}: its pre_tokenizer is not byte-level; {_GIVE_ONE}")
    data["added_tokens"] = data.get("added_tokens") or []
    model["merges"] = [m.split(" ") if isinstance(m, str) else list(m) for m in model["merges"]]
    known = {token["content"] for token in data["added_tokens"]}
    extra = [token for content, token in settings["added"].items() if content not in known]
    data["added_tokens"] = sorted([*data["added_tokens"], *extra], key=lambda token: token["id"])
    _refuse_contradiction(path, data, settings)
    return data


_GIVE_ONE = "figure4 needs a tokenizer that gives every text back from its ids"


def _refuse_contradiction(path: Path, data: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Where GPT-2's own class is named, or none, that class makes its own rules of the tokens.

    transformers 4 then takes the rules of the file all the same, transformers 5 does not.
    """
    name = str(settings.get("tokenizer_class") or _GPT2_CLASS).removesuffix("Fast")
    if name != _GPT2_CLASS:
        return
    space = bool(settings.get("add_prefix_space", False))
    rules = data.get("pre_tokenizer") or {}
    plain = rules.get("type") == "ByteLevel" and rules.get("use_regex", True)
    same = plain and bool(rules.get("add_prefix_space", True)) == space
    if not same or data.get("normalizer") or data["model"].get("ignore_merges"):
        raise CorruptDataError(
            f"{path}: its rules are not those of {_GPT2_CLASS}, as which {_SETTINGS} has it read; "
            'if they are the model\'s, write "tokenizer_class": "PreTrainedTokenizerFast" there'
        )


def _define(vocabulary: Path, merges: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `tokenizer.json` would say of GPT-2's older files."""
    vocab = read_json(vocabulary)
    try:
        lines = merges.read_text(encoding="utf-8").split("\n")
        pairs = [line.rstrip("\r").split(" ") for line in lines if not line.startswith("#version")]
        pairs = [pair for pair in pairs if pair != [""]]
        if not isinstance(vocab, dict) or any(len(pair) != 2 for pair in pairs):
            raise ValueError("no mapping from tokens to ids, or a merge that is not of two")
    except (OSError, ValueError) as error:
        raise CorruptDataError(
            f"{vocabulary}: not the vocabulary of a byte-level BPE, or no {merges.name} beside it "
            f"({error!r}); fetch both again"
        ) from None
    added = dict(settings["added"])
    for name in (_content(settings.get(n, END_OF_TEXT)) for n in _NAMED[:3]):
        if name in vocab and name not in added:
            added[name] = _added(name, vocab[name], special=True)
    byte_level = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    space = {"add_prefix_space": bool(settings.get("add_prefix_space", False))}
    model = {"type": "BPE", "unk_token": None, "vocab": vocab, "merges": pairs}
    unused = {"continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False}
    return {
        "version": "1.0",
        "added_tokens": sorted(added.values(), key=lambda token: token["id"]),
        "normalizer": None,
        "pre_tokenizer": byte_level | space,
        "decoder": byte_level | {"add_prefix_space": True},
        "model": model | unused,
    }


def _interpret(
    path: Path, data: dict[str, Any], settings: Mapping[str, Any], ids: TextIds
) -> AnyTokenizer:
    """By tiktoken where that says it all, else by `tokenizers`."""
    vocab: dict[str, int] = data["model"]["vocab"]
    known = vocab | {token["content"]: token["id"] for token in data["added_tokens"]}
    end = _find_end(path, known, settings, ids)
    start = known.get(_content(settings["bos_token"]), end) if "bos_token" in settings else end
    _require_all_bytes(path, vocab)
    if start == end and (tokenizer := _as_tiktoken(data, end)) is not None:
        return tokenizer
    foreign = ForeignTokenizer(json.dumps(data, ensure_ascii=False), start, end)
    given = foreign.ids
    for token in data["added_tokens"]:
        if given.get(token["content"]) != token["id"]:
            raise CorruptDataError(
                f"{path}: the added token {token['content']!r} has the id {token['id']}, but gets "
                f"{given.get(token['content'])}; ids of added tokens follow those of the vocabulary"
            )
    return foreign


def _find_end(
    path: Path, known: Mapping[str, int], settings: Mapping[str, Any], ids: TextIds
) -> int:
    """The token that ends a text: the one that is named, else GPT-2's, else the model's."""
    named = _content(settings["eos_token"]) if "eos_token" in settings else END_OF_TEXT
    for name in (named, END_OF_TEXT):
        if name in known:
            return known[name]
    if ids.end is not None and ids.end in known.values():
        return ids.end
    raise CorruptDataError(
        f"{path}: no token is known to end a text ({named} is not among the tokens); name it as "
        f"eos_token in {_SETTINGS}"
    )


def _require_all_bytes(path: Path, vocab: Mapping[str, int]) -> None:
    """Refuse a vocabulary that would drop bytes of a text in silence."""
    missing = [byte for byte in _BYTES_OF_TEXT if to_text(bytes([byte])) not in vocab]
    if missing:
        raise CorruptDataError(
            f"{path}: no tokens for {len(missing)} bytes, such as 0x{missing[0]:02x}, which would "
            f"be dropped from every text; {_GIVE_ONE}"
        )


def _as_tiktoken(data: Mapping[str, Any], end: int) -> Tokenizer | None:
    """The same tokenizer, if it is GPT-2's but for its tokens, and merges by the order of ids."""
    model, rules = data["model"], data["pre_tokenizer"] or {}
    plain = rules.get("type") == "ByteLevel" and rules.get("use_regex", True)
    other = any(model.get(n) for n in ("continuing_subword_prefix", "end_of_word_suffix"))
    added = {token["id"] for token in data["added_tokens"]} - {end}
    if not plain or rules.get("add_prefix_space", True) or data.get("normalizer") or other or added:
        return None
    try:
        ids = {to_bytes(token): id_ for token, id_ in model["vocab"].items() if id_ != end}
    except KeyError:  # a token of other characters than those that stand for bytes
        return None
    if sorted([*ids.values(), end]) != list(range(len(ids) + 1)):
        return None
    if not all(bytes([byte]) in ids for byte in range(256)):
        return None
    try:
        in_order = model["merges"] == [[to_text(a), to_text(b)] for a, b in find_merges(ids)]
    except ValueError:  # a token that no two of lower ids make
        return None
    return Tokenizer("hugging_face", ids) if in_order else None


def _read_tiktoken(path: Path, rows: int, ids: TextIds) -> Tokenizer:
    """Ranks alone, which tell no pattern: it is GPT-2's if every token can come of it."""
    try:
        lines = [line.split() for line in path.read_bytes().splitlines() if line]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in lines}
    except ValueError as error:
        raise CorruptDataError(
            f"{path}: not a file of tiktoken's ranks ({error}); put tokenizer.json, or vocab.json "
            "and merges.txt, there"
        ) from None
    special = ranks.pop(END_OF_TEXT.encode(), None)
    tokenizer = Tokenizer("tiktoken", ranks)
    all_ids = sorted([*ranks.values(), tokenizer.end_of_text]) == list(range(len(ranks) + 1))
    if not all_ids or not all(bytes([byte]) in ranks for byte in range(256)):
        raise CorruptDataError(f"{path}: ids have gaps, or bytes no token; fetch it again")
    if special not in {None, tokenizer.end_of_text}:
        raise CorruptDataError(f"{path}: {END_OF_TEXT} has the id of another token; fetch it again")
    if ids.end is not None and ids.end < rows and ids.end != tokenizer.end_of_text:
        raise CorruptDataError(
            f"{path}: its one free id is {tokenizer.end_of_text}, but config.json ends texts with "
            f"{ids.end}; write eos_token_id = {tokenizer.end_of_text} there if that is right"
        )
    _require_gpt2_pattern(path, tokenizer)
    return tokenizer


def _require_gpt2_pattern(path: Path, tokenizer: Tokenizer) -> None:
    for token, id_ in tokenizer.ranks.items():
        try:
            text = token.decode()
        except UnicodeDecodeError:
            continue
        if tokenizer.encode(text) != [id_]:
            raise CorruptDataError(
                f"{path}: GPT-2's pattern never gives its token {text!r}, so it was made with "
                "another; put the tokenizer there as tokenizer.json, which tells its pattern"
            )
