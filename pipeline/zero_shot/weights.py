"""The models that were asked for: their folders, their tokenizers and their labels in the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.checkpoints import CONFIG, CheckpointError, read_config
from models.compute import num_parameters
from models.gpt2 import GPT2Config
from models.hub import FetchError, fetch_pretrained
from pipeline.eval_sets.eval_set import PAPER_LABELS
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.formats.tokenizer import Tokenizer, gpt2_tokenizer, read_hugging_face_files

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


def find_weights(names: Sequence[str]) -> list[Weights]:
    """The models behind folders, folders of folders and names on the hub, smallest first.

    Raises:
        UserError: one is not to be had, is no GPT-2, or has the name of another.
    """
    found: list[Weights] = []
    for name in names:
        place = Path(name).expanduser()
        inner = sorted(path.parent for path in place.glob(f"*/{CONFIG}"))
        if place.is_dir() and not (place / CONFIG).is_file() and inner:
            found += [_open(str(folder), folder) for folder in inner]
        else:
            found.append(_open(name, place))
    for one in found:
        same = [str(other.folder) for other in found if other.name == one.name]
        if len(same) > 1:
            raise UserError(
                f"{' and '.join(same)}: both would be called {one.name}; rename one, or ask for "
                "them in two calls with an --out of their own"
            )
    return sorted(found, key=lambda weights: weights.parameters)


def _open(name: str, place: Path) -> Weights:
    try:
        folder = fetch_pretrained(place if place.is_dir() else name)
        config = read_config(folder)
    except FetchError as error:
        raise UserError(str(error)) from None
    except CheckpointError as error:
        raise CorruptDataError(str(error)) from None
    return Weights(place.resolve().name if place.is_dir() else Path(name).name, folder, config)


def tokenizer_of(weights: Weights) -> Tokenizer:
    """The tokenizer beside the weights; GPT-2's own where none is and its vocabulary fits.

    Raises:
        CorruptDataError: the files are damaged, or there are none and the vocabulary is another.
        RetryableError: GPT-2's own is needed, and neither cached nor to be fetched.
    """
    if (weights.folder / "vocab.json").is_file():
        return read_hugging_face_files(weights.folder)
    if weights.config.vocab_size != _GPT2_VOCABULARY:
        raise CorruptDataError(
            f"{weights.folder}: no vocab.json and merges.txt, and a vocabulary of "
            f"{weights.config.vocab_size} tokens is not GPT-2's; put its tokenizer there"
        )
    return gpt2_tokenizer(None)


_GPT2_VOCABULARY = 50_257
