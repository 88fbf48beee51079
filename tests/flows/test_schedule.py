"""The served flow: in the UI as a deployment, and started from there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from made_checkout import Pages

from flows.schedule import main


def test_the_deployment_is_in_the_ui_and_starts_the_study(pages: Pages) -> None:
    process = pages.command("schedule", "--cron", "0 3 1 * *", "--profile", "no_such_profile")
    try:
        deadline_s = time.monotonic() + 90
        while not (found := pages.ask("deployments/filter")):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
        (deployment,) = found
        assert deployment["name"] == "scheduled"
        assert deployment["schedules"][0]["schedule"]["cron"] == "0 3 1 * *"
        run = pages.ask(f"deployments/{deployment['id']}/create_flow_run")
        while run["state_type"] not in {"FAILED", "COMPLETED", "CRASHED"}:
            assert time.monotonic() < deadline_s
            time.sleep(0.5)
            (run,) = pages.ask("flow_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
        # It ran in the checkout, whose params.yaml it read.
        assert "profile 'no_such_profile' is not under profiles" in run["state"]["message"]
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_that_the_cron_made_starts_and_ends(pages: Pages) -> None:
    process = pages.command("schedule", "--cron", "* * * * *", "--profile", "no_such_profile")
    by_the_cron = {"tags": {"all_": ["auto-scheduled"]}}
    ended = {"state": {"type": {"any_": ["FAILED", "COMPLETED", "CRASHED"]}}}
    try:
        deadline_s = time.monotonic() + 200
        # Made by the server's scheduler, ripe at the next full minute, then run by the process
        # above: each of the three has failed without the others' notice.
        while not (runs := pages.ask("flow_runs/filter", flow_runs=by_the_cron | ended)):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline_s, pages.ask(
                "flow_runs/filter", flow_runs=by_the_cron
            )
            time.sleep(1)
        assert runs[0]["start_time"] is not None
        assert "profile 'no_such_profile' is not under profiles" in runs[0]["state"]["message"]
    finally:
        process.terminate()
        process.communicate(timeout=60)


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
