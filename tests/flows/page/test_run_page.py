"""What a run tells Prefect, before a server that is slow to come, goes away, or refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from made_checkout import free_port
from prefect.settings import PREFECT_API_AUTH_STRING, temporary_settings
from waiting import until

from flows.chain.chain import Told
from flows.page import run_page, untold
from flows.page.artifacts import ArtifactPage
from flows.page.deployment import end_dead_runs
from flows.page.prefect_api import Api, NoAnswerError, RefusedError, _headers
from flows.page.run_page import RunPage

RUNNING, DONE = Told("RUNNING", "Running", ""), Told("COMPLETED", "Completed", "3 ran")


class MadePrefect:
    """An API that notes what it is asked, on a port that it can leave and come back to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.asked: list[tuple[str, Any]] = []
        self.state = "RUNNING"
        self.refuses = ""
        self.late = ""
        """A path whose first asker hears nothing of what it has done."""
        self.answers: dict[str, Any] = {}
        """To questions that are asked for more than an id and a state."""
        self._server: ThreadingHTTPServer | None = None

    @property
    def api(self) -> Api:
        """Its address."""
        return Api(f"http://127.0.0.1:{self.port}/api")

    def start(self) -> None:
        """Begin to answer."""
        made = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or "null")
                path = self.path.removeprefix("/api/")
                if self.command != "GET":
                    made.asked.append((path, {"lines": body} if path == "logs/" else body))
                code = 409 if made.refuses and made.refuses in path else 200
                if path == made.late:
                    made.late, code = "", 503
                self.send_response(code)
                self.end_headers()
                told = {"id": "id-of-run", "state_type": made.state}
                self.wfile.write(json.dumps(made.answers.get(path, told)).encode())

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()

    def stop(self) -> None:
        """Be gone."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def states(self) -> list[str]:
        """What it was told of states, in order."""
        return [f"{path} {body['state']['name']}" for path, body in self.asked if "state" in body]


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Iterator[MadePrefect]:
    monkeypatch.setattr(run_page, "_RETRY_S", 0.02)
    monkeypatch.setattr(run_page, "_LOOK_S", 0.0)
    monkeypatch.setattr(run_page, "_LINES_S", 0.0)
    made = MadePrefect()
    yield made
    made.stop()


def begin(prefect: MadePrefect) -> tuple[RunPage, list[str]]:
    said: list[str] = []
    page = RunPage(said.append)
    page.begin("tiny", parameters={}, labels={})
    page.open(lambda: nullcontext(prefect.api), own=False)
    return page, said


def test_all_is_told_in_order_and_lines_before_the_end(prefect: MadePrefect) -> None:
    prefect.start()
    page, said = begin(prefect)
    page.stage("crawl", RUNNING, after=[])
    page.line("crawl", "12:40:03 crawl: hello")
    page.artifact(ArtifactPage("crawl", "Metrics", "# crawl"), stage="crawl")
    page.stage("crawl", DONE, after=[])
    page.stage("extract", RUNNING, after=["crawl"])
    page.end(DONE)
    page.close()
    assert said == []
    told = dict(prefect.asked)
    (task,) = (
        body["id"]
        for path, body in prefect.asked
        if body.get("name") == "crawl" and path == "task_runs/"
    )
    assert prefect.states() == [
        "flow_runs/ Running",
        "task_runs/ Running",
        f"task_runs/{task}/set_state Completed",
        "task_runs/ Running",
        "flow_runs/id-of-run/set_state Completed",
    ]
    assert told["task_runs/"]["task_inputs"]["wait_for"][0]["id"] == task
    assert told["artifacts/"]["task_run_id"] == task
    lines = [line for path, body in prefect.asked if path == "logs/" for line in body["lines"]]
    assert [(line["message"], line["task_run_id"]) for line in lines] == [
        ("hello", task), ("3 ran", None),
    ]  # fmt: skip


def test_a_run_whose_making_was_answered_late_is_told_as_the_same(prefect: MadePrefect) -> None:
    prefect.late = "flow_runs/"
    prefect.start()
    page, _ = begin(prefect)
    page.end(DONE)
    page.close()
    keys = [body["idempotency_key"] for path, body in prefect.asked if path == "flow_runs/"]
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_server_that_goes_and_comes_back_is_told_all_that_it_missed(
    prefect: MadePrefect,
) -> None:
    prefect.start()
    page, said = begin(prefect)
    until(lambda: prefect.states() == ["flow_runs/ Running"])
    prefect.stop()
    page.stage("crawl", RUNNING, after=[])
    page.stage("crawl", DONE, after=[])
    until(lambda: said)
    prefect.start()
    page.end(DONE)
    page.close()
    assert [state.rpartition(" ")[2] for state in prefect.states()] == [
        "Running", "Running", "Completed", "Completed",
    ]  # fmt: skip
    lost, back = said
    assert "does not answer" in lost
    assert "the study goes on" in lost
    assert "answers again" in back


def test_a_server_that_never_comes_back_costs_a_line_and_no_wait(
    prefect: MadePrefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_page, "_LOST_CLOSE_S", 0.2)
    page, said = begin(prefect)
    for _ in range(50):
        page.line("crawl", "hello")
        page.stage("crawl", RUNNING, after=[])
    until(lambda: said)
    page.end(DONE)
    page.close()
    assert len(said) == 2
    assert "has not the end of this run" in said[1]


def test_how_a_run_ended_is_kept_for_the_next_start_where_its_server_is_gone(
    prefect: MadePrefect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_page, "_LOST_CLOSE_S", 0.2)
    prefect.start()
    page, said = begin(prefect)
    page.stage("crawl", RUNNING, after=[])
    until(lambda: len(prefect.states()) == 2)
    (task,) = (body["id"] for path, body in prefect.asked if path == "task_runs/")
    prefect.stop()
    page.stage("crawl", DONE, after=[])
    page.end(Told("FAILED", "Failed", "report failed"))
    until(lambda: said)
    page.close()
    prefect.start()
    now = datetime.now(UTC).isoformat()
    run = {"id": "id-of-run", "state_type": "RUNNING", "state": {"timestamp": now}}
    tasks = [{"id": task, "state_name": "Running"}, {"id": "other", "state_name": "Running"}]
    prefect.answers = {"flow_runs/filter": [run], "task_runs/filter": tasks}
    assert end_dead_runs(prefect.api._replace(own=True), tmp_path) == 1
    assert prefect.states()[-3:] == [
        f"task_runs/{task}/set_state Completed",
        "task_runs/other/set_state Failed",
        "flow_runs/id-of-run/set_state Failed",
    ]
    # Of one that was killed nothing is kept; nor of this one any more.
    assert end_dead_runs(prefect.api._replace(own=True), tmp_path) == 1
    assert prefect.states()[-1] == "flow_runs/id-of-run/set_state Crashed"


def test_a_torn_note_of_a_runs_end_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ends = untold.Ends(DONE, {"task": DONE})
    untold.keep("one", ends)
    assert untold.known(tmp_path, "one") == ends
    (file,) = (tmp_path / ".prefect" / "untold").iterdir()
    for torn in ("", "[1]", '[["COMPLETED"], {}]', "[[], 1]", file.read_text()[:-3]):
        file.write_text(torn)
        assert untold.known(tmp_path, "one") is None


def test_what_the_server_refuses_is_said_once_and_the_rest_is_told(prefect: MadePrefect) -> None:
    prefect.start()
    prefect.refuses = "artifacts"
    page, said = begin(prefect)
    for _ in range(3):
        page.artifact(ArtifactPage("crawl", "Metrics", "# crawl"))
    page.end(DONE)
    page.close()
    assert len(said) == 1
    assert "409" in said[0]
    assert prefect.states()[-1].endswith("Completed")


def test_a_run_that_is_being_cancelled_learns_of_it(prefect: MadePrefect) -> None:
    prefect.start()
    page, _ = begin(prefect)
    assert not page.cancelled.wait(0.2)
    prefect.state = "CANCELLING"
    assert page.cancelled.wait(30)
    page.close()


def test_a_deployments_run_that_was_cancelled_before_it_began_does_not_run(
    prefect: MadePrefect,
) -> None:
    prefect.start()
    prefect.state = "CANCELLED"
    page = RunPage(print)
    page.attach("one", labels={})
    page.running("tiny")
    page.open(lambda: nullcontext(prefect.api), own=False)
    assert page.cancelled.wait(30)
    page.close()
    assert prefect.states() == []


def test_without_a_server_nothing_waits() -> None:
    page = RunPage(print)
    page.begin("tiny", parameters={}, labels={})
    page.end(DONE)
    page.close()


def test_credentials_of_prefects_settings_are_sent() -> None:
    with temporary_settings({PREFECT_API_AUTH_STRING: "admin:secret"}):
        assert _headers()["Authorization"] == "Basic YWRtaW46c2VjcmV0"
    assert "Authorization" not in _headers()


def test_an_answer_that_is_none_of_prefects_is_no_answer(prefect: MadePrefect) -> None:
    with pytest.raises(NoAnswerError, match="does not answer"):
        prefect.api.get("health")
    with pytest.raises(NoAnswerError):
        Api("no address").get("health")
    prefect.start()
    prefect.refuses = "flows"
    with pytest.raises(RefusedError, match="409"):
        prefect.api.post("flows/", name="x")
