"""A tiny random GPT-2 with a tokenizer of its own, as a session and as a study's folders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_documents import english_passages

from models.checkpoints import save_pretrained
from models.gpt2 import GPT2, GPT2Config
from pipeline.evaluate.session import Session, open_session
from pipeline.shared.formats.token_shards import TokenDocument, open_split, write_token_shards
from pipeline.shared.formats.training_documents import write_training_documents
from pipeline.shared.params.file import load_params
from pipeline.tokenize.train_bpe import train_tokenizer

CONTEXT = 64
TRAINED_TOKENS = 2000  # of the train split: about a third


@dataclass(frozen=True)
class Study:
    """Folders as the stages before evaluate leave them."""

    model: Path
    tokens: Path


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("study")
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


@pytest.fixture(scope="session")
def session(study: Study, project: Path) -> Session:
    params = load_params(project / "params.yaml", "tiny").params
    small = params.evaluate.model_copy(
        update={"strides": [CONTEXT, 16], "figure4_stride": CONTEXT, "bootstrap_samples": 50}
    )
    one_thread = params.compute.model_copy(update={"threads": 1})
    return open_session(
        study.model, study.tokens / "tokenizer", params=small, compute=one_thread, seed=1
    )


@pytest.fixture(scope="session")
def one_by_one(session: Session) -> Session:
    """The same, with batches of one sequence."""
    return replace(session, params=session.params.model_copy(update={"batch_tokens": 1}))
