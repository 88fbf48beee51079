"""GPT-2 against `transformers`, against the published counts, and against itself in pieces."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models import head_loss
from models.checkpoints import load_pretrained, save_pretrained
from models.compute import num_non_embedding_parameters, num_parameters
from models.gpt2 import GPT2, GPT2Config, ResidualInit, empty_model
from models.kv_cache import KVCache

TINY = GPT2Config(vocab_size=101, n_positions=32, n_embd=24, n_layer=3, n_head=3)

# Shapes of the paper's Table 2; heads as in the released hparams.json.
RELEASED = {
    124_439_808: GPT2Config(50_257, 1024, 768, 12, 12),
    354_823_168: GPT2Config(50_257, 1024, 1024, 24, 16),
    774_030_080: GPT2Config(50_257, 1024, 1280, 36, 20),
    1_557_611_200: GPT2Config(50_257, 1024, 1600, 48, 25),
}


def make_model(config: GPT2Config = TINY, seed: int = 0, init: ResidualInit = "none") -> GPT2:
    model = empty_model(config)
    model.initialise(torch.Generator().manual_seed(seed), init)
    return model.eval()


def random_tokens(config: GPT2Config, batch: int, length: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(config.vocab_size, (batch, length), generator=generator)


@pytest.mark.parametrize(("count", "config"), RELEASED.items())
def test_released_shapes_have_the_published_parameter_counts(
    count: int, config: GPT2Config
) -> None:
    assert num_parameters(config) == count


def test_non_embedding_parameters_are_those_of_the_scaling_laws() -> None:
    counts = [num_non_embedding_parameters(config) for config in RELEASED.values()]
    assert counts == [85_056_000, 302_311_424, 708_390_400, 1_475_561_600]


@pytest.mark.parametrize("released", RELEASED.values(), ids=lambda config: str(config.n_embd))
def test_logits_agree_with_transformers_at_each_released_width(
    released: GPT2Config, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    config = dataclasses.replace(released, vocab_size=257, n_positions=64, n_layer=2)
    model = make_model(config)
    save_pretrained(model, tmp_path)
    peer = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokens_BT = random_tokens(config, 2, 48)
    with torch.no_grad():
        expected = peer(tokens_BT).logits
        whole = model.logits(model(tokens_BT))
        cache = KVCache(config.cache_shape, 2, 48)
        pieces = [model.logits(model(part, cache)) for part in tokens_BT.split([20, 1, 7, 20], 1)]
    assert (whole - expected).abs().max() < 1e-4
    assert (torch.cat(pieces, 1) - expected).abs().max() < 1e-4


def test_the_states_of_wanted_positions_are_those_of_a_whole_pass() -> None:
    model, tokens_BT = make_model(), random_tokens(TINY, 3, 20)
    wanted_BT = torch.rand(3, 20, generator=torch.Generator().manual_seed(2)) < 0.3
    caches = [KVCache(TINY.cache_shape, 3, 20) for _ in range(2)]
    with torch.no_grad():
        whole_BTD = model(tokens_BT, caches[0])
        for cache in (None, caches[1]):
            wanted_WD = model(tokens_BT, cache, wanted_BT=wanted_BT)
            assert (wanted_WD - whole_BTD[wanted_BT]).abs().max() < 1e-5
    assert 0 < wanted_WD.shape[0] < 60
    assert torch.equal(caches[0].keys_LBHSK, caches[1].keys_LBHSK)


def test_a_folder_written_by_transformers_loads_with_the_same_logits(tmp_path: Path) -> None:
    from transformers import GPT2Config as PeerConfig
    from transformers import GPT2LMHeadModel

    torch.manual_seed(3)
    peer = GPT2LMHeadModel(
        PeerConfig(vocab_size=101, n_positions=32, n_embd=24, n_layer=2, n_head=2)
    ).eval()
    peer.save_pretrained(tmp_path)
    model = load_pretrained(tmp_path)
    tokens_BT = random_tokens(model.config, 3, 32)
    with torch.no_grad():
        assert torch.allclose(model.logits(model(tokens_BT)), peer(tokens_BT).logits, atol=1e-5)


def test_saved_weights_come_back_bit_for_bit(tmp_path: Path) -> None:
    model = make_model()
    save_pretrained(model, tmp_path)
    for name, tensor in load_pretrained(tmp_path).state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_cached_sequences_of_different_lengths_read_on_as_if_alone() -> None:
    model = make_model()
    tokens_BT = random_tokens(TINY, 3, 20)
    lengths = [3, 12, 7]
    cache = KVCache(TINY.cache_shape, 3, 20)
    with torch.no_grad():
        model(tokens_BT[:, :12], cache)
        cache.truncate(lengths)
        new_BT = random_tokens(TINY, 3, 5, seed=2)
        together = model(new_BT, cache)
        for row, length in enumerate(lengths):
            alone = model(torch.cat([tokens_BT[row, :length], new_BT[row]])[None])
            assert torch.allclose(together[row], alone[0, -5:], atol=1e-5)


def test_more_tokens_than_positions_are_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match="33 tokens exceed the model's n_positions = 32"):
        make_model()(random_tokens(TINY, 1, 33))


@pytest.mark.parametrize("vocab_size", [101, 128])
def test_chunked_head_gives_the_loss_and_gradients_of_plain_cross_entropy(
    vocab_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.head_loss._CHUNK_CPU", {torch.float32: 5})
    monkeypatch.setattr("models.head_loss._BLOCK_SCORES_CPU", 2 * 128)
    model = make_model(dataclasses.replace(TINY, vocab_size=vocab_size))
    tokens_BT, targets_BT = random_tokens(TINY, 2, 16), random_tokens(TINY, 2, 16, seed=2)
    plain = F.cross_entropy(model.logits(model(tokens_BT)).flatten(0, 1), targets_BT.flatten())
    plain.backward()  # type: ignore[no-untyped-call]
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    loss = model.mean_loss(tokens_BT, targets_BT)
    (2.0 * loss).backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(loss, plain, atol=1e-6)
    assert torch.allclose(model.token_losses(tokens_BT, targets_BT).mean(), plain, atol=1e-6)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, 2.0 * expected[name], atol=1e-6), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own, as it compiles
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_form_that_compiles_into_one_pass_is_the_same_sum(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.head_loss._BLOCK_SCORES_CPU", 3 * 128)
    scores_CP = (5 * torch.randn(7, 128, generator=torch.Generator().manual_seed(1))).to(dtype)
    targets_C1 = torch.tensor([[0], [5], [100], [100], [7], [8], [9]])
    expected_CP = scores_CP.clone()
    expected = head_loss._differentiate(expected_CP, targets_C1, 101)
    for form in (head_loss._differentiate_in_one_pass, head_loss._differentiate_fused()):
        gradients_CP = scores_CP.clone()
        assert torch.allclose(form(gradients_CP, targets_C1, 101), expected, rtol=1e-6)
        atol = 1e-6 if dtype == torch.float32 else 2**-8
        assert torch.allclose(gradients_CP, expected_CP, atol=atol)
        assert not gradients_CP[:, 101:].any()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own, as it compiles
def test_compiled_parts_give_the_same_loss_and_gradients() -> None:
    plain, compiled = make_model().train(), make_model().train()
    compiled.compile_parts()
    tokens_BT, targets_BT = random_tokens(TINY, 2, 16), random_tokens(TINY, 2, 16, seed=2)
    losses = [model.mean_loss(tokens_BT, targets_BT) for model in (plain, compiled)]
    assert torch.allclose(*losses, rtol=1e-6)
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
    assert list(plain.state_dict()) == list(compiled.state_dict())
    for (name, one), other in zip(plain.named_parameters(), compiled.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-6), name


@pytest.mark.parametrize(("num_positions", "rows"), [(32_768, 8192), (12_288, 6144), (1000, 1000)])
def test_a_gpu_reads_the_head_in_few_chunks_of_one_size(num_positions: int, rows: int) -> None:
    hidden_ND = torch.empty(num_positions, 8, device="meta")
    padded_PD = torch.empty(50_304, 8, device="meta")
    chunks = list(head_loss._scores_by_chunk(hidden_ND, padded_PD))
    assert [len(scores_CP) for _, scores_CP in chunks] == [rows] * (num_positions // rows)
    assert [place.start for place, _ in chunks] == list(range(0, num_positions, rows))


def test_token_losses_are_in_nats_and_ignore_what_they_are_told_to() -> None:
    model = make_model()
    tokens_BT, targets_BT = random_tokens(TINY, 2, 16), random_tokens(TINY, 2, 16, seed=2)
    targets_BT[0, :10] = -100
    losses_BT = model.token_losses(tokens_BT, targets_BT)
    with torch.no_grad():
        scores = model.logits(model(tokens_BT)).transpose(1, 2)
    expected = F.cross_entropy(scores, targets_BT, reduction="none")
    assert torch.allclose(losses_BT, expected, atol=1e-5)
    assert losses_BT[0, :10].tolist() == [0.0] * 10


def test_head_loss_in_autocast_is_close_to_float32_and_returns_float32() -> None:
    model = make_model()
    tokens_BT, targets_BT = random_tokens(TINY, 2, 16), random_tokens(TINY, 2, 16, seed=2)
    exact = model.mean_loss(tokens_BT, targets_BT)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.mean_loss(tokens_BT, targets_BT)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.dtype == torch.float32
    assert abs(loss.item() - exact.item()) < 0.02
    assert model.wte.weight.grad is not None


@pytest.mark.parametrize(("init", "divisor"), [("layers", 12), ("twice_layers", 24), ("none", 1)])
def test_initialisation_has_the_released_spreads(init: ResidualInit, divisor: int) -> None:
    model = make_model(GPT2Config(2000, 512, 192, 12, 3), init=init)
    weights = dict(model.named_parameters())
    spreads = {"wte.weight": 0.02, "wpe.weight": 0.01, "h.3.attn.c_attn.weight": 0.02}
    spreads["h.5.mlp.c_proj.weight"] = 0.02 / math.sqrt(divisor)
    spreads["h.5.attn.c_proj.weight"] = 0.02 / math.sqrt(divisor)
    for name, spread in spreads.items():
        assert weights[name].std().item() == pytest.approx(spread, rel=0.02), name
    assert not weights["h.0.mlp.c_fc.bias"].any()
    assert weights["ln_f.weight"].eq(1).all()
    assert weights["h.1.ln_2.weight"].eq(1).all()


def test_the_same_generator_gives_the_same_weights_and_another_does_not() -> None:
    first, second, other = (make_model(seed=seed).wte.weight for seed in (4, 4, 5))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_dropout_acts_in_training_only() -> None:
    model = make_model(dataclasses.replace(TINY, dropout=0.5))
    tokens_BT = random_tokens(TINY, 1, 8)
    assert torch.equal(model(tokens_BT), model(tokens_BT))
    model.train()
    assert not torch.equal(model(tokens_BT), model(tokens_BT))
