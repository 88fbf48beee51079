"""A real Dask scheduler and its workers, each a process of its own, on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waiting import until

_TESTS = Path(__file__).parent


class DaskCluster:
    """A scheduler and workers that know the tests' modules, and another current folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard",
                                     f"--scheduler-file={self._file}")  # fmt: skip
        until(lambda: self._file.is_file() and self._file.stat().st_size > 0)
        self.address: str = json.loads(self._file.read_text())["address"]
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self) -> None:
        """One thread, one process, no nanny that would start it again."""
        self.workers.append(
            self._start("worker", self.address, "--nthreads=1", "--no-nanny", "--no-dashboard",
                        "--host=127.0.0.1", f"--local-directory={self._folder / 'local'}")
        )  # fmt: skip

    def _start(self, role: str, *options: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{role}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + role, *options],
                cwd=self._folder,
                env=os.environ | {"PYTHONPATH": f"{_TESTS.parent}:{_TESTS}"},
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        """End what still runs."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@contextmanager
def dask_cluster(folder: Path, *, workers: int) -> Iterator[DaskCluster]:
    """A cluster for the time of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = DaskCluster(folder)
    try:
        for _ in range(workers):
            cluster.start_worker()
        yield cluster
    finally:
        cluster.stop()
