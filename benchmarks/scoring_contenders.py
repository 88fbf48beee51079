"""The contenders of the scoring benchmark; each returns log-likelihoods in nats."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from pipeline.evaluate.likelihood import Choices, Scored, guess, score_choices
from pipeline.evaluate.session import Session
from pipeline.evaluate.windows import score_text
from pipeline.shared.formats.tokenizer import Tokenizer
from pipeline.shared.params.file import load_params

PRECISIONS = ("float32", "bfloat16")
_WINDOW = 1024
_PARAMS = Path(__file__).parent.parent / "params.yaml"


class WordPair(NamedTuple):
    """A passage and its last word, with the space before it."""

    passage: str
    word: str


class Choice(NamedTuple):
    """A context and its alternative continuations, each with the space before it."""

    context: str
    continuations: list[str]


class Contender(Protocol):
    """One way to score texts by the same weights."""

    name: str
    batch_size: int
    """Sequences of one pass; figure4 packs its batches itself."""

    def last_words(self, pairs: list[WordPair]) -> list[float]:
        """The log-likelihood of each last word."""
        ...

    def choices(self, questions: list[Choice]) -> list[float]:
        """The log-likelihood of every continuation, question after question."""
        ...

    def rolling(self, text: str) -> float:
        """The log-likelihood of a text in disjoint windows."""
        ...


class Figure4:
    """The study's own scoring."""

    name = "figure4"
    batch_size = 0

    def __init__(self, folder: Path, tokenizer: Tokenizer, device: str, precision: str) -> None:
        from pipeline.evaluate.session import load_model

        params = load_params(_PARAMS, "tiny" if device == "cpu" else "paper").params
        evaluate = params.evaluate.model_copy(update={"precision": precision})
        model = load_model(folder, torch.device(device), evaluate.precision)
        self._session = Session(model, tokenizer, evaluate, 1, torch.device(device))

    def last_words(self, pairs: list[WordPair]) -> list[float]:
        """See `Contender`."""
        encode, start = self._session.tokenizer.encode, self._session.start
        sequences = []
        for passage, word in pairs:
            target = encode(word)
            sequences.append(Scored([start, *encode(passage), *target], len(target)))
        found = guess(self._session, sequences, forbidden=[])
        return [-float(one.losses.sum()) for one in found]

    def choices(self, questions: list[Choice]) -> list[float]:
        """See `Contender`."""
        encode, start = self._session.tokenizer.encode, self._session.start
        asked = [
            Choices([start, *encode(context)], [encode(text) for text in continuations])
            for context, continuations in questions
        ]
        found = score_choices(self._session, asked)
        return [-float(losses.sum()) for question in found for losses in question]

    def rolling(self, text: str) -> float:
        """See `Contender`."""
        tokens = self._session.tokenizer.encode(text)
        return -float(score_text(self._session, tokens, stride=_WINDOW).sum(dtype=float))


class LmEval:
    """lm-eval's backend for transformers, given its requests directly."""

    name = "lm-eval"

    def __init__(self, folder: Path, device: str, precision: str) -> None:
        import os

        os.environ["TQDM_DISABLE"] = "1"  # its bars
        from lm_eval.models.huggingface import HFLM

        def load(*, add_bos_token: bool) -> Any:
            return HFLM(
                pretrained=str(folder),
                device=device,
                dtype=precision,
                batch_size=1,
                add_bos_token=add_bos_token,
            )

        self._with_start, self._plain = load(add_bos_token=True), load(add_bos_token=False)

    @property
    def batch_size(self) -> int:
        """See `Contender`."""
        return int(self._plain.batch_size_per_gpu)

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        for model in (self._with_start, self._plain):
            model.batch_size_per_gpu = size

    def last_words(self, pairs: list[WordPair]) -> list[float]:
        """See `Contender`."""
        return self._score([(pair.passage, pair.word) for pair in pairs])

    def choices(self, questions: list[Choice]) -> list[float]:
        """See `Contender`."""
        return self._score([
            (question.context, text) for question in questions for text in question.continuations
        ])

    def _score(self, pairs: list[tuple[str, str]]) -> list[float]:
        requests = [_request("loglikelihood", pair, n) for n, pair in enumerate(pairs)]
        return [float(found[0]) for found in self._with_start.loglikelihood(requests)]

    def rolling(self, text: str) -> float:
        """See `Contender`."""
        request = _request("loglikelihood_rolling", (text,), 0)
        return float(self._plain.loglikelihood_rolling([request])[0])


def _request(kind: str, arguments: tuple[str, ...], number: int) -> Any:
    from lm_eval.api.instance import Instance

    return Instance(request_type=kind, doc={}, arguments=arguments, idx=number)


class BareLoop:
    """transformers' model and tokenizer, batches by length, the scores of all positions."""

    name = "bare loop"

    def __init__(self, folder: Path, device: str, precision: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, precision))
        self._model.to(device).eval()
        self._device, self.batch_size = device, 1

    def last_words(self, pairs: list[WordPair]) -> list[float]:
        """See `Contender`."""
        return self._score([(self._start(pair.passage), self._encode(pair.word)) for pair in pairs])

    def choices(self, questions: list[Choice]) -> list[float]:
        """See `Contender`."""
        return self._score([
            (self._start(context), self._encode(text))
            for context, continuations in questions
            for text in continuations
        ])

    def rolling(self, text: str) -> float:
        """See `Contender`."""
        tokens = self._start(text)
        starts = range(0, len(tokens) - 1, _WINDOW)
        windows = [tokens[start : start + _WINDOW + 1] for start in starts]
        return sum(self._score([(window[:1], window[1:]) for window in windows]))

    def _start(self, text: str) -> list[int]:
        return [self._tokenizer.eos_token_id, *self._encode(text)]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text)["input_ids"]
        return ids

    @torch.inference_mode()
    def _score(self, pairs: list[tuple[list[int], list[int]]]) -> list[float]:
        order = sorted(range(len(pairs)), key=lambda n: -sum(map(len, pairs[n])))
        found = [0.0] * len(pairs)
        for first in range(0, len(order), self.batch_size):
            rows = order[first : first + self.batch_size]
            whole = [pairs[n][0] + pairs[n][1] for n in rows]
            width = max(map(len, whole)) - 1
            inputs = [tokens[:-1] + [0] * (width + 1 - len(tokens)) for tokens in whole]
            logits = self._model(torch.tensor(inputs, device=self._device)).logits
            scores = logits.float().log_softmax(dim=-1)
            for row, n in enumerate(rows):
                begin, end = len(pairs[n][0]) - 1, len(whole[row]) - 1
                target = torch.tensor(pairs[n][1], device=self._device)
                picked = scores[row, begin:end].gather(1, target[:, None])
                found[n] = float(picked.sum(dtype=torch.float64))
        return found
