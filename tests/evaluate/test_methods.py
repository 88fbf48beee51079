"""Each method that scores a given text against a slow reference on the same tiny model."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from published_tasks import task_of
from scored_study import CONTEXT, Study
from slow_reference import losses, sliding_losses

from pipeline.eval_sets.cbt import BLANK
from pipeline.evaluate import (
    cloze,
    documents,
    pronoun,
    running_text,
)
from pipeline.evaluate.session import Session
from pipeline.shared.formats.token_shards import open_split

NEAR = {"rel": 1e-4}


@pytest.mark.parametrize("name", ["wikitext2", "ptb", "text8"])
def test_running_text_adds_up_to_the_slow_loss_of_the_whole_stream(
    session: Session, published: Path, name: str
) -> None:
    task = task_of(name, published)
    outcome = running_text.evaluate(session, task)
    raw = "".join(example.target for example in task.examples)
    texts = {"": raw}
    if task.eval_set.detokenizer is not None:
        texts = {"": task.eval_set.detokenizer.detokenize(raw).text, "raw": raw}
    for text_variant, text in texts.items():
        for stride in session.params.strides:
            stride_variant = f"stride_{stride}" if stride != CONTEXT else ""
            variant = "_".join(part for part in (text_variant, stride_variant) if part)
            suffix = f"@{variant}" if variant else ""
            total = sum(sliding_losses(session, session.tokenizer.encode(text), stride))
            found = outcome.columns[f"loss_nats{suffix}"]
            assert sum(found) == pytest.approx(total, **NEAR)
            units = sum(outcome.columns["num_units"])
            value = outcome.metrics[f"{task.eval_set.metrics[0]}{suffix}"]
            bits = task.eval_set.metrics[0] != "perplexity"
            expected = total / math.log(2) / units if bits else math.exp(total / units)
            assert value == pytest.approx(expected, rel=1e-3)
            counts = {
                "per_token": len(session.tokenizer.encode(text)),
                "per_byte": len(raw.encode()),
                "per_character": len(raw),
                "per_word": len(raw.split()) + raw.count("\n"),
            }
            for unit, count in counts.items():
                if bits or unit != "per_word":
                    name = "_".join(part for part in (text_variant, unit, stride_variant) if part)
                    value = outcome.metrics[f"perplexity@{name}"]
                    assert value == pytest.approx(math.exp(total / count), rel=1e-3)


def test_a_token_belongs_to_the_example_of_its_first_byte(session: Session) -> None:
    pieces = ["An étude", " of ünits. ", "Two"]
    tokens = session.tokenizer.encode("".join(pieces))
    each = sliding_losses(session, tokens, CONTEXT)
    expected = [0.0, 0.0, 0.0]
    place = 0
    for token, loss in zip(tokens, each, strict=True):
        owner = 0 if place < len(pieces[0].encode()) else 1
        owner = 2 if place >= len((pieces[0] + pieces[1]).encode()) else owner
        expected[owner] += loss
        place += len(session.tokenizer.encoding.decode_single_token_bytes(token))
    stream = running_text.score_stream(session, pieces, strides=[CONTEXT, 16])
    np.testing.assert_allclose(stream.losses[CONTEXT], expected, rtol=1e-4)
    assert stream.num_tokens.sum() == len(tokens)
    assert [n > 0 for n in stream.num_tokens] == [loss > 0 for loss in expected]


def test_documents_are_scored_each_by_itself_with_their_end(session: Session, study: Study) -> None:
    outcome = documents.evaluate(session, study.tokens / "test", num_documents=5)
    chosen = dict(zip(outcome.ids, outcome.columns["loss_nats"], strict=True))
    total = num = 0
    for document in open_split(study.tokens / "test").documents():
        if document.id in chosen:
            each = sliding_losses(session, document.tokens.tolist(), CONTEXT)
            assert chosen[document.id] == pytest.approx(sum(each), **NEAR)
            total, num = total + sum(each), num + len(each)
    assert outcome.metrics["perplexity"] == pytest.approx(math.exp(total / num), rel=1e-3)


def test_fewer_documents_are_some_of_more_whatever_the_model(
    session: Session, study: Study
) -> None:
    folder = study.tokens / "train"
    more = {d.id for d in documents.choose_documents(session, folder, 40)}
    assert {d.id for d in documents.choose_documents(session, folder, 10)} < more
    other_seed = replace(session, seed=2)
    assert {d.id for d in documents.choose_documents(other_seed, folder, 40)} != more


def test_cloze_takes_the_most_probable_choice_and_rest(session: Session, published: Path) -> None:
    task = task_of("cbt_cn", published, most=3)
    outcome = cloze.evaluate(session, task)
    assert task.eval_set.detokenizer is not None
    for example, predicted in zip(task.examples, outcome.columns["predicted"], strict=True):
        natural = task.eval_set.detokenizer.detokenize(f"{example.context}\n").text
        context = session.tokenizer.encode(" ".join(natural.split("\n")).strip())
        rests = []
        for choice in example.choices:
            rest = example.target.replace(BLANK, choice)
            rest = " " + task.eval_set.detokenizer.detokenize(f"{rest}\n").text.strip()
            rests.append(session.tokenizer.encode(rest))
        longest = max(map(len, rests))
        common = next(n for n in range(longest) if len({tuple(r[: n + 1]) for r in rests}) > 1)
        room = CONTEXT + 1 - (longest - common)
        totals = []
        for rest in rests:
            given = [session.start, *context, *rest[:common]][-room:]
            totals.append(sum(losses(session, given, rest[common:])))
        assert predicted == int(np.argmin(totals))
    assert outcome.protocol["context_cut_from_left"] == 3
    assert outcome.metrics["accuracy"] == np.mean(outcome.columns["correct"])


def test_winograd_sums_the_whole_sentence_or_what_follows_the_noun(
    session: Session, published: Path
) -> None:
    task = task_of("winograd", published)
    outcome = pronoun.evaluate(session, task)
    for row, example in enumerate(task.examples):
        full, partial = [], []
        for choice in example.choices:
            before = session.tokenizer.encode(example.context + choice)
            after = session.tokenizer.encode(example.target)
            full.append(sum(losses(session, [session.start], before + after)))
            partial.append(sum(losses(session, [session.start, *before], after)))
        assert outcome.columns["correct_full"][row] == (np.argmin(full) == example.answer)
        assert outcome.columns["correct_partial"][row] == (np.argmin(partial) == example.answer)
