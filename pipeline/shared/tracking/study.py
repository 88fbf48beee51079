"""What tracking keeps of a study, read from its artefacts alone.

No MLflow here: a study made on a GPU node without it is read, and imported, elsewhere.
"""

from __future__ import annotations

import csv
import hashlib
import json
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

_NOTED = {"train_perplexity": ".2f", "test_perplexity": ".2f", "gap_nats": "+.3f"}
_FIGURES = ("*.png", "*.svg", "*.csv", "index.html")


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
    """First 16 hexadecimal digits of its manifest's SHA-256."""
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
    params: dict[str, str] = field(default_factory=dict)
    scores: list[LoggedValue] = field(default_factory=list)
    curve: list[LoggedValue] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """One study: what its parent run shows, and its sizes."""

    profile: str
    identity: str
    settings: str
    """Hash of all parameters that decide results: what an unfinished study is found by."""
    params: dict[str, str]
    tags: dict[str, str]
    sizes: list[SizeRecord]
    splits: list[Split]
    files: list[Path]
    """Figures, tables and the page."""
    note: str
    """Markdown."""


def metric_name(*parts: str) -> str:
    """A name that MLflow takes: parts joined by `/`, by which its page groups; `@` becomes a dot.

    >>> metric_name("wikitext2", "perplexity@stride=64")
    'wikitext2/perplexity.stride_64'
    """
    return re.sub(r"[^A-Za-z0-9_\-. /]", "_", "/".join(parts).replace("@", "."))


def settings_hash(params: ProfileParams) -> str:
    """16 hexadecimal digits of the parameters that decide results; hardware is none of them."""
    data = params.model_dump(mode="json", exclude={"compute", "report"})
    return _hash([json.dumps(data, sort_keys=True).encode()])


def read_study(
    profile: str, params: ProfileParams, study: Path, report: Path | None = None
) -> StudyRecord:
    """Read the artefacts in `study`, i.e. data/<profile>; what is not made yet is left out.

    `report` is where the report's files are while they are not published yet.
    """
    report = report or study / "report"
    figure4 = _read_figure4(report / "figure4.csv")
    sizes = [
        read_size(size, params, study, figure4.get(size, {}))
        for size in params.sizes
        if (study / "train" / size / METRICS).is_file()
    ]
    return StudyRecord(
        profile=profile,
        identity=_hash(size.identity.encode() for size in sizes),
        settings=settings_hash(params),
        params=_shared_params(params),
        tags=_tokenizer_tags(study) | {"profile": profile, "stage": "study"},
        sizes=sizes,
        splits=_read_splits(study / "tokenize"),
        files=[path for pattern in _FIGURES for path in sorted(report.glob(pattern))],
        note=_note(profile, figure4),
    )


def read_size(
    size: str, params: ProfileParams, study: Path, figure4: Mapping[str, str]
) -> SizeRecord:
    """One size: its training, its scores and its row of Figure 4."""
    # Here, so that a training, which only logs points, does not depend on that module.
    from pipeline.shared.scores.results import read_results

    folder = study / "train" / size
    metrics = read_json(folder / METRICS)
    curve = list(_logged(read_curve(folder)))
    results = read_results(study / "evaluate" / size)
    content = {name: [result.protocol, result.metrics] for name, result in results.items()}
    scores = [
        LoggedValue(metric_name(name, metric), value, 0)
        for name, result in results.items()
        for metric, value in result.metrics.items()
    ]
    scores += _numbers("train", metrics)
    # Figure 4's columns stand without a prefix: they are what sizes are compared by.
    row = {key: float(value) for key, value in figure4.items() if key != "size"}
    if row:
        row["log10_parameters"] = math.log10(row["parameters"])
    scores += _numbers("", row)
    return SizeRecord(
        size=size,
        identity=_hash([
            (folder / LOSS_CURVE).read_bytes(),
            (folder / "config.json").read_bytes(),
            json.dumps(content, sort_keys=True).encode(),
        ]),
        fingerprint=str(metrics.get("fingerprint", "")),
        params=size_params(size, params, metrics.get("learning_rate")),
        scores=scores,
        curve=curve,
        tags={"stage": "train", "size": size} | _model_md5(size, folder),
    )


def size_params(size: str, params: ProfileParams, learning_rate: float | None) -> dict[str, str]:
    """The parameters of one size as MLflow keeps them: shape, budget, learning rate."""
    values = params.models[size].model_dump() | params.train.model_dump()
    if learning_rate is not None:
        values["learning_rate"] = learning_rate
    return {name: str(value) for name, value in values.items()}


def _model_md5(size: str, folder: Path) -> dict[str, str]:
    """The weights' hash as DVC's cache names them; nothing where DVC did not run."""
    lock = Path("dvc.lock")
    if not lock.is_file():
        return {}
    outs = (load_yaml(lock) or {}).get("stages", {}).get(f"train@{size}", {}).get("outs", [])
    wanted = (folder / "model.safetensors").as_posix()
    found = [str(out["md5"]) for out in outs if wanted.endswith(out["path"])]
    return {"model_md5": found[0]} if found else {}


def _shared_params(params: ProfileParams) -> dict[str, str]:
    sections = {"tokenize": params.tokenize, "tune": params.tune, "train": params.train}
    values = {
        f"{name}.{key}": str(value)
        for name, section in sections.items()
        for key, value in section.model_dump().items()
    }
    seeds = {f"seeds.{name}": str(seed) for name, seed in params.seeds.model_dump().items()}
    return seeds | values


def _logged(curve: Iterable[CurvePoint]) -> Iterable[LoggedValue]:
    for point in curve:
        values = point._asdict()
        tokens = values.pop("tokens")
        for name, value in values.items():
            yield LoggedValue(metric_name(name), value, tokens)


def _read_figure4(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]
    return {row["size"]: row for row in rows}


def _numbers(prefix: str, values: Mapping[str, Any]) -> list[LoggedValue]:
    numbers = {key: value for key, value in values.items() if isinstance(value, int | float)}
    parts = [prefix] if prefix else []
    return [
        LoggedValue(metric_name(*parts, key), float(value), 0) for key, value in numbers.items()
    ]


def _read_splits(folder: Path) -> list[Split]:
    splits = []
    for name in ("train", "valid", "test"):
        path = folder / name / MANIFEST
        if path.is_file():
            manifest = read_json(path)
            counts = {key: manifest[key] for key in ("tokens", "documents")}
            splits.append(Split(name, sha256_file(path)[:16], str(folder / name), counts))
    return splits


def _tokenizer_tags(study: Path) -> dict[str, str]:
    path = study / "tokenize" / "train" / MANIFEST
    return {"tokenizer_sha256": read_json(path)["tokenizer_sha256"]} if path.is_file() else {}


def _note(profile: str, figure4: Mapping[str, Mapping[str, str]]) -> str:
    lines = [f"GPT-2's scaling study, profile `{profile}`. Its sizes are nested below it."]
    if figure4:
        lines += ["", "| size | parameters | train perplexity | test perplexity | gap, nats |"]
        lines += ["|---|---:|---:|---:|---:|"]
    for size, row in figure4.items():
        # An empty cell of the table, i.e. what was not measured, is not in `row`.
        cells = [f"{int(float(row['parameters'])):,}"]
        for name, form in _NOTED.items():
            cells.append(f"{float(row[name]):{form}}" if name in row else "not run")
        lines.append(f"| {' | '.join([size, *cells])} |")
    return "\n".join(lines)


def _hash(parts: Iterable[bytes]) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
