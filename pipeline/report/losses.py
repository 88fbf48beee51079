"""The losses behind Figure 4: by document and size, on equal draws of documents for all sizes."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.report.study import Study
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.scores.scaling import Losses, differences, draw_losses

SPLITS = ("train", "test")


class SizedLosses(NamedTuple):
    """Losses per token or byte of those sizes that were measured, in their order."""

    sizes: list[str]
    losses: Losses

    def place(self, size: str) -> int:
        """The size's column."""
        return self.sizes.index(size)

    def parameters(self, study: Study, *, embedding: bool = True) -> npt.NDArray[np.float64]:
        """Parameters of each size, with the embedding or without."""
        count = study.parameters if embedding else study.non_embedding_parameters
        return np.array([count(size) for size in self.sizes], dtype=np.float64)


Unit = Literal["token", "byte"]
_COLUMNS: dict[Unit, str] = {"token": "num_units", "byte": "num_bytes"}


def split_losses(study: Study, unit: Unit = "token") -> dict[str, SizedLosses]:
    """By split, the losses of every size that was scored on it, in nats per token or per byte.

    The two splits are samples of their own and are drawn apart.

    Raises:
        CorruptDataError: sizes were scored on different documents of one split.
    """
    return {split: _read(study, split, number, unit) for number, split in enumerate(SPLITS)}


def gaps(splits: dict[str, SizedLosses]) -> SizedLosses:
    """Test loss minus train loss of each size that has both; above zero, train is easier."""
    sizes = [size for size in splits["train"].sizes if size in splits["test"].sizes]
    if not sizes:  # one split was scored for none, so that it has no draws either
        return SizedLosses([], Losses(np.empty(0), np.empty((0, 0))))
    train, test = (_only(splits[split], sizes) for split in SPLITS)
    return SizedLosses(sizes, differences(test, train))


def _only(sized: SizedLosses, sizes: list[str]) -> Losses:
    places = [sized.place(size) for size in sizes]
    return Losses(sized.losses.mean[places], sized.losses.draws[:, places])


def _read(study: Study, split: str, number: int, unit: Unit) -> SizedLosses:
    name = f"webtext_{split}"
    sizes = [size for size in study.sizes if study.metric(size, name, "perplexity") is not None]
    if not sizes:
        return SizedLosses([], Losses(np.empty(0), np.empty((0, 0))))
    tables = [study.artefacts.scores(size, name) for size in sizes]
    for size, table in zip(sizes, tables, strict=True):
        if table["id"].tolist() != tables[0]["id"].tolist():
            raise CorruptDataError(
                f"{study.artefacts.folder}: {sizes[0]} and {size} were scored on different "
                f"documents of the {split} split; run dvc repro"
            )
    nats = np.stack([table["loss_nats"].to_numpy(dtype=float) for table in tables], axis=1)
    units = tables[0][_COLUMNS[unit]].to_numpy(dtype=float)
    samples = study.params.evaluate.bootstrap_samples
    seed = study.params.seeds.sampling + number  # the splits' draws do not go together
    return SizedLosses(sizes, draw_losses(nats, units, samples=samples, seed=seed))
