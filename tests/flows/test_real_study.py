"""A real study with real trainings, cancelled on its page and robbed of its server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from made_checkout import Pages, opened_pages, served
from small_study import small_checkout
from waiting import until

from flows.servers.addresses import answers

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

# A training of several minutes, which saves its state each second.
ENDLESS: dict[str, dict[str, Any]] = {
    "compute": {"checkpoint_every_s": 1.0},
    "train": {"tokens": 20_000_000, "warmup_tokens": 2_000_000, "eval_every_tokens": 2_000_000},
}
SHORT = {"train.tokens": 16_384, "train.warmup_tokens": 2_048, "train.eval_every_tokens": 8_192}
_CANCELLED_WITHIN_S = 60.0  # 10 and 30 s were seen where little of a core was left for it


@pytest.fixture(scope="module")
def real(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Both pages over a checkout of the project, with the text of a study that has no training."""
    checkout = small_checkout(project, tmp_path_factory.mktemp("real"))
    checkout.keep_sizes(2)
    checkout.set_params(ENDLESS)
    checkout.run("dvc", "repro", "tokenize")
    with opened_pages(checkout.folder, MLFLOW_TRACKING_URI="off") as opened:
        yield opened


def stages_at_work(pages: Pages) -> list[str]:
    """The stages that have a process in this checkout, whatever it does."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if process.info["cwd"] == str(pages.root) and words[1:2] == ["-m"]:
            found += [words[2]] if words[2].startswith(("pipeline.", "dvc")) else []
    return found


def checkpoints(pages: Pages) -> list[Path]:
    return sorted((pages.root / "work" / "tiny").glob("tune@*/*/trial_*/*.pt"))


def start(pages: Pages, **parameters: Any) -> str:
    """Start a run of the served deployment as its page does; returns its id."""
    served_here = {"name": {"any_": ["study"]}}
    until(lambda: pages.ask("deployments/filter", deployments=served_here), 300)
    (deployment,) = pages.ask("deployments/filter", deployments=served_here)
    run = pages.ask(f"deployments/{deployment['id']}/create_flow_run", parameters=parameters)
    return str(run["id"])


def run_of(pages: Pages, run_id: str) -> Any:
    return pages.ask("flow_runs/filter", flow_runs={"id": {"any_": [run_id]}})[0]


@contextmanager
def training(pages: Pages, how: str) -> Iterator[str]:
    """A run that trains; yields its id."""
    for old in checkpoints(pages):
        old.unlink()
    if how == "deployment":
        with served(pages):
            run_id = start(pages)
            until(lambda: checkpoints(pages), 400)
            yield run_id
        return
    flow = pages.command("study")
    try:
        until(lambda: checkpoints(pages), 400)
        yield str(pages.last_run()["id"])
    finally:
        flow.terminate()
        flow.communicate(timeout=120)


@pytest.mark.parametrize("how", ["make flow", "deployment"])
def test_a_training_that_is_cancelled_on_the_page_saves_its_state_and_ends_in_seconds(
    real: Pages, how: str
) -> None:
    with training(real, how) as run_id:
        clicked_utc, clicked_s = time.time(), time.monotonic()
        real.ask(f"flow_runs/{run_id}/set_state", state={"type": "CANCELLING"})
        until(lambda: not stages_at_work(real), 120)
        gone_s = time.monotonic() - clicked_s
        until(lambda: run_of(real, run_id)["state_type"] == "CANCELLED", 120)
        cancelled_s = time.monotonic() - clicked_s
    print(f"\n{how}: no stage lives after {gone_s:.1f} s, Cancelled after {cancelled_s:.1f} s")
    assert cancelled_s < _CANCELLED_WITHIN_S
    assert max(path.stat().st_mtime for path in checkpoints(real)) > clicked_utc
    states = {name: task["state_type"] for name, task in real.tasks({"id": run_id}).items()}
    assert "CANCELLED" in states.values()
    assert not {"RUNNING", "COMPLETED"} & {
        state for name, state in states.items() if name.startswith(("tune", "train"))
    }
    assert "tune@small" not in recorded(real)


def recorded(pages: Pages) -> set[str]:
    """The stages in dvc.lock; none while DVC writes it, which takes it a moment."""
    try:
        content = yaml.safe_load((pages.root / "dvc.lock").read_text())
    except yaml.YAMLError:
        return set()
    return set((content or {}).get("stages") or {})


def test_a_server_killed_under_a_deployments_run_costs_no_stage_and_tells_the_truth_later(
    real: Pages,
) -> None:
    with served(real) as schedule:
        run_id = start(real, overrides=SHORT)
        until(lambda: "pipeline.tune" in stages_at_work(real), 400)
        until(lambda: "tune@small" in real.tasks({"id": run_id}), 120)
        with nobody_mends(real):
            real.kill_prefect()
            until(lambda: "report" in recorded(real), 600)
            until(lambda: not at_study(schedule.pid), 120)
            assert not answers(f"{real.prefect}/api/health")
        until(lambda: answers(f"{real.prefect}/api/health"), 300)
        until(lambda: run_of(real, run_id)["state_type"] != "RUNNING", 120)
        run = run_of(real, run_id)
        assert run["state_type"] == "COMPLETED"
        assert " ran, " in run["state"]["message"]
        tasks = real.tasks(run)
        assert tasks["tune@small"]["state_name"] == "Completed"
        assert {task["state_type"] for task in tasks.values()} == {"COMPLETED"}
        again = start(real)
        until(lambda: run_of(real, again)["state_type"] == "COMPLETED", 200)
        assert run_of(real, again)["state_name"] == "Nothing new"


@contextmanager
def nobody_mends(pages: Pages) -> Iterator[None]:
    """`make ui`, which starts a dead server anew, is stopped on its way meanwhile."""
    (ui,) = [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if (process.info["cmdline"] or [])[1:3] == ["-m", "flows.ui"]
        and process.info["cwd"] == str(pages.root)
    ]
    ui.suspend()
    try:
        yield
    finally:
        ui.resume()


def at_study(schedule: int) -> bool:
    """Whether a run of the schedule is at work."""
    try:
        below = psutil.Process(schedule).children(recursive=True)
        return any(process.cmdline()[1:3] == ["-m", "flows.study"] for process in below)
    except psutil.NoSuchProcess:  # one of them, just now
        return True
