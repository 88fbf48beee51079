"""The tokenizer: a byte-level BPE run by tiktoken, GPT-2's own or one trained on the corpus.

A folder `tokenizer/` holds `ranks.tiktoken` (tiktoken's own format: base64 of a token's bytes, and
its id, a line) and `encoding.json` (pattern, special token, size, hash of the ranks). Ids follow
GPT-2: single bytes, then merges by rank, <|endoftext|> last; another's may have it elsewhere. The
name `tokenizer.json` is avoided because transformers would take the file for its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tiktoken

from pipeline.shared.errors import REMAKE, CorruptDataError, RetryableError
from pipeline.shared.files import open_atomic, read_json, write_json
from pipeline.shared.formats.long_texts import part_text

END_OF_TEXT = "<|endoftext|>"
# GPT-2's pattern, 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ ,
# in the equivalent form that tiktoken runs without backtracking.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
GPT2_ENCODER_SHA256 = "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"

Ranks = dict[bytes, int]
"""A token's bytes -> its id, which is also its rank: the lowest possible merge comes first."""


class Placed(NamedTuple):
    """The tokens of a text, and where each begins."""

    tokens: list[int]
    starts: npt.NDArray[np.int64]
    """Place of each token's first byte in the UTF-8 of the text."""


@dataclass(frozen=True)
class Tokenizer:
    """A byte-level BPE: every text has ids, and ids give back the text."""

    name: str
    """`gpt2`, or `trained` on the study's corpus."""
    ranks: Ranks
    """Of all tokens but <|endoftext|>: all numbers below vocab_size but one."""

    @cached_property
    def encoding(self) -> tiktoken.Encoding:
        """The same as an encoding of tiktoken; it can be pickled."""
        return tiktoken.Encoding(
            name=self.name,
            pat_str=PATTERN,
            mergeable_ranks=self.ranks,
            special_tokens={END_OF_TEXT: self.end_of_text},
            explicit_n_vocab=self.vocab_size,
        )

    @cached_property
    def end_of_text(self) -> int:
        """The id of <|endoftext|>: the one that no other token has, the last one in GPT-2's."""
        return sum(range(self.vocab_size)) - sum(self.ranks.values())

    @property
    def start(self) -> int:
        """The id that stands before every text: in training, it ends the text before."""
        return self.end_of_text

    @property
    def vocab_size(self) -> int:
        """Number of ids, <|endoftext|> included."""
        return len(self.ranks) + 1

    @cached_property
    def sha256(self) -> str:
        """Identifies the tokenizer: the hash of its settings, which hold the hash of its ranks."""
        return hashlib.sha256(json.dumps(self._settings(), sort_keys=True).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """The ids of a text; <|endoftext|> written in it is text like any other."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str], *, num_threads: int = 1) -> list[list[int]]:
        """The ids of each text."""
        parted = [part_text(text)[0] for text in texts]
        parts = list(chain.from_iterable(parted))
        ids = iter(self.encoding.encode_ordinary_batch(parts, num_threads=num_threads))
        return [list(chain.from_iterable(islice(ids, len(own)))) for own in parted]

    def place(self, text: str) -> Placed:
        """The ids of a text and where they begin."""
        tokens = self.encode(text)
        lengths = np.fromiter((len(self.pieces[id_]) for id_ in tokens), np.int64, len(tokens))
        return Placed(tokens, np.cumsum(lengths) - lengths)

    @cached_property
    def pieces(self) -> Mapping[int, bytes]:
        """The bytes of every id but <|endoftext|>."""
        return {id_: token for token, id_ in self.ranks.items()}

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; bytes that are no UTF-8 (a cut character) become U+FFFD.

        An id beyond the vocabulary, of a row that only pads a model's embedding, is no text.
        """
        return self.encoding.decode([id_ for id_ in ids if id_ < self.vocab_size])

    def save(self, folder: Path) -> None:
        """Write `ranks.tiktoken` and `encoding.json`; the same tokenizer gives the same bytes."""
        with open_atomic(folder / "ranks.tiktoken") as file:
            file.write(self._ranks_file)
        write_json(folder / "encoding.json", self._settings() | {"sha256": self.sha256})

    def _settings(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "pattern": PATTERN,
            "special_tokens": {END_OF_TEXT: self.end_of_text},
            "vocab_size": self.vocab_size,
            "ranks_sha256": hashlib.sha256(self._ranks_file).hexdigest(),
        }

    @cached_property
    def _ranks_file(self) -> bytes:
        tokens = sorted(self.ranks, key=self.ranks.__getitem__)
        return b"".join(b"%s %d\n" % (base64.b64encode(t), self.ranks[t]) for t in tokens)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer that `Tokenizer.save` wrote into `folder`.

    Raises:
        CorruptDataError: a file is missing or is not what was written.
    """
    path = folder / "ranks.tiktoken"
    settings = read_json(folder / "encoding.json")
    try:
        name = settings["name"]
        lines = [line.split() for line in path.read_bytes().splitlines()]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in lines}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(f"{path}: not a file of ranks ({error}); {REMAKE}") from None
    tokenizer = Tokenizer(name, ranks)
    if settings != tokenizer._settings() | {"sha256": tokenizer.sha256}:
        raise CorruptDataError(f"{path}: not the ranks that encoding.json describes; {REMAKE}")
    return tokenizer


def gpt2_tokenizer(folder: Path | None) -> Tokenizer:
    """GPT-2's own tokenizer, from `encoder.json` in `folder` or from tiktoken's download or cache.

    `encoder.json` alone says it all: an id is the rank of its merge, as in the `vocab.bpe` beside.

    Raises:
        CorruptDataError: `encoder.json` is missing or is not the published file.
        RetryableError: there is no folder, no cached file and no network.
    """
    if folder is None:
        return Tokenizer("gpt2", _download_gpt2_ranks())
    path = folder / "encoder.json"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorruptDataError(
            f"{path}: {error.strerror}; set tokenize.gpt2_bpe_folder to a folder that holds "
            "GPT-2's encoder.json, or to null for a download"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != GPT2_ENCODER_SHA256:
        raise CorruptDataError(
            f"{path}: not GPT-2's published file, SHA-256 {found[:12]}... instead of "
            f"{GPT2_ENCODER_SHA256[:12]}...; fetch it again"
        )
    tokens: dict[str, int] = json.loads(content)
    return Tokenizer("gpt2", {to_bytes(t): id_ for t, id_ in tokens.items() if t != END_OF_TEXT})


def _download_gpt2_ranks() -> Ranks:
    try:
        encoding = tiktoken.get_encoding("gpt2")  # checks the hashes of what it fetches
    except (OSError, ValueError) as error:  # requests' errors are OSErrors
        reason = type(error).__name__ if isinstance(error, OSError) else error
        raise RetryableError(
            f"GPT-2's encoding could not be fetched ({reason}); with no network, set "
            "tokenize.gpt2_bpe_folder in params.yaml to a folder with GPT-2's encoder.json"
        ) from None
    pairs = ((encoding.decode_single_token_bytes(id_), id_) for id_ in range(encoding.n_vocab - 1))
    return dict(pairs)


def write_hugging_face_files(tokenizer: Tokenizer, folder: Path) -> None:
    """Write vocab.json, merges.txt and tokenizer_config.json, as GPT-2's release has them.

    transformers' `AutoTokenizer` and `GPT2TokenizerFast` then give the same ids, but take a
    written-out <|endoftext|> for the special token, as they do with GPT-2's own files.
    """
    vocabulary = {to_text(token): id_ for token, id_ in tokenizer.ranks.items()}
    vocabulary[END_OF_TEXT] = tokenizer.end_of_text
    write_json(folder / "vocab.json", vocabulary)
    with open_atomic(folder / "merges.txt", "w") as file:
        file.write("#version: 0.2\n")
        for left, right in find_merges(tokenizer.ranks):
            file.write(f"{to_text(left)} {to_text(right)}\n")
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    settings = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False}
    write_json(folder / "tokenizer_config.json", settings | special)


def find_merges(ranks: Ranks) -> Iterator[tuple[bytes, bytes]]:
    """The merge behind each token of two bytes or more, by rank.

    A token is merged last from the two pieces that the merges of lower rank leave of its bytes.
    """
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1:
            left, right = _split(ranks, token, rank)
            yield left, right


def _split(ranks: Ranks, token: bytes, below: int) -> list[bytes]:
    pieces = [bytes([byte]) for byte in token]
    while True:
        joined = [ranks.get(a + b, below) for a, b in pairwise(pieces)]
        lowest = min(joined, default=below)
        if lowest >= below:
            return pieces
        place = joined.index(lowest)
        pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]


def to_text(token: bytes) -> str:
    """A token's bytes as GPT-2's files write them: one visible character a byte.

    >>> to_text(b" the")
    'Ġthe'
    """
    return "".join(_BYTE_TO_CHARACTER[byte] for byte in token)


def to_bytes(text: str) -> bytes:
    """The inverse of `to_text`.

    >>> to_bytes("Ġthe")
    b' the'
    """
    return bytes(_CHARACTER_TO_BYTE[character] for character in text)


def _make_byte_alphabet() -> dict[int, str]:
    """Visible Latin-1 characters stand for themselves, the others for those from U+0100 on."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    alphabet = {byte: chr(byte) for byte in visible}
    return alphabet | {byte: chr(0x100 + place) for place, byte in enumerate(others)}


_BYTE_TO_CHARACTER = _make_byte_alphabet()
_CHARACTER_TO_BYTE = {character: byte for byte, character in _BYTE_TO_CHARACTER.items()}
