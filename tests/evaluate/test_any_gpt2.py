"""GPT-2s that others trained: the losses that transformers gives, or one line at a bad one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from made_documents import english_passages
from safetensors.torch import load_file, save_file
from scored_study import CONTEXT
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)
from transformers import GPT2Config as TheirConfig

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.evaluate import running_text
from pipeline.evaluate.__main__ import DEFINITION as EVALUATE
from pipeline.evaluate.continuation import continue_prompts, make_prompt
from pipeline.evaluate.finite import require_finite
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session, load_model
from pipeline.evaluate.windows import score_text
from pipeline.shared.errors import UserError
from pipeline.shared.formats.examples import Example
from pipeline.zero_shot.command import parse
from pipeline.zero_shot.run import run
from pipeline.zero_shot.weights import check_weights, open_weights, tokenizer_of

LOG = logging.getLogger("test")
PASSAGES = english_passages(30, words=40)
TEXT = " ".join(PASSAGES)[:200] + " naïve 1234 東京"


def train(pre: Any, end: str) -> PreTrainedTokenizerFast:
    trained = Library(models.BPE())
    trained.pre_tokenizer, trained.decoder = pre, decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[end],
        show_progress=False,
    )
    trained.train_from_iterator(PASSAGES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=trained, bos_token=end, eos_token=end)


def make(
    folder: Path, *, rows: int = 400, digits: bool = False, end: str = "<|endoftext|>", **more: Any
) -> Path:
    """A model and its tokenizer, whose end of text has the id 0."""
    pre: Any = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if digits:
        pre = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre])
    train(pre, end).save_pretrained(folder)
    shape: dict[str, Any] = {"n_positions": CONTEXT * 2, "n_embd": 32, "n_layer": 2, "n_head": 2}
    torch.manual_seed(3)
    theirs = GPT2LMHeadModel(TheirConfig(vocab_size=rows, **shape, **more))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(6.0)
    theirs.save_pretrained(folder)
    return folder


def session_of(folder: Path, session: Session) -> Session:
    weights = check_weights(open_weights(str(folder)))
    model = load_model(folder, session.device, "float32")
    return replace(session, model=model, tokenizer=tokenizer_of(weights, LOG))


@pytest.mark.parametrize(
    "kind",
    [{}, {"rows": 448}, {"digits": True}, {"digits": True, "end": "</s>", "rows": 401}],
    ids=str,
)
def test_a_text_has_the_losses_that_transformers_gives(
    session: Session, tmp_path: Path, kind: dict[str, Any]
) -> None:
    folder = make(tmp_path, **kind)
    own = session_of(folder, session)
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = [tokenizer.eos_token_id, *tokenizer(TEXT, add_special_tokens=False)["input_ids"]]
    assert len(ids) <= own.context
    with torch.no_grad():
        logits = theirs(torch.tensor([ids])).logits[0, :-1]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
    tokens = own.tokenizer.place(TEXT).tokens
    found = score_text(own, tokens, stride=own.context)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-4)
    task = Task(EVAL_SETS["text8"], [Example(id="0", text=TEXT, target=TEXT)])
    small = replace(own, params=own.params.model_copy(update={"strides": [own.context]}))
    outcome = running_text.evaluate(small, task)
    bits = expected.sum().item() / np.log(2) / len(TEXT)
    assert outcome.metrics["bits_per_character"] == pytest.approx(bits, rel=1e-4)
    assert outcome.intervals == {}  # one example tells of no other


def test_a_row_without_a_token_can_be_generated_and_says_nothing(
    session: Session, tmp_path: Path
) -> None:
    folder = make(tmp_path, rows=448)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["transformer.wte.weight"][440:] *= 50  # now the likeliest
    save_file(tensors, path, {"format": "pt"})
    own = session_of(folder, session)
    (found,) = continue_prompts(own, [make_prompt(own, TEXT[:50], new_tokens=4)], new_tokens=4)
    assert max(found.tokens) >= 440
    known = [token for token in found.tokens if token < 400]
    assert own.tokenizer.decode(found.tokens) == own.tokenizer.decode(known)


def test_losses_that_are_no_numbers_name_the_module_they_come_from(
    session: Session, tmp_path: Path
) -> None:
    path = make(tmp_path) / "model.safetensors"
    tensors = load_file(path)
    tensors["transformer.h.1.mlp.c_fc.weight"] *= 1e38  # finite, but not what comes of it
    save_file(tensors, path, {"format": "pt"})
    own = session_of(tmp_path, session)
    with pytest.raises(UserError, match=r"not finite: h\.1\.mlp\.c_fc is the first") as caught:
        score_text(own, own.tokenizer.encode(TEXT), stride=own.context)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"h\.1\.mlp\.c_fc is the first"):
        continue_prompts(own, [make_prompt(own, TEXT[:50], new_tokens=4)], new_tokens=4)
    require_finite(own, [0.5, 1e30], [0])


def test_one_example_that_counts_has_no_interval(session: Session) -> None:
    outcome = Outcome(session, ["a", "b", "c"])
    sums = np.array([[3.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    outcome.add("perplexity", sums, lambda drawn: drawn[:, 0] / np.maximum(drawn[:, 1], 1))
    assert outcome.metrics["perplexity"] == 3.0
    assert outcome.intervals == {}
    sums[1] = [2.0, 1.0]
    outcome.add("perplexity", sums, lambda drawn: drawn[:, 0])
    assert "perplexity" in outcome.intervals


def nan_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["transformer.h.0.ln_1.weight"][2] = float("nan")
    save_file(tensors, path, {"format": "pt"})


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def other_architecture(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "llama"}))


def few_rows(folder: Path) -> None:
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text())
    data["model"]["vocab"]["zzzz"] = 400
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("damage", [nan_weight, no_weights, other_architecture, few_rows])
def test_a_bad_model_is_known_before_any_set_is_prepared(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    damage(make(tmp_path / "bad"))
    options = ["--profile=tiny", "--strides=8", f"--out={tmp_path / 'out'}"]
    sets = f"--eval-sets={tmp_path / 'no such folder'}"  # whose absence would be an error, later
    with pytest.raises(UserError, match="bad") as caught:
        run(parse([str(tmp_path / "bad"), sets, *options]), LOG)
    assert "no such folder" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_bad_models_of_several_do_not_cost_the_others_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    made = tmp_path / "made"
    make(made / "good", digits=True)
    nan_weight(make(made / "with nan"))
    no_weights(make(made / "pickled"))
    (tmp_path / "sets" / "text8").mkdir(parents=True)
    (tmp_path / "sets" / "text8" / "text8").write_text("a b c one two three " * 40)
    options = ["--profile=tiny", f"--out={tmp_path / 'out'}", "--threads=1", "--accelerator=cpu"]
    arguments = [str(made), f"--eval-sets={tmp_path / 'sets'}", "--strides=128", *options]
    with pytest.raises(UserError, match=r"2 of 3 models have no numbers.*: pickled, with nan"):
        run(parse(arguments), LOG)
    table = pd.read_csv(tmp_path / "out" / "differences.csv")
    assert table["model"].unique().tolist() == ["good"]
    assert table[table["set"] == "text8"]["ours"].notna().all()
    printed = capsys.readouterr().out
    assert "good: " in printed
    assert printed.count("lambada_test.jsonl: no such file") == 1
    told = [record.getMessage() for record in caplog.records]
    assert sum("left out" in line for line in told) == 2
    assert sum("lambada" in line for line in told) == 1


def test_each_shard_of_the_weights_decides_the_scores(tmp_path: Path) -> None:
    names = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
    names |= {"model.safetensors.index.json", "config.json"}
    for name in names | {"README.md"}:
        (tmp_path / name).touch()
    found = {path.name for pattern in EVALUATE.reads["model"] for path in tmp_path.glob(pattern)}
    assert found == names
