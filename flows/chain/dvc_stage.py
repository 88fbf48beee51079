"""Run one DVC stage through the supervisor: lines out, an outcome back. No Prefect here.

DVC's own exit code is 255 for any failure; the stage's code stands in DVC's last message. That
message, and the one by which DVC says that nothing had to run, are read here and nowhere else.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from flows.supervisor import below_supervisor

RETRY_CODES = frozenset({75, 143})  # worth a retry; terminated, so the same command goes on
_LAST_LINES = 20
_STAGE_CODE = re.compile(r"failed to run: .*, exited with (-?\d+)")
_LOCK_BUSY = re.compile(r"is busy, it is being blocked by|Unable to acquire lock")
_UNCHANGED = re.compile(r"^Stage '.+' didn't change, skipping")
_RESTORED = re.compile(r"^Stage '.+' is cached - skipping run, checking out outputs")
_HINT = re.compile(r"^Use `dvc push` to send your updates")  # a study has no remote by default
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, kw_only=True)
class StageEnd:
    """How one attempt at a stage ended."""

    stage: str
    code: int
    """The stage's own exit code where it failed itself, else DVC's."""
    did: str
    """`ran`, `unchanged` (nothing to do) or `restored` (from DVC's cache)."""
    last_lines: tuple[str, ...]
    lock_busy: bool

    @property
    def worth_a_retry(self) -> bool:
        """Whether the same command may succeed later."""
        return self.code in RETRY_CODES or (self.code != 0 and self.lock_busy)


def read_outcome(stage: str, lines: Iterable[str], code: int) -> StageEnd:
    """What DVC's output and exit code say about a stage."""
    did, busy = "ran", False
    last: deque[str] = deque(maxlen=_LAST_LINES)
    for line in lines:
        last.append(line)
        if _UNCHANGED.search(line):
            did = "unchanged"
        if _RESTORED.search(line):
            did = "restored"
        busy = busy or bool(_LOCK_BUSY.search(line))
        found = _STAGE_CODE.search(line)
        if found and code != 0:
            number = int(found[1])
            code = number if number >= 0 else 128 - number
    return StageEnd(stage=stage, code=code, did=did, last_lines=tuple(last), lock_busy=busy)


class EndingError(RuntimeError):
    """No stage begins any more."""


class StageRunner:
    """Runs stages, as many at a time as there are devices; leaving it ends what still runs."""

    def __init__(self, root: Path, *, devices: Iterable[str | None], grace_s: float) -> None:
        """`devices` are values of CUDA_VISIBLE_DEVICES, one for each stage at a time.

        None stands for whatever the environment says.
        """
        self.root = root
        self._grace_s = grace_s
        self._devices: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        for device in devices:
            self._devices.put(device)
        self.slots = self._devices.qsize()
        """How many stages run at a time."""
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._ending = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether the stages that run are being ended."""
        return self._ending.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait, but not once the stages are being ended."""
        self._ending.wait(seconds)

    def __enter__(self) -> StageRunner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._ending.set()
            for process in self._running:
                assert process.stdin is not None
                process.stdin.close()  # the supervisor's signal to end its stage

    def run(
        self, stage: str, say: Callable[[str], None], *, begun: Callable[[], None] = lambda: None
    ) -> StageEnd:
        """Run `dvc repro --single-item STAGE`; each line of its output goes to `say`.

        `begun` is called when the stage has its device.

        Raises:
            EndingError: the stages were ended before this one began.
        """
        device = self._devices.get()
        try:
            with self._start(stage, device) as process:
                begun()
                lines = list(_read_lines(process, say))
            with self._lock:
                self._running.discard(process)
        finally:
            self._devices.put(device)
        return read_outcome(stage, lines, process.returncode)

    def _start(self, stage: str, device: str | None) -> subprocess.Popen[str]:
        # --wait-for-lock stands before the sub-command; without it a stage that ends while
        # another one is hashed fails after all its work.
        dvc = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
        with self._lock:
            if self.stopping:
                raise EndingError(f"{stage}: not started, the flow is ending")
            process = subprocess.Popen(
                below_supervisor(dvc, grace_s=self._grace_s),
                cwd=self.root,
                env=_environment(device),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            self._running.add(process)
        return process


def _environment(device: str | None) -> dict[str, str]:
    packages = str(Path(__file__).parents[2])
    own = {
        # `python -m pipeline...` in dvc.yaml is this environment's python.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join(filter(None, [packages, os.environ.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "DVC_NO_ANALYTICS": "1",
        "NO_COLOR": "1",
    }
    if device is not None:
        own["CUDA_VISIBLE_DEVICES"] = device
    return os.environ | own


def _read_lines(process: subprocess.Popen[str], say: Callable[[str], None]) -> Iterator[str]:
    assert process.stdout is not None
    for raw in process.stdout:  # text mode: a carriage return of a progress bar ends a line too
        line = _ANSI.sub("", raw).rstrip()
        if line and not _HINT.search(line):
            say(line)
            yield line
