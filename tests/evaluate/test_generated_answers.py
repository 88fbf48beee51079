"""What a model is asked to write, against a slow reference on the same tiny model."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_documents import english_passages
from published_tasks import task_of
from scored_study import CONTEXT, Study
from slow_reference import greedy, losses

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.evaluate import (
    continuation,
    conversation,
    question,
    summary,
    translation,
)
from pipeline.evaluate.outcome import Task
from pipeline.evaluate.samples import write_samples
from pipeline.evaluate.session import Session
from pipeline.shared.formats.examples import Example
from pipeline.shared.formats.token_shards import open_split

NEAR = {"rel": 1e-4}


def with_params(session: Session, **params: int) -> Session:
    return replace(session, params=session.params.model_copy(update=params))


def greedy_line(session: Session, prompt: str, count: int) -> tuple[str, float]:
    """The greedy first line after a prompt and the probability of it and its end, slowly."""
    tokens = [session.start, *session.tokenizer.encode(prompt)][-(CONTEXT - count) :]
    kept: list[int] = []
    for token in greedy(session, tokens, count):
        kept.append(token)
        if "\n" in session.tokenizer.decode([token]) or token == session.start:
            break
    text = session.tokenizer.decode(kept).replace("<|endoftext|>", "\n").partition("\n")[0]
    return text.strip(), math.exp(-sum(losses(session, tokens, kept)))


def test_conversations_are_answered_greedily_to_the_end_of_the_line(
    session: Session, published: Path
) -> None:
    small = with_params(session, answer_tokens=6)
    task = task_of("coqa", published)
    outcome = conversation.evaluate(small, task)
    expected = [greedy_line(small, example.context, 6)[0] for example in task.examples]
    assert outcome.columns["answer"] == expected
    assert outcome.protocol["prompts_cut_from_left"] == 3


def make_conversations() -> list[Example]:
    """Stories of many lengths; some questions are as long as a story, some stories have but one."""
    words = " ".join(english_passages(9, words=30)).replace("\n", " ").split(" ")
    examples = []
    for story in range(9):
        prompt = " ".join(words[20 * story :][: 2 + 2 * (story % 4)]) + "\n\n"
        for turn in range(1 + story % 3):
            question = " ".join(words[7 * story + turn :][: 1 + 5 * ((story + turn) % 2)])
            prompt += f"Q: {question}\nA:"
            id_ = f"story{story}:{turn + 1}"
            examples.append(Example(id=id_, text=prompt, context=prompt, references=["it"]))
            prompt += " it\n"
    return examples


def test_a_story_is_read_once_for_all_its_questions(session: Session, one_by_one: Session) -> None:
    examples = make_conversations()
    task = Task(EVAL_SETS["coqa"], examples)
    counts: dict[str, int] = {"alone": 0, "together": 0}
    answers = {}
    for name, one in (("alone", one_by_one), ("together", session)):

        def tick(tokens: int, name: str = name) -> None:
            counts[name] += tokens

        small = replace(with_params(one, answer_tokens=5), tick=tick)
        outcome = conversation.evaluate(small, task)
        answers[name] = outcome.columns["answer"]
    expected = [greedy_line(small, example.context, 5)[0] for example in examples]
    assert answers["alone"] == answers["together"] == expected
    lengths = [1 + len(session.tokenizer.encode(example.context)) for example in examples]
    cut = outcome.protocol["prompts_cut_from_left"]
    assert 0 < cut < len(examples) / 2  # both kinds are here
    assert counts["alone"] < 0.8 * sum(length + 5 for length in lengths)


def test_chains_read_together_stay_within_the_context_with_their_padding() -> None:
    lengths = [[40, 45], [10, 40], [5, 12, 20], [60]]
    parts = [list(part) for part in continuation._fitting(64, lengths)]
    assert sorted(n for part in parts for n in part) == [0, 1, 2, 3]
    assert len(parts) > 1
    for part in parts:
        turns = max(len(lengths[n]) for n in part)
        for turn in range(turns):
            known = [lengths[n][turn - 1] if turn else 0 for n in part if len(lengths[n]) > turn]
            new = [lengths[n][turn] for n in part if len(lengths[n]) > turn]
            assert max(known) + max(b - a for a, b in zip(known, new, strict=True)) <= 64


def test_questions_follow_their_pairs_and_know_their_confidence(
    session: Session, published: Path
) -> None:
    small = with_params(session, answer_tokens=5, few_shot_pairs=1)
    task = task_of("natural_questions", published)
    outcome = question.evaluate(small, task)
    for row, example in enumerate(task.examples):
        prompt = f"Q: who is it?\nA: nobody\nQ: {example.context}?\nA:"
        text, probability = greedy_line(small, prompt, 5)
        assert outcome.columns["answer"][row] == text
        assert outcome.columns["confidence"][row] == pytest.approx(probability, rel=1e-3)
    answers = outcome.columns["answer"]
    assert outcome.protocol["answers_empty"] == answers.count("") < len(answers)
    assert outcome.protocol["answers_cut"] == outcome.columns["ended"].count(False)
    said = [n for n, answer in enumerate(answers) if answer]
    surest = max(said, key=lambda n: outcome.columns["confidence"][n])
    assert outcome.metrics["accuracy_top_1_percent"] == outcome.columns["correct"][surest]
    assert "accuracy_top_1_percent" not in outcome.intervals  # of one answer


def test_translations_follow_their_pairs(session: Session, published: Path) -> None:
    small = with_params(session, translation_tokens=6, few_shot_pairs=2)
    task = task_of("wmt14_en_fr", published, most=3)
    outcome = translation.evaluate(small, task)
    for row, example in enumerate(task.examples):
        shots = "who is it = nobody\nwhat is it = nothing\n"
        text, _ = greedy_line(small, f"{shots}{example.context} =", 6)
        assert text.startswith(outcome.columns["translation"][row])


def test_summaries_come_with_baselines_of_the_article(session: Session, published: Path) -> None:
    small = with_params(session, summary_tokens=10)
    task = task_of("cnn_dm", published)
    outcome = summary.evaluate(small, task)
    # each article is `highlights. other. highlights.`: its first three sentences hold them whole
    assert outcome.metrics["lede3_rouge_1"] > 0.4
    assert set(outcome.columns) >= {"rouge_average", "no_hint_rouge_1", "random3_rouge_l"}
    assert outcome.metrics["rouge_average"] == pytest.approx(
        np.mean([outcome.metrics[f"rouge_{kind}"] for kind in ("1", "2", "l")])
    )


@pytest.mark.parametrize("name", ["coqa", "cnn_dm", "natural_questions", "wmt14_fr_en"])
def test_no_generation_depends_on_the_size_of_batches(
    session: Session, one_by_one: Session, published: Path, name: str
) -> None:
    modules = {
        "coqa": conversation,
        "cnn_dm": summary,
        "natural_questions": question,
        "wmt14_fr_en": translation,
    }
    task = task_of(name, published, most=4)
    lengths = {"answer_tokens": 4, "summary_tokens": 8, "translation_tokens": 4}
    one, many = (
        modules[name].evaluate(with_params(s, **lengths), task) for s in (one_by_one, session)
    )
    assert one.metrics == pytest.approx(many.metrics)
    texts = {"answer", "summary", "translation"} & set(one.columns)
    assert all(one.columns[column] == many.columns[column] for column in texts)


def test_samples_go_on_from_test_documents_beside_what_really_came(
    session: Session, study: Study, tmp_path: Path
) -> None:
    import pandas as pd

    small = with_params(
        session, figure5_documents=7, figure5_context_tokens=20, figure5_sample_tokens=10
    )
    assert write_samples(small, study.tokens / "test", tmp_path / "samples.parquet") == 7
    table = pd.read_parquet(tmp_path / "samples.parquet")
    texts = {d.id: d.tokens for d in open_split(study.tokens / "test").documents()}
    decode = session.tokenizer.decode
    for _, row in table.iterrows():
        assert row["context"] == decode(texts[row["id"]][:20].tolist())
        assert row["completion"] == decode(texts[row["id"]][20:30].tolist())
    assert (table["sample"] != table["completion"]).any()


def test_a_sample_is_drawn_after_the_start_ends_with_its_document_and_may_be_longer(
    session: Session, study: Study, tmp_path: Path
) -> None:
    import pandas as pd

    from models.generation import generate

    def drawn(length: int) -> list[str]:
        small = with_params(
            session,
            figure5_documents=9,
            figure5_context_tokens=20,
            figure5_sample_tokens=length,
            figure5_top_k=300,
        )
        path = tmp_path / f"{length}.parquet"
        write_samples(small, study.tokens / "test", path)
        ids.append(pd.read_parquet(path)["id"].tolist())
        return pd.read_parquet(path)["sample"].tolist()

    ids: list[list[str]] = []
    short = drawn(CONTEXT - 20)
    texts = {d.id: d.tokens for d in open_split(study.tokens / "test").documents()}
    for id_, sample in zip(ids[0], short, strict=True):
        prompt = [session.start, *texts[id_][:20].tolist()]
        free = generate(
            session.model, [prompt], max_new_tokens=CONTEXT - 20, top_k=300, seed=session.seed
        )[0].tokens
        ended = free.index(session.start) if session.start in free else len(free)
        assert sample == session.tokenizer.decode(free[:ended])
    assert len({len(session.tokenizer.encode(sample)) for sample in short}) > 1  # some ended
    longer = drawn(min(len(texts[id_]) for id_ in ids[0]) - 20)
    assert max(len(session.tokenizer.encode(sample)) for sample in longer) > CONTEXT - 20
    assert not any("endoftext" in sample for sample in short + longer)
