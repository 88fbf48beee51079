"""A run's page at Prefect: told of everything by a thread of its own, in order and best effort.

The study never waits for the page. While the server is gone, what there is to tell waits here, and
is told when the server is back; what it was not told by the end of the run, the next start mends.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from typing import Any

from flows.chain.chain import Told
from flows.page import untold
from flows.page.artifacts import ArtifactPage
from flows.page.deployment import FLOW, deployment_id, set_state
from flows.page.log_lines import Thinned, as_record
from flows.page.prefect_api import Api, NoAnswerError, RefusedError
from flows.servers.addresses import UiError

_LOOK_S = 3.0  # between two looks whether the run is to be cancelled
_LINES_S = 2.0  # between two batches of lines
_RETRY_S = 3.0
_CLOSE_S = 15.0  # at the end of a run, for what is still to be told
_LOST_CLOSE_S = 5.0  # where the server was gone already
_MOST_LINES = 200  # in one request
_ENDING = {"CANCELLING", "CANCELLED"}

Event = Callable[[Api], None]


class RunPage:
    """What a run tells Prefect. Nothing here raises, or waits for the server, but `close`."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        """`warn` says on the terminal what the page will not have."""
        self.cancelled = threading.Event()
        self.run_id: str | None = None
        self.own = False
        self._warn = warn
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._tasks: dict[str, str] = {}
        self._ends: dict[str, Told] = {}  # the last state of each task, by its id
        self._end: Told | None = None  # until it has been told
        self._lines: list[dict[str, Any]] = []
        self._thinned = Thinned()
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._thread: threading.Thread | None = None
        self._given_up = threading.Event()
        self._lost = False
        self._refusals: set[str] = set()

    def open(self, connect: Callable[[], AbstractContextManager[Api]], *, own: bool) -> None:
        """Begin to tell; `connect`, which may take its time, leads to the server.

        `own` says whether that is a server of this checkout, which shows its reports too.
        """
        if self._thread is None:
            self.own = own
            # A daemon: a server that hangs must not keep a finished study from ending.
            self._thread = threading.Thread(target=self._tell, args=[connect], daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait until all is told, but not for ever."""
        if self._thread is None:
            return
        self._events.put(None)
        self._thread.join(_LOST_CLOSE_S if self._lost else _CLOSE_S)
        if self._thread.is_alive():
            if not self._given_up.is_set():
                self._warn("Prefect's page has not the end of this run: the server does not answer")
            self._given_up.set()
            self._thread.join(_RETRY_S)
            if self.run_id and self._end:  # still to be told
                untold.keep(self.run_id, untold.Ends(self._end, self._ends))
        self._stack.close()

    def do(self, event: Event) -> None:
        """Have something done with the server, after all that was told before."""
        if not self._given_up.is_set():
            self._events.put(event)

    # What is told

    def begin(self, name: str, *, parameters: Mapping[str, Any], labels: Mapping[str, str]) -> None:
        """A new run."""
        key = str(uuid.uuid4())  # what is told twice, the first answer being late, is one run

        def event(api: Api) -> None:
            flow = api.post("flows/", name=FLOW)["id"]
            run = api.post(
                "flow_runs/", name=name, flow_id=flow, parameters=dict(parameters),
                deployment_id=deployment_id(api, flow), labels=dict(labels),
                state={"type": "RUNNING", "name": "Running"}, idempotency_key=key,
            )  # fmt: skip
            self.run_id = run["id"]

        self.do(event)

    def attach(self, run_id: str, *, labels: Mapping[str, str]) -> None:
        """A run that is there already: a deployment's."""
        self.run_id = run_id
        self.do(lambda api: api.send("PATCH", f"flow_runs/{run_id}/labels", dict(labels)))

    def running(self, name: str) -> None:
        """The attached run begins, unless it has been cancelled."""

        def event(api: Api) -> None:
            api.send("PATCH", f"flow_runs/{self.run_id}", {"name": name})
            self._look(api)
            if not self.cancelled.is_set():
                set_state(api, f"flow_runs/{self.run_id}", Told("RUNNING", "Running", ""))

        self.do(event)

    def end(self, told: Told) -> None:
        """The run's last state; its message is the last line of the log too, which opens first."""
        self._end = told
        self._add("the run", told.message)

        def event(api: Api) -> None:
            self._send_lines(api)
            if self.run_id:
                set_state(api, f"flow_runs/{self.run_id}", told)
            self._end = None

        self.do(event)

    def stage(self, name: str, told: Told, *, after: Sequence[str]) -> None:
        """A stage's state, the first of which makes its task run."""
        if told.type in {"COMPLETED", "FAILED", "CANCELLED"} and (left := self._thinned.left(name)):
            self._add(name, f"{left:,} lines are left out here; the terminal had them")
        with self._lock:
            known = name in self._tasks
            task = self._tasks.setdefault(name, str(uuid.uuid4()))
            self._ends[task] = told
            reads = [{"input_type": "task_run", "id": self._tasks[one]} for one in after]

        def event(api: Api) -> None:
            if known:
                set_state(api, f"task_runs/{task}", told)
                return
            api.post(
                "task_runs/", id=task, name=name, flow_run_id=self.run_id, dynamic_key=name,
                task_key="flows.stage", task_inputs={"wait_for": reads},
                state={"type": told.type, "name": told.name, "message": told.message},
            )  # fmt: skip

        self.do(event)

    def line(self, name: str, line: str) -> None:
        """A line of a stage's output, unless it wrote many of late."""
        if self._thinned.takes(name):
            self._add(name, line)

    def artifact(self, page: ArtifactPage, *, stage: str | None = None) -> None:
        """A page of Markdown, of a stage or of the whole run."""
        task = self._tasks.get(stage) if stage else None

        def event(api: Api) -> None:
            api.post(
                "artifacts/", key=page.key, type="markdown", description=page.title,
                data=page.markdown, flow_run_id=self.run_id, task_run_id=task,
            )  # fmt: skip

        self.do(event)

    def _add(self, name: str, line: str) -> None:
        level, message = as_record(name, line)
        record = {
            "name": "figure4.stages", "level": level, "message": message,
            "timestamp": datetime.now(UTC).isoformat(), "task_run_id": self._tasks.get(name),
        }  # fmt: skip
        with self._lock:
            self._lines.append(record)

    # How it is told

    def _tell(self, connect: Callable[[], AbstractContextManager[Api]]) -> None:
        try:
            api = self._stack.enter_context(connect())
        except (OSError, UiError) as error:
            self._give_up(f"Prefect's page has not this run: {error}")
            return
        looks_s = lines_s = time.monotonic()
        event: Event | None = _nothing
        while event is not None and not self._given_up.is_set():
            try:
                event = self._events.get(timeout=1.0)
            except queue.Empty:
                event = _nothing
            self._deliver(api, event or self._send_lines)
            if time.monotonic() >= lines_s:
                self._deliver(api, self._send_lines)
                lines_s = time.monotonic() + _LINES_S
            if time.monotonic() >= looks_s:
                self._deliver(api, self._look)
                looks_s = time.monotonic() + _LOOK_S

    def _deliver(self, api: Api, event: Event) -> None:
        while not self._given_up.is_set():
            try:
                event(api)
            except NoAnswerError as error:
                if not self._lost:
                    self._lost = True
                    self._warn(f"Prefect: {error}; the study goes on, its page waits")
                self._given_up.wait(_RETRY_S)
                continue
            except RefusedError as error:
                self._refused(error)
            if self._lost:
                self._lost = False
                self._warn("Prefect: the server answers again, and is told what it missed")
            return

    def _refused(self, error: RefusedError) -> None:
        """Say once of each kind what the page will not have."""
        kind = str(error).rpartition("/")[2][:60]
        if kind not in self._refusals:
            self._refusals.add(kind)
            self._warn(f"Prefect's page lacks something: {error}")

    def _give_up(self, why: str) -> None:
        self._given_up.set()
        self._warn(why)

    def _look(self, api: Api) -> None:
        if self.run_id and api.get(f"flow_runs/{self.run_id}")["state_type"] in _ENDING:
            self.cancelled.set()

    def _send_lines(self, api: Api) -> None:
        while self._lines and self.run_id:
            with self._lock:
                batch = self._lines[:_MOST_LINES]
            api.send("POST", "logs/", [line | {"flow_run_id": self.run_id} for line in batch])
            with self._lock:
                del self._lines[: len(batch)]


def _nothing(api: Api) -> None:
    """No event."""
