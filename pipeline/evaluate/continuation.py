"""Text that the model goes on with after a prompt, batched, and how it is cut."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch

from models.generation import Generated, generate, generate_after, new_cache
from pipeline.evaluate.finite import require_finite
from pipeline.evaluate.likelihood import pack
from pipeline.evaluate.session import Session
from pipeline.shared.formats.examples import Example

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
    stop_tokens: Collection[int] = (),
) -> list[Continuation]:
    """Greedy (`top_k = 1`) or sampled continuations, each up to the first of `stop_tokens`."""
    results: list[Continuation | None] = [None] * len(prompts)
    lengths = [len(prompt.tokens) + new_tokens for prompt in prompts]
    for rows in pack(lengths, session.params.batch_tokens):
        with session.autocast():
            generated = generate(
                session.model,
                [prompts[row].tokens for row in rows],
                max_new_tokens=new_tokens,
                top_k=top_k,
                seed=session.seed if top_k > 1 else None,
                stop_tokens=stop_tokens,
            )
        for row, found in zip(rows, generated, strict=True):
            require_finite(session, found.log_probabilities, prompts[row].tokens)
            results[row] = _continuation(found)
            session.tick(lengths[row])
    return [result for result in results if result is not None]


def continue_chains(
    session: Session, chains: Sequence[Sequence[Prompt]], *, new_tokens: int
) -> list[list[Continuation]]:
    """Greedy continuations, up to the end of the line, of prompts that extend one another.

    Each prompt of a chain begins with the one before it and is longer, so no token is read twice.
    """
    results: list[list[Continuation]] = [[] for _ in chains]
    lengths = [len(chain[-1].tokens) + new_tokens for chain in chains]
    for rows in pack(lengths, session.params.batch_tokens):
        for part in _fitting(session.context, [[len(p.tokens) for p in chains[n]] for n in rows]):
            together = {rows[n]: chains[rows[n]] for n in part}
            _continue_together(session, together, new_tokens, results)
    return results


def _fitting(context: int, lengths: Sequence[Sequence[int]]) -> Iterator[Sequence[int]]:
    """Split chains so that those read together never reach beyond the context with their padding.

    A batch begins where its longest sequence ends and is as wide as its longest new piece.
    """
    parts = [list(range(len(lengths)))]
    while parts:
        part = parts.pop()
        if len(part) > 1 and _reach([lengths[n] for n in part]) > context:
            parts += [part[: len(part) // 2], part[len(part) // 2 :]]
        else:
            yield part


def _reach(lengths: Sequence[Sequence[int]]) -> int:
    """Most positions that reading these chains together takes, padding included."""
    reach = 0
    for turn in range(max(map(len, lengths))):
        chains = [chain for chain in lengths if len(chain) > turn]
        known = [chain[turn - 1] if turn else 0 for chain in chains]
        widest = max(chain[turn] - start for chain, start in zip(chains, known, strict=True))
        reach = max(reach, max(known) + widest)
    return reach


def _continue_together(
    session: Session,
    chains: Mapping[int, Sequence[Prompt]],
    new_tokens: int,
    results: list[list[Continuation]],
) -> None:
    """One batch of chains, turn by turn; adds to `results` under the chains' numbers."""
    lengths = [[len(prompt.tokens) for prompt in chain] for chain in chains.values()]
    max_tokens = max(_reach(lengths), max(chain[-1] for chain in lengths) + new_tokens)
    running = list(chains)
    with session.autocast():
        cache = new_cache(session.model, len(chains), max_tokens)
        for turn in range(max(map(len, lengths))):
            kept = [row for row, number in enumerate(running) if len(chains[number]) > turn]
            if len(kept) < len(running):
                cache.select(torch.tensor(kept, device=session.device))
                cache.truncate(cache.lengths_B.tolist())  # so that its longest is one of these
                running = [running[row] for row in kept]
            starts = cache.lengths_B.tolist()
            pieces = [
                chains[number][turn].tokens[start:]
                for number, start in zip(running, starts, strict=True)
            ]
            generated = generate_after(
                session.model,
                cache,
                pieces,
                max_new_tokens=new_tokens,
                stop_tokens=session.line_ends,
            )
            for number, found in zip(running, generated, strict=True):
                require_finite(session, found.log_probabilities, chains[number][turn].tokens)
                results[number].append(_continuation(found))
            session.tick(sum(len(piece) + new_tokens for piece in pieces))


def _continuation(generated: Generated) -> Continuation:
    return Continuation(list(generated.tokens), [float(p) for p in generated.log_probabilities])


class Line(NamedTuple):
    """The first line of a continuation: an answer."""

    text: str
    """Without the white space around it."""
    log_probability: float
    """Of its tokens and of its end, in nats."""
    ended: bool
    """False where the limit of tokens cut it: its probability then lacks that of an end."""


def first_line(session: Session, continuation: Continuation) -> Line:
    r"""The text before the first newline or <|endoftext|>, with the probability of saying just it.

    The token that ends the line counts: an empty answer is as probable as its end, not certain. A
    token may hold text, a newline and more (`.\n\n`): what stands before the newline belongs to the
    answer, and its probability counts once, for both.
    """
    pieces: list[bytes] = []
    ended = False
    for token in continuation.tokens:
        piece = session.tokenizer.pieces.get(token, b"")  # none: <|endoftext|>, or a padding row
        pieces.append(piece.partition(b"\n")[0])
        ended = token in session.line_ends
        if ended:
            break
    text = b"".join(pieces).decode(errors="replace").strip()
    return Line(text, sum(continuation.log_probabilities[: len(pieces)]), ended)


def count_answers(lines: Sequence[Line]) -> dict[str, int]:
    """For a protocol: answers that say nothing, and those that the limit of tokens cut."""
    return {
        "answers_empty": sum(not line.text for line in lines),
        "answers_cut": sum(not line.ended for line in lines),
    }


def text_of(session: Session, tokens: Sequence[int]) -> str:
    """The text before the first <|endoftext|>: what follows is another document."""
    end = next((n for n, token in enumerate(tokens) if token in session.ends), len(tokens))
    return session.tokenizer.decode(tokens[:end])


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
