"""The loss curve of a training: one type for a point of it, and the CSV that holds them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.shared.errors import REMAKE, CorruptDataError
from pipeline.shared.files import open_atomic

LOSS_CURVE = "loss_curve.csv"


class CurvePoint(NamedTuple):
    """One row of the loss curve; losses in nats per token."""

    tokens: int
    """Trained so far."""
    train_loss: float
    """Mean over the steps since the point before."""
    valid_loss: float
    learning_rate: float


def write_curve(folder: Path, curve: Sequence[CurvePoint]) -> None:
    """Write a training's curve into its folder."""
    with open_atomic(folder / LOSS_CURVE, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CurvePoint._fields)
        writer.writerows(curve)


def read_curve(folder: Path) -> list[CurvePoint]:
    """The curve of a training, oldest point first.

    Raises:
        CorruptDataError: the file is missing or no curve, naming it.
    """
    path = folder / LOSS_CURVE
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                CurvePoint(int(row["tokens"]), *(float(row[key]) for key in CurvePoint._fields[1:]))
                for row in csv.DictReader(file)
            ]
    except FileNotFoundError:
        raise CorruptDataError(f"{path}: no such file; run dvc repro") from None
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptDataError(f"{path}: not a loss curve ({error}); {REMAKE}") from None
