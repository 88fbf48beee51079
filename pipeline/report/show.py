"""Print Figure 4's table and where the report is: `python -m pipeline.report.show`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from pipeline.errors import UserError
from pipeline.params_file import load_params
from pipeline.report.figure4 import as_text, find


def main() -> int:
    """Show the active study's result; the exit code is 1 where there is none yet."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.report.show", description=__doc__)
    parser.add_argument("--profile", help="study of params.yaml (default: the file's choice)")
    try:
        profile = load_params(Path("params.yaml"), parser.parse_args().profile).profile
        folder = Path("data", profile, "report")
        if not (folder / "figure4.csv").is_file():
            raise UserError(f"{folder / 'figure4.csv'}: not there yet; run make study")
        table = pd.read_csv(folder / "figure4.csv")
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(
        f"\nFigure 4 of the study '{profile}' (95 % intervals over documents)\n\n{as_text(table)}"
    )
    print(f"\n{find(table).sentence}\n\nReport: {(folder / 'index.html').resolve().as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
