"""Text that the model goes on with after a prompt, batched, and how it is cut."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from models.generation import generate
from pipeline.evaluate.likelihood import pack
from pipeline.evaluate.session import Session
from pipeline.examples import Example

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)\]]*\s+")


class Continuation(NamedTuple):
    """What came after one prompt."""

    tokens: list[int]
    log_probabilities: list[float]
    """Of each token, in nats."""


class Prompt(NamedTuple):
    """Tokens that fit the context together with what is to be generated."""

    tokens: list[int]
    cut: bool
    """The beginning was left out."""


def make_prompt(session: Session, text: str, *, new_tokens: int) -> Prompt:
    """<|endoftext|> and the text, of which only the end is kept where it is too long."""
    room = session.context - new_tokens
    tokens = [session.start, *session.tokenizer.encode(text)]
    return Prompt(tokens[-room:], len(tokens) > room)


def continue_prompts(
    session: Session,
    prompts: Sequence[Prompt],
    *,
    new_tokens: int,
    top_k: int = 1,
    to_line_end: bool = False,
) -> list[Continuation]:
    """Greedy (`top_k = 1`) or sampled continuations; `to_line_end` stops at a newline."""
    results: list[Continuation | None] = [None] * len(prompts)
    stop_token = session.tokenizer.ranks[b"\n"] if to_line_end else None
    lengths = [len(prompt.tokens) + new_tokens for prompt in prompts]
    for rows in pack(lengths, session.params.batch_tokens):
        with session.autocast():
            generated = generate(
                session.model,
                [prompts[row].tokens for row in rows],
                max_new_tokens=new_tokens,
                top_k=top_k,
                seed=session.seed if top_k > 1 else None,
                stop_token=stop_token,
            )
        for row, (tokens, log_probabilities) in zip(rows, generated, strict=True):
            results[row] = Continuation(list(tokens), [float(p) for p in log_probabilities])
            session.tick(lengths[row])
    return [result for result in results if result is not None]


def first_line(session: Session, continuation: Continuation) -> tuple[str, float]:
    """The text before the first newline or <|endoftext|>, and the log-probability of its tokens.

    A token that holds a newline ends the line and does not count.
    """
    kept: list[int] = []
    for token in continuation.tokens:
        if token == session.start:
            break
        if b"\n" in session.tokenizer.encoding.decode_single_token_bytes(token):
            break
        kept.append(token)
    text = session.tokenizer.decode(kept).strip()
    return text, sum(continuation.log_probabilities[: len(kept)])


def sentences(text: str) -> list[str]:
    """Sentences by their final mark and the space after it; newlines end sentences too.

    >>> sentences('He said "no." She left. U.S.')
    ['He said "no."', 'She left.', 'U.S.']
    """
    pieces: list[str] = []
    for line in text.splitlines():
        start = 0
        for end in _SENTENCE_END.finditer(line):
            pieces.append(line[start : end.end()].strip())
            start = end.end()
        pieces.append(line[start:].strip())
    return [piece for piece in pieces if piece]


def choose(session: Session, examples: Sequence[Example]) -> list[Example]:
    """The examples to generate for: all, or a sample by hash of seed and id, in file order."""
    limit = session.params.max_generated_examples
    ranked = sorted(
        examples, key=lambda e: hashlib.sha256(f"{session.seed}:{e.id}".encode()).digest()
    )
    chosen = {example.id for example in ranked[:limit]}
    return [example for example in examples if example.id in chosen]
