"""Check a params.yaml: `python -m pipeline.shared.params [FILE] [--profile NAME]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.shared.errors import UserError
from pipeline.shared.params.file import load_params


def main() -> int:
    """Say each mistake in a line; the exit code is 1 where there is one."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.shared.params", description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=Path("params.yaml"), metavar="FILE")
    parser.add_argument("--profile", help="study to look at (default: the file's choice)")
    options = parser.parse_args()
    try:
        load_params(options.path, options.profile)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
