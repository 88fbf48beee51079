"""Which stages the flow runs, in what order, and what it says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_checkout import Act

from flows.chain.chain import Chain, Told, read_by, stale_stages
from flows.chain.dvc_stage import StageEnd, StageRunner


def test_the_chain_is_dvc_yamls_with_every_size_after_all_that_it_reads(project: Path) -> None:
    reads = read_by(project / "dvc.yaml", ["s", "m"])
    stages: dict[str, Any] = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    sized = {name for name, stage in stages.items() if "matrix" in stage}
    named = {f"{name}@{size}" if name in sized else name for name in stages for size in "sm"}
    assert set(reads) == named - {"watch"}
    begun: set[str] = set()
    for name, others in reads.items():
        assert begun.issuperset(others), f"{name} stands before what it reads"
        begun.add(name)
    assert reads["sample_web"] == ()
    assert reads["train@m"] == ("tokenize", "tune@m")
    assert set(reads["overlap"]) == {
        "eval_sets", "dedup", "train@s", "train@m", "evaluate@s", "evaluate@m",
    }  # fmt: skip


def test_a_stage_is_asked_of_dvc_for_each_out_it_reads_not_for_its_neighbours_alone(
    project: Path,
) -> None:
    # Another test split changes nothing for train, and Figure 4 all the same; the report reads
    # the crawl's counts, though no document may have changed.
    reads = read_by(project / "dvc.yaml", ["s"])
    assert {"tokenize", "train@s", "eval_sets"} == set(reads["evaluate@s"])
    assert {"crawl", "extract", "dedup", "overlap", "tune@s"} <= set(reads["report"])


class Noted:
    """What a chain tells, in order."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str]] = []
        self.shown: list[str] = []
        self.lines: list[str] = []

    def stage(self, name: str, told: Told, *, after: Sequence[str]) -> None:
        """A state."""
        self.states.append((name, told.name))

    def line(self, name: str, line: str) -> None:
        """A line."""
        self.lines.append(line)

    def finished(self, name: str) -> None:
        """What left something."""
        self.shown.append(name)

    def last(self) -> dict[str, str]:
        """The last state of each stage."""
        return dict(self.states)


SHORT = {"sample_web": (), "eval_sets": ("sample_web",), "links": ("sample_web",)}


def run(
    root: Path, ended: Callable[[], bool] = lambda: False
) -> tuple[dict[str, StageEnd], Noted, set[str] | None]:
    noted, stale = Noted(), stale_stages(root)
    runner = StageRunner(root, devices=[None], grace_s=10.0)
    asked = None if stale is None else stale & SHORT.keys()
    ends = Chain(runner, noted, reads=SHORT, stale=asked).run(ended)
    return ends, noted, asked


@pytest.mark.slow
def test_only_stale_stages_and_those_after_them_are_asked_of_dvc(checkout: Path, act: Act) -> None:
    ends, noted, stale = run(checkout)
    assert stale == set(SHORT)
    assert {end.did for end in ends.values()} == {"ran"}
    assert set(noted.shown) == set(SHORT)
    ends, noted, stale = run(checkout)
    assert stale == set()
    assert noted.lines == []  # no DVC was started
    assert set(noted.last().values()) == {"Unchanged"}
    (checkout / "data" / "tiny" / "eval_sets" / "metrics.json").unlink()
    ends, noted, stale = run(checkout)
    assert stale is not None
    assert "eval_sets" in stale
    assert ends["sample_web"].did == "unchanged"
    assert ends["eval_sets"].did == "restored"


@pytest.mark.slow
def test_a_failed_stage_leaves_what_reads_it_and_no_other_out(checkout: Path, act: Act) -> None:
    act("links", "sys.exit(3)")
    ends, noted, _ = run(checkout)
    assert noted.last() == {
        "sample_web": "Completed", "eval_sets": "Completed", "links": "Failed",
    }  # fmt: skip
    assert ends["links"].code == 3
    act("sample_web", "sys.exit(3)")
    (checkout / "work.py").write_text((checkout / "work.py").read_text() + "# new\n")
    ends, noted, _ = run(checkout)
    assert set(ends) == {"sample_web"}
    assert noted.last()["eval_sets"] == "NotReady"


@pytest.mark.slow
def test_once_it_is_to_end_no_stage_begins(checkout: Path, act: Act) -> None:
    act("sample_web", "import time; pathlib.Path('there').touch(); time.sleep(60)")
    _, noted, _ = run(checkout, (checkout / "there").exists)
    assert noted.last() == dict.fromkeys(SHORT, "NotReady") | {"sample_web": "Cancelled"}
    assert not (checkout / "data" / "tiny" / "sample_web").exists()


def test_the_largest_size_begins_first_and_no_size_is_evaluated_before_all_are_trained(
    tmp_path: Path,
) -> None:
    reads: dict[str, tuple[str, ...]] = {"tokenize": ()}
    reads |= {f"train@{size}": ("tokenize",) for size in ("s", "m", "xl")}
    reads |= {f"evaluate@{size}": (f"train@{size}",) for size in ("s", "m", "xl")}
    noted = Noted()
    runner = StageRunner(tmp_path, devices=[None], grace_s=10.0)
    ends = Chain(runner, noted, reads=reads, stale=set()).run(lambda: False)
    assert list(ends) == list(reads)
    assert [name for name, _ in noted.states] == [
        "tokenize", "train@xl", "train@m", "train@s", "evaluate@xl", "evaluate@m", "evaluate@s",
    ]  # fmt: skip
