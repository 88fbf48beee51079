"""The plan of a study: its numbers against other sources of them, what it refuses, how it reads."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_documents import make_documents

from pipeline.plan.__main__ import main
from pipeline.plan.cards import CARDS, gpu_hours, named_card, training_gib
from pipeline.plan.corpus import find_corpus
from pipeline.plan.crawl import by_host
from pipeline.plan.page import WIDTH
from pipeline.plan.room import Machine, misfits
from pipeline.plan.rungs import plan_rungs
from pipeline.plan.speed import measure_speeds, slots
from pipeline.plan.stages import StageCost, plan_stages, wall_seconds
from pipeline.shared.errors import UserError
from pipeline.shared.params.file import load_params
from pipeline.shared.params.profile import ProfileParams

PROFILES = ("tiny", "laptop", "single_gpu", "paper")
H200_GIB = {"117M": (16, 8.13), "345M": (16, 20.09), "762M": (8, 26.40), "1542M": (8, 47.96)}
"""Sequences and peak memory as measured (benchmarks/results/gpu_nvidia-h200_*.md)."""
ROOMY = Machine(disk_bytes=1e15, memory_mib=1e9, gpu_gib=(1e6,))


@pytest.fixture
def params(project: Path) -> dict[str, ProfileParams]:
    return {name: load_params(project / "params.yaml", name).params for name in PROFILES}


def with_location(params: ProfileParams, folder: Path, *, text: str | None = None) -> ProfileParams:
    columns = params.extract.columns.model_copy(update={"text": text})
    update = {"location": str(folder), "columns": columns}
    extract = params.extract.model_copy(update=update)
    return params.model_copy(update={"extract": extract})


def test_rungs_of_the_paper_have_gpt2s_parameters_and_the_operations_of_its_matrices(
    params: dict[str, ProfileParams],
) -> None:
    rungs = plan_rungs(params["paper"])
    counts = [124_439_808, 354_823_168, 774_030_080, 1_557_611_200]
    assert [rung.parameters for rung in rungs] == counts
    for rung, (layers, width) in zip(
        rungs, ((12, 768), (24, 1024), (36, 1280), (48, 1600)), strict=True
    ):
        matrices = layers * 12 * width**2 + 50_257 * width
        assert rung.flops_per_token == 6 * matrices + 12 * layers * width * 1024
        assert rung.flops == pytest.approx(40e9 * rung.flops_per_token, rel=1e-4)


def test_search_costs_what_a_finished_study_says_it_cost(params: dict[str, ProfileParams]) -> None:
    # Three rates to 30 %, one beyond the grid too, and two of them to the end: one of these stays.
    (rung, *_) = plan_rungs(params["tiny"])
    assert rung.trials == 4
    assert rung.search_tokens / rung.tokens == pytest.approx(4 * 0.3 + 2 * 0.7, abs=0.005)
    points = 2 * 10 + 2 * 3
    assert rung.held_out_tokens == points * 20_000


def test_memory_of_a_gpu_is_what_trainings_took_on_one(params: dict[str, ProfileParams]) -> None:
    alone = params["paper"].compute.model_copy(update={"devices": 1, "strategy": "auto"})
    for rung in plan_rungs(params["paper"]):
        sequences, measured = H200_GIB[rung.label]
        train = params["paper"].train.model_copy(update={"micro_batch_sequences": sequences})
        asked = params["paper"].model_copy(update={"compute": alone, "train": train})
        assert training_gib(rung, asked) == pytest.approx(measured, rel=0.05)


def test_gpu_hours_are_operations_over_the_part_of_the_promised_rate(
    params: dict[str, ProfileParams],
) -> None:
    rungs = plan_rungs(params["single_gpu"])
    flops = sum(rung.flops_per_token * (2.6 * 1e9 + 26 * 1e6 / 3) for rung in rungs)
    expected = flops / (0.45 * 989.4e12) / 3600
    assert gpu_hours(rungs, named_card("H100"), 0.45) == pytest.approx(expected, rel=0.01)
    assert {card.name for card in CARDS} >= {"H100", "H200", "A100-80"}


def test_text_of_a_corpus_is_reckoned_from_its_files_before_any_is_read_whole(
    params: dict[str, ProfileParams], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.plan.corpus._SAMPLED_BYTES", 2**20)  # files that break off
    words = np.array(" ".join(document.text for document in make_documents(100)).split())
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(words, 300)) for _ in range(3000)]
    true_bytes = sum(len(text.encode()) for text in texts)
    lines = "\n".join(json.dumps({"text": text, "n": n}) for n, text in enumerate(texts))
    for kind in ("plain", "packed", "table"):
        (tmp_path / kind).mkdir()
    (tmp_path / "plain" / "a.jsonl").write_text(lines)
    (tmp_path / "packed" / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    table = pa.table({"text": texts, "other": list(range(len(texts)))})
    pq.write_table(table, tmp_path / "table" / "a.parquet", use_dictionary=False)
    for kind in ("plain", "packed", "table"):
        corpus = find_corpus(with_location(params["laptop"], tmp_path / kind))
        assert corpus.text_bytes == pytest.approx(true_bytes, rel=0.1), kind
        assert corpus.tokens == pytest.approx(true_bytes / 3.79, rel=0.1)


def test_corpus_that_is_not_there_is_reckoned_as_if_it_held_just_enough(
    params: dict[str, ProfileParams], tmp_path: Path
) -> None:
    corpus = find_corpus(with_location(params["laptop"], tmp_path / "nowhere"))
    assert "not there" in corpus.how
    assert corpus.tokens * 0.94 == pytest.approx(params["laptop"].train.tokens)


@pytest.mark.parametrize(
    ("first", "asked", "expected"),
    [("a" * 700, "outer.inner", 500), ("a" * 700, None, 700), (5, None, 1000), ("", None, 1000)],
)
def test_text_of_a_table_is_that_of_the_column_which_extract_reads(
    params: dict[str, ProfileParams], tmp_path: Path, first: Any, asked: str | None, expected: int
) -> None:
    row = {"text": first, "content": "b" * 1000, "outer": {"inner": "c" * 500, "other": "d"}}
    table = pa.Table.from_pylist([row] * 50)
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False, compression="none")
    found = find_corpus(with_location(params["laptop"], tmp_path, text=asked))
    assert found.text_bytes == pytest.approx(50 * expected, rel=0.1)


def test_a_file_of_no_bytes_among_others_changes_nothing(
    params: dict[str, ProfileParams], tmp_path: Path
) -> None:
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "a few words of it " * 100}))
    asked = with_location(params["laptop"], tmp_path)
    alone = find_corpus(asked)
    for name in ("a.jsonl", "c.json"):
        (tmp_path / name).touch()
    assert find_corpus(asked) == alone


def test_a_corpus_without_text_is_an_error_that_names_its_folder(
    params: dict[str, ProfileParams], tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(UserError, match=rf"extract\.location = {tmp_path}: no text was found"):
        find_corpus(with_location(params["laptop"], tmp_path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no table", r"a\.parquet: truncated or no Parquet file"),
        ({"number": [1, 2]}, r"a\.parquet: has no column of text named text, .*; name the column"),
    ],
)
def test_a_table_that_extract_refuses_is_refused_in_its_words(
    params: dict[str, ProfileParams], tmp_path: Path, content: Any, said: str
) -> None:
    path = tmp_path / "a.parquet"
    if isinstance(content, str):
        path.write_text(content)
    else:
        pq.write_table(pa.table(content), path)
    with pytest.raises(UserError, match=said):
        find_corpus(with_location(params["laptop"], tmp_path))


def test_lines_that_extract_refuses_are_refused_by_the_name_of_their_own_file(
    params: dict[str, ProfileParams], tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"number": 1}\n' * 1000)
    with pytest.raises(UserError, match=rf"^{tmp_path}/a\.jsonl: its first 1000 records hold no"):
        find_corpus(with_location(params["laptop"], tmp_path))


def test_crawl_lasts_as_long_as_its_largest_host_or_as_its_connections(
    params: dict[str, ProfileParams],
) -> None:
    one_large = by_host(params["paper"], Counter({"a.example": 86_400, "b.example": 5}))
    assert (one_large.requests, one_large.hosts, one_large.largest_pages) == (86_405, 2, 86_400)
    assert one_large.days == pytest.approx(2.0)  # a page and a pause of a second each
    assert by_host(params["paper"], Counter()).requests == 0
    many = by_host(params["paper"], Counter({f"{n}.example": 100 for n in range(5000)}))
    assert many.days == pytest.approx(500_000 * 2 / 256 / 86_400)


def test_wall_time_is_that_of_the_busiest_slot_and_of_the_data_stages(
    params: dict[str, ProfileParams],
) -> None:
    tiny = params["tiny"]
    rungs = plan_rungs(tiny)
    speeds = dict(zip(tiny.sizes, (4000.0, 3000.0, 2000.0, 1000.0), strict=True))
    costs = plan_stages(tiny, rungs, find_corpus(tiny), speeds)
    alone = sum(cost.wall_s for cost in costs if not cost.size)
    lanes = {size: sum(c.wall_s for c in costs if c.size == size) for size in tiny.sizes}
    together = wall_seconds(tiny, costs)
    assert together is not None
    # xl, then small beside large and medium: the second lane is no longer than the first.
    assert max(lanes["xl"], sum(lanes.values()) / 2) + alone <= together
    assert together < sum(lanes.values()) + alone
    untimed = plan_stages(tiny, rungs, find_corpus(tiny), None)
    assert wall_seconds(tiny, untimed) is None


def test_the_sizes_share_the_slots_stage_by_stage(params: dict[str, ProfileParams]) -> None:
    study = params["tiny"]
    assert slots(study) == 2
    costs = [
        StageCost(name, size, 2.0, 0.0, 0.0, 0.0)
        for size in study.sizes[:3]
        for name in ("tune", "evaluate")
    ]
    # Large and medium, then small beside large, then the other two; size by size it would be 8.
    assert wall_seconds(study, costs) == 6.0
    assert wall_seconds(study, [*costs, StageCost("report", "", 1.0, 1.0, 0.0, 0.0)]) == 8.0


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (ROOMY._replace(disk_bytes=1e9), "disk: "),
        (ROOMY._replace(memory_mib=500.0), "memory: "),
        (ROOMY._replace(gpu_gib=(40.0,)), "GPU memory: xl needs 53."),
    ],
)
def test_what_does_not_fit_is_named_with_its_number(
    params: dict[str, ProfileParams], machine: Machine, said: str
) -> None:
    paper = params["paper"]
    rungs = plan_rungs(paper)
    costs = plan_stages(paper, rungs, find_corpus(paper), None)
    assert list(misfits(paper, rungs, costs, ROOMY)) == []
    (line,) = misfits(paper, rungs, costs, machine)
    assert line.startswith(said)


@pytest.mark.parametrize("profile", PROFILES)
def test_plan_fits_a_hundred_columns_and_says_whether_it_can_be_run(
    profile: str,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(project / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    code = main(["--profile", profile, "--no-timing"])
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= WIDTH
    assert code == ("will not fit" in said)
    for name in ("small", "xl", "tune@medium", "overlap"):
        assert name in said
    if profile == "paper":
        assert "GPU-hours" in said and "45,000,000 requests" in said


def test_unknown_profile_is_one_line(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(project / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["--profile", "tinny"]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.slow
def test_speed_is_that_of_the_profiles_own_training(params: dict[str, ProfileParams]) -> None:
    tiny = params["tiny"]
    small, *_, largest = plan_rungs(tiny)
    speeds = measure_speeds(tiny, [small, largest])
    assert list(speeds) == ["small", "xl"]
    assert all(math.isfinite(rate) and rate > 0 for rate in speeds.values())
    assert speeds["small"] > speeds["xl"]
