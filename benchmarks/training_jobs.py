"""A training of the train stage, for a benchmark's model shape and made-up tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from train_contenders import BETAS, CLIP_NORM, WEIGHT_DECAY, Setting

from models.gpt2 import GPT2Config
from models.recipe import Recipe
from pipeline.shared.formats.token_shards import TokenDocument, open_split, write_token_shards
from pipeline.shared.params.file import load_params
from pipeline.shared.training.job import Job

_PARAMS = Path(__file__).parent.parent / "params.yaml"


def write_tokens(
    folder: Path, vocab_size: int, num_tokens: int = 4_000_000, *, tokenizer_sha256: str = "0" * 64
) -> None:
    """Token shards whose tokens are as unequally common as words are (Zipf)."""
    weights = 1.0 / (np.arange(vocab_size) + 2.7)
    random = np.random.default_rng(1)
    tokens = random.choice(vocab_size, num_tokens, p=weights / weights.sum()).astype(np.uint16)
    documents = [
        TokenDocument(f"made-{number}", part)
        for number, part in enumerate(np.array_split(tokens, num_tokens // 1000))
    ]
    write_token_shards(folder, documents, tokenizer_sha256=tokenizer_sha256)


def make_job(setting: Setting, *, learning_rate: float, num_steps: int) -> Job:
    """The stage's own job with the tiny profile's parameters, but for what `setting` says."""
    params = load_params(_PARAMS, "tiny").params
    split = open_split(setting.tokens)
    tokens = num_steps * setting.step_tokens
    train = params.train.model_copy(
        update={
            "tokens": tokens,
            "batch_tokens": setting.step_tokens,
            "micro_batch_sequences": setting.sequences,
            "warmup_tokens": 0,
            "precision": setting.precision,
            "compile": setting.compile,
            "eval_every_tokens": tokens,
            "valid_tokens": setting.step_tokens,
        }
    )
    gpu = setting.device == "cuda"
    # Two processes read ahead, as the profiles of a GPU have it.
    where = {"accelerator": "gpu", "data_workers": 2} if gpu else {"accelerator": "cpu"}
    compute = params.compute.model_copy(update=where | {"checkpoint_every_s": 1e9})
    recipe = Recipe(
        order_seed=1,
        initialisation_seed=1,
        learning_rate=learning_rate,
        tokens=tokens,
        batch_tokens=setting.step_tokens,
        warmup_tokens=0,
        min_learning_rate_fraction=1.0,
        weight_decay=WEIGHT_DECAY,
        adam_betas=BETAS,
        gradient_clip_norm=CLIP_NORM,
        residual_init="twice_layers",
    )
    config = GPT2Config(
        setting.vocab_size, setting.context, setting.n_embd, setting.n_layer, setting.n_head
    )
    return Job(
        config=config,
        recipe=recipe,
        params=train,
        compute=compute,
        text=split,
        valid=split,
        folder=setting.tokens / "checkpoints",
        until_step=num_steps,
    )
