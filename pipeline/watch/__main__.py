"""`python -m pipeline.watch`: a hash for each stage, on which DVC lets it depend."""

import argparse
from pathlib import Path

from pipeline.shared.params.file import load_params
from pipeline.shared.running.command import run_command
from pipeline.watch.run import watch


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.watch",
        description="Look at the code of each stage, at the pinned versions of the packages that "
        "it imports and at the places outside the chain that the profile names, and write a hash "
        "for each stage. `dvc repro` does so first; a stage whose hash has changed runs again.",
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), metavar="FILE",
                        help="default: %(default)s")  # fmt: skip
    parser.add_argument("--profile", help="study of params.yaml (default: the file's choice)")
    parser.add_argument("--work", type=Path, default=Path("work"), help="what was seen last")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="gets the hashes")
    return parser.parse_args()


if __name__ == "__main__":
    _asked = _parse()
    run_command(
        "watch",
        lambda log: watch(
            load_params(_asked.params, _asked.profile), log, work=_asked.work, out=_asked.out
        ),
    )
