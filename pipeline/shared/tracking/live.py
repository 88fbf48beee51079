"""A training's points on their way to MLflow: to a file first, then in batches from a thread.

The training never waits: `log_metrics` appends a line and returns. Points that an earlier attempt
wrote are not written again, so a resumed training leaves one value for each step.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol

from pipeline.shared.formats.loss_curve import CurvePoint
from pipeline.shared.tracking.values import LoggedValue, curve_values

_FLUSH_EVERY_S = 5.0
_LAST_FLUSH_S = 20.0  # at the end of a training: a server that is slower gets the rest later
_KILLED_FLUSH_S = 3.0  # less than the supervisor's grace


class Sink(Protocol):
    """Where points go: an open MLflow run."""

    def send(self, points: Iterable[LoggedValue]) -> None:
        """Log the points that are not there yet."""

    def end(self, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED."""


class TrackedRun:
    """Context manager around one attempt at a stage."""

    def __init__(
        self, path: Path | None, connect: Callable[[], Sink] | None, log: logging.Logger
    ) -> None:
        """`path` keeps the points (none: they are dropped); `connect` opens the MLflow run."""
        self._path, self._connect, self._log = path, connect, log
        self._earlier = _read_points(path) if path else []
        self._last: dict[str, int] = {}
        for point in self._earlier:
            self._last[point.name] = max(point.tokens, self._last.get(point.name, -1))
        self._queue: queue.SimpleQueue[LoggedValue | None] = queue.SimpleQueue()
        self._status = "FINISHED"
        # A daemon: a server that hangs must not keep a finished stage from ending.
        self._thread = threading.Thread(target=self._send_all, name="mlflow", daemon=True)

    def __enter__(self) -> TrackedRun:
        if self._connect is not None:
            self._thread.start()
        return self

    def log_metrics(self, values: Mapping[str, float], *, tokens: int) -> None:
        """Note values reached after `tokens` training tokens; never blocks or raises."""
        points = [
            LoggedValue(name, float(value), tokens)
            for name, value in values.items()
            if tokens > self._last.get(name, -1)
        ]
        if self._path is None or not points:
            return
        self._last.update({point.name: tokens for point in points})
        try:
            with self._path.open("a") as file:
                file.writelines(json.dumps(point) + "\n" for point in points)
        except OSError as error:
            self._log.warning("%s: %s; the points stay in memory", self._path, error)
        for point in points:
            self._queue.put(point)

    def log_point(self, point: CurvePoint, *, flops_per_token: float) -> None:
        """Note a point of the loss curve, and the FLOPs that led to it."""
        values = {value.name: value.value for value in curve_values(point, flops_per_token)}
        self.log_metrics(values, tokens=point.tokens)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        self._status = "KILLED" if stopped else "FAILED" if error else "FINISHED"
        self._queue.put(None)
        if self._thread.ident is None:
            return
        patience_s = _KILLED_FLUSH_S if stopped else _LAST_FLUSH_S
        self._thread.join(patience_s)
        if self._thread.is_alive():
            self._log.warning(
                "MLflow took longer than %g s for the last points; the report adds them", patience_s
            )

    def _send_all(self) -> None:
        assert self._connect is not None
        try:
            sink = self._connect()
            sink.send(self._earlier)
            while self._send_batch(sink):
                pass
            sink.end(self._status)
        except Exception as error:  # whatever a database or a server raises: training goes on
            self._log.warning(
                "MLflow: %s: %s; the curve is in its file, and the report adds it",
                type(error).__name__,
                error,
            )

    def _send_batch(self, sink: Sink) -> bool:
        """Collect points for some seconds and send them at once; False after the last."""
        points: list[LoggedValue] = []
        ends_s = time.monotonic() + _FLUSH_EVERY_S
        more = True
        while more and (left_s := ends_s - time.monotonic()) > 0:
            with suppress(queue.Empty):
                point = self._queue.get(timeout=left_s)
                if point is None:
                    more = False
                else:
                    points.append(point)
        if points:
            sink.send(points)
        return more


def _read_points(path: Path) -> list[LoggedValue]:
    """The points of earlier attempts; a last line torn by a kill is cut off the file."""
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return [LoggedValue(*json.loads(line)) for line in whole.splitlines()]
