"""Both pages as a user sees them: a real Chromium, a real flow run, four trainings in MLflow."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_checkout import Pages
from real_browser import chromium
from tracked_artefacts import LOSSES, write_study
from waiting import until

from flows.page.history import drift_page
from flows.servers.pages import experiment_page
from pipeline.shared.params.file import load_params
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking.finished import record_study

pytestmark = [
    pytest.mark.long,
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),
]
SIZES = ("small", "medium", "large", "xl")
_WAIT_S = 60.0


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Chromium with a fresh profile, driven by Selenium."""
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


def see(browser: Any, address: str, *texts: str) -> str:
    """Open a page and wait until it shows all of these texts; returns its whole text."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def text() -> str:
        return " ".join(browser.find_element(By.TAG_NAME, "body").text.split())

    browser.get(address)
    waiting = WebDriverWait(browser, _WAIT_S, ignored_exceptions=[StaleElementReferenceException])
    waiting.until(lambda _: all(wanted in text() for wanted in texts), f"{address}: {texts}")
    return text()


def whole_run(pages: Pages) -> Any:
    """A run of the whole study: that of test_study.py or, without it, one of our own."""
    completed = {"state": {"type": {"any_": ["COMPLETED"]}}, "name": {"like_": "tiny 20"}}
    found = pages.ask("flow_runs/filter", flow_runs=completed, sort="START_TIME_DESC")
    whole = [run for run in found if "ran" in run["state"]["message"]]
    if not whole:
        code, said = pages.study()
        assert code == 0, said
        whole = [pages.last_run()]
    return whole[0]


def test_prefects_pages_show_the_run_and_every_stage(browser: Any, pages: Pages) -> None:
    run = whole_run(pages)
    page = f"{pages.prefect}/runs/flow-run/{run['id']}"
    see(browser, page, run["name"], "Completed", "21 Task runs")
    stages = [f"{stage}@{size}" for stage in ("tune", "train", "evaluate") for size in SIZES]
    see(browser, f"{pages.prefect}/runs?tab=task-runs", "sample_web", "report", *stages)


def test_prefects_page_shows_figure_4_inline(browser: Any, pages: Pages) -> None:
    from selenium.webdriver.common.by import By

    (artifact,) = pages.ask(
        "artifacts/filter", artifacts={"key": {"any_": ["figure-4"]}}, sort="CREATED_DESC", limit=1
    )
    see(browser, f"{pages.prefect}/artifacts/artifact/{artifact['id']}", "Figure 4", "40.25")
    image = browser.find_element(By.CSS_SELECTOR, "img[alt='Figure 4']")
    assert browser.execute_script("return arguments[0].naturalWidth", image) > 100


def test_mlflows_page_shows_the_four_sizes_in_order_figure_4_and_every_number(
    browser: Any, pages: Pages, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selenium.webdriver.common.by import By

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(pages.root)
    record(pages, project, losses=dict.fromkeys(LOSSES, 9.0))
    record(pages, project, losses=LOSSES)
    browser.set_window_size(1400, 1400)
    sections = (
        "Figure 4 (2)",
        "Loss by tokens and by FLOPs (4)",
        "Figure 4 and Table 3 in numbers",
    )
    names = [f"{size} · tiny-2 · 350K tokens · seed 1" for size in SIZES]
    page = experiment_page(pages.mlflow, "tiny")
    text = see(browser, page, "4 matching runs", *names, *sections)
    assert sorted(names, key=text.index) == names
    assert "tiny-1" not in text  # the latest study
    assert "MLflow Assistant" not in text
    charts = browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot")
    assert min(chart.size["width"] for chart in charts) > 300


def latest(pages: Pages, key: str) -> str:
    """The address of the page of the newest artifact of a key."""
    only = {"key": {"any_": [key]}}
    found = pages.ask("artifacts/filter", artifacts=only, sort="CREATED_DESC", limit=1)
    return f"{pages.prefect}/artifacts/artifact/{found[0]['id']}"


def test_the_report_is_a_link_that_opens_and_its_tables_can_be_saved(
    browser: Any, pages: Pages, tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By

    whole_run(pages)
    page = pages.root / "data" / "tiny" / "report" / "index.html"
    page.unlink(missing_ok=True)
    page.write_text(
        "<h1>This study's report</h1><script>document.title = origin</script>"
        "<a download='table3.csv' href='data:text/csv,size,score'>table3.csv</a>"
    )
    see(browser, latest(pages, "figure-4"), "The whole report")
    link = browser.find_element(By.PARTIAL_LINK_TEXT, "The whole report")
    see(browser, link.get_attribute("href"), "This study's report")
    assert browser.title == ""  # it runs nothing, so that it has no part in Prefect's page
    where = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", where)
    browser.find_element(By.LINK_TEXT, "table3.csv").click()
    until((tmp_path / "table3.csv").is_file)
    assert (tmp_path / "table3.csv").read_text() == "size,score"


def test_the_drift_over_runs_is_a_picture(browser: Any, pages: Pages) -> None:
    from selenium.webdriver.common.by import By

    rows = [
        {"at": f"2026-0{month}-01T03:00:00+00:00", "documents": 3000 + month, "kept": 2000,
         "removed": {"wikipedia": month}, "test_perplexity": {"small": 120.0, "xl": 90.0 - month}}
        for month in (1, 2, 3)
    ]  # fmt: skip
    page = drift_page("tiny", rows)
    asked = {"key": page.key, "type": "markdown", "data": page.markdown}
    pages.ask("artifacts/", **asked)
    see(browser, latest(pages, "drift"), "removed wikipedia", "88.00", "87.00", "+1")
    image = browser.find_element(By.CSS_SELECTOR, "img[alt='Drift']")
    assert browser.execute_script("return arguments[0].naturalWidth", image) > 600


def test_a_run_of_make_flow_can_be_cancelled_on_its_page(browser: Any, pages: Pages) -> None:
    from selenium.webdriver.common.by import By

    deployment = whole_run(pages)["deployment_id"]
    flow = pages.ask("flows/", name="figure4")["id"]
    run = pages.ask(
        "flow_runs/", name="going on", flow_id=flow, deployment_id=deployment,
        state={"type": "RUNNING"},
    )  # fmt: skip
    see(browser, f"{pages.prefect}/runs/flow-run/{run['id']}", "going on", "Running", "Cancel")
    (cancel,) = [
        one for one in browser.find_elements(By.TAG_NAME, "button") if one.text == "Cancel"
    ]
    assert cancel.is_enabled()
    pages.ask(f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLED"}, force=True)


def test_the_form_of_a_run_offers_the_profiles(browser: Any, pages: Pages) -> None:
    from selenium.webdriver.common.by import By

    deployment = whole_run(pages)["deployment_id"]
    form = f"{pages.prefect}/deployments/deployment/{deployment}/run"
    see(browser, form, "profile", "(active)", "overrides", "max_parallel")
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "Study of params.yaml to make the active one" in text


def test_mlflows_page_shows_studies_row_by_row(
    browser: Any, pages: Pages, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(pages.root)
    record(pages, project, losses=dict.fromkeys(LOSSES, 9.0))
    record(pages, project, losses=LOSSES)
    browser.set_window_size(1400, 900)
    page = experiment_page(pages.mlflow, "tiny", "studies")
    columns = ("test_exponent", "largest_test_perplexity", "-0.1", "540", "270")
    see(browser, page, "2 matching runs", "tiny-1 · 350K", "tiny-2 · 350K", "Studies", *columns)


def test_in_a_narrow_window_each_of_mlflows_views_has_charts_that_can_be_read(
    browser: Any, pages: Pages, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selenium.webdriver.common.by import By

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(pages.root)
    record(pages, project, losses=LOSSES)
    browser.set_window_size(800, 1100)
    headings = {"sizes": "Figure 4 (2)", "studies": "Studies (3)", "replicates": "Means over seeds"}
    for view, first in headings.items():
        address = experiment_page(pages.mlflow, "tiny", view)
        see(browser, address, f"{view.capitalize()}, narrow", first)
        until(lambda: browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot"), _WAIT_S)
        charts = browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot")
        # The list of runs or a second chart in the row would leave it half of this.
        assert all(chart.size["width"] > 450 for chart in charts), view
        assert all(chart.location["x"] + chart.size["width"] <= 800 for chart in charts), view


def record(pages: Pages, project: Path, *, losses: dict[str, float]) -> None:
    params = load_params(project / "params.yaml", "tiny").params
    write_study(pages.root / "study", losses=losses)
    record_study("tiny", params, StudyFolder(pages.root / "study"), logging.getLogger())
