"""The dedup stage as a process, on documents whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_documents import edit, english_passages, make_document, make_documents
from stage_runs import StageRuns, read_bytes, write_shards

from pipeline.shared.formats.documents import Document, Removed, read_documents
from pipeline.shared.formats.examples import Example, write_examples
from pipeline.shared.text.words import normalise, split_words

pytestmark = pytest.mark.long

PAGES = make_documents(300)
HELD_OUT = english_passages(340)[300:]
FRENCH = (
    "Le conseil municipal a adopté hier soir le budget de la ville pour l'année prochaine. Le "
    "maire a rappelé que les impôts locaux n'augmenteraient pas, malgré la baisse des dotations."
)
LATER = 1_600_000_000
EXACT = [
    make_document(f"exact{n}", PAGES[n].text.upper().replace(",", " -"), created_utc=LATER)
    for n in range(10)
]
NEAR = [  # one of 60 words changed: 51 of 61 shingles of 5 words shared, similarity 0.84
    make_document(f"near{n}", edit(PAGES[n].text, 1, seed=n), created_utc=LATER)
    for n in range(20, 40)
]
UNLIKE = [  # every sixth word changed: 10 of 100 shingles shared
    make_document(f"unlike{n}", edit(PAGES[n].text, 10, seed=n), created_utc=LATER)
    for n in range(50, 60)
]
PLANTED = [
    make_document(f"planted{n}", f"{PAGES[100 + n].text} {HELD_OUT[n]}", created_utc=LATER + n)
    for n in range(8)
]
WIKIPEDIA = [
    make_document(
        "article", f"{PAGES[200].text} on a page of its own.", url="http://en.wikipedia.org/a"
    ),
    make_document("mirror", f"Title\nFrom Wikipedia, the free encyclopedia\n{HELD_OUT[30]}"),
]
FOREIGN = [make_document("ville", FRENCH)]
TRUTH = {
    "exact_duplicate": EXACT,
    "near_duplicate": NEAR,
    "eval_overlap": PLANTED,
    "wikipedia": WIKIPEDIA,
    "non_english": FOREIGN,
}
ALL = [*PAGES, *UNLIKE, *(document for kind in TRUTH.values() for document in kind)]
SHARDS = [ALL[:120], ALL[120:240], ALL[240:]]


def make_stage(
    project: Path,
    folder: Path,
    shards: list[list[Document]] = SHARDS,
    *,
    workers: int = 1,
    **changes: object,
) -> StageRuns:
    sets = folder / "eval_sets"
    examples = [Example(id=f"e{n}", text=text) for n, text in enumerate(HELD_OUT[:20])]
    write_examples(sets / "lambada.parquet", examples[:10])
    write_examples(sets / "ptb.parquet", [*examples[10:], Example(id="tiny", text="Thank you.")])
    inputs = {"documents": write_shards(folder / "documents", shards), "eval_sets": sets}
    stage = StageRuns("dedup", project, folder, inputs)
    stage.set_params(dedup=changes, compute={"workers": workers})
    return stage


@pytest.fixture(scope="module")
def out(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_stage(project, tmp_path_factory.mktemp("dedup"), workers=2).run()


def removed(out: Path) -> list[Removed]:
    found = list(read_documents(out / "removed", kind=Removed))
    return [document for document in found if isinstance(document, Removed)]


def ids(documents: list[Document] | list[Removed]) -> list[str]:
    return sorted(document.id for document in documents)


@pytest.mark.parametrize("reason", TRUTH)
def test_each_kind_is_removed_for_its_reason(out: Path, reason: str) -> None:
    found = [document for document in removed(out) if document.reason == reason]
    assert ids(found) == ids(TRUTH[reason])


def test_everything_else_is_kept_as_it_was_in_its_order(out: Path) -> None:
    assert list(read_documents(out / "kept")) == [*PAGES, *UNLIKE]


def test_a_duplicate_names_the_document_that_stays(out: Path) -> None:
    matched = {document.id: document.matched for document in removed(out)}
    assert [matched[document.id] for document in EXACT] == [page.id for page in PAGES[:10]]
    assert [matched[document.id] for document in NEAR] == [page.id for page in PAGES[20:40]]


def test_a_planted_passage_is_named_by_set_example_and_text(out: Path) -> None:
    matched = {document.id: document.matched for document in removed(out)}
    for number, document in enumerate(PLANTED):
        name, text = matched[document.id].split(": ", 1)
        assert name == f"lambada/e{number}"
        assert text.startswith(" ".join(split_words(HELD_OUT[number])[:40]))


def test_language_and_wikipedia_say_what_they_saw(out: Path) -> None:
    matched = {document.id: document.matched for document in removed(out)}
    assert matched[FOREIGN[0].id] == "fr"
    assert matched[WIKIPEDIA[0].id] == "en.wikipedia.org"
    assert matched[WIKIPEDIA[1].id] == "from wikipedia, the free encyclopedia"


def test_matches_are_a_table_of_their_own(out: Path) -> None:
    table = pd.read_parquet(out / "eval_matches.parquet")
    assert sorted(table["document"]) == ids(PLANTED)
    assert set(table["set"]) == {"lambada"}
    assert (table["num_matches"] > 40).all()


def test_metrics_count_every_document_once(out: Path) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["documents"] == len(ALL)
    assert metrics["removed_by_reason"] == {kind: len(them) for kind, them in TRUTH.items()}
    assert metrics["kept"]["documents"] + metrics["removed"]["documents"] == len(ALL)
    assert metrics["eval_examples"] == 20
    assert metrics["eval_examples_too_short"] == 1
    assert metrics["eval_examples_found"] == {"lambada": 8}


def test_shard_order_and_workers_do_not_matter(project: Path, out: Path, tmp_path: Path) -> None:
    """Two workers made `out`; one works here."""
    other = make_stage(project, tmp_path, [ALL[200:][::-1], ALL[:200][::-1]]).run()
    assert ids(list(read_documents(other / "kept"))) == ids(list(read_documents(out / "kept")))
    verdicts = [
        sorted((document.id, document.reason, document.matched) for document in removed(folder))
        for folder in (out, other)
    ]
    assert verdicts[0] == verdicts[1]


def test_report_mode_removes_no_eval_overlap_and_tells_all(
    project: Path, out: Path, tmp_path: Path
) -> None:
    other = make_stage(project, tmp_path, eval_mode="report").run()
    assert "eval_overlap" not in {document.reason for document in removed(other)}
    assert set(ids(PLANTED)) <= set(ids(list(read_documents(other / "kept"))))
    table = "eval_matches.parquet"
    assert (other / table).read_bytes() == (out / table).read_bytes()
    metrics = json.loads((other / "metrics.json").read_text())
    assert metrics["documents_with_eval_overlap"] == len(PLANTED)


def kept_texts(out: Path) -> dict[str, str]:
    return {document.id: document.text for document in read_documents(out / "kept")}


def test_cut_mode_takes_the_passage_out_and_tells_what_and_why(
    project: Path, tmp_path: Path
) -> None:
    pages = [normalise(page.text) for page in PAGES[100:107]]
    passages = [normalise(text) for text in HELD_OUT[:4]]
    around = [f"{pages[n]} {passages[n]} {pages[3 + n]}" for n in range(3)]
    short = f"{pages[6]} {passages[3]}"
    least = len(pages[6].split()) - 4
    documents = [make_document(f"cut{n}", text) for n, text in enumerate([*around, short])]
    changes = {"eval_mode": "cut", "eval_cut_margin_words": 5, "eval_cut_min_words": least}
    out = make_stage(project, tmp_path, [documents, PAGES[:50]], **changes).run()
    kept = kept_texts(out)
    cut = pd.read_parquet(out / "cut.parquet")
    assert cut["document"].tolist() == [document.id for document in documents[:3]]
    for number, (document, row) in enumerate(zip(documents, cut.itertuples(), strict=False)):
        before, after = (pages[place + number].split() for place in (0, 3))
        left = f"{' '.join(before[:-5])}\n\n{' '.join(after[5:])}"
        assert kept[document.id] == left
        assert document.text[row.start :].startswith(row.text)
        assert passages[number] in row.text
        assert row.matched.startswith(f"lambada/e{number}: ")
    (too_short,) = removed(out)
    assert (too_short.id, too_short.reason) == (documents[3].id, "eval_overlap")
    assert too_short.text == short
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["documents_cut"] == metrics["pieces_cut"] == 3
    assert metrics["text_bytes_cut"] == sum(len(text.encode()) for text in cut["text"])
    assert metrics["documents_with_eval_overlap"] == 4


def test_a_document_that_equals_another_once_it_is_cut_is_a_duplicate(
    project: Path, tmp_path: Path
) -> None:
    """Each planted document is one of the pages and a passage."""
    changes = {"eval_mode": "cut", "eval_cut_margin_words": 5, "eval_cut_min_words": 50}
    wikipedia = write_shards(tmp_path / "wikipedia", [PAGES[104:108]])
    runs = []
    for name, shards in {"one": SHARDS, "two": [ALL[200:][::-1], ALL[:200][::-1]]}.items():
        changes["wikipedia_location"] = str(wikipedia)
        out = make_stage(project, tmp_path / name, shards, **changes).run()
        runs.append(kept_texts(out))
        verdicts = {document.id: (document.reason, document.matched) for document in removed(out)}
        for number, document in enumerate(PLANTED):
            reason = "wikipedia" if 4 <= number < 8 else "near_duplicate"
            assert verdicts[document.id] == (reason, PAGES[100 + number].id)
    assert runs[0] == runs[1]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_near_duplicates_of_wikipedias_text_name_its_article(
    project: Path, tmp_path: Path, scheme: str
) -> None:
    articles = [
        make_document(f"article{n}", edit(PAGES[n].text, 1, seed=n), created_utc=LATER + 9)
        for n in range(50, 55)
    ]
    folder = write_shards(tmp_path / "wikipedia", [articles[:2], articles[2:], []])
    out = make_stage(project, tmp_path, [PAGES], wikipedia_location=f"{scheme}{folder}").run()
    verdicts = {document.id: (document.reason, document.matched) for document in removed(out)}
    expected = {PAGES[50 + n].id: ("wikipedia", articles[n].id) for n in range(5)}
    assert verdicts == expected


@pytest.mark.parametrize(("shared_words", "is_removed"), [(12, False), (13, True)])
def test_with_13_grams_thirteen_words_condemn(
    project: Path, tmp_path: Path, shared_words: int, is_removed: bool
) -> None:
    words = " ".join(split_words(HELD_OUT[0])[:shared_words])
    document = make_document("thirteen", f"{PAGES[0].text} {words}")
    changes = {"eval_ngram_words": 13, "eval_min_matches": 1}
    out = make_stage(project, tmp_path, [[document]], **changes).run()
    assert [found.reason for found in removed(out)] == ["eval_overlap"] * is_removed


def test_a_passage_in_many_documents_is_commonplace(project: Path, tmp_path: Path) -> None:
    template = [
        replace(page, text=f"{page.text} {' '.join(HELD_OUT[0].split()[:20])}")
        for page in PAGES[:11]
    ]
    kept = make_stage(project, tmp_path, [template]).run() / "kept"
    assert len(list(read_documents(kept))) == 11
    rarer = make_stage(project, tmp_path / "rarer", [template[:10]]).run() / "kept"
    assert len(list(read_documents(rarer))) == 0


def test_killed_at_any_moment_the_stage_ends_with_the_same_bytes(
    project: Path, out: Path, tmp_path: Path
) -> None:
    stage = make_stage(project, tmp_path, workers=2)
    stage.kill_when(lambda work: (work / "eval_ngrams.npz").exists())
    stage.kill_when(lambda work: bool(stage.remembered()))
    stage.kill_when(lambda work: any((work / "written").glob("*.json")))
    stage.kill_when(lambda work: (work / "out" / "kept" / "_manifest.json").exists())
    assert read_bytes(stage.run()) == read_bytes(out)


def test_a_month_more_computes_the_features_of_its_own_shards_alone(
    project: Path, out: Path, tmp_path: Path
) -> None:
    stage = make_stage(project, tmp_path, SHARDS[:2])
    stage.run()
    made = {path: (path / "note.json").stat().st_mtime_ns for path in stage.remembered()}
    assert len(made) == 2
    more = make_stage(project, tmp_path)
    assert read_bytes(more.run()) == read_bytes(out)
    now = {path: (path / "note.json").stat().st_mtime_ns for path in more.remembered()}
    assert len(now) == 3 and made.items() <= now.items()


@pytest.mark.parametrize("file", ["documents/00001.parquet", "eval_sets/ptb.parquet"])
def test_damaged_input_is_one_line_and_nothing_is_published(
    project: Path, tmp_path: Path, file: str
) -> None:
    stage = make_stage(project, tmp_path)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[: len(content) // 2])
    run = stage.fail()
    assert run.returncode == 1
    assert Path(file).name in run.stderr.splitlines()[-1]
    assert "dvc repro" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()
