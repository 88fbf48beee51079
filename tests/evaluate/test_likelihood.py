"""Likelihoods against slow references, `transformers`, and other batch sizes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_documents import english_passages
from scored_study import CONTEXT, Study
from slow_reference import losses, sliding_losses

from pipeline.evaluate.likelihood import Choices, Scored, guess, pack, score, score_choices
from pipeline.evaluate.session import Session
from pipeline.evaluate.windows import plan_windows, score_text, score_texts

NEAR = {"rtol": 2e-5, "atol": 2e-5}


def random_tokens(count: int, seed: int, vocab: int = 500) -> list[int]:
    return np.random.default_rng(seed).integers(vocab, size=count).tolist()


def test_scores_agree_with_one_forward_pass_a_token(session: Session) -> None:
    sequences = [
        Scored(random_tokens(n, n), scored)
        for n, scored in [(5, 1), (20, 19), (CONTEXT + 1, 7), (2, 1), (20, 3)]
    ]
    for sequence, found in zip(sequences, score(session, sequences), strict=True):
        cut = len(sequence.tokens) - sequence.num_scored
        wanted = losses(session, list(sequence.tokens[:cut]), list(sequence.tokens[cut:]))
        np.testing.assert_allclose(found, wanted, **NEAR)


@pytest.mark.parametrize("stride", [CONTEXT, 16, 1])
@pytest.mark.parametrize("length", [1, CONTEXT, 2 * CONTEXT + 5])
def test_the_sliding_window_agrees_with_the_slow_one(
    session: Session, stride: int, length: int
) -> None:
    tokens = random_tokens(length, 3)
    found = score_text(session, tokens, stride=stride)
    np.testing.assert_allclose(found, sliding_losses(session, tokens, stride), **NEAR)


@settings(deadline=None)
@given(num=st.integers(0, 300), window=st.integers(1, 60), stride=st.integers(1, 60))
def test_every_token_is_scored_once_with_enough_before_it(
    num: int, window: int, stride: int
) -> None:
    stride = min(stride, window)
    scored: list[int] = []
    for plan in plan_windows(num, window=window, stride=stride):
        assert plan.end - plan.start <= window
        new = list(range(plan.end - plan.num_scored + 1, plan.end + 1))
        if plan.start:
            assert all(token - plan.start >= window - stride + 1 for token in new)
        scored += new
    assert scored == list(range(1, num + 1))


def test_texts_do_not_see_one_another(session: Session) -> None:
    texts = [random_tokens(60, 1), [], random_tokens(9, 2)]
    together = score_texts(session, texts, stride=CONTEXT)
    for text, found in zip(texts, together, strict=True):
        np.testing.assert_allclose(found, score_text(session, text, stride=CONTEXT), **NEAR)


def test_choices_agree_with_one_forward_pass_a_token(session: Session) -> None:
    questions = [
        Choices(random_tokens(prefix, prefix), [random_tokens(n, n + 90) for n in ends])
        for prefix, ends in [(1, [3, 1]), (30, [5, 2, 9]), (1, [4]), (40, [9, 9]), (17, [1])]
    ]
    for question, found in zip(questions, score_choices(session, questions), strict=True):
        for tokens, ours in zip(question.continuations, found, strict=True):
            wanted = losses(session, list(question.prefix), list(tokens))
            np.testing.assert_allclose(ours, wanted, **NEAR)


def test_guesses_are_the_most_probable_tokens(session: Session) -> None:
    sequences = [Scored(random_tokens(n, n), 2) for n in (5, 30, 11)]
    unfiltered = guess(session, sequences, forbidden=[])
    firsts = [int(g.best[0]) for g in unfiltered]
    assert [g.allowed.best.tolist() for g in unfiltered] == [g.best.tolist() for g in unfiltered]
    filtered = guess(session, sequences, forbidden=firsts)
    for sequence, plain, other in zip(sequences, unfiltered, filtered, strict=True):
        hidden = session.model(torch.tensor([sequence.tokens[:-1]]))
        logits = session.model.logits(hidden)[0].detach()
        assert plain.best.tolist() == logits[-2:].argmax(dim=-1).tolist()
        kept = logits[-2, sequence.tokens[-2]].clone()
        logits[:, firsts] = -torch.inf
        logits[-2, sequence.tokens[-2]] = kept  # more follows
        assert other.allowed.best.tolist() == logits[-2:].argmax(dim=-1).tolist()
        allowed = -logits[-2:].log_softmax(dim=-1)[range(2), list(sequence.tokens[-2:])]
        np.testing.assert_allclose(other.allowed.losses, allowed, **NEAR)
        np.testing.assert_allclose(plain.losses, score(session, [sequence])[0], **NEAR)


def test_no_score_depends_on_the_size_of_batches(session: Session, one_by_one: Session) -> None:
    huge = replace(session, params=session.params.model_copy(update={"batch_tokens": 10**6}))
    tokens = random_tokens(500, 8)
    sequences = [Scored(random_tokens(n, n), min(3, n - 1)) for n in range(2, CONTEXT)]
    questions = [
        Choices(random_tokens(n, n), [random_tokens(5, n + 70), random_tokens(2, n + 71)])
        for n in range(1, 44)
    ]
    for other in (one_by_one, huge):
        for ours, theirs in zip(score(session, sequences), score(other, sequences), strict=True):
            np.testing.assert_allclose(ours, theirs, **NEAR)
        np.testing.assert_allclose(
            score_text(session, tokens, stride=16), score_text(other, tokens, stride=16), **NEAR
        )
        pairs = zip(score_choices(session, questions), score_choices(other, questions), strict=True)
        for ours, theirs in pairs:
            np.testing.assert_allclose(np.concatenate(ours), np.concatenate(theirs), **NEAR)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 50), max_size=40), batch_tokens=st.integers(1, 200))
def test_batches_hold_everything_once_and_fit(lengths: list[int], batch_tokens: int) -> None:
    batches = list(pack(lengths, batch_tokens))
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        width = max(lengths[row] for row in rows)
        assert len(rows) == 1 or len(rows) * width <= batch_tokens


@pytest.mark.parametrize("stride", [CONTEXT, 16])
def test_perplexity_agrees_with_the_recipe_of_transformers(
    study: Study, session: Session, stride: int
) -> None:
    """The recipe of its documentation, word for word: windows of n_positions, -100 elsewhere.

    A window of the recipe counts its targets among its tokens: below a stride of the whole
    context it is ours of one token less, and at that stride it leaves out each window's first.
    """
    import transformers

    model = transformers.GPT2LMHeadModel.from_pretrained(study.model).eval()
    text = session.tokenizer.encode(" ".join(english_passages(4, words=60)))
    tokens = torch.tensor([[session.start, *text]])
    theirs, counted, end_before = 0.0, 0, 0
    for begin in range(0, tokens.shape[1], stride):
        end = min(begin + CONTEXT, tokens.shape[1])
        inputs = tokens[:, begin:end]
        targets = inputs.clone()
        targets[:, : -(end - end_before)] = -100
        with torch.no_grad():
            loss = model(inputs, labels=targets).loss
        num = int((targets[:, 1:] != -100).sum())
        theirs, counted, end_before = theirs + float(loss) * num, counted + num, end
        if end == tokens.shape[1]:
            break
    whole = [session.start, *text]
    window = CONTEXT if stride == CONTEXT else CONTEXT - 1
    plans = list(plan_windows(len(text), window=window, stride=stride))
    ours = score(session, [Scored(whole[p.start : p.end + 1], p.num_scored) for p in plans])
    if stride == CONTEXT:
        ours = [piece[:-1] if len(piece) == CONTEXT else piece for piece in ours]
    found = np.concatenate(ours)
    assert len(found) == counted
    assert np.exp(found.mean()) == pytest.approx(np.exp(theirs / counted), rel=1e-5)


def test_bfloat16_is_near_float32(session: Session) -> None:
    rounded = replace(session, params=session.params.model_copy(update={"precision": "bfloat16"}))
    sequences = [Scored(random_tokens(n, n), n - 1) for n in (10, 40)]
    questions = [Choices(random_tokens(20, 1), [random_tokens(5, 2), random_tokens(3, 4)])]
    for ours, theirs in zip(score(rounded, sequences), score(session, sequences), strict=True):
        assert ours.mean() == pytest.approx(theirs.mean(), rel=0.05)
        assert not np.array_equal(ours, theirs), "nothing was computed in bfloat16"
    pairs = zip(
        score_choices(rounded, questions)[0], score_choices(session, questions)[0], strict=True
    )
    for ours, theirs in pairs:
        assert ours.mean() == pytest.approx(theirs.mean(), rel=0.05)
