"""A study as MLflow shows it, made of what its folder holds.

No MLflow here: a study made on a GPU node without it is read, and imported, elsewhere. Scores have
the names of figure4.csv and table3.csv; variants of a metric stay in the report's scores.csv.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.shared.files import sha256_file
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.recorded import locked_hashes
from pipeline.shared.study import places
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.study.training import Training
from pipeline.shared.tracking.labels import Labels, read_labels
from pipeline.shared.tracking.values import LoggedValue, curve_values, scale, scores, size_params

_NOTED = {"train_perplexity": ".2f", "test_perplexity": ".2f", "gap_nats": "+.3f"}
_FIGURE_4 = ("parameters", "train_perplexity", "test_perplexity", "gap_nats")
_NO_SCORES = {"size", "parameters", "not_run"}  # columns of Table 3
_FILES = ("*.png", "*.svg", places.every(places.TABLE), places.PAGE)
# A training's own values -> MLflow; the losses and the rate are the curve's, budget and shape the
# parameters'.
_TRAINED = {
    "non_embedding_parameters": "parameters_without_embeddings",
    "epochs": "epochs",
    "seconds": "train_seconds",
    "tokens_per_s": "tokens_per_s",
    "mfu": "model_flops_utilisation",
    "peak_memory_mib": "peak_memory_mib",
}
# The report's metrics.json -> the study's run: what Figure 4 says.
_HEADLINE = ("train_exponent", "test_exponent", "steps_that_fall_beyond_chance", "steps")

Scores = Mapping[str, Mapping[str, float]]
"""By size and name."""


class Split(NamedTuple):
    """A token split as MLflow's list of data sets shows it."""

    name: str
    digest: str
    """Its hash in DVC's cache or, where DVC did not run, the start of its manifest's SHA-256."""
    source: str
    profile: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class SizeRecord:
    """One rung of Figure 4."""

    size: str
    identity: str
    """Hash of curve, shape and scores: the same result has the same, durations do not count."""
    weights: Path
    """Among the files of the model, in the Hugging Face layout."""
    trained: Training
    params: dict[str, str] = field(default_factory=dict)
    scores: list[LoggedValue] = field(default_factory=list)
    curve: list[LoggedValue] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Of the training's parameters, inputs and code: what its live run is found by."""
        return self.trained.fingerprint


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """One study: what its parent run shows, and its sizes."""

    profile: str
    identity: str
    labels: Labels
    params: dict[str, str]
    headline: list[LoggedValue]
    tags: dict[str, str]
    sizes: list[SizeRecord]
    splits: list[Split]
    files: list[Path]
    """Figures, tables and the page."""
    note: str
    """Markdown."""
    is_whole: bool
    """Whether every size is here with its scores."""


def read_study(
    profile: str, params: ProfileParams, study: StudyFolder, said: Mapping[str, Any] | None = None
) -> StudyRecord:
    """What is in the study's folder; what is not made yet is left out.

    `said` is what the report's metrics.json will say, while that is not written yet.
    """
    said = study.reported() if said is None else said
    scored = _read_scores(study, params.sizes)
    locked = locked_hashes()
    sizes = [
        _read_size(size, params, study, scored[size], locked)
        for size in params.sizes
        if study.is_done("train", size)
    ]
    return StudyRecord(
        profile=profile,
        identity=_hash(size.identity.encode() for size in sizes),
        labels=read_labels(params),
        params=_shared_params(params),
        headline=_headline(params, sizes, scored, said),
        tags=_tokenizer_tags(study) | {"profile": profile, "stage": "study"},
        sizes=sizes,
        splits=list(_read_splits(study, locked)),
        files=[path for pattern in _FILES for path in sorted(study.report.glob(pattern))],
        note=_note(profile, scored, _read_law(said)),
        is_whole=len(sizes) == len(params.sizes) and all(scored.values()),
    )


def _read_size(
    size: str,
    params: ProfileParams,
    study: StudyFolder,
    scored: Mapping[str, float],
    locked: Mapping[str, str],
) -> SizeRecord:
    """One size: its training, and its row of Figure 4 and Table 3."""
    trained = study.training(size)
    weights = study.path(places.WEIGHTS, size=size)
    own = {name: getattr(trained, key) for key, name in _TRAINED.items()}
    values = {**{name: value for name, value in own.items() if value is not None}, **scored}
    md5 = _md5(weights, locked)
    return SizeRecord(
        size=size,
        identity=_hash([
            study.path(places.CURVE, size=size).read_bytes(),
            study.path(places.SHAPE, size=size).read_bytes(),
            *(f"{name}={scored[name]}".encode() for name in sorted(scored)),
        ]),
        weights=weights,
        trained=trained,
        params=size_params(params, size, trained.learning_rate),
        scores=[*scale(values.pop("parameters", trained.parameters)), *scores(values)],
        curve=[
            value
            for point in study.curve(size)
            for value in curve_values(point, trained.flops_per_token)
        ],
        tags={"stage": "train", "size": size} | ({"model_md5": md5} if md5 else {}),
    )


def _shared_params(params: ProfileParams) -> dict[str, str]:
    sections = {
        "seeds": params.seeds,
        "tokenize": params.tokenize,
        "tune": params.tune,
        "train": params.train,
        "evaluate": params.evaluate,
    }
    return {
        f"{name}.{key}": str(value)
        for name, section in sections.items()
        for key, value in section.model_dump().items()
    }


def _headline(
    params: ProfileParams, sizes: list[SizeRecord], scored: Scores, said: Mapping[str, Any]
) -> list[LoggedValue]:
    """What studies are compared by: slopes, the largest model, tokens, FLOPs."""
    values = {name: said[name] for name in _HEADLINE if said.get(name) is not None}
    largest = scored[params.sizes[-1]]
    for name in ("parameters", "train_perplexity", "test_perplexity"):
        if name in largest:
            values[f"largest_{name}"] = largest[name]
    values |= {"sizes": len(sizes), "train_tokens_a_size": params.train.tokens}
    spent = [
        size.trained.flops_per_token * size.trained.tokens
        for size in sizes
        if size.trained.flops_per_token is not None and size.trained.tokens is not None
    ]
    if spent and len(spent) == len(sizes):
        values["training_petaflops"] = sum(spent) / 1e15
    return scores(values)


def _read_scores(study: StudyFolder, sizes: Iterable[str]) -> dict[str, dict[str, float]]:
    """By size, what Figure 4 and Table 3 say; empty where the report is not made yet."""
    found: dict[str, dict[str, float]] = {size: {} for size in sizes}
    for row in study.report_rows("figure4"):
        found.setdefault(row["size"], {}).update(_numbers(row, _FIGURE_4))
    for row in study.report_rows("table3"):
        names = [name for name in row if name not in _NO_SCORES]
        found.setdefault(row["size"], {}).update(_numbers(row, names))
    return found


def _numbers(row: Mapping[str, str], names: Iterable[str]) -> dict[str, float]:
    return {
        name: int(row[name]) if row[name].isdecimal() else float(row[name])
        for name in names
        if row.get(name)
    }


def _md5(path: Path, locked: Mapping[str, str]) -> str:
    """The hash of a path, wherever the study's folder lies; empty where DVC knows it not."""
    wanted = path.as_posix()
    return next((md5 for name, md5 in locked.items() if wanted.endswith(name)), "")


def _read_splits(study: StudyFolder, locked: Mapping[str, str]) -> Iterable[Split]:
    for name in ("train", "valid", "test"):
        if manifest := study.split(name):
            folder = study.path(places.SPLIT, split=name)
            digest = _md5(folder, locked)
            digest = digest or sha256_file(study.path(places.SPLIT_MANIFEST, split=name))[:16]
            counts = {key: manifest[key] for key in ("tokens", "documents")}
            yield Split(name, digest, str(folder), counts)


def _tokenizer_tags(study: StudyFolder) -> dict[str, str]:
    manifest = study.split("train")
    return {"tokenizer_sha256": manifest["tokenizer_sha256"]} if manifest else {}


def _read_law(said: Mapping[str, Any]) -> str:
    if said.get("test_exponent") is None:
        return ""
    low, high = said["test_exponent_low"], said["test_exponent_high"]
    return (
        f"Test perplexity goes with parameters to the power of {said['test_exponent']:.3f} "
        f"(95 %: {low:.3f} to {high:.3f})."
    )


def _note(profile: str, scored: Scores, law: str) -> str:
    lines = [f"GPT-2's scaling study, profile `{profile}`. Its sizes are nested below it.", law]
    rows = {size: row for size, row in scored.items() if row}
    if rows:
        lines += ["", "| size | parameters | train perplexity | test perplexity | gap, nats |"]
        lines += ["|---|---:|---:|---:|---:|"]
    for size, row in rows.items():
        cells = [f"{row['parameters']:,}"]
        for name, form in _NOTED.items():
            cells.append(f"{row[name]:{form}}" if name in row else "not run")
        lines.append(f"| {' | '.join([size, *cells])} |")
    return "\n".join(lines)


def _hash(parts: Iterable[bytes]) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
