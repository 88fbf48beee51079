"""The models that were asked for: their folders, their tokenizers and their labels in the paper."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.checkpoints import check_pretrained
from models.compute import num_parameters
from models.errors import CheckpointError
from models.gpt2 import GPT2Config
from models.hub import HubError, fetch_pretrained
from models.hugging_face_config import CONFIG, read_config, read_text_ids
from pipeline.eval_sets.eval_set import PAPER_LABELS
from pipeline.shared.errors import CorruptDataError, RetryableError, UserError
from pipeline.shared.formats.foreign_tokenizer import AnyTokenizer
from pipeline.shared.formats.tokenizer import gpt2_tokenizer
from pipeline.shared.formats.tokenizer_files import TextIds, read_tokenizer

_RELEASED = (124_439_808, 354_823_168, 774_030_080, 1_557_611_200)
_LABELS = dict(zip(_RELEASED, PAPER_LABELS, strict=True))


@dataclass(frozen=True)
class Weights:
    """One model at hand."""

    name: str
    """Of its folder or repository, without the owner; no other model of the call has it."""
    folder: Path
    config: GPT2Config

    @property
    def parameters(self) -> int:
        """The true count, the tied embedding once."""
        return num_parameters(self.config)

    @property
    def label(self) -> str | None:
        """What the paper calls this number of parameters, or None."""
        return _LABELS.get(self.parameters)


def find_folders(names: Sequence[str]) -> list[str]:
    """The models behind folders, folders of folders and names on the hub, one by one."""
    found: list[str] = []
    for name in names:
        place = Path(name).expanduser()
        inner = sorted(str(path.parent) for path in place.glob(f"*/{CONFIG}"))
        found += inner if place.is_dir() and not (place / CONFIG).is_file() and inner else [name]
    return found


def open_weights(name: str) -> Weights:
    """One model, fetched where it is a name on the hub; no tensor of it is read.

    Raises:
        UserError: it is not to be had, or is no GPT-2.
    """
    place = Path(name).expanduser()
    try:
        folder = fetch_pretrained(place if place.is_dir() else name)
        config = read_config(folder)
    except HubError as error:
        raise UserError(str(error)) from None
    except CheckpointError as error:
        raise CorruptDataError(str(error)) from None
    return Weights(place.resolve().name if place.is_dir() else Path(name).name, folder, config)


def check_weights(weights: Weights) -> Weights:
    """The same after reading all of its tensors, which tell whether the head is its own.

    Raises:
        CorruptDataError: they are damaged, not of its configuration, or not all finite numbers.
    """
    try:
        return replace(weights, config=check_pretrained(weights.folder))
    except CheckpointError as error:
        raise CorruptDataError(str(error)) from None


def tokenizer_of(weights: Weights, log: logging.Logger) -> AnyTokenizer:
    """The tokenizer beside the weights; GPT-2's own where none is and its vocabulary fits.

    Raises:
        CorruptDataError: the files are damaged or of another kind, or there are none and the
            vocabulary is another.
        RetryableError: GPT-2's own is needed, and neither cached nor to be fetched.
    """
    ids, rows = TextIds(*read_text_ids(weights.folder)), weights.config.vocab_size
    tokenizer = read_tokenizer(weights.folder, rows=rows, ids=ids)
    if tokenizer is not None:
        return tokenizer
    if rows not in _GPT2_ROWS or ids.end not in {None, _GPT2_ROWS[0] - 1}:
        raise CorruptDataError(
            f"{weights.folder}: no tokenizer beside the weights, and a model of {rows} tokens is "
            "not GPT-2's; put its tokenizer.json, or vocab.json and merges.txt, there"
        )
    log.warning("%s: no tokenizer beside the weights: GPT-2's own is taken", weights.name)
    try:
        return gpt2_tokenizer(None)
    except RetryableError as error:
        reason = str(error).partition(";")[0]
        raise RetryableError(
            f"{weights.folder}: {reason}; put GPT-2's vocab.json and merges.txt there"
        ) from None


_GPT2_ROWS = (50_257, 50_304)  # the second padded to a multiple of 64
