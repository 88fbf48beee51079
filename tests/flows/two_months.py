"""Two months through a real schedule: `python two_months.py CHECKOUT`, in a network of its own.

The built-in web has two monthly dumps. They are served here as pages of a web like any other, on
port 80 of a public address, and read from a folder as Reddit's. Beside the checkout it leaves what
happened, as JSON.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from made_checkout import Pages, opened_pages, served
from own_network import lead_all_here, web
from waiting import until

from pipeline.shared.web.server import load_site

DUMPS = "dumps"
HAPPENED = "happened.json"
MONTHS = ("RS_2017-11.zst", "RS_2017-12.zst")
_STUDY_WITHIN_S = 500.0
_MINUTE_WITHIN_S = 150.0  # a minute of the cron, and what a busy machine needs


def main() -> None:
    """Month one, a minute without news, month two."""
    root = Path(sys.argv[1])
    site = load_site(root / "data" / "tiny" / "sample_web" / "site")
    replies = {
        place: (reply.status, reply.content_type, reply.location, reply.body)
        for place, reply in site.items()
    }
    lead_all_here({host for host, _ in replies}, root.parent)
    add_dump(root, MONTHS[0])
    with (
        web(replies) as asked,
        opened_pages(root, MLFLOW_TRACKING_URI="off") as pages,
        served(pages, "--cron", "* * * * *") as process,
    ):
        known: set[str] = set()
        happened: list[dict[str, Any]] = []
        for added in (None, None, MONTHS[1]):
            asked.clear()
            if added:
                add_dump(root, added)
            within_s = _STUDY_WITHIN_S if added or not happened else _MINUTE_WITHIN_S
            run = next_end(pages, known, within_s, anew=added is not None)
            assert process.poll() is None
            happened.append(seen(root, pages, run) | {"asked": list(asked)})
    (root.parent / HAPPENED).write_text(json.dumps(happened))


def add_dump(root: Path, name: str) -> None:
    """Put a month beside the others, whole from the first moment."""
    (root / DUMPS).mkdir(exist_ok=True)
    shutil.copy(root / "data" / "tiny" / "sample_web" / "links" / name, root / DUMPS / "coming")
    (root / DUMPS / "coming").rename(root / DUMPS / name)


def next_end(pages: Pages, known: set[str], within_s: float, *, anew: bool) -> Any:
    """The next run of the cron that has ended; `anew`: that found something to do."""
    found: list[Any] = []

    def ended() -> bool:
        runs = pages.ask("flow_runs/filter", flow_runs={
            "tags": {"all_": ["auto-scheduled"]},
            "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}},
        }, sort="START_TIME_ASC")  # fmt: skip
        found[:] = [run for run in runs if run["id"] not in known]
        known.update(run["id"] for run in found)
        found[:] = [run for run in found if not anew or run["state_name"] != "Nothing new"]
        return bool(found)

    until(ended, within_s)
    return found[0]


def seen(root: Path, pages: Pages, run: Any) -> dict[str, Any]:
    """What a run's page says, and what lies in the study, read without the project's readers."""
    study = root / "data" / "tiny"
    removed = [
        reason
        for path in sorted((study / "dedup" / "removed").glob("*.parquet"))
        for reason in pq.read_table(path, columns=["reason"])["reason"].to_pylist()
    ]
    kept = sum(pq.read_metadata(path).num_rows for path in (study / "dedup" / "kept").glob("*.pa*"))
    with (study / "report" / "figure4.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    crawl = json.loads((study / "crawl" / "metrics.json").read_text())["fetch"]
    return {
        "state": run["state_name"],
        "message": run["state"]["message"],
        "artifacts": pages.artifacts(run),
        "kept": kept,
        "removed": Counter(removed),
        "test_perplexity": {row["size"]: float(row["test_perplexity"]) for row in rows},
        "links": crawl["pages"],
    }


if __name__ == "__main__":
    main()
