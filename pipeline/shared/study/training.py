"""What a training says of itself in its metrics.json, typed once for all who read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.shared.errors import REMAKE, CorruptDataError
from pipeline.shared.files import read_json


class Training(BaseModel):
    """One size's training; None where it does not say, as that of an older version may not."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    parameters: int
    """The tied embedding once."""
    non_embedding_parameters: int | None = None
    """Without the embeddings of tokens and positions."""
    learning_rate: float | None = None
    """The peak."""
    tokens: int | None = None
    """Trained."""
    epochs: float | None = None
    tokens_per_parameter: float | None = None
    training_documents: int | None = None
    train_loss: float | None = None
    valid_loss: float | None = None
    """The curve's last ones, in nats per token."""

    flops_per_token: int | None = None
    """Of forward and backward."""
    tokens_per_s: float | None = None
    seconds: float | None = None
    mfu: float | None = None
    """The model's operations as a part of `peak_flops_per_s`."""
    peak_flops_per_s: float | None = None
    """A large matrix product's on all its devices together, when the training had ended and beside
    whatever else ran there: of a shared card less than it can."""
    accelerator: str | None = None
    """What trained it: cpu or gpu."""
    devices: int | None = None
    """How many of them."""
    peak_memory_mib: float | None = None

    fingerprint: str = ""
    """Of its parameters, inputs and code."""
    model_sha256: str | None = None
    tokenizer_sha256: str | None = None
    training_text_sha256: str | None = None
    """Of the list of the documents trained on."""
    train_sha256: str | None = None
    valid_sha256: str | None = None
    """Of the splits' manifests."""


def read_training(path: Path) -> Training:
    """The training of a metrics.json.

    Raises:
        CorruptDataError: it is missing or no training's, naming it.
    """
    content: Any = read_json(path)
    try:
        return Training.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CorruptDataError(f"{path}: {where}: {first['msg']}; {REMAKE}") from None
