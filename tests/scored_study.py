"""A tiny random GPT-2 with a tokenizer of its own, in a study's folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from made_documents import english_passages

from models.checkpoints import save_pretrained
from models.gpt2 import GPT2, GPT2Config
from pipeline.shared.formats.token_shards import TokenDocument, open_split, write_token_shards
from pipeline.shared.formats.training_documents import write_training_documents
from pipeline.tokenize.train_bpe import train_tokenizer

CONTEXT = 64
TRAINED_TOKENS = 2000  # of the train split: about a third


@dataclass(frozen=True)
class Study:
    """Folders as the stages before evaluate leave them."""

    model: Path
    tokens: Path


def write_scored_study(root: Path) -> Study:
    """Tokenizer, splits and a model that is sure of something."""
    texts = english_passages(120, words=60)
    tokenizer = train_tokenizer(texts, vocab_size=512)
    tokenizer.save(root / "tokens" / "tokenizer")
    ends = [tokenizer.end_of_text]
    documents = [
        TokenDocument(f"doc{n:03d}", np.array(tokenizer.encode(text) + ends, dtype=np.uint16))
        for n, text in enumerate(texts)
    ]
    for split, part in (("train", documents[:80]), ("test", documents[80:])):
        write_token_shards(root / "tokens" / split, part, tokenizer_sha256=tokenizer.sha256)
    model = GPT2(GPT2Config(tokenizer.vocab_size, CONTEXT, n_embd=32, n_layer=2, n_head=4))
    model.initialise(torch.Generator().manual_seed(5), "twice_layers")
    with torch.no_grad():  # as drawn, a model is so unsure of everything that no test could fail
        for parameter in model.parameters():
            parameter.mul_(6.0)
    save_pretrained(model, root / "model")
    text = open_split(root / "tokens" / "train").head(TRAINED_TOKENS)
    write_training_documents(root / "model", text)
    return Study(root / "model", root / "tokens")
