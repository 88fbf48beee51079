"""Ends of answers, what hangs together, and what is no result: each recomputed in plain Python."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.evaluate.answers import exact_match, f1
from pipeline.evaluate.clusters import cluster
from pipeline.evaluate.continuation import Continuation, first_line
from pipeline.evaluate.departures import departures
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session
from pipeline.shared.formats.examples import Example
from pipeline.shared.scores.bootstrap import draw_sums, sum_by_cluster
from pipeline.shared.scores.confidence import by_confidence, calibration, surest


def line_of(session: Session, *tokens: int) -> tuple[str, float, bool]:
    """The first line of these tokens, which have the probabilities 1/2, 1/4, 1/8 and so on."""
    halves = [-(n + 1) * math.log(2) for n in range(len(tokens))]
    text, log_probability, ended = first_line(session, Continuation(list(tokens), halves))
    return text, math.exp(log_probability), ended


def test_an_empty_answer_is_as_probable_as_its_end(session: Session) -> None:
    newline = session.tokenizer.ranks[b"\n"]
    assert line_of(session, newline, newline) == ("", pytest.approx(1 / 2), True)
    assert line_of(session, session.start) == ("", pytest.approx(1 / 2), True)


def test_the_end_belongs_to_an_answer_and_a_cut_answer_has_none(session: Session) -> None:
    word, newline = session.tokenizer.ranks[b"e"], session.tokenizer.ranks[b"\n"]
    assert line_of(session, word, newline, word) == ("e", pytest.approx(1 / 8), True)
    assert line_of(session, word, session.start) == ("e", pytest.approx(1 / 8), True)
    assert line_of(session, word, word) == ("ee", pytest.approx(1 / 8), False)


def test_a_token_with_text_before_its_newline_counts_once_for_both(session: Session) -> None:
    ranks = session.tokenizer.ranks
    more = {**ranks, b".\n\nA": len(ranks)}
    other = replace(session, tokenizer=replace(session.tokenizer, ranks=more))
    found = line_of(other, ranks[b"e"], more[b".\n\nA"], ranks[b"e"])
    assert found == ("e.", pytest.approx(1 / 8), True)
    assert more[b".\n\nA"] in other.line_ends


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("Beyonc\u00e9", "Beyonce\u0301", 1),  # one accent, in two forms of Unicode
        ("Beyonce", "Beyonc\u00e9", 0),
        ("\u00c9douard  Manet.", "e\u0301douard manet", 1),
        ("the \u00e1 x", "\u0301 x", 1),  # the script takes the letter of `a` for an article
        ("a\u2019b", "ab", 0),  # of punctuation, ASCII's alone goes
        ("\u212b", "\u00c5", 1),
        ("\ufb01ne", "fine", 0),  # not a form of it, but compatible
    ],
)
def test_an_answer_is_compared_as_nq_opens_own_script_does(
    answer: str, reference: str, right: int
) -> None:
    assert exact_match(answer, ["other", reference]) == right
    assert official_nq(answer, reference) == bool(right)


def official_nq(answer: str, reference: str) -> bool:
    """NQ-open's steps, one by one: NFD, lower case, punctuation, articles, white space."""
    both = []
    for text in (answer, reference):
        lower = unicodedata.normalize("NFD", text).lower()
        letters = "".join(letter for letter in lower if letter not in string.punctuation)
        both.append(re.sub(r"\b(?:an?|the)\b", " ", letters).split())
    return both[0] == both[1]


def test_squads_own_script_leaves_unicode_as_it_is() -> None:
    assert f1("Beyonc\u00e9", "beyonc\u00e9!") == 1.0
    assert f1("Beyonc\u00e9", "Beyonce\u0301") == 0.0


def test_examples_that_hang_together_are_drawn_together() -> None:
    scores = np.array([[1.0, 1], [0, 1], [1, 1], [1, 1], [0, 1], [0, 1], [1, 1]])
    stories = [0, 0, 1, 1, 1, 2, 3]
    sums = draw_sums(sum_by_cluster(scores, stories), samples=300, seed=7)
    # The same draws in plain Python: how often each story was drawn, times what it adds up to.
    members = defaultdict(list)
    for story, row in zip(stories, scores.tolist(), strict=True):
        members[story].append(row)
    generator = np.random.default_rng(7)
    drawn = [t for n in (64, 64, 64, 64, 44) for t in generator.multinomial(4, [0.25] * 4, n)]
    for times, (right, count) in zip(drawn, sums, strict=True):
        assert right == sum(t * sum(r for r, _ in members[s]) for s, t in enumerate(times))
        assert count == sum(t * len(members[s]) for s, t in enumerate(times))


def test_stories_of_equal_answers_have_a_wider_interval_than_their_questions(
    session: Session,
) -> None:
    examples = [
        Example(id=f"story{story}:{turn}", text="") for story in range(20) for turn in range(10)
    ]
    scores = [float(example.id.partition(":")[0][-1] in "02468") for example in examples]
    widths = []
    for name in ("coqa", "natural_questions"):
        outcome = Outcome.of(session, Task(EVAL_SETS[name], examples), examples)
        outcome.add_mean("f1", scores)
        low, high = outcome.intervals["f1"]
        widths.append(high - low)
    assert widths[0] > 2.5 * widths[1]  # sqrt(10) times, by theory


def test_one_story_has_no_interval_and_neither_has_a_score_without_spread(
    session: Session,
) -> None:
    examples = [Example(id=f"story:{turn}", text="") for turn in range(5)]
    outcome = Outcome.of(session, Task(EVAL_SETS["coqa"], examples), examples)
    outcome.add_mean("f1", [0.0, 1.0, 0.5, 0.0, 0.0])
    assert outcome.metrics == {"f1": 0.3} and outcome.intervals == {}
    same = Outcome(session, ["0", "1", "2"])
    same.add_mean("accuracy", [0, 0, 0])
    assert same.metrics == {"accuracy": 0.0} and same.intervals == {}


def test_what_hangs_together_follows_from_the_examples() -> None:
    def numbers(together: str, *examples: Example) -> list[int]:
        return cluster(examples, together).numbers  # type: ignore[arg-type]

    texts = ["a\nb\nc", "b\nc\nd", "c\nd\ne", "x\ny\nz", "y\nz\na"]
    assert numbers("passages", *(Example(id=t, text=t) for t in texts)) == [0, 0, 0, 1, 1]
    twins = [Example(id=str(n), text="", context=c) for n, c in enumerate("aabbcc")]
    assert numbers("twins", *twins) == [0, 0, 1, 1, 2, 2]
    blocks = [Example(id=str(n), text="") for n in range(27)]
    assert numbers("neighbours", *blocks) == [n // 3 for n in range(27)]
    assert "runs of 3 neighbours" in cluster(blocks, "neighbours").what
    assert numbers("each", *blocks) == list(range(27))


def test_metrics_without_signal_are_left_out_with_their_reason(session: Session) -> None:
    outcome = Outcome(session, ["0", "1"])
    outcome.add_mean("f1", [0.0, 0.0])
    outcome.drop_without_signal(["f1"], ["", ""])
    assert outcome.metrics == {} and outcome.no_signal == {"f1": "every answer is empty"}
    told = Outcome(session, ["0", "1"])
    told.add_mean("f1", [0.0, 0.0])
    told.drop_without_signal(["f1"], ["one wrong answer", "another"])
    assert told.metrics == {"f1": 0.0} and told.no_signal == {}


def test_an_empty_answer_is_never_among_the_surest_and_overlap_agrees() -> None:
    confidences, answers = [0.9, 0.2, 0.8, 0.3], ["", "a", "", "b"]
    assert by_confidence(confidences, answers) == [3, 1, 0, 2]
    generator = np.random.default_rng(3)
    frame = pd.DataFrame({
        "confidence": generator.random(250),
        "correct": generator.integers(0, 2, 250),
        "answer": generator.choice(["", "a", "b"], 250),
    })
    said = [row for row in frame.itertuples() if row.answer]
    top = sorted(said, key=lambda row: -row.confidence)[:3]  # 1 % of 250, rounded up
    assert surest(frame["confidence"].tolist(), frame["answer"].tolist()) == [r.Index for r in top]


def test_calibration_is_accuracy_by_equal_buckets_of_confidence() -> None:
    generator = np.random.default_rng(5)
    sure, right = generator.random(57).tolist(), generator.integers(0, 2, 57).tolist()
    answers = ["" if n % 10 == 0 else "said" for n in range(57)]
    table = calibration(sure, right, answers)
    kept = sorted((s, r) for s, r, a in zip(sure, right, answers, strict=True) if a)
    assert table["num_answers"].tolist() == [6, *[5] * 9]
    assert table["num_answers"].sum() == len(kept) == 51
    place = 0
    for row in table.itertuples():
        bucket = kept[place : place + row.num_answers]
        place += row.num_answers
        accuracy = sum(r for _, r in bucket) / len(bucket)
        assert row.accuracy == pytest.approx(accuracy)
        assert row.mean_confidence == pytest.approx(sum(s for s, _ in bucket) / len(bucket))
        assert (row.confidence_low, row.confidence_high) == (bucket[0][0], bucket[-1][0])
        # Wilson's ends are where the score test's statistic is 1.96.
        for end in (row.accuracy_low, row.accuracy_high):
            if 0 < end < 1:
                z = (accuracy - end) / math.sqrt(end * (1 - end) / len(bucket))
                assert abs(z) == pytest.approx(1.959964, rel=1e-6)
    assert calibration([0.1] * 4, [1] * 4, ["said"] * 4).empty


def test_what_is_not_the_papers_is_said_in_words(session: Session) -> None:
    found = departures(session, EVAL_SETS["wikitext2"], scored=5, prepared=5)
    assert found == [f"a context of {session.context} tokens (the paper: 1,024)"]
    found = departures(session, EVAL_SETS["cnn_dm"], scored=64, prepared=200)
    assert "32 new tokens (the paper: 100)" in found
    assert found[-1] == "texts for 64 of 200 examples"
    params = session.params.model_copy(update={"strides": [16]})
    moved = departures(replace(session, params=params), EVAL_SETS["ptb"], scored=5, prepared=5)
    assert moved[-1] == "a window that moves by 16 tokens (the paper does not tell)"
    params = session.params.model_copy(update={"figure4_stride": 16})
    moved = departures(
        replace(session, params=params), EVAL_SETS["webtext_test"], scored=5, prepared=5
    )
    assert moved[-1] == "a window that moves by 16 tokens (the paper does not tell)"
