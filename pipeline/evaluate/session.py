"""One loaded model and tokenizer, which serve all evaluation sets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.checkpoints import load_pretrained
from models.errors import CheckpointError
from models.gpt2 import GPT2
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.formats.foreign_tokenizer import AnyTokenizer, load_any_tokenizer
from pipeline.shared.params.profile import ComputeParams, EvaluateParams
from pipeline.shared.params.types import Precision


def _ignore_tick(tokens: int) -> None:
    """No progress is shown."""


@dataclass(frozen=True)
class Session:
    """What every scoring method needs."""

    model: GPT2
    tokenizer: AnyTokenizer
    params: EvaluateParams
    seed: int
    device: torch.device
    tick: Callable[[int], None] = _ignore_tick
    """Called with the number of tokens read."""

    @property
    def context(self) -> int:
        """Positions of the model, in tokens."""
        return self.model.config.n_positions

    @property
    def start(self) -> int:
        """<|endoftext|>, which stands before every text: in training, it ends the text before."""
        return self.tokenizer.start

    @property
    def ends(self) -> frozenset[int]:
        """The tokens after which another text begins: <|endoftext|>, by whatever names."""
        return frozenset({self.tokenizer.start, self.tokenizer.end_of_text})

    def autocast(self) -> AbstractContextManager[object]:
        """Matrix products in the precision of the parameters; sums and losses stay float32."""
        if self.params.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    @cached_property
    def line_ends(self) -> frozenset[int]:
        """The tokens that end a line: all that hold a newline, and <|endoftext|>."""
        held = (id_ for id_, piece in self.tokenizer.pieces.items() if b"\n" in piece)
        return frozenset({*self.ends, *held})

    @cached_property
    def token_bytes(self) -> npt.NDArray[np.int64]:
        """Length in bytes of each token of the vocabulary, [V]; <|endoftext|> has none."""
        lengths = np.zeros(self.tokenizer.vocab_size, dtype=np.int64)
        for id_, piece in self.tokenizer.pieces.items():
            lengths[id_] = len(piece)
        return lengths


def open_session(
    model_folder: Path,
    tokenizer_folder: Path,
    *,
    params: EvaluateParams,
    compute: ComputeParams,
    seed: int,
) -> Session:
    """Load the weights once, on the device that the profile names.

    Raises:
        CorruptDataError: the weights or the tokenizer are damaged, or not of one model.
        UserError: the profile asks for a GPU and there is none.
    """
    device = _device(compute)
    tokenizer = load_any_tokenizer(tokenizer_folder)
    try:
        model = load_model(model_folder, device, params.precision)
    except CheckpointError as error:
        raise CorruptDataError(str(error)) from None
    if model.config.vocab_size < tokenizer.vocab_size:  # more rows only pad the embedding
        raise CorruptDataError(
            f"{model_folder}: a model of {model.config.vocab_size} tokens, where "
            f"{tokenizer_folder} has {tokenizer.vocab_size}; train it on these tokens (dvc repro)"
        )
    return Session(model, tokenizer, params, seed, device)


def load_model(folder: Path, device: torch.device, precision: Precision) -> GPT2:
    """The weights, those of matrix products in `precision`: autocast converts them no more.

    Raises:
        CheckpointError: the weights are damaged or missing.
    """
    model = load_pretrained(folder, device)
    if precision == "bfloat16":
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                module.to(torch.bfloat16)
    return model


def _device(compute: ComputeParams) -> torch.device:
    if compute.accelerator == "cpu":
        torch.set_num_threads(compute.threads)
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError(
            "params.yaml: compute.accelerator = gpu, but torch sees no GPU here; "
            "set it to cpu or run where there is one"
        )
    return torch.device("cuda")
