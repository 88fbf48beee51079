"""The first examples of small files in the published formats, as tasks."""

from __future__ import annotations

from pathlib import Path

from pipeline.eval_sets.eval_set import Pair
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.eval_sets.sources import Folder
from pipeline.evaluate.outcome import Task


def task_of(name: str, published: Path, *, most: int = 6) -> Task:
    eval_set = EVAL_SETS[name]
    source = Folder(published, check_digests=False)
    assert eval_set.read_test is not None
    files = {role: source.locate(file) for role, file in eval_set.test.items()}
    pairs = [Pair("who is it", "nobody"), Pair("what is it", "nothing")]
    return Task(eval_set, list(eval_set.read_test(files))[:most], pairs)
