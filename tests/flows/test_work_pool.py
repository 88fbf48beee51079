"""The deployment of prefect.yaml, by a real process worker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_checkout import Pages, environment
from waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]


def test_a_worker_of_a_process_pool_runs_the_study(pages: Pages, project: Path) -> None:
    shutil.copy(project / "prefect.yaml", pages.root)
    shutil.copytree(project / "flows", pages.root / "flows")
    pages.act("sample_web", "print('by a worker', flush=True); sys.exit(3)")
    (pages.root / "work.py").write_text((pages.root / "work.py").read_text() + "# worker\n")
    named = environment() | {
        "PREFECT_API_URL": f"{pages.prefect}/api",
        "PYTHONPATH": os.pathsep.join([str(pages.root), str(project)]),
    }

    def prefect(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "prefect", "--no-prompt", *arguments]

    def run(*arguments: str) -> None:
        done = subprocess.run(
            prefect(*arguments),
            cwd=pages.root,
            env=named,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run("work-pool", "create", "--type", "process", "figure4")
    run("deploy", "--all")
    (deployment,) = (
        one for one in pages.ask("deployments/filter") if one["work_pool_name"] == "figure4"
    )
    choices = deployment["parameter_openapi_schema"]["properties"]["profile"]["enum"]
    assert choices == ["(active)", "tiny", "laptop", "single_gpu", "paper"]
    asked = pages.ask(
        f"deployments/{deployment['id']}/create_flow_run",
        parameters={"overrides": {"train.tokens": 360_000}},
    )
    worker = subprocess.Popen(
        prefect("worker", "start", "--pool", "figure4", "--limit", "1"), cwd=pages.root, env=named
    )

    def ended() -> Any:
        only = {"id": {"any_": [asked["id"]]}}
        (found,) = pages.ask("flow_runs/filter", flow_runs=only)
        return found if found["state_type"] in {"FAILED", "COMPLETED", "CRASHED"} else None

    try:
        until(ended, 600)
    finally:
        worker.terminate()
        worker.wait(60)
    run_of_it = ended()
    assert run_of_it["state_type"] == "FAILED"
    assert "sample_web failed with exit code 3" in run_of_it["state"]["message"]
    assert run_of_it["labels"]["figure4.checkout"].endswith(str(pages.root))
    assert pages.tasks(run_of_it)["sample_web"]["state_type"] == "FAILED"
    assert "tokens: 360000\n" in (pages.root / "params.yaml").read_text()
    pages.act("sample_web", "")
