"""python -m pipeline.zero_shot: any GPT-2s, on every evaluation set, beside the paper's numbers."""

import pipeline.shared.running.before_torch  # noqa: F401 - as it says
from pipeline.shared.running.command import run_command
from pipeline.zero_shot.command import parse
from pipeline.zero_shot.run import run

if __name__ == "__main__":
    run_command("zero_shot", lambda log: run(parse(), log))
