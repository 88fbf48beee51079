"""LAMBADA's variants: word or last token, with the stop-word filter or without."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_documents import english_passages
from scored_study import CONTEXT
from slow_reference import greedy, losses

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.evaluate import last_word
from pipeline.evaluate.last_word import stop_tokens
from pipeline.evaluate.outcome import Task
from pipeline.evaluate.session import Session
from pipeline.shared.formats.examples import Example


def task_of(passages: list[str]) -> Task:
    """The last word of each passage."""
    pairs = [passage.rpartition(" ")[::2] for passage in passages]
    return Task(
        EVAL_SETS["lambada"],
        [
            Example(id=str(n), text="", context=context, target=word)
            for n, (context, word) in enumerate(pairs)
        ],
    )


PASSAGES = english_passages(8, words=40)


@pytest.mark.parametrize("filtered", [False, True], ids=["all words", "no stop words"])
@pytest.mark.parametrize("last_token", [False, True], ids=["word", "last token"])
def test_it_agrees_with_the_slow_reference(
    session: Session, last_token: bool, filtered: bool
) -> None:
    task = task_of([*PASSAGES, "nobody has seen the"])
    outcome = last_word.evaluate(session, task)
    parts = ["last_token"] * last_token + ["stop_word_filter"] * filtered
    suffix = f"@{'_'.join(parts)}" if parts else ""
    stops = stop_tokens(session) if filtered else []
    totals, right = [], []
    for example in task.examples:
        given = [session.start, *session.tokenizer.encode(example.context)]
        wanted = session.tokenizer.encode(f" {example.target}")
        given = given[-(CONTEXT + 1 - len(wanted)) :]
        if last_token:
            given, wanted = given + wanted[:-1], wanted[-1:]
        # ` A` may begin `Alyssa`, though it is a stop word by itself
        forbidden = [*(set(stops) - set(wanted[:-1]))]
        first = losses(session, given, wanted[:1], forbidden)
        totals.append(sum(first + losses(session, given + wanted[:1], wanted[1:])))
        said = [
            greedy(session, given + wanted[:n], 1, [] if n else forbidden)[0]
            for n in range(len(wanted))
        ]
        right.append(int(said == wanted))
    possible = [total for total in totals if math.isfinite(total)]
    assert (len(possible) < len(totals)) == filtered, "`the` is impossible under the filter alone"
    found = np.array(outcome.columns[f"loss_nats{suffix}"])[np.isfinite(totals)]
    np.testing.assert_allclose(found, possible, rtol=1e-4)
    value = outcome.metrics[f"perplexity{suffix}"]
    assert value == pytest.approx(math.exp(np.mean(possible)), rel=1e-3)
    assert outcome.columns[f"correct{suffix}"] == right
    assert outcome.metrics[f"accuracy{suffix}"] == pytest.approx(np.mean(right))


def test_without_stop_words_the_others_become_likelier(session: Session) -> None:
    outcome = last_word.evaluate(session, task_of(PASSAGES))
    with_all, without = outcome.columns["loss_nats"], outcome.columns["loss_nats@stop_word_filter"]
    counted = np.array(outcome.columns["num_units@stop_word_filter"]) == 1
    assert (np.array(without) <= np.array(with_all))[counted].all()
    assert sum(without) < sum(with_all)
    assert outcome.metrics["accuracy@stop_word_filter"] >= outcome.metrics["accuracy"]


def test_a_stop_word_itself_is_wrong_under_the_filter_and_counts_for_no_perplexity(
    session: Session,
) -> None:
    outcome = last_word.evaluate(session, task_of(["nobody has seen the"]))
    assert outcome.columns["num_units@stop_word_filter"] == [0]
    assert outcome.metrics["accuracy@stop_word_filter"] == 0
    assert "perplexity@stop_word_filter" not in outcome.metrics
    assert outcome.protocol["stop_words_left_out_of_filtered_perplexity"] == 1


def test_the_words_that_the_model_would_say_are_right(session: Session) -> None:
    passages = []
    for context in english_passages(40):
        tokens = [session.start, *session.tokenizer.encode(context)]
        first = greedy(session, tokens[-CONTEXT:], 1)
        word = session.tokenizer.decode(first)
        if word.startswith(" ") and word.strip() and session.tokenizer.encode(word) == first:
            passages.append(f"{context}{word}")
    assert passages
    assert last_word.evaluate(session, task_of(passages)).metrics["accuracy"] == 1.0
