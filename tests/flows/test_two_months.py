"""A schedule over two monthly dumps: a real study, a real Prefect server, a web that counts."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from made_checkout import environment
from own_network import command_in_own_network
from PIL import Image
from small_study import small_checkout
from two_months import DUMPS, HAPPENED

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

FETCHING = {
    "user_agent": "two-months/1.0 (+mailto:crawler@example.org)", "total_timeout_s": 20.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(project: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the runs of a cron did: month one, a minute later, and with month two."""
    command = command_in_own_network(Path(__file__).with_name("two_months.py"))
    folder = tmp_path_factory.mktemp("months")
    (folder / "study").mkdir()
    checkout = small_checkout(project, folder / "study")
    checkout.keep_sizes(2)
    checkout.run("dvc", "repro", "sample_web")
    dumps = str(checkout.folder / DUMPS)
    checkout.set_params({
        "links": {"source": "reddit", "location": dumps}, "fetching": FETCHING,
    })  # fmt: skip
    tests = os.pathsep.join(filter(None, [str(project / "tests"), os.environ.get("PYTHONPATH")]))
    subprocess.run(
        [*command, str(checkout.folder)],
        cwd=checkout.folder,
        env=environment() | {"PYTHONPATH": tests},
        check=True,
    )
    return list(json.loads((folder / HAPPENED).read_bytes()))


def asked_pages(run: dict[str, Any]) -> set[str]:
    return {url for url in run["asked"] if not url.endswith("/robots.txt")}


def test_the_second_month_asks_for_its_own_pages_alone(runs: list[dict[str, Any]]) -> None:
    first, idle, second = runs
    assert first["message"].startswith("14 ran, 1 unchanged")
    assert len(asked_pages(first)) > 50
    assert (idle["state"], idle["asked"], idle["artifacts"]) == ("Nothing new", [], {})
    assert len(asked_pages(second)) > 50
    # A redirect of the second month may lead to a page of the first.
    again = asked_pages(first) & asked_pages(second)
    assert len(again) < 0.05 * len(asked_pages(second)), again
    assert second["links"] > first["links"]


def test_the_page_of_the_second_run_shows_what_has_drifted(runs: list[dict[str, Any]]) -> None:
    first, _, second = runs
    page = second["artifacts"]["drift"]
    changes = {"kept": second["kept"] - first["kept"]}
    for reason, count in second["removed"].items():
        changes[f"removed {reason}"] = count - first["removed"].get(reason, 0)
    for size, perplexity in second["test_perplexity"].items():
        changes[f"test perplexity {size}"] = perplexity - first["test_perplexity"][size]
    told = dict(re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE))
    shown = {name.replace("\\", ""): float(value.replace("\\", "")) for name, value in told.items()
             if re.fullmatch(r"\\?[+-][\d.e]+", value)}  # fmt: skip
    assert {name: shown[name] for name in changes} == pytest.approx(changes, abs=2e-3)
    assert {"documents", "overlap percent"} <= set(shown)
    assert changes["kept"] > 50
    assert "no earlier run" in first["artifacts"]["drift"]


def test_the_drift_is_a_picture_of_both_months(runs: list[dict[str, Any]]) -> None:
    (image,) = re.findall(r"base64,([^)]+)\)", runs[2]["artifacts"]["drift"])
    with Image.open(io.BytesIO(base64.b64decode(image))) as picture:
        assert picture.width > 600
    size, perplexity = list(runs[2]["test_perplexity"].items())[-1]
    assert f"test {size} " in runs[2]["message"]
    assert f" -> {perplexity:.1f}" in runs[2]["message"]
