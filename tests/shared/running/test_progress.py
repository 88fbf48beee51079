"""Lines of progress: what is done, of how much, how fast, and what is left."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.shared.params.file import load_params
from pipeline.shared.running import stage
from pipeline.shared.running.progress import BYTES, Progress
from pipeline.shared.running.shard_memory import Memory
from pipeline.shared.running.stage import Stage


def test_a_progress_line_tells_rate_and_time_left() -> None:
    progress = Progress("train", total=100, unit="tokens", log=logging.getLogger(), done=50)
    vars(progress)["_started_s"] -= 0.25
    progress.done = 75
    line = progress.line("loss 3.2")
    assert line.startswith("train: 75 of 100 tokens, ") and " tokens/s, " in line
    assert line.endswith(" left; loss 3.2")


def test_a_progress_counts_what_an_item_holds_and_not_the_items(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = load_params(project / "params.yaml", "tiny").params
    alone = params.compute.model_copy(update={"workers": 1})
    attempt = Stage(
        name="extract",
        profile="tiny",
        size=None,
        params=params.model_copy(update={"compute": alone}),
        inputs={},
        work=tmp_path,
        staging=tmp_path,
        fingerprint="",
        memory=Memory(tmp_path, ""),
        log=logging.getLogger(),
    )
    bars: list[Progress] = []
    monkeypatch.setattr(stage, "Progress", partial(kept, bars))
    lines: list[str] = []

    def double(size: int) -> int:
        lines.append(bars[0].line())
        return 2 * size

    sizes = [1_000_000, 2_000_000, 3_000_000]
    found = attempt.map_shards("read", double, sizes, unit=BYTES, weigh=int)
    assert list(found) == [2_000_000, 4_000_000, 6_000_000]
    assert [line.split(",")[0] for line in [*lines, bars[0].line()]] == [
        f"read: {done} of 6.0 MB" for done in ("0.0", "1.0", "3.0", "6.0")
    ]
    assert "B/s" in bars[0].line() and " left" in bars[0].line()


def kept(bars: list[Progress], *arguments: Any, **options: Any) -> Progress:
    bars.append(Progress(*arguments, **options))
    return bars[-1]


def test_slow_units_tell_how_long_one_takes() -> None:
    progress = Progress("all sets", total=17, unit="sets", log=logging.getLogger())
    vars(progress)["_started_s"] -= 40.0
    progress.done = 2
    assert progress.line() == "all sets: 2 of 17 sets, 20.0 s each, 5 min 00 s left"
