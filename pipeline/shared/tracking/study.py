"""What tracking keeps of a study, read from its artefacts alone.

No MLflow here: a study made on a GPU node without it is read, and imported, elsewhere. Scores have
the names that `dvc metrics show` prints; variants of a metric stay in the report's scores.csv.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.shared.files import read_json, sha256_file
from pipeline.shared.formats.loss_curve import LOSS_CURVE, CurvePoint, read_curve
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.params.yaml_file import load_yaml
from pipeline.shared.running.listing import MANIFEST, METRICS
from pipeline.shared.tracking.labels import Labels, read_labels

WEIGHTS = "model.safetensors"
_NOTED = {"train_perplexity": ".2f", "test_perplexity": ".2f", "gap_nats": "+.3f"}
_LOCKED = ("deps", "outs")
_FIGURES = ("*.png", "*.svg", "*.csv", "index.html")
# train's metrics.json -> MLflow; the losses and the rate are the curve's, budget and shape the
# parameters'.
_TRAINED = {
    "parameters": "parameters",
    "non_embedding_parameters": "parameters_without_embeddings",
    "epochs": "epochs",
    "seconds": "train_seconds",
    "tokens_per_s": "tokens_per_s",
    "mfu": "model_flops_utilisation",
    "peak_memory_mib": "peak_memory_mib",
}
# The report's metrics.json -> the study's run: what Figure 4 says.
_HEADLINE = ("train_exponent", "test_exponent", "steps_that_fall_beyond_chance", "steps")


class LoggedValue(NamedTuple):
    """One value of a curve or, at step 0, of a score."""

    name: str
    value: float
    tokens: int
    """Training tokens seen; MLflow's `step`, so that sizes share one axis."""


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
    fingerprint: str
    """Of the training's parameters, inputs and code: what its live run is found by."""
    folder: Path
    """The model, in the Hugging Face layout."""
    trained: dict[str, Any]
    """The training's metrics.json."""
    params: dict[str, str] = field(default_factory=dict)
    scores: list[LoggedValue] = field(default_factory=list)
    curve: list[LoggedValue] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


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
    profile: str,
    params: ProfileParams,
    study: Path,
    report: Path | None = None,
    said: Mapping[str, Any] | None = None,
) -> StudyRecord:
    """Read the artefacts in `study`, i.e. data/<profile>; what is not made yet is left out.

    `report` is where the report's files are while they are not published yet, and `said` what its
    metrics.json will say.
    """
    report = report or study / "report"
    if said is None:
        said = read_json(report / METRICS) if (report / METRICS).is_file() else {}
    scores = {size: _read_scores(report / "sizes" / f"{size}.json") for size in params.sizes}
    locked = _locked()
    sizes = [
        read_size(size, params, study, scores[size], locked)
        for size in params.sizes
        if (study / "train" / size / METRICS).is_file()
    ]
    return StudyRecord(
        profile=profile,
        identity=_hash(size.identity.encode() for size in sizes),
        labels=read_labels(params),
        params=_shared_params(params),
        headline=_headline(params, sizes, scores, said),
        tags=_tokenizer_tags(study) | {"profile": profile, "stage": "study"},
        sizes=sizes,
        splits=_read_splits(study / "tokenize", locked),
        files=[path for pattern in _FIGURES for path in sorted(report.glob(pattern))],
        note=_note(profile, scores, _read_law(said)),
        is_whole=len(sizes) == len(params.sizes) and all(scores.values()),
    )


def read_size(
    size: str,
    params: ProfileParams,
    study: Path,
    scores: Mapping[str, float],
    locked: Mapping[str, str],
) -> SizeRecord:
    """One size: its training, and its row of Figure 4 and Table 3."""
    folder = study / "train" / size
    trained = read_json(folder / METRICS)
    values = {name: trained[key] for key, name in _TRAINED.items() if trained.get(key) is not None}
    values |= scores
    md5 = _md5(folder / WEIGHTS, locked)
    return SizeRecord(
        size=size,
        identity=_hash([
            (folder / LOSS_CURVE).read_bytes(),
            (folder / "config.json").read_bytes(),
            *(f"{name}={scores[name]}".encode() for name in sorted(scores)),
        ]),
        fingerprint=str(trained.get("fingerprint", "")),
        folder=folder,
        trained=trained,
        params=size_params(params, size, trained.get("learning_rate")),
        scores=[
            *scale(values.pop("parameters")),
            *_scores(values),
        ],
        curve=[
            value
            for point in read_curve(folder)
            for value in curve_values(point, trained.get("flops_per_token"))
        ],
        tags={"stage": "train", "size": size} | ({"model_md5": md5} if md5 else {}),
    )


def scale(num_parameters: int | None) -> list[LoggedValue]:
    """What sizes are ordered and drawn by."""
    if num_parameters is None:
        return []
    values = {"parameters": num_parameters, "log10_parameters": math.log10(num_parameters)}
    return [LoggedValue(name, float(value), 0) for name, value in values.items()]


def _scores(values: Mapping[str, float]) -> list[LoggedValue]:
    """As a table shows them, whose columns are narrow: to six significant digits."""
    return [
        LoggedValue(name, float(value if isinstance(value, int) else f"{value:.6g}"), 0)
        for name, value in values.items()
    ]


def metric_name(name: str) -> str:
    """A name that MLflow takes.

    >>> metric_name("data/small/train_perplexity@x")
    'data/small/train_perplexity_x'
    """
    return re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)


def curve_values(point: CurvePoint, flops_per_token: float | None) -> Iterable[LoggedValue]:
    """A point of a loss curve in MLflow's names, with the FLOPs that led to it as another axis."""
    yield LoggedValue("train_loss_nats", point.train_loss, point.tokens)
    yield LoggedValue("valid_loss_nats", point.valid_loss, point.tokens)
    yield LoggedValue("scheduled_learning_rate", point.learning_rate, point.tokens)
    if flops_per_token:
        petaflops = flops_per_token * point.tokens / 1e15
        yield LoggedValue("training_petaflops", petaflops, point.tokens)


def size_params(params: ProfileParams, size: str, learning_rate: float | None) -> dict[str, str]:
    """The parameters of one size as MLflow keeps them: shape, budget, recipe, seeds.

    The rate is the peak's; what the schedule makes of it is a curve.
    """
    shape = params.models[size].model_dump() | {"vocab_size": params.tokenize.vocab_size}
    values = shape | params.train.model_dump()
    values |= {f"seed_{name}": seed for name, seed in params.seeds.model_dump().items()}
    if learning_rate is not None:
        values["peak_learning_rate"] = learning_rate
    return {name: str(value) for name, value in values.items()}


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
    params: ProfileParams,
    sizes: list[SizeRecord],
    scores: Mapping[str, Mapping[str, float]],
    said: Mapping[str, Any],
) -> list[LoggedValue]:
    """What studies are compared by: slopes, the largest model, tokens, FLOPs."""
    values = {name: said[name] for name in _HEADLINE if said.get(name) is not None}
    largest = scores[params.sizes[-1]]
    for name in ("parameters", "train_perplexity", "test_perplexity"):
        if name in largest:
            values[f"largest_{name}"] = largest[name]
    trained = [size.trained for size in sizes]
    values |= {"sizes": len(sizes), "train_tokens_a_size": params.train.tokens}
    if trained and all("flops_per_token" in one for one in trained):
        values["training_petaflops"] = (
            sum(one["flops_per_token"] * one["tokens"] for one in trained) / 1e15
        )
    return _scores(values)


def _read_scores(path: Path) -> dict[str, float]:
    """What `dvc metrics show` prints of a size; empty where the report is not made yet."""
    return dict(read_json(path)) if path.is_file() else {}


def _locked() -> dict[str, str]:
    """Paths in dvc.lock -> their hash in DVC's cache; empty where DVC did not run.

    What a stage reads stands there too: the parts of another's out by their own hash.
    """
    lock = Path("dvc.lock")
    stages = (load_yaml(lock) or {}).get("stages", {}) if lock.is_file() else {}
    entries = [
        entry for stage in stages.values() for key in _LOCKED for entry in stage.get(key, [])
    ]
    return {str(entry["path"]): str(entry["md5"]) for entry in entries if "md5" in entry}


def _md5(path: Path, locked: Mapping[str, str]) -> str:
    """The hash of a path, wherever the study's folder lies; empty where DVC knows it not."""
    wanted = path.as_posix()
    return next((md5 for name, md5 in locked.items() if wanted.endswith(name)), "")


def _read_splits(folder: Path, locked: Mapping[str, str]) -> list[Split]:
    splits = []
    for name in ("train", "valid", "test"):
        path = folder / name / MANIFEST
        if path.is_file():
            manifest = read_json(path)
            counts = {key: manifest[key] for key in ("tokens", "documents")}
            digest = _md5(folder / name, locked) or sha256_file(path)[:16]
            splits.append(Split(name, digest, str(folder / name), counts))
    return splits


def _tokenizer_tags(study: Path) -> dict[str, str]:
    path = study / "tokenize" / "train" / MANIFEST
    return {"tokenizer_sha256": read_json(path)["tokenizer_sha256"]} if path.is_file() else {}


def _read_law(said: Mapping[str, Any]) -> str:
    if said.get("test_exponent") is None:
        return ""
    low, high = said["test_exponent_low"], said["test_exponent_high"]
    return (
        f"Test perplexity goes with parameters to the power of {said['test_exponent']:.3f} "
        f"(95 %: {low:.3f} to {high:.3f})."
    )


def _note(profile: str, scores: Mapping[str, Mapping[str, float]], law: str) -> str:
    lines = [f"GPT-2's scaling study, profile `{profile}`. Its sizes are nested below it.", law]
    rows = {size: row for size, row in scores.items() if row}
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
