"""One study as a comparison sees it: of each size its shape, its training and its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pandas as pd

from pipeline.compare.sources import StudyPlace, settings
from pipeline.shared.errors import CorruptDataError, UserError
from pipeline.shared.scores.results import Result
from pipeline.shared.study import places
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.study.training import Training

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Size:
    """One model of one study."""

    name: str
    training: Training
    results: dict[str, Result]
    artefacts: StudyFolder
    """Of its study."""
    _read: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    def scores(self, eval_set: str) -> pd.DataFrame:
        """Per-example scores of a set, sorted by id so that equal sets are drawn alike."""
        if eval_set not in self._read:
            table = self.artefacts.scores(self.name, eval_set)
            self._read[eval_set] = table.sort_values("id", kind="stable")
        return self._read[eval_set]


@dataclass(frozen=True)
class ComparedStudy:
    """One study's artefacts."""

    place: StudyPlace
    settings: dict[str, Any]
    """Parameters by dotted name; empty where none are recorded."""
    sizes: dict[str, Size]
    """By name, the smallest first."""
    trained: list[str] = field(default_factory=list)
    """Every size that was trained, the smallest first, evaluated or not."""

    @property
    def tokenizer(self) -> str:
        """SHA-256 of the tokenizer that all sizes share."""
        return next(iter(self.sizes.values())).training.tokenizer_sha256 or ""

    @property
    def seeds(self) -> dict[str, Any]:
        """By name, e.g. `seeds.order`."""
        return {key: v for key, v in self.settings.items() if key.split(".")[0] == "seeds"}

    @property
    def all_but_seeds(self) -> dict[str, Any]:
        """What replicates have in common."""
        return {key: v for key, v in self.settings.items() if key not in self.seeds}


@dataclass(frozen=True)
class Group:
    """Replicates of one study, or one study alone."""

    label: str
    studies: list[ComparedStudy]
    sizes: list[str] = field(default_factory=list)
    """Those that every replicate has, the smallest first."""

    @property
    def first(self) -> ComparedStudy:
        """The one whose counts of parameters and tokens stand for all."""
        return self.studies[0]

    @property
    def ladder(self) -> list[str]:
        """With sizes that a replicate lacks: the next smaller one is the next of these."""
        return max((study.trained for study in self.studies), key=len)

    def training(self, size: str, key: str) -> Any:
        """A value of `Training`; None where an old study lacks it."""
        return getattr(self.first.sizes[size].training, key)


def read_study(place: StudyPlace) -> ComparedStudy:
    """Read the sizes that were trained and evaluated.

    Raises:
        UserError: there are none.
        CorruptDataError: a file is damaged.
    """
    found = StudyFolder(place.folder)
    trainings = {name: found.training(name) for name in found.trained_sizes()}
    trained = sorted(trainings, key=lambda name: trainings[name].parameters)
    sizes = {
        name: Size(name, trainings[name], found.results(name), found)
        for name in trained
        if found.path(places.RESULTS, size=name).is_dir()
    }
    if not sizes:
        raise UserError(
            f"{place.folder}: no size was both trained and evaluated; run `dvc repro` there, or "
            "copy train/*/metrics.json and evaluate/ here"
        )
    return ComparedStudy(place, settings(place), sizes, trained)


def group(studies: Sequence[ComparedStudy], labels: Sequence[str]) -> list[Group]:
    """Groups in the order of their first study: by label, else by parameters.

    Raises:
        UserError: replicates have different tokenizers or shapes, or two groups one name.
    """
    members: dict[str, list[ComparedStudy]] = {}
    for study, label in zip(studies, labels, strict=True):
        name = label or next(
            (n for n, found in members.items() if n not in labels and _replicate(found, study)),
            study.place.name,
        )
        if name in members and not label and not _replicate(members[name], study):
            raise UserError(
                f"{name}: named twice, or the label of another; give it a LABEL= of its own"
            )
        members.setdefault(name, []).append(study)
    return [_group(name, found) for name, found in members.items()]


def _replicate(group: Sequence[ComparedStudy], study: ComparedStudy) -> bool:
    """Whether a study differs from each of a group in seeds and in nothing else recorded."""
    return all(
        bool(study.settings)
        and study.all_but_seeds == other.all_but_seeds
        and study.seeds != other.seeds
        and study.tokenizer == other.tokenizer
        for other in group
    )


def _group(label: str, studies: list[ComparedStudy]) -> Group:
    studies = sorted(studies, key=lambda study: str(sorted(study.seeds.items())))
    sizes = [name for name in studies[0].sizes if all(name in s.sizes for s in studies)]
    for study in studies[1:]:
        if study.tokenizer != studies[0].tokenizer:
            raise UserError(
                f"{label}: {study.place.name} has another tokenizer than {studies[0].place.name}, "
                "so that their perplexities have no mean; give each a LABEL= of its own. Seeds of "
                "the corpus or the split make replicates only where the tokenizer is a given one"
            )
        for size, key in product(sizes, ("parameters", "tokens")):
            ours, theirs = (getattr(s.sizes[size].training, key) for s in (study, studies[0]))
            if ours != theirs:
                raise UserError(
                    f"{label}: {size} has {ours:,} {key} in {study.place.name} and "
                    f"{theirs:,} in {studies[0].place.name}, so that they are no replicates; give "
                    "each a LABEL= of its own"
                )
    if not sizes:
        raise CorruptDataError(f"{label}: no size is in every replicate; name fewer of them")
    return Group(label, studies, sizes)
