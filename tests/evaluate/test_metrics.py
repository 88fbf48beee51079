"""Metrics and intervals on examples worked by hand, and against the field's libraries."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate.answers import conversation_f1, exact_match, f1, normalise
from pipeline.evaluate.continuation import sentences
from pipeline.evaluate.outcome import CannotRun, Outcome
from pipeline.evaluate.running_text import count_units
from pipeline.evaluate.session import Session
from pipeline.evaluate.summary import _add, _scorer
from pipeline.evaluate.translation import _sacrebleu
from pipeline.shared.formats.examples import Example
from pipeline.shared.scores.bleu import bleu, bleu_counts
from pipeline.shared.scores.bootstrap import draw_sums, interval
from pipeline.shared.scores.metrics import bits_per_unit, mean, perplexity

WORDS = ["the", "a", "Tiber", "tiber,", "white", "cat", "no", "Yes!", "1,000", "-"]


def test_perplexity_divides_all_losses_by_all_units_before_the_exponential() -> None:
    # two examples of 2 and 6 nats over 1 and 3 words: exp(8 / 4), not the mean of exp(2), exp(2)
    assert perplexity(np.array([[2.0 + 6.0, 1 + 3]]))[0] == pytest.approx(math.e**2)
    assert perplexity(np.array([[1.0 + 9.0, 1 + 4]]))[0] == pytest.approx(math.e**2)


def test_bits_are_nats_over_ln_2() -> None:
    assert bits_per_unit(np.array([[math.log(2) * 12, 4.0]]))[0] == pytest.approx(3.0)


def test_words_are_counted_with_the_end_of_each_line() -> None:
    assert count_units(" a b \n \n = c = \n", "word") == 2 + 1 + 1 + 3 + 1
    assert count_units("é\n", "byte") == 3
    assert count_units("é\n", "character") == 2


def test_normalisation_drops_case_articles_punctuation_and_spaces() -> None:
    assert normalise("The  U.S. Army's  (an) A!") == "us armys"


@pytest.mark.parametrize(
    ("answer", "references", "score"),
    [
        ("the Tiber.", ["Tiber", "Rome"], 1),
        ("Tiber river", ["Tiber"], 0),
        ("14 December 1972 UTC", ["14 december 1972 utc"], 1),
        ("", ["the"], 1),
    ],
)
def test_exact_match(answer: str, references: list[str], score: int) -> None:
    assert exact_match(answer, references) == score


def test_f1_counts_shared_words_with_repetition() -> None:
    assert f1("the white cat", "a white white cat") == pytest.approx(2 * 2 / (2 + 3))
    assert f1("dog", "cat") == 0
    assert f1("the", "") == 1  # both normalise to nothing
    assert f1("", "cat") == 0


def test_conversation_f1_leaves_each_reference_out_in_turn() -> None:
    # F1 with the three references: 1, 0, 2/3. Left out in turn, the best are 2/3, 1 and 1.
    references = ["white cat", "dog", "a white"]
    assert conversation_f1("white cat", references) == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert conversation_f1("white cat", ["cat"]) == pytest.approx(2 / 3)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join), min_size=3, max_size=6))
def test_conversation_f1_is_squads_best_f1_over_the_references_left(answers: list[str]) -> None:
    from torchmetrics.functional.text import squad

    answer, *references = answers
    prediction = [{"id": "0", "prediction_text": answer}]
    best = []
    for n in range(len(references)):
        left = references[:n] + references[n + 1 :]
        target = [{"id": "0", "answers": {"text": left, "answer_start": [0] * len(left)}}]
        best.append(float(squad(prediction, target)["f1"]) / 100)
    assert conversation_f1(answer, references) == pytest.approx(sum(best) / len(best), abs=1e-6)


SENTENCES = [
    (
        "The quick brown fox jumps over the lazy dog.",
        "The fast brown fox jumped over the lazy dog.",
    ),
    ("Bonjour, le monde est grand.", "Bonjour, le monde est petit !"),
    ("", "Rien."),
    ("un", "un deux trois quatre cinq six"),
]


@settings(deadline=None)
@given(picks=st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=6))
def test_bleu_is_sacrebleus_corpus_score(picks: list[tuple[str, str]]) -> None:
    from sacrebleu.metrics.bleu import BLEU

    translations, references = [pair[0] for pair in picks], [pair[1] for pair in picks]
    sums = bleu_counts(_sacrebleu(), translations, references).sum(axis=0, keepdims=True)
    expected = BLEU().corpus_score(translations, [references]).score
    assert bleu(sums)[0] == pytest.approx(expected, abs=1e-9)


def test_rouge_of_a_case_worked_by_hand(session: Session) -> None:
    outcome = Outcome(session, ["0"])
    example = Example(id="0", text="", references=["the cat sat\non the mat"])
    _add(outcome, "", _scorer(), [["the cat ran", "on the mat"]], [example])
    # 5 of 6 words; pairs: the-cat, on-the, the-mat of 5 (mat-on crosses a line but counts: 0)
    assert outcome.metrics["rouge_1"] == pytest.approx(5 / 6)
    assert outcome.metrics["rouge_2"] == pytest.approx(3 / 5)
    assert outcome.metrics["rouge_l"] == pytest.approx(5 / 6)
    assert outcome.metrics["rouge_average"] == pytest.approx((5 / 6 + 3 / 5 + 5 / 6) / 3)


@pytest.mark.parametrize(
    ("module", "make", "command"),
    [
        ("sacrebleu.metrics.bleu", _sacrebleu, "pip install -c constraints.txt sacrebleu"),
        ("rouge_score.rouge_scorer", _scorer, "pip install -c constraints.txt rouge-score"),
    ],
)
def test_a_missing_library_is_told_with_the_command_that_gets_it(
    monkeypatch: pytest.MonkeyPatch, module: str, make: object, command: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as import does where there is none
    assert callable(make)
    with pytest.raises(CannotRun, match=command):
        make()


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    scores = (np.arange(400) % 4 == 0).astype(float)
    columns = np.stack([scores, np.ones(400)], axis=1)
    low, high = interval(mean(draw_sums(columns, samples=4000, seed=1)))
    error = math.sqrt(0.25 * 0.75 / 400)
    assert low == pytest.approx(0.25 - 1.96 * error, abs=0.006)
    assert high == pytest.approx(0.25 + 1.96 * error, abs=0.006)


def test_the_same_seed_draws_the_same_examples() -> None:
    columns = np.random.default_rng(0).random((30, 2)) + 1
    first = draw_sums(columns, samples=100, seed=3)
    assert np.array_equal(first, draw_sums(columns, samples=100, seed=3))
    assert not np.array_equal(first, draw_sums(columns, samples=100, seed=4))


def test_a_perplexity_of_nothing_is_no_number_and_none_is_infinite() -> None:
    value = perplexity(np.array([[0.0, 0.0], [5000.0, 2.0]]))
    assert math.isnan(value[0])
    assert value[1] == pytest.approx(math.exp(700))
    assert interval(np.array([1.0, np.nan, 3.0])) == pytest.approx((1.05, 2.95))


def test_sentences_end_at_marks_before_a_space_and_at_newlines() -> None:
    text = 'First one. "Second?" he asked! Version 2.5 is third\nFourth.'
    expected = ["First one.", '"Second?"', "he asked!", "Version 2.5 is third", "Fourth."]
    assert sentences(text) == expected
