"""CNN / Daily Mail: summaries after `TL;DR:`, without that hint, and two baselines; ROUGE F1."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from pipeline.evaluate.continuation import (
    choose,
    continue_prompts,
    make_prompt,
    sentences,
    text_of,
)
from pipeline.evaluate.outcome import LacksPackage, Outcome, Task
from pipeline.evaluate.packages import is_here
from pipeline.evaluate.session import Session
from pipeline.shared.formats.examples import Example

TOP_K = 2
"""The paper's sampling for summaries."""
NUM_SENTENCES = 3
_KINDS = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeLsum"}


def evaluate(session: Session, task: Task) -> Outcome:
    """ROUGE of the first three generated sentences, and of the baselines on the same articles."""
    scorer = _scorer()
    examples = choose(session, task.examples)
    outcome = Outcome.of(session, task, examples)
    with_hint, cut = _summaries(session, [f"{e.context}\nTL;DR:" for e in examples])
    without_hint, _ = _summaries(session, [f"{e.context}\n" for e in examples])
    systems = {
        "": with_hint,
        "no_hint_": without_hint,
        "lede3_": [sentences(e.context)[:NUM_SENTENCES] for e in examples],
        "random3_": [_random_sentences(session.seed, e) for e in examples],
    }
    for prefix, summaries in systems.items():
        _add(outcome, prefix, scorer, summaries, examples)
        names = [f"{prefix}{kind}" for kind in (*_KINDS, "rouge_average")]
        outcome.drop_without_signal(names, [" ".join(summary) for summary in summaries])
    outcome.columns["summary"] = [" ".join(summary) for summary in with_hint]
    outcome.protocol = {
        "prompt": "article, newline, `TL;DR:`; without the hint: article, newline",
        "decoding": f"top-k {TOP_K}, {session.params.summary_tokens} tokens, the first "
        f"{NUM_SENTENCES} sentences",
        "rouge": f"rouge-score {version('rouge-score')}, stemmed, F1; rouge_l is rougeLsum",
        "summaries_empty": sum(not summary for summary in with_hint),
        "prompts_cut_from_left": cut,
    }
    return outcome


def _scorer() -> Any:
    if not is_here("rouge-score"):
        raise LacksPackage("ROUGE", "rouge-score")
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(_KINDS.values()), use_stemmer=True)


def _summaries(session: Session, texts: Sequence[str]) -> tuple[list[list[str]], int]:
    """The first sentences after each text, and how many texts did not fit the context."""
    new_tokens = session.params.summary_tokens
    prompts = [make_prompt(session, text, new_tokens=new_tokens) for text in texts]
    generated = continue_prompts(
        session, prompts, new_tokens=new_tokens, top_k=TOP_K, stop_tokens=session.ends
    )
    texts = [text_of(session, continuation.tokens) for continuation in generated]
    return [sentences(text)[:NUM_SENTENCES] for text in texts], sum(p.cut for p in prompts)


def _random_sentences(seed: int, example: Example) -> list[str]:
    """Three sentences of the article, drawn by seed and id, in their order."""
    pieces = sentences(example.context)
    digest = hashlib.sha256(f"{seed}:{example.id}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    count = min(NUM_SENTENCES, len(pieces))
    places = np.sort(generator.choice(len(pieces), count, replace=False))
    return [pieces[place] for place in places]


def _add(
    outcome: Outcome,
    prefix: str,
    scorer: Any,
    summaries: Sequence[Sequence[str]],
    examples: Sequence[Example],
) -> None:
    """Add ROUGE-1, -2, -L and their mean, each the mean over articles of F1, in 0 to 1.

    F1 of one summary: 2PR / (P + R) over shared words (1), pairs of words (2), or the union of
    longest common subsequences by sentence (L), after Porter stemming. Higher is better. Matches
    the paper's Table 4, whose R-AVG is the mean of the three.
    """
    rows = []
    for summary, example in zip(summaries, examples, strict=True):
        scores = scorer.score(example.references[0], "\n".join(summary))
        rows.append([float(scores[kind].fmeasure) for kind in _KINDS.values()])
    columns = dict(zip(_KINDS, np.asarray(rows).T, strict=True))
    columns["rouge_average"] = np.asarray(rows).mean(axis=1)
    for name, column in columns.items():
        outcome.columns[f"{prefix}{name}"] = column.tolist()
        outcome.add_mean(f"{prefix}{name}", column)
