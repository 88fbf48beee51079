"""A model's own tokenizer, run by the library that its `tokenizer.json` was written by.

For what tiktoken cannot say: normalizers, other pre-tokenizers, added tokens, ids that do not
follow the merges. It is used as that library says, with three exceptions that are none of the
tokenizer's: nothing is cut, padded or put around a text, and merges are never left out at random.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.files import read_json, write_json
from pipeline.shared.formats.tokenizer import Placed, Tokenizer, load_tokenizer, to_bytes

_FILE = "foreign_tokenizer.json"  # in the place of the files of `Tokenizer.save`


@dataclass(frozen=True)
class ForeignTokenizer:
    """A byte-level BPE of any kind that `tokenizers` knows."""

    definition: str
    """What `tokenizer.json` holds."""
    start: int
    """The id that stands before every text."""
    end_of_text: int
    """The id that ends a text."""

    name = "foreign"

    @cached_property
    def _library(self) -> Any:
        try:
            from tokenizers import Tokenizer as Library
        except ImportError as error:
            raise UserError(
                f"the model's own tokenizer needs the package tokenizers ({error}); "
                "pip install -c constraints.txt tokenizers"
            ) from None
        data = json.loads(self.definition)
        model = data["model"] | {"dropout": None}
        bare = {"truncation": None, "padding": None, "post_processor": None, "model": model}
        try:
            return Library.from_str(json.dumps(data | bare))
        except Exception as error:  # the library raises nothing narrower
            raise UserError(
                f"the model's tokenizer is none that tokenizers reads: {error}"
            ) from None

    @property
    def ids(self) -> Mapping[str, int]:
        """The id of each token, added ones included, as the library gives them."""
        ids: dict[str, int] = self._library.get_vocab(with_added_tokens=True)
        return ids

    @property
    def vocab_size(self) -> int:
        """One more than the greatest id."""
        return max(self.ids.values()) + 1

    @property
    def changes(self) -> str:
        """What the tokenizer does to a text before it reads it, by the library's name; or ''."""
        normalizer = json.loads(self.definition).get("normalizer")
        if not normalizer:
            return ""
        parts = normalizer.get("normalizers", [normalizer])
        return ", ".join(str(part.get("type")) for part in parts if part.get("type") != "ByteLevel")

    @cached_property
    def pieces(self) -> Mapping[int, bytes]:
        """The bytes of every id but those of special tokens."""
        added = self._library.get_added_tokens_decoder()
        special = {id_ for id_, token in added.items() if token.special}
        special |= {self.start, self.end_of_text}
        return {
            id_: token.encode() if id_ in added else to_bytes(token)
            for token, id_ in self.ids.items()
            if id_ not in special
        }

    @cached_property
    def sha256(self) -> str:
        """Identifies the tokenizer."""
        return hashlib.sha256(json.dumps(self._settings(), sort_keys=True).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """The ids of a text; added tokens written in it are found, as `transformers` finds them."""
        ids: list[int] = self._library.encode(text, add_special_tokens=False).ids
        return ids

    def place(self, text: str) -> Placed:
        """The ids of a text and where they begin: at whole characters of what was given."""
        encoded = self._library.encode(text, add_special_tokens=False)
        offsets = np.array(encoded.offsets, np.int64).reshape(-1, 2)
        return Placed(encoded.ids, _byte_places(text)[offsets[:, 0]])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; special tokens and rows without a token are none."""
        return b"".join(self.pieces.get(id_, b"") for id_ in ids).decode(errors="replace")

    def save(self, folder: Path) -> None:
        """Write all that `load_any_tokenizer` needs."""
        write_json(folder / _FILE, self._settings() | {"sha256": self.sha256})

    def _settings(self) -> dict[str, Any]:
        return {"definition": self.definition, "start": self.start, "end": self.end_of_text}


AnyTokenizer = Tokenizer | ForeignTokenizer


def load_any_tokenizer(folder: Path) -> AnyTokenizer:
    """The tokenizer that `save` of either kind wrote into `folder`.

    Raises:
        CorruptDataError: a file is missing or is not what was written.
    """
    path = folder / _FILE
    if not path.is_file():
        return load_tokenizer(folder)
    data = read_json(path)
    try:
        tokenizer = ForeignTokenizer(data["definition"], data["start"], data["end"])
        if data["sha256"] == tokenizer.sha256:
            return tokenizer
    except (KeyError, TypeError):
        pass
    raise CorruptDataError(f"{path}: not what was written; delete the folder and run this again")


def _byte_places(text: str) -> npt.NDArray[np.int64]:
    """Where each character of a text and its end are in its UTF-8."""
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    lengths = 1 + sum((points > most).astype(np.int64) for most in (0x7F, 0x7FF, 0xFFFF))
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
