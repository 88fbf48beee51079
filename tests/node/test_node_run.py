"""On the node: stages in turn, an end in good time, results so far; with stages that do no work."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from made_payload import MadePayload, make_payload
from shipped_sizes import SIZES

from pipeline.node.pieces import read_pieces
from pipeline.shared.errors import EXIT_DONE, EXIT_FATAL, EXIT_RETRY


@pytest.fixture
def payload(tmp_path: Path, project: Path) -> MadePayload:
    return make_payload(tmp_path / "node", project)


def _wait_until_hanging(payload: MadePayload) -> None:
    deadline_s = time.monotonic() + 60
    while not (payload.folder / "hangs").is_file():
        assert time.monotonic() < deadline_s, "the stage never started"
        time.sleep(0.01)


def _results(payload: MadePayload, target: Path) -> list[str]:
    stages: list[str] = read_pieces(payload.folder / "results", target)["stages"]
    return stages


def test_a_search_brought_from_another_node_keeps_its_note(
    payload: MadePayload, tmp_path: Path
) -> None:
    assert payload.run()[0] == EXIT_DONE
    state = payload.folder / "data/tiny/tune/small/state"
    for path in state.iterdir():
        path.unlink()
    note = state / "stays_on_the_node.json"
    note.write_text('{"where": "elsewhere"}')
    assert payload.run()[0] == EXIT_DONE
    taken = tmp_path / "taken"
    _results(payload, taken)
    assert (taken / "tune/small/state" / note.name).read_text() == note.read_text()


def test_all_stages_run_and_what_is_large_stays_on_the_node(
    payload: MadePayload, tmp_path: Path
) -> None:
    code, log = payload.run()
    assert code == EXIT_DONE, log
    taken = tmp_path / "taken"
    assert len(_results(payload, taken)) == 3 * len(SIZES)
    assert (taken / "evaluate" / "xl" / "lambada.json").read_text() == "evaluate@xl"
    note = json.loads((taken / "train" / "small" / "model.safetensors").read_text())
    made = json.loads((payload.folder / "data/tiny/train/small/metrics.json").read_text())
    assert (note["bytes"], note["sha256"]) == (10_000, made["model_sha256"])
    stays = json.loads((taken / "tune" / "small" / "state" / "stays_on_the_node.json").read_text())
    assert stays["bytes"] == {"5.pt": len(b"checkpoint")}
    assert "train@small: " in log
    assert "9 tokens/s, MFU 50.0%" in log
    assert re.search(r"evaluate@small: \d+ s, lambada 30\n", log)


def test_weights_come_along_while_there_is_room_for_them(
    payload: MadePayload, tmp_path: Path
) -> None:
    room_mib = 25_000 / 2**20  # for two models of 10,000 bytes
    assert payload.run("--weights-mib", str(room_mib))[0] == EXIT_DONE
    _results(payload, tmp_path / "taken")
    sizes = {
        size: (tmp_path / "taken" / "train" / size / "model.safetensors").stat().st_size
        for size in SIZES
    }
    assert [size for size, num_bytes in sizes.items() if num_bytes == 10_000] == ["small", "medium"]


def test_told_to_stop_it_stops_the_stage_gives_what_is_done_and_goes_on_next_time(
    payload: MadePayload, tmp_path: Path
) -> None:
    payload.does("train@medium", "hang")
    process = payload.start()
    _wait_until_hanging(payload)
    process.send_signal(signal.SIGTERM)
    log = process.communicate(timeout=120)[1]
    assert process.returncode == EXIT_RETRY, log
    done = ["tune@small", "train@small", "evaluate@small", "tune@medium"]
    assert _results(payload, tmp_path / "first") == done
    payload.does("train@medium", "")
    code, log = payload.run()
    assert code == EXIT_DONE, log
    assert "tune@medium: " not in log  # done before, and not again
    assert len(_results(payload, tmp_path / "second")) == 3 * len(SIZES)


def test_killed_it_leaves_no_stage_behind_that_holds_the_gpu(payload: MadePayload) -> None:
    payload.does("tune@small", "hang")
    process = payload.start()
    _wait_until_hanging(payload)
    children = Path(f"/proc/{process.pid}/task").glob("*/children")
    stages = [pid for path in children for pid in path.read_text().split()]
    assert len(stages) == 1
    process.kill()
    process.communicate()
    deadline_s = time.monotonic() + 30
    while Path(f"/proc/{stages[0]}").exists():
        assert time.monotonic() < deadline_s, "the stage lives on"
        time.sleep(0.01)


def test_with_no_time_left_nothing_starts_and_the_results_so_far_are_there(
    payload: MadePayload, tmp_path: Path
) -> None:
    code, log = payload.run("--minutes", "0.5")
    assert code == EXIT_RETRY
    assert "not done yet: tune@small, train@small" in log
    assert _results(payload, tmp_path / "taken") == []


def test_a_stage_that_fails_is_shown_with_its_log_and_the_other_sizes_go_on(
    payload: MadePayload, tmp_path: Path
) -> None:
    payload.does("train@medium", "fail")
    code, log = payload.run("--side-by-side", "2")
    assert code == EXIT_FATAL
    assert "train@medium failed with exit code 1" in log
    assert "the loss is no number" in log
    done = _results(payload, tmp_path / "taken")
    assert "evaluate@xl" in done
    assert "evaluate@medium" not in done


def test_an_evaluation_that_lacked_a_package_goes_on_once_it_is_installed_and_not_before(
    payload: MadePayload, tmp_path: Path
) -> None:
    one = ("--sizes", "small")
    payload.does("evaluate@small", "lack")
    payload.hide("rouge_score")
    assert payload.run(*one)[0] == EXIT_DONE
    shutil.rmtree(payload.site)
    payload.does("evaluate@small", "")
    code, log = payload.run(*one, "--minutes", "0.5")  # no time for it
    assert code == EXIT_RETRY
    assert "not done yet: evaluate@small; the same command" in log
    assert "evaluate@small" in _results(payload, tmp_path / "before")  # what is there still counts
    code, log = payload.run(*one)
    assert code == EXIT_DONE, log
    assert re.findall(r"(\w+@\w+): \d+ s", log) == ["evaluate@small"]


def test_parameters_changed_on_the_node_are_refused_by_name(payload: MadePayload) -> None:
    path = payload.folder / "params.yaml"
    text = path.read_text()
    assert "tokens: 350_000" in text
    path.write_text(text.replace("tokens: 350_000", "tokens: 600_000"))
    code, log = payload.run()
    assert code == EXIT_FATAL
    assert "settings.train.tokens is 600000, not 350000" in log
    assert not (payload.folder / "results").exists()
