"""`python -m pipeline.shared.tracking`: bring MLflow in line with what is on disk."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from pipeline.shared.errors import EXIT_FATAL, UserError
from pipeline.shared.params.file import load_params
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking.door import reconcile, say, why_not_tracked
from pipeline.shared.tracking.finished import record
from pipeline.shared.tracking.place import follow, remedy, tracking_uri


def main(arguments: list[str] | None = None) -> int:
    """The command line: `reconcile` or `import`."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.shared.tracking",
        description="Bring MLflow in line with what is on disk.",
        epilog="MLFLOW_TRACKING_URI names another server or database.",
    )
    parser.add_argument(
        "action",
        choices=["reconcile", "import", "follow"],
        help="reconcile: mark runs whose process is gone as KILLED; "
        "follow: look for artefacts where this checkout is now; "
        "import: add a study that was made without MLflow",
    )
    parser.add_argument("--profile", help="study of params.yaml (default: the file's choice)")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), metavar="FILE")
    parser.add_argument("--data", type=Path, default=Path("data"), metavar="FOLDER")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    log = logging.getLogger("figure4")
    try:
        if options.action == "import" and (reason := why_not_tracked()):
            raise UserError(f"nothing to import into: {reason}")
        if options.action == "follow":
            follow(log)
            return 0
        profile, params = load_params(options.params, options.profile)
        reconcile(profile, log)
        if options.action == "import":
            folder = options.data / profile
            if not folder.is_dir():
                raise UserError(f"{folder}: no such study; copy it here or run `dvc repro`")
            log.info("imported into MLflow: %s", record(profile, params, StudyFolder(folder)))
    except UserError as error:
        log.error("%s", error)
        return error.exit_code
    except Exception as error:  # MLflow, its database and its server raise dozens of kinds
        asked = os.environ.get("MLFLOW_TRACKING_URI")
        what = "is it running, and is MLFLOW_TRACKING_URI right?" if asked else remedy(error)
        log.error("%s: %s; %s", tracking_uri(), say(error), what)
        return EXIT_FATAL
    return 0


if __name__ == "__main__":
    sys.exit(main())
