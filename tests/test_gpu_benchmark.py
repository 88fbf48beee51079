"""The benchmark of one GPU, on a CPU: what it measures is real, and what it leaves out is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.gpt2 import GPT2, GPT2Config

pytestmark = pytest.mark.long

XL = (48, 25, 1600, 1024)  # GPT-2's largest: layers, heads, width, context


def run_benchmark(project: Path, out: Path, *arguments: str) -> tuple[str, list[dict[str, Any]]]:
    """Its table and its rows."""
    command = [sys.executable, "benchmarks/gpu.py", "--device", "cpu", "--results", str(out)]
    command += ["--precision", "float32", "--vocab-size", "64", "--no-compile", "--threads", "1"]
    environment = os.environ | {"PYTHONPATH": str(project)}
    subprocess.run([*command, *arguments], check=True, cwd=project, env=environment, timeout=280)
    (table,) = out.glob("*.md")
    return table.read_text(), json.loads(table.with_suffix(".json").read_text())


def columns(table: str, *, of: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(of)]
    return [column.strip() for column in line.strip("| ").split("|")]


@pytest.mark.slow
def test_it_tells_rate_profile_and_what_became_of_a_killed_training(
    project: Path, tmp_path: Path
) -> None:
    arguments = ["--shapes", "tiny-xl", "--contenders", "figure4", "small trainings"]
    table, rows = run_benchmark(
        project, tmp_path, *arguments, "--micro-batches", "2", "--round-s", "0.05"
    )
    rate = float(columns(table, of="| tiny-xl | figure4 | 2 x 4 |")[3].replace(",", ""))
    product, memory = rows
    flops = 6 * (4 * 12 * 96**2 + 64 * 96) + 12 * 4 * 96 * 128  # 4 layers of 96, context 128
    assert product["ours"] == pytest.approx(rate * flops, rel=0.01)
    assert product["ratio"] == pytest.approx(product["ours"] / product["peer"])
    with_state = sum(p.numel() for p in GPT2(GPT2Config(64, 128, 96, 4, 4)).parameters()) * 16
    assert memory["peer"] == pytest.approx(with_state / 2**20)
    assert "| matrix products |" in table
    assert "killed and resumed: last loss" in table
    killed, fsdp = table.split("killed and resumed: ")[1].split("FSDP on one device: ")
    assert "losses at most 0 apart, weights of the same bits" in killed
    assert "failed" not in fsdp


def test_without_time_all_that_was_planned_is_named(project: Path, tmp_path: Path) -> None:
    table, rows = run_benchmark(project, tmp_path, "--shapes", "tiny-xl", "--minutes", "0")
    assert rows == []
    assert "a large matrix product in float32 reaches" in table
    for label in ("figure4", "transformers", "bare loop"):
        assert f"left out: tiny-xl: {label}: no time was left" in table


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch, project: Path, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(project / "benchmarks"))
    from train_contenders import Setting

    n_layer, n_head, n_embd, context = XL
    return Setting(
        n_layer=n_layer,
        n_head=n_head,
        n_embd=n_embd,
        context=context,
        sequences=8,
        vocab_size=50257,
        precision="bfloat16",
        device="cpu",
        compile=True,
        tokens=tmp_path,
        nanogpt=tmp_path,
    )


def test_the_largest_model_is_expected_to_need_more_than_its_state_and_less_than_80_gib(
    setting: Any,
) -> None:
    from gpu_queue import memory_gib

    state_gib = 1_557_611_200 * 16 / 2**30
    assert state_gib + 10 < memory_gib("figure4", setting) < memory_gib("nanoGPT", setting) < 79


def test_what_ran_out_of_memory_beside_others_is_tried_alone_and_then_in_halves(
    setting: Any,
) -> None:
    from gpu_queue import Task, _smaller

    alone = _smaller(Task("1542M", "nanoGPT", setting), others=True)
    assert alone is not None and alone.alone and alone.setting == setting
    halved = _smaller(alone, others=False)
    assert halved is not None and halved.setting.sequences == 4
    assert halved.setting.step_tokens == setting.step_tokens


def test_a_contender_that_fails_says_why(setting: Any, tmp_path: Path) -> None:
    from train_workers import Worker, WorkerError

    worker = Worker("nanoGPT", setting, 1)  # whose checkout has no model.py
    worker.order(1)
    with pytest.raises(WorkerError, match=r"FileNotFoundError.*model\.py"):
        worker.receive()
    worker.close()
