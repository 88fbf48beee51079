"""python -m pipeline.compare: several studies side by side, with the noise of training shown."""

from pipeline.compare.command import parse
from pipeline.compare.run import run
from pipeline.shared.running.command import run_command

if __name__ == "__main__":
    run_command("compare", lambda log: run(parse(), log))
