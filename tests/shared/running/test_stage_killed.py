"""A stage that is killed, told to end or met by another, alone and under DVC: real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import cast

import pytest
from started_stage import HANG, SCRIPT, MadeStage, alive
from waiting import until

from pipeline.shared.errors import EXIT_INTERRUPTED, EXIT_RETRY, EXIT_TERMINATED

pytestmark = pytest.mark.long


def test_a_killed_stage_goes_on_from_its_work_folder(made_stage: MadeStage) -> None:
    made_stage.does(
        "import os, signal, time; done = stage.work / 'half'\n"
        "if not done.exists():\n"
        "    time.sleep(1.5); done.write_text('x'); time.sleep(0.2)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert made_stage.run()[0] == -signal.SIGKILL
    assert not made_stage.out.exists()
    assert made_stage.run()[0] == 0
    assert made_stage.metrics()["attempts"] == 2
    # Those of the first until it last wrote, and all of the second.
    assert cast(float, made_stage.metrics()["seconds"]) > 1.5
    assert [path.name for path in made_stage.work()[0].iterdir() if path.name == "half"] == []


def test_half_files_of_a_killed_attempt_are_removed(made_stage: MadeStage) -> None:
    made_stage.does(
        "import os, signal\n"
        "half = stage.work / 'state' / '.part.tmp-1'\n"
        "if half.parent.is_dir():\n    assert not half.exists()\n"
        "else:\n    half.parent.mkdir(); half.write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    made_stage.run()
    code, log = made_stage.run()
    assert code == 0, log


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, EXIT_TERMINATED), (signal.SIGINT, EXIT_INTERRUPTED)]
)
def test_a_stopped_stage_says_so_and_publishes_nothing(
    made_stage: MadeStage, number: int, code: int
) -> None:
    made_stage.does(HANG)
    process = made_stage.start()
    until((made_stage.folder / "there").exists)
    process.send_signal(number)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert "the same command goes on from here" in log
    assert "Traceback" not in log
    assert not made_stage.out.exists()


def test_a_second_sigterm_does_not_cut_short_the_tidying_after_the_first(
    made_stage: MadeStage,
) -> None:
    made_stage.does(
        "import os, pathlib, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "finally:\n    os.kill(os.getpid(), signal.SIGTERM); pathlib.Path('tidied').touch()"
    )
    assert made_stage.run()[0] == EXIT_TERMINATED
    assert (made_stage.folder / "tidied").exists()


def test_sigterm_ends_the_workers_of_a_pool_too(made_stage: MadeStage) -> None:
    made_stage.does("import made_stage; made_stage.in_workers([60.0, 60.0])")
    process = made_stage.start()
    until(lambda: len(list(made_stage.folder.glob("waiting-*"))) == 2)
    workers = [
        int(path.name.removeprefix("waiting-")) for path in made_stage.folder.glob("waiting-*")
    ]
    process.terminate()
    assert process.wait(timeout=60) == EXIT_TERMINATED
    assert not any(map(alive, workers))


def waiting_workers(made_stage: MadeStage) -> set[int]:
    """Those that have begun to wait, now or before."""
    return {int(path.name.removeprefix("waiting-")) for path in made_stage.folder.glob("waiting-*")}


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is told by Linux alone")
def test_kill_9_ends_the_workers_of_a_pool_too(made_stage: MadeStage) -> None:
    made_stage.does("import made_stage; made_stage.in_workers([60.0, 60.0])")
    process = made_stage.start()
    until(lambda: len(list(made_stage.folder.glob("waiting-*"))) == 2)
    workers = waiting_workers(made_stage)
    process.kill()
    process.wait()
    until(lambda: not any(map(alive, workers)))


@pytest.mark.parametrize("which", [0, 1], ids=["oldest", "newest"])
def test_the_work_of_a_killed_worker_is_begun_again(made_stage: MadeStage, which: int) -> None:
    made_stage.does("import made_stage; made_stage.in_workers([3.0, 3.0])")
    process = made_stage.start()
    until(lambda: len(list(made_stage.folder.glob("waiting-*"))) == 2)
    os.kill(sorted(waiting_workers(made_stage))[which], signal.SIGKILL)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == 0, log
    assert log.count("a worker process was killed; its work begins again") == 1


def test_workers_killed_again_and_again_are_an_error_that_names_the_remedy(
    made_stage: MadeStage,
) -> None:
    made_stage.does("import made_stage; made_stage.in_workers([60.0, 60.0])")
    process = made_stage.start()
    seen: set[int] = set()
    for _ in range(4):
        kill_new_worker(made_stage, seen)
    log = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "killed 4 times in a row" in log
    assert "lower compute.workers" in log
    assert "Traceback" not in log


def kill_new_worker(made_stage: MadeStage, seen: set[int]) -> None:
    """Kill one that is not in `seen`, as soon as there is one; then all are."""
    until(lambda: waiting_workers(made_stage) - seen)
    new = waiting_workers(made_stage) - seen
    os.kill(min(new), signal.SIGKILL)
    seen |= new


def test_a_second_process_is_kept_out_with_a_code_worth_a_retry(made_stage: MadeStage) -> None:
    made_stage.does(HANG)
    first = made_stage.start()
    until((made_stage.folder / "there").exists)
    code, log = made_stage.run()
    assert code == EXIT_RETRY
    assert f"(pid {first.pid})" in log


def test_a_second_process_waits_for_one_that_is_ending(made_stage: MadeStage) -> None:
    made_stage.does(HANG)
    first = made_stage.start()
    until((made_stage.folder / "there").exists)
    made_stage.does("")
    second = made_stage.start()
    time.sleep(0.5)
    first.terminate()
    log = second.communicate(timeout=60)[1]
    assert second.returncode == 0, log


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is told by Linux alone")
def test_a_stage_of_dvc_ends_when_dvc_is_killed(made_stage: MadeStage) -> None:
    made_stage.does(HANG)
    options = ["--profile", "tiny", "--documents", "documents", "--out", "out"]
    parent = (  # a command line that names dvc, as the real one does
        "dvc = 0; import subprocess, sys; p = subprocess.Popen(sys.argv[1:]);"
        "print(p.pid, flush=True);"
        "p.wait()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent, sys.executable, str(SCRIPT), *options],
        cwd=made_stage.folder,
        env=os.environ | {"MADE_STAGE_DOES": "does.py", "DVC_STAGE": "dedup"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    stage = int(process.stdout.readline())
    until((made_stage.folder / "there").exists)
    process.kill()
    process.communicate()
    until(lambda: not alive(stage))


@pytest.mark.skipif(sys.platform != "linux", reason="the parent is looked up as Linux shows it")
def test_a_stage_whose_dvc_was_killed_before_it_began_does_no_work(made_stage: MadeStage) -> None:
    made_stage.does(HANG)
    options = ["--profile", "tiny", "--documents", "documents", "--out", "out"]
    started = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"  # names no dvc
    code = subprocess.call(
        [sys.executable, "-c", started, sys.executable, str(SCRIPT), *options],
        cwd=made_stage.folder,
        env=os.environ | {"MADE_STAGE_DOES": "does.py", "DVC_STAGE": "dedup"},
        timeout=60,
    )
    assert code == 143
    assert not (made_stage.folder / "there").exists()


# The fingerprint
