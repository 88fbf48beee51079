"""The served flow: in the UI as a deployment, started from there and by its cron."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from made_checkout import Pages, environment, free_port, served
from waiting import until

from flows.doctor import check_schedules
from flows.schedule import main
from flows.servers.addresses import answers

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]


def wait(process: subprocess.Popen[str], pages: Pages, path: str, **question: Any) -> list[Any]:
    """What the server finds, once it finds anything."""
    deadline_s = time.monotonic() + 400
    while not (found := pages.ask(path, **question)):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline_s, pages.ask("flow_runs/filter")
        time.sleep(0.5)
    return list(found)


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


SERVED = {"name": {"any_": ["study"]}}
ENDED = {"state": {"type": {"any_": ["FAILED", "COMPLETED", "CRASHED", "CANCELLED"]}}}


def test_the_schedule_is_in_the_ui_and_fires_and_can_be_started_there(pages: Pages) -> None:
    # Refused in seconds: what is asked of a run is looked at before anything else.
    refused = {"overrides": {"train.tokens": "many"}}
    with served(pages, "--cron", "* * * * *") as process:
        (deployment,) = wait(process, pages, "deployments/filter", deployments=SERVED)
        assert deployment["name"] == "study"
        # It may be there already, without a schedule, of a run before.
        until(lambda: pages.ask("deployments/filter", deployments=SERVED)[0]["schedules"])
        (deployment,) = pages.ask("deployments/filter", deployments=SERVED)
        assert deployment["schedules"][0]["schedule"]["cron"] == "* * * * *"
        form = deployment["parameter_openapi_schema"]["properties"]
        assert form["profile"]["enum"] == ["(active)", "tiny", "laptop", "single_gpu", "paper"]
        create = f"deployments/{deployment['id']}/create_flow_run"
        with pytest.raises(urllib.error.HTTPError, match="409"):
            pages.ask(create, parameters={"profile": "tinny"})
        by_hand = pages.ask(create, parameters=refused)
        only = {"id": {"any_": [by_hand["id"]]}}
        (run,) = wait(process, pages, "flow_runs/filter", flow_runs=only | ENDED)
        assert run["state_type"] == "FAILED"
        assert "profiles.tiny.train.tokens = 'many'" in run["state"]["message"]
        # Made by the server's scheduler, ripe at the next full minute, then run by the process
        # above: each of the three has failed without the others' notice.
        pages.act("sample_web", "sys.exit(3)")
        (pages.root / "work.py").write_text((pages.root / "work.py").read_text() + "# cron\n")
        by_the_cron = {"tags": {"all_": ["auto-scheduled"]}}
        run = wait(process, pages, "flow_runs/filter", flow_runs=by_the_cron | ENDED)[0]
        assert run["start_time"] is not None
        assert "sample_web failed with exit code 3" in run["state"]["message"]
        ((level, line),) = check_schedules(f"{pages.prefect}/api")
        assert (level, line[:29]) == ("ok", "schedule of study: next run 2")
        assert not deployment["paused"]


def test_a_run_of_the_page_is_cancelled_there_and_one_that_was_killed_is_closed(
    pages: Pages,
) -> None:
    there = pages.root / "there"
    pages.act(
        "sample_web",
        "import os, time; pathlib.Path('there').write_text(str(os.getpid())); time.sleep(600)",
    )
    (pages.root / "work.py").write_text((pages.root / "work.py").read_text() + "# hang\n")
    with served(pages) as process:
        (deployment,) = wait(process, pages, "deployments/filter", deployments=SERVED)
        create = f"deployments/{deployment['id']}/create_flow_run"
        for how, ends in (("cancel", "CANCELLED"), ("kill", "CRASHED")):
            there.unlink(missing_ok=True)
            run = pages.ask(create)
            until(there.exists, 300)
            if how == "cancel":
                pages.ask(f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLING"})
            else:
                (study,) = (
                    one for one in psutil.Process(process.pid).children(recursive=True)
                    if one.cmdline()[1:3] == ["-m", "flows.study"]
                )  # fmt: skip
                study.kill()
            only = {"id": {"any_": [run["id"]]}}
            (ended,) = wait(process, pages, "flow_runs/filter", flow_runs=only | ENDED)
            assert ended["state_type"] == ends
            stage = int(there.read_text())
            until(partial(is_gone, stage))
    assert process.returncode == 143


def test_it_waits_for_a_server_that_is_not_up_and_is_alone_in_its_checkout(
    checkout: Path,
) -> None:
    command = [sys.executable, "-m", "flows.schedule", "--cron", "0 3 1 * *"]
    process = subprocess.Popen(
        command, cwd=checkout, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == (
            "`make ui` is not at work in this checkout; waiting for a Prefect server (make ui)\n"
        )
        second = subprocess.run(
            command, cwd=checkout, env=environment(), capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert second.stderr == "another flows.schedule is at work in this checkout\n"
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert "No more runs are begun" in said


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


def test_outside_the_project_it_says_where_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 1
    assert "run in the project's folder" in capsys.readouterr().err
