"""Which stage reads which, and the running of them all: each once what it reads is whole."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml

from flows.chain.dvc_stage import EndingError, StageEnd, StageRunner

WATCH = "watch"  # before all others, which go by what it has seen last
_RETRY_DELAYS_S = (5.0, 30.0, 120.0)
_LOOK_S = 0.3


class Told(NamedTuple):
    """A stage's state, in Prefect's words."""

    type: str
    name: str
    message: str


_NOT_READY = Told("PENDING", "NotReady", "A stage that it reads has not ended well")
_NOT_BEGUN = Told("CANCELLED", "Cancelled", "Not begun: the run was ended before")


class Shown(Protocol):
    """Whoever is told how the stages fare."""

    def stage(self, name: str, told: Told, *, after: Sequence[str]) -> None:
        """A stage's state has changed."""

    def line(self, name: str, line: str) -> None:
        """A stage has written a line."""

    def finished(self, name: str) -> None:
        """A stage ran, or came from the cache: what it left can be shown."""


def read_by(chain: Path, sizes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Every stage of dvc.yaml but `watch`, in its order, with all stages whose outs it reads."""
    content = yaml.safe_load(chain.read_text(encoding="utf-8"))
    places = {name: stage for name, stage in _expanded(content, sizes) if name != WATCH}
    return {
        name: tuple(
            other
            for other, made in places.items()
            if any(_holds(out, dep) for out in made.outs for dep in stage.deps)
        )
        for name, stage in places.items()
    }


class _Places(NamedTuple):
    """What a stage reads and makes, as dvc.yaml writes it."""

    deps: tuple[str, ...]
    outs: tuple[str, ...]


def _expanded(content: Any, sizes: Sequence[str]) -> Iterator[tuple[str, _Places]]:
    """The stages by DVC's names, a stage of a matrix once for each size."""
    for name, stage in content["stages"].items():
        for size in sizes if "matrix" in stage else [None]:
            deps, outs = (
                tuple(str(path).replace("${item.size}", size or "") for path in stage[kind])
                for kind in ("deps", "outs")
            )
            yield (name if size is None else f"{name}@{size}"), _Places(deps, outs)


def _holds(out: str, dep: str) -> bool:
    """Whether a dependency is an out, lies in it, or is a folder that holds it.

    >>> _holds("data/train/xl", "data/train"), _holds("data/tune/xl", "data/tune/xl/state")
    (True, True)
    >>> _holds("data/train/xl", "data/train/x")
    False
    """
    return f"{dep}/".startswith(f"{out}/") or f"{out}/".startswith(f"{dep}/")


def turns(stages: Iterable[str]) -> list[str]:
    """In which order stages begin, of those that could.

    The chain's order, since what has most of it still to come must not be begun last; of the sizes
    the last of `sizes` first, which is the largest. Begun last, it would run alone at the end.

    >>> turns(["tokenize", "tune@s", "tune@xl", "train@s", "train@xl"])
    ['tokenize', 'tune@xl', 'tune@s', 'train@xl', 'train@s']
    """
    kinds = itertools.groupby(stages, key=lambda name: name.partition("@")[0])
    return [name for _, names in kinds for name in reversed(list(names))]


def stale_stages(root: Path) -> set[str] | None:
    """The stages that DVC would run now, `watch` aside; None where DVC does not say."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--json"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        status: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return None
    return set(status) - {WATCH} if done.returncode == 0 else None


class Chain:
    """Runs the stages, as many at a time as the runner has devices."""

    def __init__(
        self,
        runner: StageRunner,
        shown: Shown,
        *,
        reads: Mapping[str, Sequence[str]],
        stale: set[str] | None,
    ) -> None:
        """What is not in `stale`, and reads nothing that is made anew, is not asked of DVC."""
        self._runner, self._shown = runner, shown
        self._reads, self._stale, self._turns = reads, stale, turns(reads)

    def run(self, ended: Callable[[], bool]) -> dict[str, StageEnd]:
        """Run every stage; each that has ended, in the chain's order.

        `ended` is asked now and then: once it says so, the stages that run are ended, and no
        other begins. An exception has the same effect.
        """
        ends: dict[str, StageEnd | None] = {}
        running: dict[Future[StageEnd | None], str] = {}
        try:
            # The runner is left first: it ends what the pool waits for.
            with ThreadPoolExecutor(self._runner.slots) as pool, self._runner:
                while len(ends) < len(self._reads) and not ended():
                    for name in self._ready(ends, {*running.values()}):
                        running[pool.submit(self._stage, name, ends)] = name
                    for future in wait(running, _LOOK_S, FIRST_COMPLETED).done:
                        ends[running.pop(future)] = future.result()
        finally:
            ends |= {name: future.result() for future, name in running.items()}
            for name in (name for name in self._turns if name not in ends):
                told = _NOT_READY if self._read_whole(name, ends) is None else _NOT_BEGUN
                self._shown.stage(name, told, after=self._reads[name])
        ordered = {name: ends.get(name) for name in self._reads}
        return {name: end for name, end in ordered.items() if end is not None}

    def _ready(self, ends: Mapping[str, StageEnd | None], running: set[str]) -> list[str]:
        """What can begin now, as many as there are slots, whose turn it is."""
        waiting = [
            name
            for name in self._turns
            if name not in ends and name not in running and ends.keys() >= {*self._reads[name]}
        ]
        return waiting[: self._runner.slots - len(running)]

    def _stage(self, name: str, ends: Mapping[str, StageEnd | None]) -> StageEnd | None:
        told, end = _NOT_READY, None
        if (whole := self._read_whole(name, ends)) is not None:
            try:
                end = self._run(name, [one.did for one in whole])
                told = _told(end, stopping=self._runner.stopping)
            except EndingError:
                told = _NOT_BEGUN
        if end is not None and end.code == 0 and end.did != "unchanged":
            self._shown.finished(name)
        self._shown.stage(name, told, after=self._reads[name])
        return end

    def _read_whole(self, name: str, ends: Mapping[str, StageEnd | None]) -> list[StageEnd] | None:
        """The ends of the stages that it reads, if all have ended well."""
        found = [ends.get(other) for other in self._reads[name]]
        whole = [end for end in found if end is not None and end.code == 0]
        return whole if len(whole) == len(found) else None

    def _run(self, name: str, did: Sequence[str]) -> StageEnd:
        if self._stale is not None and name not in self._stale and set(did) <= {"unchanged"}:
            return StageEnd(stage=name, code=0, did="unchanged", last_lines=(), lock_busy=False)
        for delay_s in (*_RETRY_DELAYS_S, None):
            end = self._runner.run(
                name,
                lambda line: self._shown.line(name, line),
                begun=lambda: self._shown.stage(
                    name, Told("RUNNING", "Running", ""), after=self._reads[name]
                ),
            )
            if not end.worth_a_retry or self._runner.stopping or delay_s is None:
                break
            again = f"Exit code {end.code}: tried again in {delay_s:g} s"
            self._shown.stage(
                name, Told("SCHEDULED", "AwaitingRetry", again), after=self._reads[name]
            )
            self._runner.sleep(delay_s)
        return end


def explain(end: StageEnd) -> str:
    """A failed stage in words, with the last lines it wrote."""
    lines = "\n".join(end.last_lines)
    return f"{end.stage} failed with exit code {end.code}. Its last lines:\n{lines}"


def _told(end: StageEnd, *, stopping: bool) -> Told:
    """A stage's last state: what had nothing to do does not look like work."""
    if end.code != 0 and stopping:
        return Told("CANCELLED", "Cancelled", "Ended with the run, after it saved its state")
    if end.code != 0:
        return Told("FAILED", "Failed", explain(end))
    match end.did:
        case "unchanged":
            return Told("COMPLETED", "Unchanged", "Nothing it depends on changed: not run")
        case "restored":
            return Told("COMPLETED", "Restored", "Taken from DVC's cache: not run")
        case _:
            return Told("COMPLETED", "Completed", "Ran to its end")
