"""The runs of one profile in MLflow: found by their tags, made, and filled with what is missing.

MLflow itself is handed in by `door.py`, the only module that imports it. A study's parent run
has the tag `study`, the hash of its results, once all of them were recorded; without it, it is
under way. Other settings or other results are another parent.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.shared.files import sha256_file
from pipeline.shared.tracking.labels import Labels
from pipeline.shared.tracking.models import Origin, register
from pipeline.shared.tracking.owner import git_commit, is_dead, owner
from pipeline.shared.tracking.place import artifacts_uri, experiment_of_dvc, follow, lock_file
from pipeline.shared.tracking.values import LoggedValue
from pipeline.shared.tracking.view import saved_views

if TYPE_CHECKING:
    from pipeline.shared.tracking.study import SizeRecord, Split, StudyRecord

_METRICS_A_CALL = 500  # MLflow takes at most 1000
_PARAMS_A_CALL = 100
_PARENT = "mlflow.parentRunId"
_COMMIT = "mlflow.source.git.commit"
_RATE = "peak_learning_rate"


class RunStore:
    """The experiment of one profile: finds, makes and fills runs."""

    def __init__(self, mlflow: Any, uri: str, profile: str) -> None:
        """`mlflow` is the imported package, `uri` where it keeps runs."""
        self.profile = profile
        self.experiment_name = f"figure4-{profile}"
        self._entities = mlflow.entities
        with self.lock():  # two first uses of a new SQLite file at once would race
            follow(logging.getLogger("figure4"))
            self.client = mlflow.MlflowClient(uri)
            self.experiment_id = self._experiment(served=uri.startswith("http"))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One process of this folder at a time finds or makes runs."""
        with lock_file().open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _experiment(self, *, served: bool) -> str:
        found = self.client.get_experiment_by_name(self.experiment_name)
        if found is None:
            identity = self.client.create_experiment(
                self.experiment_name,
                artifact_location=None if served else artifacts_uri(self.experiment_name),
                tags=saved_views(None),
            )
            return str(identity)
        if found.lifecycle_stage == "deleted":  # its name cannot be taken again
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def show(self, parent: Any | None) -> None:
        """Have the view *Sizes* show the sizes of this study."""
        tags = self.client.get_experiment(self.experiment_id).tags
        for name, view in saved_views(parent.info.run_id if parent else None).items():
            if tags.get(name) != view:
                self.client.set_experiment_tag(self.experiment_id, name, view)

    def find(self, **tags: str) -> list[Any]:
        """Runs with all these tags, the newest first."""
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        return list(self.client.search_runs([self.experiment_id], query, max_results=1000))

    def children(self, parent: Any) -> list[Any]:
        """The runs nested below a study."""
        return self.find(**{_PARENT: parent.info.run_id})

    def unfinished_study(self, settings: str) -> Any | None:
        """The study under way with these parameters."""
        runs = self.find(stage="study", settings=settings)
        return next((run for run in runs if "study" not in run.data.tags), None)

    def begin_study(self, labels: Labels) -> Any:
        """The study under way, reopened if it was marked as killed, or a new one."""
        run = self.unfinished_study(labels.settings) or self.create_study(labels)
        run = self.name_study(run, labels)
        self._reopen(run)
        self.show(run)
        return run

    def create_study(self, labels: Labels) -> Any:
        """A new parent run, called after its experiment of DVC or by the next number."""
        studies = self.find(stage="study")
        number = 1 + max([int(run.data.tags.get("number", 0)) for run in studies], default=0)
        name = experiment_of_dvc() or f"{self.profile}-{number}"
        tags = {"stage": "study", "profile": self.profile, "study_name": name}
        tags |= {"number": str(number)} | labels.tags
        return self._create(labels.title(name), tags)

    def study_of(self, record: StudyRecord) -> Any | None:
        """The study under way whose live trainings these are, else the one already recorded."""
        prints = {size.fingerprint for size in record.sizes} - {""}
        settings = record.labels.settings
        parent = self.unfinished_study(settings)
        if parent is not None:
            live = {run.data.tags.get("fingerprint") for run in self.children(parent)}
            if prints & live or not live:
                return parent
        return next(iter(self.find(stage="study", study=record.identity, settings=settings)), None)

    def begin_child(
        self, parent: Any, tags: dict[str, str], labels: Labels, params: dict[str, str]
    ) -> Any:
        """The run of this work, gone on with or made anew.

        Another learning rate, after one that diverged, is another run: its curve is another.
        """
        wanted = tags | {_PARENT: parent.info.run_id}
        found = self.find(**{key: wanted[key] for key in ("fingerprint", "stage", _PARENT)})
        run = next((run for run in found if _same_rate(run, params)), None)
        if run is None:
            run = self._create(self._title(parent, labels, tags), wanted | _shared(parent))
        self._reopen(run)
        self._add_params(run, params)
        return run

    @staticmethod
    def _title(parent: Any, labels: Labels, tags: Mapping[str, str]) -> str:
        first = tags["size"] if tags["stage"] == "train" else f"{tags['stage']} {tags['size']}"
        return labels.title(parent.data.tags["study_name"], first.strip())

    def kill_dead(self, log: logging.Logger) -> int:
        """Mark runs of this machine whose process is gone as KILLED; returns how many.

        A study has no process of its own: it is under way while one of its trainings is.
        """
        running = self.client.search_runs([self.experiment_id], "attributes.status = 'RUNNING'")
        alive = {run.data.tags.get(_PARENT) for run in running if not is_dead(run)}
        dead = [run for run in running if is_dead(run) and run.info.run_id not in alive]
        for run in dead:
            self.client.set_terminated(run.info.run_id, "KILLED")
            log.info("MLflow: run %s marked as KILLED, its process is gone", run.info.run_name)
        return len(dead)

    def child_of(self, parent: Any, size: SizeRecord, labels: Labels) -> Any:
        """The run of a size under `parent`: live, recorded, or made to carry the size over."""
        runs = [
            run
            for run in self.children(parent)
            if run.data.tags.get("size") == size.size
            and run.data.tags.get("stage") == "train"
            and _same_rate(run, size.params)
        ]
        for key, value in (("fingerprint", size.fingerprint), ("identity", size.identity)):
            for run in runs:
                if value and run.data.tags.get(key) == value:
                    return run
        known = bool(self.find(stage="train", identity=size.identity))
        tags = {
            "profile": self.profile,
            "fingerprint": size.fingerprint,
            _PARENT: parent.info.run_id,
        }
        tags |= size.tags | _shared(parent) | {"carried_over": str(known).lower()}
        return self._create(self._title(parent, labels, size.tags), tags)

    def fill(self, run: Any, size: SizeRecord, record: StudyRecord, parent: Any) -> None:
        """Give a size's run what is missing of its parameters, curve and scores."""
        self._add_params(run, size.params)
        self.add_curve(run, size.curve)
        self.add_values(run, size.scores)
        self._add_splits(run, record.splits)
        self._rename(run, self._title(parent, record.labels, size.tags))
        self._set_tags(run, _shared(parent) | size.tags | {"identity": size.identity})
        tags = parent.data.tags
        commit = tags.get(_COMMIT, "")
        origin = Origin(self.profile, tags["study_name"], record.labels.seed, commit)
        register(self.client, run, size, origin)
        self._finish(run)

    def fill_study(self, run: Any, record: StudyRecord) -> None:
        """Give the parent run parameters, headline, figures, data sets, and where they come from.

        Until every size has its scores, it stays under way.
        """
        self._add_params(run, record.params)
        self.add_values(run, record.headline)
        self._add_splits(run, record.splits)
        lock = Path("dvc.lock")  # it names every input of the study by its MD5
        files = [*record.files, *([lock] if lock.is_file() else [])]
        digest = _digest(files)
        if run.data.tags.get("files") != digest:
            for path in files:
                self.client.log_artifact(run.info.run_id, str(path))
        whole = {"study": record.identity} if record.is_whole else {}
        self._set_tags(run, record.tags | record.labels.tags | whole | {"files": digest})
        self._set_tags(run, {"mlflow.note.content": record.note})
        self._finish(run)
        self.show(run)

    def name_study(self, run: Any, labels: Labels) -> Any:
        """Give a study of before there were names its own; returns its run as it is now."""
        if "study_name" not in run.data.tags:
            self._set_tags(run, {"study_name": f"{self.profile} {run.info.run_id[:4]}"})
            run = self.client.get_run(run.info.run_id)
        self._rename(run, labels.title(run.data.tags["study_name"]))
        return run

    def fill_comparison(
        self, params: Mapping[str, str], points: list[LoggedValue], files: list[Path]
    ) -> None:
        """One run a comparison, found again by its files."""
        digest = _digest(files)
        found = self.find(stage="compare", files=digest)
        run = found[0] if found else self._create(f"compare {digest[:6]}", {"stage": "compare"})
        self._add_params(run, params)
        self.add_values(run, points)
        if not found:
            for path in files:
                self.client.log_artifact(run.info.run_id, str(path))
        self._set_tags(run, {"files": digest})
        self._finish(run)

    def add_curve(
        self, run: Any, points: Iterable[LoggedValue], known: dict[str, set[int]] | None = None
    ) -> None:
        """Log the points that are not there yet: one value for each name and step.

        `known` holds the steps logged so far, by name; it is filled from MLflow where it is empty.
        """
        known = {} if known is None else known
        new = []
        for point in points:
            if point.name not in known:
                history = self.client.get_metric_history(run.info.run_id, point.name)
                known[point.name] = {metric.step for metric in history}
            if point.tokens not in known[point.name]:
                known[point.name].add(point.tokens)
                new.append(point)
        self._log(run, new)

    def _create(self, name: str, tags: dict[str, str]) -> Any:
        tags = tags | owner() | {"mlflow.source.type": "LOCAL", "mlflow.source.name": "figure4"}
        if _COMMIT not in tags and (commit := git_commit()):
            tags[_COMMIT] = commit
        with suppress(KeyError, OSError):  # a user without a name, as in some containers
            tags["mlflow.user"] = getpass.getuser()
        return self.client.create_run(self.experiment_id, tags=tags, run_name=name)

    def _rename(self, run: Any, name: str) -> None:
        if run.info.run_name != name:
            self.client.update_run(run.info.run_id, name=name)

    def add_values(self, run: Any, values: Iterable[LoggedValue]) -> None:
        """Log the scores that the run has not, or has otherwise."""
        self._log(run, [v for v in values if run.data.metrics.get(v.name) != v.value])

    def _log(self, run: Any, points: list[LoggedValue]) -> None:
        now_ms = int(time.time() * 1000)
        metrics = [self._entities.Metric(p.name, p.value, now_ms, p.tokens) for p in points]
        for start in range(0, len(metrics), _METRICS_A_CALL):
            self.client.log_batch(run.info.run_id, metrics=metrics[start : start + _METRICS_A_CALL])

    def _add_params(self, run: Any, params: Mapping[str, str]) -> None:
        """Add parameters; MLflow refuses to change one, and the run's own are the right ones."""
        new = [self._entities.Param(k, v) for k, v in params.items() if k not in run.data.params]
        for start in range(0, len(new), _PARAMS_A_CALL):
            self.client.log_batch(run.info.run_id, params=new[start : start + _PARAMS_A_CALL])

    def _set_tags(self, run: Any, tags: Mapping[str, str]) -> None:
        changed = {k: v for k, v in tags.items() if run.data.tags.get(k) != v}
        entries = [self._entities.RunTag(key, value) for key, value in changed.items()]
        if entries:
            self.client.log_batch(run.info.run_id, tags=entries)

    def _add_splits(self, run: Any, splits: Iterable[Split]) -> None:
        seen = {data.dataset.digest for data in run.inputs.dataset_inputs}
        inputs = []
        for split in splits:
            if split.digest not in seen:
                source = json.dumps({"uri": split.source})
                dataset = self._entities.Dataset(
                    split.name, split.digest, "local", source, profile=json.dumps(split.profile)
                )
                tag = self._entities.InputTag("mlflow.data.context", split.name)
                inputs.append(self._entities.DatasetInput(dataset, [tag]))
        if inputs:
            self.client.log_inputs(run.info.run_id, datasets=inputs)

    def _finish(self, run: Any) -> None:
        if self.client.get_run(run.info.run_id).info.status != "FINISHED":
            self.client.set_terminated(run.info.run_id, "FINISHED")

    def _reopen(self, run: Any) -> None:
        self.client.update_run(run.info.run_id, status="RUNNING")
        self._set_tags(run, owner())


def _digest(files: list[Path]) -> str:
    """16 hexadecimal digits of files' names and contents."""
    digests = {path.name: sha256_file(path) for path in files}
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]


def _shared(parent: Any) -> dict[str, str]:
    """Tags that a study's runs have in common, so that they can be grouped by them."""
    names = ("study_name", "settings", "design", "seed", "budget", _COMMIT)
    return {name: parent.data.tags[name] for name in names if name in parent.data.tags}


def _same_rate(run: Any, params: Mapping[str, str]) -> bool:
    """Whether a run's training has this peak rate, as far as either is known."""
    rates = {params.get(_RATE), run.data.params.get(_RATE)} - {None}
    return len(rates) < 2
