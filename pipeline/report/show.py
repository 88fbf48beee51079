"""Print Figure 4's table and where the report is: `python -m pipeline.report.show`."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.report.figure4 import as_text, find
from pipeline.report.scale_law import EXPONENT_SUFFIX
from pipeline.shared.errors import UserError
from pipeline.shared.params.file import load_params
from pipeline.shared.study import places
from pipeline.shared.study.folder import StudyFolder, read_table
from pipeline.shared.study.size_labels import size_labels


def main() -> int:
    """Show the active study's result; the exit code is 1 where there is none yet."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.report.show", description=__doc__)
    parser.add_argument("--profile", help="study of params.yaml (default: the file's choice)")
    try:
        active = load_params(Path("params.yaml"), parser.parse_args().profile)
        profile, study = active.profile, StudyFolder(Path("data", active.profile))
        path = study.report_table("figure4")
        if not path.is_file():
            raise UserError(f"{path}: not there yet; run make study")
        table = read_table(path)
        labels = {size: size for size in table["size"]} | size_labels(
            active.params
        )  # it may be older
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(
        f"\nFigure 4 of the study '{profile}' (95 % intervals over documents)\n\n"
        f"{as_text(table, labels)}"
    )
    place = (study.report / places.PAGE).resolve().as_uri()
    print(f"\n{find(table, labels).sentence}\n\n{_slopes(study.reported())}\n\nReport: {place}")
    return 0


def _slopes(metrics: Mapping[str, Any]) -> str:
    """The power law of the test split on either count of parameters, with its interval."""
    said = []
    for count, suffix in EXPONENT_SUFFIX.items():
        ends = (metrics.get(f"test_exponent{suffix}{end}") for end in ("", "_low", "_high"))
        value, low, high = (float("nan") if end is None else end for end in ends)
        ends_said = f"[{low:+.3f}, {high:+.3f}]" if math.isfinite(low) else "[-]"
        said.append(
            f"{value:+.3f} {ends_said} ({count})" if math.isfinite(value) else f"- ({count})"
        )
    return f"Test perplexity goes with parameters to the power {', '.join(said)}."


if __name__ == "__main__":
    sys.exit(main())
