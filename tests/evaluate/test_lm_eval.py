"""The same weights through lm-eval's own tasks: where the protocols coincide, so do the scores.

Each task is lm-eval's, with its data replaced by made examples and, where said, an option of it set
to what the paper does. What is left of differences stands in docs/agreement.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import yaml
from made_documents import english_passages
from scored_study import CONTEXT, Study
from slow_reference import losses

from models.checkpoints import load_pretrained, save_pretrained
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.evaluate import conversation, last_word, pronoun, question, running_text
from pipeline.evaluate.outcome import Task
from pipeline.evaluate.session import Session
from pipeline.shared.formats.examples import Example
from pipeline.shared.formats.tokenizer import write_hugging_face_files

pytest.importorskip("lm_eval", reason="lm-eval is not installed; pip install -e '.[dev]'")
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.filterwarnings("ignore")]

NEAR = {"rel": 1e-5}
NEW_TOKENS = 8
PASSAGES = english_passages(30, words=18)
NOUNS = ("the old trophy", "the brown suitcase")


class Page(NamedTuple):
    """A text of WikiText's task, by how many tokens of the model it has."""

    text: str
    tokens: int


@pytest.fixture(scope="module")
def asked(session: Session) -> Session:
    """The session with this file's lengths."""
    changes = {"answer_tokens": NEW_TOKENS, "few_shot_pairs": 0, "max_generated_examples": None}
    return replace(session, params=session.params.model_copy(update=changes))


@pytest.fixture(scope="module")
def pages(session: Session) -> list[Page]:
    """One shorter than the context, one of exactly three windows, one with a last half window."""
    words = " ".join(english_passages(8, words=60)).split(" ")
    return [
        _page(session, words, 0, CONTEXT - 10),
        _page(session, words, 60, 3 * CONTEXT),
        _page(session, words, 90, 2 * CONTEXT + CONTEXT // 2),
    ]


def _page(session: Session, words: list[str], start: int, tokens: int) -> Page:
    """Some words from `start` on, then as many full stops as make the number of tokens."""
    text = ""
    for word in words[start:]:
        if len(session.tokenizer.encode(f"{text} {word} . . . .")) > tokens:
            break
        text = f"{text} {word}"
    while len(session.tokenizer.encode(text)) < tokens:
        text += " ."
    return Page(text, len(session.tokenizer.encode(text)))


@pytest.fixture(scope="module")
def schemata() -> list[Example]:
    """Winograd's form: a beginning, two nouns, what follows."""
    return [
        Example(
            id=str(number),
            text=f"{passage}: {NOUNS[number % 2]} was {passage}",
            context=f"{passage}: ",
            target=f" was {passage}",
            choices=list(NOUNS),
            answer=number % 2,
        )
        for number, passage in enumerate(_without_marks(PASSAGES[:12]))
    ]


def _without_marks(passages: list[str]) -> list[str]:
    return [" ".join(passage.replace(".", "").split()[:3]).lower() for passage in passages]


@pytest.fixture(scope="module")
def turns() -> list[Example]:
    """Questions of two conversations, three in each; no two answers to one are equal."""
    examples = []
    for story in PASSAGES[:2]:
        context = f"{story}\n\n"
        for turn, asked in enumerate(PASSAGES[2:5]):
            words = asked.replace(".", "").split()
            context += f"Q: {asked}?\nA:"
            examples.append(
                Example(
                    id=f"{story}:{turn}",
                    text=story,
                    context=context,
                    target=asked,
                    references=[" ".join(words[n : n + 3]) for n in range(3)],
                )
            )
            context += f" {examples[-1].references[0]}\n"
    return examples


def _as_coqa(turn: Example) -> dict[str, Any]:
    first, *others = turn.references
    return {
        "story": turn.text,
        "prompt": turn.context,
        "questions": {"input_text": [turn.target]},
        "answers": {"input_text": [first]},
        "additional_answers": {str(n): {"input_text": [a]} for n, a in enumerate(others)},
    }


@pytest.fixture(scope="module")
def squad_metrics() -> Iterator[None]:
    """What lm-eval's CoQA imports from transformers, which lost it: SQuAD's F1 by torchmetrics."""
    from torchmetrics.functional.text import squad

    def score(name: str, gold: str, said: str) -> float:
        answers = {"text": [gold], "answer_start": [0]}
        found = squad([{"prediction_text": said, "id": "0"}], [{"answers": answers, "id": "0"}])
        return float(found[name]) / 100

    module = ModuleType("transformers.data.metrics.squad_metrics")
    vars(module).update(
        compute_f1=lambda gold, said: score("f1", gold, said),
        compute_exact=lambda gold, said: score("exact_match", gold, said),
    )
    with pytest.MonkeyPatch.context() as patch:
        for package in (ModuleType("transformers.data.metrics"), module):
            patch.setitem(sys.modules, package.__name__, package)
        yield


@pytest.fixture(scope="module")
def lm_eval_results(
    study: Study,
    session: Session,
    pages: list[Page],
    schemata: list[Example],
    turns: list[Example],
    squad_metrics: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What lm-eval makes of the same model, by task: its metrics and its samples."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("lm_eval")
    model = folder / "model"
    save_pretrained(load_pretrained(study.model), model)
    write_hugging_face_files(session.tokenizer, model)
    tasks = folder / "tasks"
    tasks.mkdir()
    _write_task(tasks, "lambada", "lambada_openai", [{"text": passage} for passage in PASSAGES])
    # A page as it is, since the two de-tokenizers differ.
    _write_task(
        *(tasks, "wikitext", "wikitext", [{"page": page.text} for page in pages]),
        doc_to_target="{{page}}",
    )
    # The continuation begins with its own space.
    _write_task(
        *(tasks, "wsc273", "default", [_as_wsc273(schema) for schema in schemata]),
        target_delimiter="",
    )
    # No description before the question, an answer up to the end of the line.
    _write_task(
        *(tasks, "nq_open", "nq_open", [{"question": p[:30], "answer": "x"} for p in PASSAGES[:8]]),
        description="",
        generation_kwargs={"until": ["\n"], "max_gen_toks": NEW_TOKENS},
    )
    # No blank lines between questions and answers.
    _write_task(
        *(tasks, "coqa", "default", [_as_coqa(turn) for turn in turns]),
        doc_to_text="{{prompt}}",
        generation_kwargs={"until": ["\n"], "max_gen_toks": NEW_TOKENS},
    )
    manager = TaskManager(include_path=str(tasks), include_defaults=False)

    def evaluate(names: list[str], *, add_bos_token: bool) -> dict[str, Any]:
        loaded = HFLM(
            pretrained=str(model),
            device="cpu",
            dtype="float32",
            batch_size=4,
            add_bos_token=add_bos_token,
        )
        results: dict[str, Any] = lm_eval.simple_evaluate(
            loaded, tasks=names, task_manager=manager, bootstrap_iters=0
        )
        return results

    # A rolling text begins with <|endoftext|> anyhow; asked for, it would be scored as well.
    rolling = evaluate(["wikitext"], add_bos_token=False)
    others = evaluate(["lambada_openai", "wsc273", "nq_open", "coqa"], add_bos_token=True)
    return {part: rolling[part] | others[part] for part in ("results", "samples")}


def _write_task(
    folder: Path, group: str, file: str, documents: list[dict[str, Any]], **options: Any
) -> None:
    """One of lm-eval's tasks, by its group and file there, on documents of our own."""
    import lm_eval

    path = folder / f"{group}.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    config = {
        "include": str(Path(lm_eval.__file__).parent / "tasks" / group / f"{file}.yaml"),
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(folder / "cache")},
        "num_fewshot": 0,
        "test_split": "test",
        "validation_split": None,
        "training_split": None,
    }
    (folder / f"{group}.yaml").write_text(yaml.safe_dump(config | options))


def _as_wsc273(schema: Example) -> dict[str, Any]:
    return {
        "text": f"{schema.context}it{schema.target}",
        "pronoun": "it",
        "pronoun_loc": len(schema.context),
        "options": schema.choices,
        "label": schema.answer,
    }


def samples(results: dict[str, Any], task: str) -> Iterator[Any]:
    """What the model gave for each document, in the order of the documents."""
    for sample in sorted(results["samples"][task], key=lambda sample: sample["doc_id"]):
        yield sample["resps"]


def test_lambada(asked: Session, lm_eval_results: dict[str, Any]) -> None:
    examples = []
    for number, passage in enumerate(PASSAGES):
        context, _, word = passage.rpartition(" ")
        examples.append(Example(id=str(number), text=passage, context=context, target=word))
    ours = last_word.evaluate(asked, Task(EVAL_SETS["lambada"], examples))
    theirs = lm_eval_results["results"]["lambada_openai"]
    for mine, resps in zip(
        ours.columns["loss_nats"], samples(lm_eval_results, "lambada_openai"), strict=True
    ):
        assert mine == pytest.approx(-resps[0][0][0], **NEAR)
    assert ours.metrics["perplexity"] == pytest.approx(theirs["perplexity,none"], **NEAR)
    assert ours.metrics["accuracy"] == pytest.approx(theirs["acc,none"])


def test_wikitext_where_the_last_window_is_full_or_the_only_one(
    asked: Session, pages: list[Page], lm_eval_results: dict[str, Any]
) -> None:
    stride = replace(asked, params=asked.params.model_copy(update={"strides": [CONTEXT]}))
    resps = list(samples(lm_eval_results, "wikitext"))
    for page, (response,) in list(zip(pages, resps, strict=True))[:2]:
        example = Example(id="0", text=page.text, target=page.text)
        ours = running_text.evaluate(stride, Task(EVAL_SETS["wikitext2"], [example]))
        (loss,) = ours.columns["loss_nats@raw"]
        assert loss == pytest.approx(-_number(response), **NEAR)


def test_wikitext_else_lm_eval_gives_the_last_window_more_to_read(
    asked: Session, pages: list[Page], lm_eval_results: dict[str, Any]
) -> None:
    """Theirs reads a full window that ends with the text, and scores what is left to score."""
    tokens = [asked.start, *asked.tokenizer.encode(pages[2].text)]
    full = 2 * CONTEXT
    expected = sum(
        sum(losses(asked, tokens[start : start + 1], tokens[start + 1 : start + CONTEXT + 1]))
        for start in (0, CONTEXT)
    )
    known = tokens[len(tokens) - CONTEXT - 1 : full + 1]
    expected += sum(losses(asked, known, tokens[full + 1 :]))
    theirs = -_number(list(samples(lm_eval_results, "wikitext"))[2][0])
    assert theirs == pytest.approx(expected, **NEAR)


def _number(response: Any) -> float:
    while isinstance(response, list | tuple):
        (response,) = response
    return float(response)


def test_winograd(asked: Session, schemata: list[Example], lm_eval_results: dict[str, Any]) -> None:
    ours = pronoun.evaluate(asked, Task(EVAL_SETS["winograd"], schemata))
    theirs = lm_eval_results["results"]["wsc273"]
    assert ours.metrics["accuracy_partial"] == pytest.approx(theirs["acc,none"])
    assert 0 < theirs["acc,none"] < 1
    for schema, resps in zip(schemata, samples(lm_eval_results, "wsc273"), strict=True):
        for choice, ((loss, _),) in zip(schema.choices, resps, strict=True):
            given = asked.tokenizer.encode(f"{schema.context}{choice}")
            wanted = asked.tokenizer.encode(schema.target)
            assert -loss == pytest.approx(sum(losses(asked, [asked.start, *given], wanted)), **NEAR)


def test_questions(asked: Session, lm_eval_results: dict[str, Any]) -> None:
    examples = [
        Example(id=str(number), text=p, context=p[:30], references=["x"])
        for number, p in enumerate(PASSAGES[:8])
    ]
    ours = question.evaluate(asked, Task(EVAL_SETS["natural_questions"], examples))
    theirs = [resps[0][0].strip() for resps in samples(lm_eval_results, "nq_open")]
    assert ours.columns["answer"] == theirs
    assert len(set(theirs)) > 1


def test_a_conversation(
    asked: Session, turns: list[Example], lm_eval_results: dict[str, Any]
) -> None:
    ours = conversation.evaluate(asked, Task(EVAL_SETS["coqa"], turns))
    theirs = [resps[0][0].strip() for resps in samples(lm_eval_results, "coqa")]
    assert ours.columns["answer"] == theirs
    expected = lm_eval_results["results"]["coqa"]["f1,none"]
    assert ours.metrics["f1"] == pytest.approx(expected, abs=1e-6)
