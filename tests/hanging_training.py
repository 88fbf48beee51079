"""A training that logs one point and then hangs: `python hanging_training.py PARAMS`."""

import logging
import sys
import time
from pathlib import Path

from pipeline.shared.params.file import load_params
from pipeline.shared.running.shard_memory import Memory
from pipeline.shared.running.stage import Stage
from pipeline.shared.tracking.record import open_run

work = Path("work")
work.mkdir()
stage = Stage(
    name="train",
    profile="tiny",
    size="small",
    params=load_params(Path(sys.argv[1]), "tiny").params,
    inputs={},
    work=work,
    staging=work / "out",
    fingerprint="f0",
    memory=Memory(work, "f0"),
    log=logging.getLogger(),
)
with open_run(stage) as run:
    run.log_metrics({"train_loss": 1.0}, tokens=1)
    time.sleep(60)
