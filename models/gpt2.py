"""GPT-2, the whole architecture as released: config, blocks, initialisation.

What others who trained a GPT-2 set differently (`GPT2Config`, from `n_inner` on) is honoured too.

Vector names end in their shape: B sequences, T new tokens, S tokens in reach of attention (cached
and new), D width (n_embd), H heads, K width of a head, V vocabulary, N = B * T.

The embedding is exactly [V, D]; where a multiple of 64 is faster, the head pads it at the moment
of use (`models.head_loss`), so that no parameter, count or file ever shows the padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import cpu_attention
from models.head_loss import mean_loss, token_losses
from models.kv_cache import Branches, CacheShape, KVCache, Reading, begin_reading
from models.no_initialisation import NoInitialisation

ResidualInit = Literal["layers", "twice_layers", "none"]
Activation = Literal["gelu_tanh", "gelu", "relu", "silu"]

_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
}
_WEIGHT_STD = 0.02  # released code: `w_init_stdev=0.02`, `wte` 0.02
_POSITION_STD = 0.01  # released code: `wpe`


@dataclass(frozen=True)
class GPT2Config:
    """The shape of a GPT-2, in the names of its checkpoints."""

    vocab_size: int
    """Tokens, <|endoftext|> included (released: 50,257)."""
    n_positions: int
    """Most tokens in context (released: 1024)."""
    n_embd: int
    n_layer: int
    n_head: int
    dropout: float = 0.0
    """Probability after embeddings, attention weights and residual projections, in training."""
    n_inner: int | None = None
    """Width between an MLP's matrices; None is 4 n_embd, as released."""
    activation: Activation = "gelu_tanh"
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    """Divide the scores of attention by the root of a head's width."""
    scale_attn_by_inverse_layer_idx: bool = False
    """Divide them by the number of the layer, too, from 1."""
    tied: bool = True
    """The head is the token embedding; else it is a matrix of its own, `lm_head`."""

    @property
    def mlp_width(self) -> int:
        """Between an MLP's matrices."""
        return 4 * self.n_embd if self.n_inner is None else self.n_inner

    def __post_init__(self) -> None:
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd = {self.n_embd} is no multiple of n_head = {self.n_head}; change either"
            )

    @property
    def cache_shape(self) -> CacheShape:
        """What a `KVCache` needs to know."""
        return self.n_layer, self.n_head, self.n_embd // self.n_head


class Attention(nn.Module):
    """Causal multi-head self-attention, by torch's fused kernels."""

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.n_head, self.layer, self.dropout = config.n_head, layer, config.dropout
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)
        self.scale = _attention_scale(config, layer)

    def forward(self, x_BTD: Tensor, reading: Reading | None = None) -> Tensor:
        """Mix each token with those before it; returns [B, T, D]."""
        shape = (*x_BTD.shape[:2], self.n_head, -1)
        q_BHTK, k_BHTK, v_BHTK = (
            part_BTD.view(shape).transpose(1, 2) for part_BTD in self.c_attn(x_BTD).chunk(3, dim=2)
        )
        mask_B1TS = None
        if reading is not None:
            stored = reading.cache.append(self.layer, k_BHTK, v_BHTK, reading.places_BT)
            mask_B1TS = reading.mask_B1TS
            if mask_B1TS is not None:
                k_BHTK, v_BHTK = stored
                q_BHTK = q_BHTK.to(k_BHTK.dtype)
        dropout = self.dropout if self.training else 0.0
        if mask_B1TS is None and not dropout and cpu_attention.suits(q_BHTK):
            y_BHTK = cpu_attention.causal_attention(q_BHTK, k_BHTK, v_BHTK, self.scale)
        else:
            y_BHTK = F.scaled_dot_product_attention(
                q_BHTK,
                k_BHTK,
                v_BHTK,
                attn_mask=mask_B1TS,
                is_causal=mask_B1TS is None,
                dropout_p=dropout,
                scale=self.scale,
            )
        y_BTD: Tensor = self.c_proj(y_BHTK.transpose(1, 2).reshape(x_BTD.shape))
        return y_BTD


def _attention_scale(config: GPT2Config, layer: int) -> float:
    """Factor of attention's scores."""
    scale = (config.n_embd // config.n_head) ** -0.5 if config.scale_attn_weights else 1.0
    return scale / (layer + 1) if config.scale_attn_by_inverse_layer_idx else scale


class MLP(nn.Module):
    """Two matrices around a GELU, in its tanh form as released."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, config.mlp_width)
        self.c_proj = nn.Linear(config.mlp_width, config.n_embd)
        self.activation = _ACTIVATIONS[config.activation]

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Transform each token by itself; returns [B, T, D]."""
        y_BTD: Tensor = self.c_proj(self.activation(self.c_fc(x_BTD)))
        return y_BTD


class Block(nn.Module):
    """A pre-LayerNorm residual block: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x_BTD: Tensor, reading: Reading | None = None, wanted_BT: Tensor | None = None
    ) -> Tensor:
        """The residual stream after this block: [B, T, D], or of the wanted positions, [W, D]."""
        x_BTD = x_BTD + self.drop(self.attn(self.ln_1(x_BTD), reading))
        x = x_BTD if wanted_BT is None else x_BTD[wanted_BT]
        y: Tensor = x + self.drop(self.mlp(self.ln_2(x)))
        return y


class GPT2(nn.Module):
    """The model; weights are undefined until `initialise` or a checkpoint fills them."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        if not config.tied:
            self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self._compiled = False

    @property
    def head_VD(self) -> Tensor:
        """What makes scores of hidden states: the token embedding, or a matrix of its own."""
        return self.wte.weight if self.config.tied else self.lm_head.weight

    def compile_parts(self) -> None:
        """Have `torch.compile` fuse each block and the head's loss, in place: names stay.

        By parts, since compiling one block serves all of them. Compiled at the first use.
        """
        for block in self.h:
            block.compile()
        self._compiled = True

    def forward(
        self,
        tokens_BT: Tensor,
        cache: KVCache | None = None,
        *,
        wanted_BT: Tensor | None = None,
        branches: Branches | None = None,
    ) -> Tensor:
        """Hidden states after the final LayerNorm, [B, T, D].

        With a cache, the tokens follow those it holds, and join them; `branches` tells how, where
        that is not one after the other. With `wanted_BT` (bool),
        only the states of the positions where it is true, [W, D], row after row: the last MLP
        is spared the others.

        Raises:
            ValueError: the tokens reach beyond the model's positions.
        """
        start = cache.max_length if cache is not None else 0
        reach = start + (branches.reach if branches is not None else tokens_BT.shape[1])
        if reach > self.config.n_positions:
            raise ValueError(
                f"{reach} tokens exceed the model's n_positions = "
                f"{self.config.n_positions}; read less at once"
            )
        reading = None
        if cache is None:
            positions = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        else:
            reading = begin_reading(cache, tokens_BT.shape[1], branches)
            positions = reading.positions_BT
        x_BTD = self.drop(self.wte(tokens_BT) + self.wpe(positions))
        *blocks, last = self.h
        for block in blocks:
            x_BTD = block(x_BTD, reading)
        x = last(x_BTD, reading, wanted_BT)
        if cache is not None:
            cache.advance(tokens_BT.shape[1])
        hidden: Tensor = self.ln_f(x)
        return hidden

    def logits(self, hidden_BTD: Tensor) -> Tensor:
        """Scores of every token of the vocabulary, [..., V]."""
        return F.linear(hidden_BTD, self.head_VD)

    def token_losses(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """-log p(target) of each position in nats, [B, T] float32, without gradients.

        The scores of the vocabulary exist for a few positions at a time only. A target of -100
        has loss 0 and costs nothing.
        """
        with torch.no_grad():
            hidden_ND = self(tokens_BT).flatten(0, 1)
            losses_N = token_losses(hidden_ND, self.head_VD, targets_BT.flatten())
        return losses_N.view(targets_BT.shape)

    def mean_loss(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """Mean of -log p(target) in nats, a scalar with gradients: what training minimises."""
        hidden_ND = self(tokens_BT).flatten(0, 1)
        return mean_loss(hidden_ND, self.head_VD, targets_BT.flatten(), compiled=self._compiled)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator, residual_init: ResidualInit) -> None:
        """Fill all weights as the paper and its code say; the same generator, the same weights.

        `residual_init` names N in the paper's 1/sqrt(N) for weights that write into the residual
        stream (section 2.3 says "the number of residual layers"): n_layer, 2 n_layer, or 1.
        """
        n_layer = self.config.n_layer
        num_residual = {"layers": n_layer, "twice_layers": 2 * n_layer, "none": 1}[residual_init]
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif ".ln_" in name or name.startswith("ln_"):
                parameter.fill_(1.0)
            else:
                std = _POSITION_STD if name == "wpe.weight" else _WEIGHT_STD
                if name.endswith("c_proj.weight"):
                    std /= math.sqrt(num_residual)
                parameter.normal_(0.0, std, generator=generator)


def empty_model(config: GPT2Config, device: torch.device | str = "cpu") -> GPT2:
    """A model whose weights are memory not yet written."""
    with torch.device(device), NoInitialisation():
        return GPT2(config)
