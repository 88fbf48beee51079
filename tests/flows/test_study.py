"""The flow as a user starts it: a real Prefect server, real DVC stages, real kills."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_checkout import MAKE_FIGURE4, Pages, dvc, environment, free_port
from waiting import until

from flows.servers.addresses import answers
from flows.study import main

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

HANG = "import os, time; pathlib.Path('there').write_text(str(os.getpid())); time.sleep(60)"


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def finished_tasks(pages: Pages, run: Any) -> dict[str, Any]:
    """The task runs of a run by name."""
    tasks = pages.tasks(run)
    assert {task["state_type"] for task in tasks.values()} <= {"COMPLETED", "FAILED", "PENDING"}
    return tasks


def begin_hanging(pages: Pages, stage: str = "crawl") -> tuple[subprocess.Popen[str], int]:
    """A flow that waits in a stage, and that stage's process."""
    pages.act(stage, HANG)
    there = pages.root / "there"
    there.unlink(missing_ok=True)
    flow = pages.command("study")
    until(there.exists, 300)
    return flow, int(there.read_text())


# The tests below share one checkout and tell one story, in this order.


def test_a_failing_stage_fails_the_flow_with_its_last_lines(pages: Pages) -> None:
    pages.act("crawl", "print('the web is down', flush=True); sys.exit(1)")
    code, said = pages.study()
    assert code == 1
    assert "crawl failed with exit code 1. Its last lines:" in said.splitlines()
    assert said.rstrip().splitlines()[-1].startswith("ERROR: failed to reproduce 'crawl'")
    assert "Traceback" not in said
    run = pages.last_run()
    assert run["state_type"] == "FAILED"
    assert "the web is down" in run["state"]["message"]
    tasks = finished_tasks(pages, run)
    assert len(tasks) == 21  # all but watch
    assert tasks["sample_web"]["state_type"] == "COMPLETED"
    assert tasks["crawl"]["state_type"] == "FAILED"
    assert tasks["crawl"]["run_count"] == 1  # a retry would not mend it
    assert tasks["report"]["state_name"] == "NotReady"


def test_kill_9_of_the_flow_ends_the_training(pages: Pages) -> None:
    flow, stage = begin_hanging(pages)
    flow.kill()
    flow.communicate()
    until(lambda: not alive(stage))
    lock = yaml.safe_load((pages.root / "dvc.lock").read_text())
    assert "crawl" not in lock["stages"]
    assert pages.last_run()["state_type"] == "RUNNING"  # nobody was left to say otherwise


def test_a_second_flow_is_refused_and_ctrl_c_ends_the_first_in_a_line(pages: Pages) -> None:
    killed = pages.last_run()
    first, stage = begin_hanging(pages)
    code, said = pages.study()
    assert code == 1
    assert f"another flow (pid {first.pid}) runs in this checkout" in said
    assert pages.last_run()["state_name"] == "Skipped"
    assert alive(stage)
    first.send_signal(signal.SIGINT)
    said = first.communicate(timeout=300)[0]
    assert first.returncode == 130, said
    assert not alive(stage)
    assert said.rstrip().splitlines()[-1].startswith("Stopped by Ctrl-C; the stages saved")
    assert "Traceback" not in said
    runs = {run["id"]: run for run in pages.ask("flow_runs/filter")}
    assert runs[killed["id"]]["state_type"] == "CRASHED"  # by the start of the next
    assert "RUNNING" not in {run["state_type"] for run in runs.values()}
    tasks = pages.tasks(killed)
    assert tasks["crawl"]["state_type"] == "CRASHED"


def test_a_run_that_is_cancelled_on_its_page_ends_in_order(pages: Pages) -> None:
    flow, stage = begin_hanging(pages)
    run = pages.last_run()
    assert run["deployment_id"]  # without, the page's button is greyed out
    pages.ask(f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLING"})
    said = flow.communicate(timeout=300)[0]
    assert flow.returncode == 1
    assert said.rstrip().splitlines()[-1].startswith("Cancelled; the stages saved their state")
    assert not alive(stage)
    run = pages.last_run()
    assert run["state_type"] == "CANCELLED"
    assert pages.tasks(run)["crawl"]["state_type"] == "CANCELLED"
    assert not {"RUNNING", "COMPLETED"} & {
        task["state_type"] for name, task in pages.tasks(run).items() if "train" in name
    }


def test_the_whole_study_runs_sizes_side_by_side_and_retries_what_is_worth_it(
    pages: Pages,
) -> None:
    pages.act("crawl", "")
    pages.act(
        "report",
        "flag = pathlib.Path('tried')\n"
        "if not flag.exists():\n    flag.touch(); sys.exit(75)\n" + MAKE_FIGURE4,
    )
    code, said = pages.study("--max-parallel", "2")
    assert code == 0, said
    assert "train@xl: hello from train@xl" in said
    assert "Figure 4 of the study 'tiny'" in said
    run = pages.last_run()
    assert re.fullmatch(r"tiny \d{4}-\d\d-\d\d \d\d:\d\d", run["name"])
    # sample_web, eval_sets and links ran before the flow was ended.
    assert run["state"]["message"] == "18 ran, 3 unchanged; test xl 30.8"
    tasks = finished_tasks(pages, run)
    assert set(tasks) == dvc_stages(pages.root) - {"watch"}
    assert tasks["sample_web"]["state_name"] == "Unchanged"
    assert tasks["train@small"]["state_name"] == "Completed"
    assert tasks["report"]["run_count"] == 2
    keys = set(pages.artifacts(run))
    assert {"train-small", "figure-4", "drift"} <= keys
    assert "sample-web" not in keys


def dvc_stages(root: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_a_run_that_changes_nothing_says_so_and_leaves_nothing(pages: Pages) -> None:
    code, said = pages.study()
    assert code == 0, said
    assert "Nothing new" in said.splitlines()
    run = pages.last_run()
    assert (run["state_type"], run["state"]["message"]) == ("COMPLETED", "Nothing new")
    assert pages.tasks(run) == {}
    assert pages.artifacts(run) == {}


def test_a_run_goes_on_while_its_server_is_killed_and_the_page_is_told_later(
    pages: Pages,
) -> None:
    release = pages.root / "release"
    pages.act(
        "overlap",
        "import time; pathlib.Path('there').touch()\n"
        "while not pathlib.Path('release').exists(): time.sleep(0.05)",
    )
    there = pages.root / "there"
    there.unlink(missing_ok=True)
    (pages.root / "work.py").write_text((pages.root / "work.py").read_text() + "# new\n")
    flow = pages.command("study", "--max-parallel", "2")
    until(there.exists, 600)
    run = pages.last_run()
    pages.kill_prefect()
    assert flow.stdout is not None
    said = ""
    while "its page waits" not in said:
        line = flow.stdout.readline()
        assert line, said
        said += line
    until(lambda: answers(f"{pages.prefect}/api/health"), 300)  # `make ui` has started it anew
    release.touch()
    said += flow.communicate(timeout=600)[0]
    assert flow.returncode == 0, said
    assert "Traceback" not in said
    lost = [line for line in said.splitlines() if line.startswith("Prefect")]
    assert len(lost) == 2, lost
    assert lost[1] == "Prefect: the server answers again, and is told what it missed"
    run = pages.ask("flow_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})[0]
    assert run["state"]["message"].startswith("21 ran; test xl 30.8")
    assert pages.tasks(run)["report"]["state_type"] == "COMPLETED"


def test_figure_4_and_every_stages_metrics_are_pages(pages: Pages) -> None:
    found = pages.ask("artifacts/latest/filter", limit=200)
    artifacts = {artifact["key"]: artifact["data"] for artifact in found}
    stages = dvc_stages(pages.root) - {"watch"}
    assert {stage.replace("@", "-").replace("_", "-") for stage in stages} < set(artifacts)
    assert "| documents | 1,234,567 |" in artifacts["train-small"]
    figure = artifacts["figure-4"]
    assert "![Figure 4](data:image/png;base64," in figure
    assert "| small | 124,439,808 | 30.50 (29.00 to 31.00) | 40.25 (39.00 to 41.00) |" in figure
    assert len(figure) < 102_000
    assert "](/report/tiny/index.html)" in figure


def test_the_report_opens_beside_prefects_page_and_nothing_else_does(pages: Pages) -> None:
    (pages.root / "data" / "tiny" / "report" / "index.html").write_text("<h1>The report</h1>")
    with urllib.request.urlopen(f"{pages.prefect}/report/tiny/index.html") as answer:
        assert answer.read() == b"<h1>The report</h1>"
        assert answer.headers["Content-Security-Policy"] == "sandbox allow-downloads allow-popups"
    for path in ("tiny/../../../params.yaml", "tiny/metrics", "..%2f..%2ftiny/x.png"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{pages.prefect}/report/{path}.nothing")


def test_the_log_of_a_stage_is_on_its_page(pages: Pages) -> None:
    only = {"name": {"any_": ["train@xl"]}, "state": {"type": {"any_": ["COMPLETED"]}}}
    tasks = pages.ask("task_runs/filter", task_runs=only, sort="END_TIME_DESC")
    logs = pages.ask("logs/filter", logs={"task_run_id": {"any_": [tasks[0]["id"]]}}, limit=200)
    messages = [log["message"] for log in logs]
    assert "hello from train@xl" in messages
    assert not any("\x1b" in message for message in messages)


def test_a_named_server_that_does_not_answer_is_one_line(checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.study"],
        cwd=checkout,
        env=environment() | {"PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "does not answer. Start that server, or take away PREFECT_API_URL" in line
    assert not (checkout / "data").exists()


def test_a_server_that_is_gone_costs_two_lines_and_no_stage_and_learns_the_end_when_it_is_back(
    checkout: Path,
) -> None:
    dvc(checkout, "repro", "overlap")
    (checkout / "do").mkdir()
    (checkout / "do" / "report").write_text(
        "import time; pathlib.Path('there').touch()\n"
        "while not pathlib.Path('release').exists(): time.sleep(0.05)",
    )
    port = free_port()
    named = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    pages = Pages(checkout, f"http://127.0.0.1:{port}", mlflow="", said="", settings=named)
    server = start_prefect(checkout, port)
    flow = pages.command("study")
    until((checkout / "there").exists, 300)
    until(lambda: "report" in pages.tasks(pages.last_run()), 300)
    server.kill()
    server.wait()
    (checkout / "release").touch()
    said = flow.communicate(timeout=300)[0]
    assert "1 ran, 14 unchanged" in said
    lost = [line for line in said.splitlines() if line.startswith("Prefect")]
    assert len(lost) == 2, lost
    assert "the study goes on, its page waits" in lost[0]
    assert "has not the end of this run" in lost[1]
    assert "Traceback" not in said
    server = start_prefect(checkout, port)
    try:
        assert "Nothing new" in pages.study()[1]
        first, second = pages.ask("flow_runs/filter", sort="START_TIME_ASC")
        assert first["state_type"] == "COMPLETED"  # though nobody was there to be told
        assert first["state"]["message"].startswith("1 ran, 14 unchanged")
        assert pages.tasks(first)["report"]["state_name"] == "Completed"
        assert second["state_name"] == "Nothing new"
    finally:
        server.terminate()
        server.wait(60)


def start_prefect(checkout: Path, port: int) -> subprocess.Popen[bytes]:
    own = {"PREFECT_HOME": str(checkout / "home"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    server = subprocess.Popen(
        [sys.executable, "-m", "flows.servers.prefect_server", "--port", str(port)],
        cwd=checkout,
        env=environment() | own,
    )
    until(lambda: answers(f"http://127.0.0.1:{port}/api/health"), 300)
    return server


def test_ctrl_c_without_a_server_is_a_line(checkout: Path, project: Path) -> None:
    (checkout / "pyproject.toml").write_text((project / "pyproject.toml").read_text())
    (checkout / "do").mkdir()
    (checkout / "do" / "sample_web").write_text(HANG)
    flow = subprocess.Popen(
        [sys.executable, "-m", "flows.study"],
        cwd=checkout,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until((checkout / "there").exists)
    flow.send_signal(signal.SIGINT)
    said = flow.communicate(timeout=60)[0]
    assert flow.returncode == 130
    assert "Stopped by Ctrl-C" in said
    assert "Traceback" not in said


@pytest.mark.long
def test_without_a_server_one_is_started_for_the_run(checkout: Path, project: Path) -> None:
    (checkout / "pyproject.toml").write_text((project / "pyproject.toml").read_text())
    (checkout / "do").mkdir()
    started = "pathlib.Path('.prefect/prefect.db').is_file()"
    (checkout / "do" / "sample_web").write_text(f"while not {started}: pass\nsys.exit(3)")
    done = subprocess.run(
        [sys.executable, "-m", "flows.study"],
        cwd=checkout,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "sample_web failed with exit code 3" in done.stderr


def test_help_says_how_to_watch_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert "make ui" in said
    assert "PREFECT_API_URL" in said


@pytest.mark.parametrize("number", ["0", "-1"])
def test_no_stage_at_a_time_is_refused(capsys: pytest.CaptureFixture[str], number: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--max-parallel", number])
    assert stop.value.code == 2
    assert "must be at least 1" in capsys.readouterr().err
