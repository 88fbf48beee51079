"""Mapping over shards in processes; killed workers and signals are in test_stage_killed.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from compute_settings import compute
from started_stage import alive
from waiting import until

from pipeline.shared.running.executor import map_shards


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(map_shards(abs, [-3, 2, -1, 0], compute=compute(workers=2))) == [3, 2, 1, 0]


def test_the_error_of_one_item_is_raised_as_it_is() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_shards(int, ["1", "x", "2"], compute=compute(workers=2)))


def test_a_cluster_without_an_address_is_an_error_that_shows_one() -> None:
    with pytest.raises(ValueError, match="tcp://"):
        compute(executor="dask")


_ABANDON = """
import time

from compute_settings import compute
from pipeline.shared.running.executor import map_shards

if __name__ == "__main__":
    for result in map_shards(bytes, [1, *[200_000_000] * 30], compute=compute(workers=3)):
        time.sleep(1)  # until workers send results that no pipe holds
        break
    print("left")
"""


def test_a_caller_that_wants_no_more_can_end_while_workers_send(
    project: Path, tmp_path: Path
) -> None:
    script = tmp_path / "abandon.py"
    script.write_text(_ABANDON)
    path = os.pathsep.join([str(project), str(project / "tests")])
    run = subprocess.run(
        [sys.executable, script], env=os.environ | {"PYTHONPATH": path},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert run.stdout == "left\n"


_IMPORTING = """
import os, pathlib, time

from compute_settings import compute
from pipeline.shared.running.executor import map_shards

if __name__ == "__main__":
    list(map_shards(abs, [1, 2], compute=compute(workers=2)))
else:  # as a worker imports it
    pathlib.Path(f"importing-{os.getpid()}").touch()
    while os.getppid() == int(pathlib.Path("stage").read_text()):
        time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is told by Linux alone")
def test_kill_9_ends_workers_that_are_still_importing(project: Path, tmp_path: Path) -> None:
    (tmp_path / "importing.py").write_text(_IMPORTING)
    path = os.pathsep.join([str(project), str(project / "tests")])
    stage = subprocess.Popen(
        [sys.executable, "importing.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    (tmp_path / "stage").write_text(str(stage.pid))
    until(lambda: len(list(tmp_path.glob("importing-*"))) == 2)
    workers = [int(path.name.removeprefix("importing-")) for path in tmp_path.glob("importing-*")]
    stage.kill()
    stage.wait()
    try:
        until(lambda: not any(map(alive, workers)))
    finally:
        for worker in filter(alive, workers):
            os.kill(worker, signal.SIGKILL)
