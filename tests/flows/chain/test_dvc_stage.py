"""Stages of a real DVC through the supervisor: outcomes, codes, kills."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from made_checkout import Act

from flows.chain.dvc_stage import EndingError, StageEnd, StageRunner, read_outcome
from flows.page.log_lines import as_record

pytestmark = pytest.mark.long

HANG = "import time; pathlib.Path('there').touch(); time.sleep(60)"
SAVE = """
import signal, time
def stop(*_):
    pathlib.Path("checkpoint").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
pathlib.Path("pid").write_text(str(__import__("os").getpid()))
pathlib.Path("there").touch()
time.sleep(60)
"""


def runner(root: Path, devices: tuple[str | None, ...] = (None,)) -> StageRunner:
    return StageRunner(root, devices=devices, grace_s=10.0)


def run(root: Path, stage: str = "sample_web") -> tuple[StageEnd, list[str]]:
    lines: list[str] = []
    return runner(root).run(stage, lines.append), lines


def recorded(root: Path) -> list[str]:
    """Stages that DVC holds for done."""
    lock = root / "dvc.lock"
    return list(yaml.safe_load(lock.read_text())["stages"]) if lock.exists() else []


def until_exists(path: Path) -> None:
    deadline_s = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline_s, f"{path} never appeared"
        time.sleep(0.02)


def test_a_stage_runs_once_and_is_unchanged_then(checkout: Path) -> None:
    first, lines = run(checkout)
    assert (first.code, first.did) == (0, "ran")
    assert "hello from sample_web" in lines
    assert not any("\x1b" in line or "\r" in line for line in lines)
    second, lines = run(checkout)
    assert (second.code, second.did) == (0, "unchanged")
    assert "hello from sample_web" not in lines


def test_a_result_in_the_cache_is_restored(checkout: Path, act: Act) -> None:
    work = (checkout / "work.py").read_text()
    run(checkout)
    (checkout / "work.py").write_text(work + "\n# other\n")
    run(checkout)
    (checkout / "work.py").write_text(work)
    assert run(checkout)[0].did == "restored"


@pytest.mark.parametrize(("code", "retry"), [(1, False), (75, True), (143, True)])
def test_the_stages_own_code_decides_on_a_retry(
    checkout: Path, act: Act, code: int, retry: bool
) -> None:
    act("sample_web", f"print('because', flush=True); sys.exit({code})")
    outcome, _ = run(checkout)
    assert outcome.code == code
    assert outcome.worth_a_retry is retry
    assert "because" in outcome.last_lines
    assert recorded(checkout) == []


def test_a_stage_killed_from_outside_has_the_shells_code(checkout: Path, act: Act) -> None:
    act("sample_web", "import os; os.kill(os.getpid(), 9)")
    outcome, _ = run(checkout)
    assert outcome.code == 137
    assert not outcome.worth_a_retry


def test_an_unknown_stage_is_no_retry(checkout: Path) -> None:
    outcome, _ = run(checkout, "no_such_stage")
    assert outcome.code != 0
    assert not outcome.worth_a_retry
    assert any("no_such_stage" in line for line in outcome.last_lines)


def test_a_busy_lock_is_worth_a_retry(checkout: Path, act: Act) -> None:
    act("sample_web", HANG)
    with runner(checkout) as first:
        thread = threading.Thread(target=first.run, args=("sample_web", lambda line: None))
        thread.start()
        until_exists(checkout / "there")
        outcome, _ = run(checkout)
    thread.join(timeout=60)
    assert outcome.code != 0
    assert outcome.lock_busy
    assert outcome.worth_a_retry


def test_leaving_the_runner_ends_what_runs_and_dvc_records_nothing(
    checkout: Path, act: Act
) -> None:
    act("sample_web", SAVE)
    outcomes: list[StageEnd] = []
    with runner(checkout) as stages:
        thread = threading.Thread(
            target=lambda: outcomes.append(stages.run("sample_web", lambda line: None))
        )
        thread.start()
        until_exists(checkout / "there")
    thread.join(timeout=60)
    assert outcomes[0].code == 143
    assert (checkout / "checkpoint").exists()
    assert recorded(checkout) == []
    with pytest.raises(EndingError, match="the flow is ending"):
        stages.run("eval_sets", lambda line: None)


def test_a_stage_terminated_alone_is_recorded_as_nothing_and_goes_on(
    checkout: Path, act: Act
) -> None:
    act("sample_web", SAVE)
    outcomes: list[StageEnd] = []
    thread = threading.Thread(target=lambda: outcomes.append(run(checkout)[0]))
    thread.start()
    until_exists(checkout / "there")
    os.kill(int((checkout / "pid").read_text()), signal.SIGTERM)
    thread.join(timeout=60)
    assert outcomes[0].code == 143
    assert outcomes[0].worth_a_retry
    assert recorded(checkout) == []
    act("sample_web", "")
    assert run(checkout)[0].code == 0
    assert recorded(checkout) == ["sample_web"]


def test_sizes_side_by_side_each_have_a_device_of_their_own(checkout: Path, act: Act) -> None:
    for stage in ("sample_web", "eval_sets", "links", "crawl", "extract", "dedup", "tokenize"):
        run(checkout, stage)
    for size in ("small", "xl"):
        # Each waits for the other: one after the other they would never end.
        other = {"small": "xl", "xl": "small"}[size]
        act(
            f"tune@{size}",
            "import os, time\n"
            f"pathlib.Path('{size}').write_text(os.environ['CUDA_VISIBLE_DEVICES'])\n"
            f"while not pathlib.Path('{other}').exists(): time.sleep(0.01)",
        )
    stages = runner(checkout, ("0,1", "2,3"))
    outcomes: list[StageEnd] = []
    threads = [
        threading.Thread(
            target=lambda size=size: outcomes.append(stages.run(f"tune@{size}", lambda line: None))
        )
        for size in ("small", "xl")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [outcome.code for outcome in outcomes] == [0, 0]
    assert {(checkout / size).read_text() for size in ("small", "xl")} == {"0,1", "2,3"}
    assert {"tune@small", "tune@xl"} <= set(recorded(checkout))


KILLED_FLOW = """
import sys
from pathlib import Path
from flows.chain.dvc_stage import StageRunner
StageRunner(Path.cwd(), devices=[None], grace_s=10.0).run("sample_web", print)
"""


def test_kill_9_of_the_flow_ends_the_training_within_seconds(checkout: Path, act: Act) -> None:
    act("sample_web", SAVE)
    flow = subprocess.Popen(
        [sys.executable, "-c", KILLED_FLOW], cwd=checkout, stdout=subprocess.DEVNULL
    )
    until_exists(checkout / "there")
    stage = int((checkout / "pid").read_text())
    flow.kill()
    flow.wait()
    deadline_s = time.monotonic() + 9  # less than the grace of a stage that is asked to end
    while Path(f"/proc/{stage}").exists():
        assert time.monotonic() < deadline_s, "the training lives on"
        time.sleep(0.02)
    assert (checkout / "checkpoint").exists()
    assert recorded(checkout) == []


def test_dvcs_words_are_read(checkout: Path) -> None:
    lines = ["ERROR: failed to reproduce 'x': failed to run: python -m x, exited with -9"]
    assert read_outcome("x", lines, 255).code == 137
    assert read_outcome("x", ["ERROR: 'data/tok' is busy, it is being blocked by:"], 255).lock_busy
    assert read_outcome("x", [], 0) == StageEnd(
        stage="x", code=0, did="ran", last_lines=(), lock_busy=False
    )


def test_a_stages_line_loses_what_prefect_says_itself() -> None:
    assert as_record("train@xl", "12:40:03 train@xl: loss 3.2") == (logging.INFO, "loss 3.2")
    assert as_record("train@xl", "12:40:03 other: x") == (logging.INFO, "12:40:03 other: x")
    assert as_record("train@xl", "ERROR: failed")[0] == logging.ERROR
