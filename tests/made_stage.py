"""A stage made for the tests: `python made_stage.py ...` as DVC starts any other.

It has the name and parameters of `dedup`. The file named by MADE_STAGE_DOES holds Python that runs
with `stage` at hand; then the stage writes two entries from its input.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from compute_settings import compute

from pipeline.shared.running.executor import map_shards
from pipeline.shared.running.stage import Definition, Stage, main


def run(stage: Stage) -> dict[str, Any]:
    script = Path(os.environ["MADE_STAGE_DOES"])
    if script.is_file():
        exec(compile(script.read_text(), str(script), "exec"), {"stage": stage, "wait": wait})
    text = (stage.inputs["documents"] / "a.txt").read_text()
    (stage.staging / "kept").mkdir(exist_ok=True)
    (stage.staging / "kept" / "a.txt").write_text(text.upper())
    (stage.staging / "table.csv").write_text(f"characters\n{len(text)}\n")
    return {"characters": len(text)}


def wait(item: float) -> float:
    """Sleep; at the top level, so that a worker process can import it."""
    Path(f"waiting-{os.getpid()}").touch()
    time.sleep(item)
    return item


def in_workers(items: list[float]) -> None:
    """Wait in two worker processes."""
    list(map_shards(wait, items, compute=compute(workers=2)))


if __name__ == "__main__":
    main(
        Definition(
            name="dedup",
            description="Made for the tests.",
            inputs={"documents": "folder of a text"},
            sections=["seeds.corpus", "dedup"],
            run=run,
        )
    )
