"""`make study`'s way of running DVC: sizes at a time, the same result, one end for all."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from made_checkout import SIZES, dvc, environment, write_checkout

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    compute = {"accelerator": "cpu", "workers": 2, "threads": 1}
    params = {"profile": "tiny", "sizes": SIZES, "profiles": {"tiny": {"compute": compute}}}
    write_checkout(tmp_path, yaml.safe_dump(params, sort_keys=False))
    (tmp_path / "do").mkdir()
    return tmp_path


def start(checkout: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flows.side_by_side"],
        cwd=checkout,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.long
def test_sizes_run_at_a_time_and_dvc_then_finds_all_up_to_date(checkout: Path) -> None:
    for size, other in (SIZES, SIZES[::-1]):
        # Each waits for the other: one after the other they would never end.
        (checkout / "do" / f"train@{size}").write_text(
            "import time\n"
            f"pathlib.Path('{size}').touch()\n"
            f"while not pathlib.Path('{other}').exists(): time.sleep(0.01)"
        )
    process = start(checkout)
    said = process.communicate(timeout=200)[0]
    assert process.returncode == 0, said
    assert said.count("hello from train@") == len(SIZES)
    assert said.count("hello from report") == 1
    assert "up to date" in dvc(checkout, "status")
    process = start(checkout)
    assert "hello" not in process.communicate(timeout=200)[0]
    assert process.returncode == 0


def test_a_stage_that_fails_is_the_end_with_its_code(checkout: Path) -> None:
    (checkout / "do" / "train@xl").write_text("sys.exit(3)")
    process = start(checkout)
    said = process.communicate(timeout=200)[0]
    assert process.returncode == 3, said
    assert "hello from evaluate@small" in said
    assert "hello from evaluate@xl" not in said
    assert "hello from report" not in said


def test_sigterm_ends_the_stages_of_all_sizes(checkout: Path) -> None:
    for size in SIZES:
        (checkout / "do" / f"tune@{size}").write_text(
            f"import os, time\npathlib.Path('{size}').write_text(str(os.getpid()))\ntime.sleep(600)"
        )
    process = start(checkout)
    deadline_s = time.monotonic() + 120
    while not all((checkout / size).exists() for size in SIZES):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    time.sleep(0.2)  # the files exist before they are written
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    for size in SIZES:
        assert not Path("/proc", (checkout / size).read_text()).exists()
