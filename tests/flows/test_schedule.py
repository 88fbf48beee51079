"""The served flow: in the UI as a deployment, started from there and by its cron."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from made_checkout import Pages, free_port

from flows.doctor import check_schedules
from flows.schedule import main
from flows.servers import answers


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_schedule_is_in_the_ui_and_fires_and_can_be_started_there(pages: Pages) -> None:
    process = pages.command("schedule", "--cron", "* * * * *", "--profile", "no_such_profile")
    by_the_cron = {"tags": {"all_": ["auto-scheduled"]}}
    ended = {"state": {"type": {"any_": ["FAILED", "COMPLETED", "CRASHED"]}}}
    deadline_s = time.monotonic() + 250

    def wait(path: str, **question: Any) -> list[Any]:
        while not (found := pages.ask(path, **question)):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline_s, pages.ask("flow_runs/filter")
            time.sleep(0.5)
        return list(found)

    try:
        (deployment,) = wait("deployments/filter")
        assert deployment["name"] == "scheduled"
        assert deployment["schedules"][0]["schedule"]["cron"] == "* * * * *"
        by_hand = pages.ask(f"deployments/{deployment['id']}/create_flow_run")
        # Made by the server's scheduler, ripe at the next full minute, then run by the process
        # above: each of the three has failed without the others' notice.
        runs = wait("flow_runs/filter", flow_runs=by_the_cron | ended)
        runs += wait("flow_runs/filter", flow_runs={"id": {"any_": [by_hand["id"]]}} | ended)
        for run in runs:
            assert run["start_time"] is not None
            # It ran in the checkout, whose params.yaml it read.
            assert "profile 'no_such_profile' is not under profiles" in run["state"]["message"]
        ((level, line),) = check_schedules(f"{pages.prefect}/api")
        assert (level, line[:33]) == ("ok", "schedule of scheduled: next run 2")
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.long
@pytest.mark.timeout(200)
def test_the_doctor_sees_a_scheduler_that_does_not_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    still = {"PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false", "PREFECT_HOME": str(tmp_path)}
    server = subprocess.Popen(command, env=os.environ | still, stdout=subprocess.DEVNULL)
    api = f"http://127.0.0.1:{port}/api"

    def post(path: str, **content: Any) -> Any:
        body = json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{api}/{path}", body, headers)) as told:
            return json.load(told)

    try:
        while not answers(f"{api}/health"):
            assert server.poll() is None
            time.sleep(0.5)
        flow = post("flows/", name="study")
        every_minute = [{"schedule": {"cron": "* * * * *"}, "active": True}]
        post("deployments/", name="dead", flow_id=flow["id"], schedules=every_minute)
        time.sleep(12)  # a scheduler that lives looks every five seconds
        ((level, line),) = check_schedules(api)
        assert level == "wrong"
        assert "schedule of dead: the server has made no run for it" in line
    finally:
        server.terminate()
        server.wait(60)


def test_without_a_server_it_says_how_to_get_one(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--cron", "0 3 1 * *"]) == 1
    assert "start one with `make ui`" in capsys.readouterr().err


def test_outside_the_project_it_says_where_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 1
    assert "run in the project's folder" in capsys.readouterr().err
