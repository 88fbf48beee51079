"""The flow as a user starts it: a real Prefect server, real DVC stages, real kills."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_checkout import MAKE_FIGURE4, Pages, environment
from waiting import until

from flows.study import main

pytestmark = [pytest.mark.slow, pytest.mark.long]

HANG = "import os, time; pathlib.Path('there').write_text(str(os.getpid())); time.sleep(60)"


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def finished_tasks(pages: Pages, run: Any) -> dict[str, Any]:
    """The task runs of a run by name; Prefect's server gets to know of them a little later."""
    settled = {"COMPLETED", "FAILED", "PENDING"}

    def are_all_there() -> bool:
        tasks = pages.tasks(run)
        return len(tasks) == 22 and {task["state_type"] for task in tasks.values()} <= settled

    until(are_all_there)
    return pages.tasks(run)


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
    assert tasks["sample_web"]["state_type"] == "COMPLETED"
    assert tasks["crawl"]["state_type"] == "FAILED"
    assert tasks["crawl"]["run_count"] == 1  # a retry would not mend it
    assert tasks["report"]["state_name"] == "NotReady"


def test_kill_9_of_the_flow_ends_the_training(pages: Pages) -> None:
    pages.act("crawl", HANG)
    flow = pages.command("study")
    there = pages.root / "there"
    until(there.exists)
    stage = int(there.read_text())
    flow.kill()
    flow.communicate()
    until(lambda: not alive(stage))
    lock = yaml.safe_load((pages.root / "dvc.lock").read_text())
    assert "crawl" not in lock["stages"]
    there.unlink()


@pytest.mark.long
def test_a_second_flow_is_refused_and_ctrl_c_ends_the_first(pages: Pages) -> None:
    first = pages.command("study")
    there = pages.root / "there"
    until(there.exists)
    stage = int(there.read_text())
    code, said = pages.study()
    assert code == 1
    assert f"another flow (pid {first.pid}) runs in this checkout" in said
    assert alive(stage)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=120)
    assert first.returncode != 0
    assert not alive(stage)


@pytest.mark.long
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
    assert "Task run 'train@xl' - hello from train@xl" in said
    assert "Figure 4 of the study 'tiny'" in said
    run = pages.last_run()
    assert re.fullmatch(r"tiny \d{4}-\d\d-\d\d \d\d:\d\d", run["name"])
    assert run["state"]["message"] == "All 22 stages are up to date"
    tasks = finished_tasks(pages, run)
    assert set(tasks) == dvc_stages(pages.root)
    assert tasks["sample_web"]["state_name"] == "Unchanged"  # done before the flow was killed
    assert tasks["train@small"]["state_name"] == "Completed"
    assert tasks["report"]["run_count"] == 2


def dvc_stages(root: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_figure_4_and_every_stages_metrics_are_pages(pages: Pages) -> None:
    found = pages.ask("artifacts/latest/filter", limit=200)
    artifacts = {artifact["key"]: artifact["data"] for artifact in found}
    assert {stage.replace("@", "-").replace("_", "-") for stage in dvc_stages(pages.root)} < set(
        artifacts
    )
    assert "| documents | 1,234,567 |" in artifacts["train-small"]
    figure = artifacts["figure-4"]
    assert "![Figure 4](data:image/png;base64," in figure
    assert "| small | 124,439,808 | 30.50 (29.00 to 31.00) | 40.25 (39.00 to 41.00) |" in figure
    assert len(figure) < 102_000


def test_the_log_of_a_stage_is_on_its_page(pages: Pages) -> None:
    run = pages.last_run()
    logs = pages.ask("logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}}, limit=200)
    messages = [log["message"] for log in logs]
    assert "hello from train@xl" in messages
    assert not any("\x1b" in message for message in messages)


@pytest.mark.long
def test_without_a_server_one_is_started_for_the_run(checkout: Path, project: Path) -> None:
    (checkout / "pyproject.toml").write_text((project / "pyproject.toml").read_text())
    (checkout / "do").mkdir()
    (checkout / "do" / "sample_web").write_text("sys.exit(3)")
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
    assert (checkout / ".prefect" / "prefect.db").is_file()


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
