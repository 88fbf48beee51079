"""What every stage's `__main__` does around its own work.

Arguments, parameters, resumable work folder, metrics.json, atomic publication.
A stage computes into `stage.staging`; only when that is whole does it appear in the out folder,
metrics.json last. Killed at any moment, the same command goes on from `stage.work`.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, NoReturn

from pipeline.shared.errors import UserError
from pipeline.shared.files import remove_path, replace_path, sha256_file, write_json
from pipeline.shared.params.file import ActiveStudy, check_size, load_params
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running import attempts
from pipeline.shared.running.command import run_command
from pipeline.shared.running.deciders import deciders
from pipeline.shared.running.executor import Item, Result, map_shards
from pipeline.shared.running.listing import (
    COMPLETE,
    LISTED,
    MANIFEST,
    METRICS,
    first_damaged,
    hash_files,
    list_entries,
    write_complete,
)
from pipeline.shared.running.progress import Progress, format_seconds
from pipeline.shared.running.recorded import is_recorded
from pipeline.shared.running.shard_memory import REMEMBERED, Memory
from pipeline.shared.running.storage import exists, is_url, parse_place, upload
from pipeline.shared.running.work_folder import fingerprint, locked, sweep_stale


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One attempt at one stage: where to read, where to write, what to keep to."""

    name: str
    profile: str
    size: str | None
    """The rung of Figure 4, for a stage that runs once per size."""
    params: ProfileParams
    inputs: dict[str, Path]
    work: Path
    """Private and resumable: whatever is here after a kill is here at the next attempt."""
    staging: Path
    """work/out: each entry is published under its own name when the stage is whole."""
    fingerprint: str
    memory: Memory
    """Of the stage's shards, one by one, whatever the other inputs are."""
    log: logging.Logger

    def progress(self, name: str, *, total: int | None, unit: str, done: int = 0) -> Progress:
        """A progress bar, or lines where there is no terminal."""
        return Progress(name, total=total, unit=unit, log=self.log, done=done)

    def map_shards(
        self,
        name: str,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        unit: str,
        weigh: Callable[[Item], int] = lambda item: 1,
    ) -> Iterator[Result]:
        """`executor.map_shards` with a progress bar, of which each item is `weigh` units."""
        weights = list(map(weigh, items))
        with self.progress(name, total=sum(weights), unit=unit) as progress:
            results = map_shards(function, items, compute=self.params.compute)
            for weight, result in zip(weights, results, strict=True):
                progress.update(weight)
                yield result

    @property
    def title(self) -> str:
        """The stage as DVC names it: `train@small`."""
        return f"{self.name}@{self.size}" if self.size else self.name


Run = Callable[[Stage], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What a stage is: the one home of its name, inputs and the parameters it reads."""

    name: str
    description: str
    inputs: Mapping[str, str]
    """What each input is, by its name; each becomes an option `--name PATH`."""
    sections: Sequence[str]
    """Sections of the profile that decide the result, or keys (`seeds.order`), or `sizes`; `models`
    of a sized stage means the own size's shape."""
    run: Run
    """Computes into `stage.staging` and returns the counts and scores for metrics.json."""
    sized: bool = False
    reads: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Glob patterns of the files read in an input folder, where it holds much else; only these
    shape the fingerprint. An input without patterns is read whole."""
    again: bool = False
    """Work whenever DVC asks, finished before or not: what it finds may have changed."""
    could_add: Callable[[Path], bool] | None = None
    """Whether an attempt on this machine, as it is now, would add to finished work in a folder; it
    then goes on with that."""


def main(definition: Definition, argv: Sequence[str] | None = None) -> NoReturn:
    """Run a stage from the command line and exit with its code."""
    arguments = _parse(definition, argv)

    def run(log: logging.Logger) -> None:
        study = load_params(arguments.params, arguments.profile)
        if definition.sized:
            check_size(arguments.size, study.params.sizes, arguments.params)
        run_stage(
            definition,
            study,
            log,
            inputs={name: parse_place(getattr(arguments, name)) for name in definition.inputs},
            out=parse_place(arguments.out),
            work=arguments.work,
            size=arguments.size,
        )

    title = definition.name + (f"@{arguments.size}" if definition.sized else "")
    published = [] if is_url(arguments.out) else [Path(arguments.out)]
    run_command(title, run, places=[arguments.work, *published])


def _parse(definition: Definition, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m pipeline.{definition.name}",
        description=definition.description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Usually started by `dvc repro`, which says where to read and write (dvc.yaml). "
        "Stopped at any moment, the same command goes on where it was.",
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), metavar="FILE",
                        help="default: %(default)s")  # fmt: skip
    parser.add_argument("--profile", help="study of params.yaml (default: the file's choice)")
    parser.add_argument("--work", type=Path, default=Path("work"), help="resumable state")
    if definition.sized:
        parser.add_argument("--size", required=True, help="one of params.yaml's sizes")
    else:
        parser.set_defaults(size=None)
    for name, what in definition.inputs.items():
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, dest=name, required=True, metavar="PATH", help=what)
    parser.add_argument("--out", required=True, metavar="FOLDER", help="gets what this stage makes")
    return parser.parse_args(argv)


def run_stage(
    definition: Definition,
    study: ActiveStudy,
    log: logging.Logger,
    *,
    inputs: Mapping[str, Path],
    out: Path,
    work: Path,
    size: str | None = None,
) -> None:
    """One attempt, which goes on where the last one stopped, and publication into `out`.

    `size` tells apart what runs side by side in one study: a rung of Figure 4, or any model's name.
    """
    _check_inputs(inputs)
    folder = work / study.profile / (definition.name + (f"@{size}" if size else ""))
    settings = _settings(definition, study.params, size)
    with locked(folder):
        found = deciders(definition.name, study, work=work, log=log)
        print_ = fingerprint(settings, _read_files(definition, inputs), found.all)
        sweep_stale(folder, print_, log, is_recorded=lambda work_out: is_recorded(work_out, out))
        stage = Stage(
            name=definition.name,
            profile=study.profile,
            size=size,
            params=study.params,
            inputs=dict(inputs),
            work=folder / print_,
            staging=folder / print_ / "out",
            fingerprint=print_,
            memory=Memory(folder.parent / REMEMBERED / folder.name,
                          method=fingerprint(settings, {}, found.code)),
            log=log,
        )  # fmt: skip
        stage.staging.mkdir(parents=True, exist_ok=True)
        if definition.again or not _is_finished(stage, definition.could_add):
            if definition.again and (stage.work / COMPLETE).is_file():
                remove_path(stage.work / attempts.NAME)  # that work is done, and this is another
            (stage.work / COMPLETE).unlink(missing_ok=True)
            _attempt(definition, stage)
        else:
            log.info("already done by an earlier attempt; publishing it")
        publish(stage, out)


def _check_inputs(inputs: Mapping[str, Path]) -> None:
    for name, path in inputs.items():
        if not exists(path):
            raise UserError(
                f"--{name.replace('_', '-')} {path}: no such file or folder; "
                "run the stage that makes it (dvc repro)"
            )


def _read_files(definition: Definition, inputs: Mapping[str, Path]) -> dict[str, Path]:
    """What of the inputs shapes the result: files named by patterns, or the whole input."""
    files: dict[str, Path] = {}
    for name, path in inputs.items():
        patterns = definition.reads.get(name)
        if patterns is None:
            files[name] = path
            continue
        found = {file for pattern in patterns for file in path.glob(pattern)}
        files |= {f"{name}/{file.relative_to(path)}": file for file in sorted(found)}
    return files


def _settings(definition: Definition, params: ProfileParams, size: str | None) -> dict[str, Any]:
    """The parameters the result depends on; the profile's name and hardware are none of them."""
    data = params.model_dump(mode="json") | {"sizes": list(params.sizes)}
    settings: dict[str, Any] = {
        name: reduce(getitem, name.split("."), data) for name in definition.sections
    }
    if size is not None and "models" in settings:
        settings["models"] = data["models"][size]
    return settings


def _is_finished(stage: Stage, could_add: Callable[[Path], bool] | None) -> bool:
    """Whether an earlier attempt's work is there, whole and all; damaged, it is removed.

    With it goes what stands beside it, which may say that a lost file has been written.
    """
    if not (stage.work / COMPLETE).is_file():
        return False
    damaged = first_damaged(stage.work)
    if damaged is None:
        if adds := could_add is not None and could_add(stage.staging):
            stage.log.info("finished work can be added to on this machine as it is now")
        return not adds
    stage.log.warning("%s: finished work is damaged there; it is made again", damaged)
    for path in stage.work.iterdir():
        if path.name != attempts.NAME:
            remove_path(path)
    stage.staging.mkdir()
    return False


def _attempt(definition: Definition, stage: Stage) -> None:
    resumed = attempts.have_been(stage.work)
    stage.log.info("%s in %s", "going on" if resumed else "starting", stage.work)
    made = attempts.begin(stage.work)
    for leftover in list(stage.work.rglob(".*.tmp*")):  # half a file, of a killed attempt
        remove_path(leftover)
    remove_path(stage.staging / METRICS)  # of finished work; it tells of all that lies beside it
    metrics = definition.run(stage)
    seconds = made.seconds
    head = {
        "stage": stage.name,
        "profile": stage.profile,
        "size": stage.size,
        "fingerprint": stage.fingerprint,
        "seconds": round(seconds, 3),
        "attempts": made.number,
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }
    # Work that is done again each time may hold links to terabytes, and is never taken as it is.
    files = hash_files(stage.staging, f"*/{MANIFEST}" if definition.again else "**/*")
    entries = {LISTED: list_entries(stage.staging, files)}
    write_json(stage.staging / METRICS, head | metrics | entries)
    own = {METRICS: sha256_file(stage.staging / METRICS)}
    write_complete(stage.work, stage.fingerprint, files | own)
    stage.log.info("done in %s", format_seconds(seconds))


def publish(stage: Stage, out: Path) -> None:
    """Make every entry of `stage.staging` appear in `out`, each whole, metrics.json last.

    Intermediate state is dropped; `staging` stays (by hard links, so it costs no disk), because a
    kill before DVC has recorded the stage must not cost the work.
    """
    if is_url(out):
        upload(stage.staging, out)
    else:
        _publish_here(stage.staging, out)
    for path in stage.work.iterdir():
        if path.name not in {"out", attempts.NAME, COMPLETE}:
            remove_path(path)


def _publish_here(staging: Path, out: Path) -> None:
    for leftover in out.glob(".*.tmp-*"):
        remove_path(leftover)
    entries = sorted(staging.iterdir(), key=lambda path: (path.name == METRICS, path.name))
    for entry in entries:
        replace_path(entry, out / entry.name)


def peak_memory_mib() -> float:
    """Largest resident memory of this process or of any ended child, in MiB (Linux: KiB units)."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    return max(own, children) / unit
