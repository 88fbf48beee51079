"""Counts of finished stages: a plan takes those that hold, and says which do not."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from recorded_stages import record, record_study, set_value, write_links

from pipeline.plan.__main__ import main
from pipeline.plan.corpus import Corpus, bytes_per_token, find_corpus
from pipeline.plan.crawl import CrawlPlan, plan_crawl
from pipeline.plan.finished import Finished, look_at
from pipeline.plan.page import WIDTH
from pipeline.shared.params.file import load_params

ALL = ["links", "crawl", "dedup", "tokenize"]


@pytest.fixture(scope="module")
def made(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkout for each profile, made once: DVC takes seconds."""
    roots = {name: tmp_path_factory.mktemp(name) for name in ("tiny", "laptop")}
    for name, root in roots.items():
        record_study(project, root, name)
    return roots


@pytest.fixture
def tiny(made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose active study crawls, and the working folder."""
    return _copy(made["tiny"], tmp_path, monkeypatch)


@pytest.fixture
def laptop(made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose active study has a ready corpus, and the working folder."""
    return _copy(made["laptop"], tmp_path, monkeypatch)


def _copy(made: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, root, dirs_exist_ok=True)
    monkeypatch.chdir(root)
    return root


def _look(profile: str) -> tuple[Finished, Corpus, CrawlPlan | None]:
    """As `make plan` does in the working folder."""
    study = load_params(Path("params.yaml"), profile)
    finished = look_at(study, Path("data", profile))
    corpus = find_corpus(study.params, finished)
    return finished, corpus, plan_crawl(study.params, corpus, finished)


def test_stages_that_would_not_run_again_are_counted_and_not_reckoned(tiny: Path) -> None:
    finished, corpus, crawl = _look("tiny")
    assert finished.outdated == []
    assert corpus.how == "counted by the study's own stages"
    assert (corpus.documents, corpus.tokens, corpus.bytes_per_token) == (70, 1500, 4.0)
    assert (corpus.pages, corpus.page_bytes) == (80, 9000)
    assert crawl is not None
    assert (crawl.requests, crawl.hosts, crawl.largest_host) == (3, 2, "a.example")


@pytest.mark.parametrize("key", ["compute.workers", "fetching.max_attempts", "train.valid_tokens"])
def test_what_shapes_no_text_leaves_the_counts_valid(tiny: Path, key: str) -> None:
    set_value(tiny, f"profiles.tiny.{key}", 1)
    assert _look("tiny")[0].outdated == []


@pytest.mark.parametrize(
    ("key", "value", "outdated"),
    [
        ("defaults.links.cut_off", "2017-01-01", ALL),
        ("profiles.tiny.sample_web.max_pages", 900, ALL),
        ("profiles.tiny.crawl.max_body_bytes", 1_000_000, ALL[1:]),
        ("profiles.tiny.eval_sets.max_examples", 100, ALL[2:]),
        ("defaults.extract.min_document_words", 60, ALL[2:]),
    ],
)
def test_other_settings_leave_no_count_of_what_follows_them(
    tiny: Path, key: str, value: Any, outdated: list[str]
) -> None:
    set_value(tiny, key, value)
    finished, corpus, crawl = _look("tiny")
    assert finished.outdated == outdated
    assert corpus.how == "reckoned from the built-in web"
    assert crawl is not None
    assert bool(crawl.hosts) is ("links" not in outdated)


def test_another_vocabulary_leaves_the_text_and_not_its_tokens(tiny: Path) -> None:
    set_value(tiny, "profiles.tiny.tokenize.vocab_size", 8192)
    finished, corpus, _ = _look("tiny")
    assert finished.outdated == ["tokenize"]
    assert (corpus.documents, corpus.kept_bytes) == (70, 6000)
    assert corpus.tokens == pytest.approx(6000 / bytes_per_token(8192))
    assert corpus.how == "counted by the study's own stages but for its tokens"


def _add_document(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"text": "a few words of it " * 50}))


def test_another_corpus_is_sampled_and_not_counted(laptop: Path) -> None:
    _add_document(laptop / "data" / "other" / "a.jsonl")
    set_value(laptop, "profiles.laptop.extract.location", "data/other")
    finished, corpus, _ = _look("laptop")
    assert finished.outdated == ["dedup", "tokenize"]
    assert corpus.how == "sampled from data/other"


def test_a_file_more_in_the_corpus_is_seen(laptop: Path) -> None:
    assert _look("laptop")[0].outdated == []
    _add_document(laptop / "data" / "corpus" / "b.jsonl")
    assert _look("laptop")[0].outdated == ["dedup", "tokenize"]


def test_links_that_were_made_anew_are_counted_by_host_and_nothing_after_them(tiny: Path) -> None:
    set_value(tiny, "defaults.links.cut_off", "2017-01-01")
    write_links(tiny / "data" / "tiny", ["c.example"])
    record(tiny, "tiny", ["links"])
    finished, corpus, crawl = _look("tiny")
    assert finished.outdated == ["crawl", "dedup", "tokenize"]
    assert corpus.how == "reckoned from the built-in web"
    assert crawl is not None
    assert (crawl.requests, crawl.largest_host) == (1, "c.example")


def test_links_that_are_none_are_no_requests(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_links(tiny / "data" / "tiny", [])
    record(tiny, "tiny", ["links"])
    main(["--no-timing"])
    assert "Crawl: no requests, since `links` has kept none" in capsys.readouterr().out


def test_a_record_of_other_code_is_none(tiny: Path) -> None:
    lock = tiny / "dvc.lock"
    recorded = lock.read_text()
    lock.write_text(re.sub(r"(?m)(^ +dedup: )\S+$", r"\g<1>'0123456789abcdef'", recorded))
    assert lock.read_text() != recorded
    assert _look("tiny")[0].outdated == ["dedup", "tokenize"]


@pytest.mark.parametrize(
    ("torn_after", "outdated"),
    [("schema: '2.0'\nstages:\n", ALL), ("  tokenize:\n", ["tokenize"]), ("outs:\n", ["tokenize"])],
)
def test_half_a_record_is_none(tiny: Path, torn_after: str, outdated: list[str]) -> None:
    lock = tiny / "dvc.lock"
    before, found, _ = lock.read_text().rpartition(torn_after)
    lock.write_text(before + found)
    assert found
    assert _look("tiny")[0].outdated == outdated


def test_of_a_study_before_the_last_one_nothing_is_recorded(
    tiny: Path, made: dict[str, Path]
) -> None:
    shutil.copy(made["laptop"] / "dvc.lock", tiny)
    assert _look("tiny")[0].outdated == ALL


def test_a_finished_study_of_a_corpus_that_is_to_crawl_is_planned_without_its_counts(
    laptop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_links(laptop / "data" / "laptop", [])  # as without a crawl
    record(laptop, "laptop", ["links", "crawl"])
    set_value(laptop, "profiles.laptop.links.source", "reddit")
    set_value(laptop, "profiles.laptop.extract.source", "crawl")
    main(["--no-timing"])
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= WIDTH
    assert "Not used: what links, crawl, dedup, tokenize counted, since DVC" in said
    assert "45,000,000 requests" in said
    assert "counted by the study's own stages" not in said
