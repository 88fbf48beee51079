"""Is the gap between train and test what a model learnt? Documents that it did not read tell.

    python benchmarks/unread_documents.py --profile laptop --size small --documents 6000

Scores, of a finished study, documents that were trained on, others of the train split, and those of
the test split, each by itself. A hash puts documents into splits and chooses those that the budget
reads, so the second group differs from the first by having been read, and from test by nothing.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

import pipeline.shared.running.before_torch  # noqa: F401 - as it says
from pipeline.evaluate.documents import choose_documents
from pipeline.evaluate.session import Session, open_session
from pipeline.evaluate.windows import score_texts
from pipeline.shared.formats.token_shards import open_split
from pipeline.shared.formats.training_documents import read_training_documents
from pipeline.shared.params.file import load_params

Sums = npt.NDArray[np.float64]
"""Nats and tokens of each document, [N, 2]."""
_DRAWS = 2000


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", help="of params.yaml (default: the file's choice)")
    parser.add_argument("--size", required=True, help="whose weights score")
    parser.add_argument("--documents", type=int, default=1000, help="of each group, at most")
    options = parser.parse_args()
    study = load_params(Path("params.yaml"), options.profile)
    folder, params = Path("data", study.profile), study.params
    model, tokens = folder / "train" / options.size, folder / "tokenize"
    session = open_session(
        model,
        tokens / "tokenizer",
        params=params.evaluate,
        compute=params.compute,
        seed=params.seeds.sampling,
    )
    read = set(read_training_documents(model))
    unread = set(open_split(tokens / "train").ids()) - read
    groups = {"read": ("train", read), "not read": ("train", unread), "test": ("test", None)}
    found: dict[str, Sums] = {}
    for name, (split, among) in groups.items():
        found[name] = _score(session, tokens / split, options.documents, among)
        count, total = len(found[name]), int(found[name][:, 1].sum())
        print(
            f"{name}: {_mean(found[name]):.4f} nats a token, {count:,} documents, {total:,} tokens"
        )
    draws = {name: _bootstrap(sums) for name, sums in found.items()}
    for first, second in combinations(found, 2):
        low, high = np.percentile(draws[second] - draws[first], [2.5, 97.5])
        difference = _mean(found[second]) - _mean(found[first])
        print(f"{second} less {first}: {difference:+.4f} (95 %: {low:+.4f} to {high:+.4f})")


def _score(session: Session, split: Path, count: int, among: set[str] | None) -> Sums:
    documents = choose_documents(session, split, count, among=among)
    texts = [document.tokens for document in documents]
    losses = score_texts(session, texts, stride=session.params.figure4_stride)
    return np.array([(piece.sum(dtype=np.float64), len(piece)) for piece in losses])


def _mean(sums: Sums) -> float:
    nats, tokens = sums.sum(axis=0)
    return float(nats / tokens)


def _bootstrap(sums: Sums) -> Sums:
    """The mean of as many documents, drawn anew with replacement."""
    random = np.random.default_rng(1)
    return np.array([
        _mean(sums[random.integers(len(sums), size=len(sums))]) for _ in range(_DRAWS)
    ])


if __name__ == "__main__":
    main()
