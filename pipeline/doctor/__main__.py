"""`python -m pipeline.doctor`: one line for each thing that a study needs, and what to do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.doctor.finding import Finding
from pipeline.doctor.inputs import check_inputs
from pipeline.doctor.leftovers import check_leftovers
from pipeline.doctor.machine import check_machine
from pipeline.doctor.software import check_software
from pipeline.shared.errors import EXIT_DONE, EXIT_FATAL, UserError
from pipeline.shared.params.file import load_params
from pipeline.shared.running.output import end_quietly_with_reader


def examine(root: Path, profile: str | None) -> Iterator[Finding]:
    """Everything that is looked at, software first."""
    yield from check_software(root)
    try:
        study = load_params(root / "params.yaml", profile)
    except UserError as error:
        yield Finding("wrong", str(error))
        return
    yield Finding("ok", f"params.yaml: profile {study.profile}")
    yield from check_machine(study.params, root)
    yield from check_inputs(study.params)
    yield from check_leftovers(root, study.profile)


def main(arguments: list[str] | None = None) -> int:
    """Print the findings; 1 where something is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.doctor",
        description="Look at what a study needs of this machine and checkout. Changes nothing.",
        epilog="wrong: the study will fail; note: look whether it is meant. The servers are looked "
        "at by `make doctor`.",
    )
    parser.add_argument("--profile", help="study of params.yaml (default: the file's choice)")
    options = parser.parse_args(arguments)
    wrong = 0
    for finding in examine(Path(), options.profile):
        print(finding.as_line(), flush=True)
        wrong += finding.level == "wrong"
    return EXIT_FATAL if wrong else EXIT_DONE


if __name__ == "__main__":
    end_quietly_with_reader()
    sys.exit(main())
