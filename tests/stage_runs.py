"""Runs a data stage as users do, in a process of its own, with a few parameters changed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from stage_processes import kill_stage, start_stage

from pipeline.shared.formats.documents import Document, write_manifest, write_shard


class Ended(NamedTuple):
    """A run that is over."""

    returncode: int
    stderr: str


@dataclass(frozen=True)
class StageRuns:
    """One stage with its inputs; every run is a process."""

    name: str
    project: Path
    folder: Path
    """Holds params.yaml, work/ and the outs."""
    inputs: Mapping[str, Path]

    def set_params(self, **sections: Mapping[str, Any]) -> None:
        """Write the project's params.yaml with these keys of the tiny profile changed."""
        params = yaml.safe_load((self.project / "params.yaml").read_text())
        for section, changes in sections.items():
            params["profiles"]["tiny"][section].update(changes)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params))

    def arguments(self, out: str = "out") -> list[str]:
        """What follows `python -m pipeline.<name>`."""
        options = [f"--{name.replace('_', '-')}={path}" for name, path in self.inputs.items()]
        return [
            *("--profile", "tiny", f"--params={self.folder / 'params.yaml'}"),
            *(f"--work={self.folder / 'work'}", *options, f"--out={self._place(out)}"),
        ]

    def _place(self, out: str) -> str:
        return out if "://" in out else str(self.folder / out)

    def command(self, out: str = "out") -> list[str]:
        """What DVC would start."""
        return [sys.executable, "-m", f"pipeline.{self.name}", *self.arguments(out)]

    def run(self, out: str = "out") -> Path:
        """Run to the end; returns the out folder."""
        run = self._end(out)
        assert run.returncode == 0, run.stderr
        return self.folder / out

    def fail(self) -> Ended:
        """Run a stage that must not succeed."""
        run = self._end("out")
        assert run.returncode != 0
        return run

    def kill_when(self, condition: Callable[[Path], bool], out: str = "out") -> None:
        """Start the stage and `kill -9` it as soon as its work folder is as described."""
        process = self._start(out)
        deadline_s = time.monotonic() + 60
        try:
            while process.is_alive() and not any(map(condition, self.work_folders())):
                assert time.monotonic() < deadline_s, "the work folder never got there"
                time.sleep(0.002)
        finally:
            kill_stage(process)

    def _start(self, out: str) -> BaseProcess:
        log = self.folder / f"{Path(out).name}.log"
        log.unlink(missing_ok=True)
        return start_stage(self.name, self.arguments(out), folder=self.project, log=log)

    def _end(self, out: str) -> Ended:
        process = self._start(out)
        process.join()
        assert process.exitcode is not None
        return Ended(process.exitcode, (self.folder / f"{Path(out).name}.log").read_text())

    def work_folders(self) -> list[Path]:
        """The stage's work folders, one per fingerprint."""
        stage = self.folder / "work" / "tiny" / self.name
        return [path for path in stage.glob("*") if path.is_dir()] if stage.is_dir() else []

    def remembered(self) -> list[Path]:
        """What the stage remembers of single shards, a folder each."""
        return list((self.folder / "work/tiny/remembered" / self.name).glob("[0-9a-f]*"))


def write_shards(folder: Path, shards: Sequence[Sequence[Document]]) -> Path:
    """A folder of documents cut into just these shards."""
    entries = [
        write_shard(folder / f"{number:05d}.parquet", list(shard))
        for number, shard in enumerate(shards)
    ]
    write_manifest(folder, entries)
    return folder


def read_bytes(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but metrics.json, which holds seconds, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.name != "metrics.json"
    }
