"""Generation against transformers and against itself in other company."""

from __future__ import annotations

import pytest
import torch

from models.generation import generate
from models.gpt2 import GPT2, GPT2Config

CONFIG = GPT2Config(vocab_size=97, n_positions=48, n_embd=32, n_layer=2, n_head=4)
PROMPTS = [[96, 5, 7], [96, 1], [96, 3, 3, 8, 20, 41, 2], [96]]


@pytest.fixture(scope="module")
def model() -> GPT2:
    model = GPT2(CONFIG)
    model.initialise(torch.Generator().manual_seed(3), "twice_layers")
    with torch.no_grad():  # sharper than 0.02, so that no two tokens tie
        for parameter in model.parameters():
            parameter.mul_(8.0)
    return model.eval()


def _slowly(model: GPT2, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """Greedy generation that reads everything anew for each token."""
    tokens, scores = list(prompt), []
    for _ in range(count):
        with torch.inference_mode():
            logits = model.logits(model(torch.tensor([tokens])))[0, -1]
        tokens.append(int(logits.argmax()))
        scores.append(float(logits.log_softmax(0).max()))
    return tokens[len(prompt) :], scores


def test_greedy_generation_equals_reading_everything_anew_for_each_token(model: GPT2) -> None:
    for prompt, generated in zip(PROMPTS, generate(model, PROMPTS, max_new_tokens=12), strict=True):
        tokens, scores = _slowly(model, prompt, 12)
        assert generated.tokens == tokens
        assert generated.log_probabilities == pytest.approx(scores, abs=1e-4)


@pytest.mark.parametrize("top_k", [1, 5])
def test_a_prompt_is_continued_alike_alone_and_in_company(model: GPT2, top_k: int) -> None:
    together = generate(model, PROMPTS, max_new_tokens=16, top_k=top_k, seed=11)
    alone = [generate(model, [p], max_new_tokens=16, top_k=top_k, seed=11)[0] for p in PROMPTS]
    assert [g.tokens for g in together] == [g.tokens for g in alone]


def test_another_seed_draws_other_tokens_and_the_same_seed_the_same(model: GPT2) -> None:
    first, again, other = (
        [g.tokens for g in generate(model, PROMPTS, max_new_tokens=24, top_k=40, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_top_k_draws_only_among_the_likeliest_tokens(model: GPT2) -> None:
    logits = model.logits(model(torch.tensor([[96]])))[0, -1]
    likeliest = set(logits.topk(2).indices.tolist())
    drawn = {
        generate(model, [[96]], max_new_tokens=1, top_k=2, seed=seed)[0].tokens[0]
        for seed in range(30)
    }
    assert drawn == likeliest


def test_a_sequence_ends_with_its_stop_token_and_the_others_go_on(model: GPT2) -> None:
    free = generate(model, PROMPTS, max_new_tokens=12)
    stop = free[0].tokens[3]
    stopped = generate(model, PROMPTS, max_new_tokens=12, stop_tokens={stop})
    for unstopped, generated in zip(free, stopped, strict=True):
        end = unstopped.tokens.index(stop) + 1 if stop in unstopped.tokens else 12
        assert generated.tokens == unstopped.tokens[:end]


def test_sampling_without_a_seed_is_refused(model: GPT2) -> None:
    with pytest.raises(ValueError, match="needs a seed"):
        generate(model, PROMPTS, max_new_tokens=1, top_k=2)


def test_more_tokens_than_positions_are_refused(model: GPT2) -> None:
    with pytest.raises(ValueError, match="exceed the model's n_positions = 48"):
        generate(model, [[96] * 40], max_new_tokens=20)
