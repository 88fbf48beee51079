"""MB/s of the whole tokenize stage beside tokenizers alone, and the time to train a BPE.

The stage is a process from its start to its end: shards read and verified, hashed into splits,
written and listed. Its peers hold all texts in memory and keep their ids there. The ids of all are
compared. With `--copies`, the corpus is that many times as large: what of the stage's time is its
start weighs less.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.compute as pc
import yaml
from result_table import Row
from tokenize_contenders import hash_ids

from pipeline.shared.formats.documents import (
    list_shards,
    read_documents,
    read_verified_table,
    write_manifest,
    write_table,
)
from pipeline.shared.formats.token_shards import open_split
from pipeline.shared.formats.tokenizer import find_merges, gpt2_tokenizer, write_hugging_face_files
from pipeline.tokenize.train_bpe import train_tokenizer

_HERE = Path(__file__).parent
_PEERS = (("tiktoken", 1), ("tiktoken", 2), ("tokenizers", 2), ("gigatoken", 1), ("gigatoken", 2))
_VOCAB_SIZE = 16_384
_ENCODERS = ("tiktoken", "gigatoken")
WHOLE = {"encoders": _ENCODERS}
_GPT2 = {"source": "gpt2", "vocab_size": 50_257, "train_bytes": 0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this part takes."""
    parser.add_argument("--documents", type=Path, required=True, help="a folder of shards")
    parser.add_argument("--gpt2-bpe", type=Path, required=True, help="GPT-2's vocab.bpe beside")
    parser.add_argument("--scratch", type=Path, required=True, help="an empty folder on a disk")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--training-mb", type=int, default=30, help="text of the BPE training")
    parser.add_argument("--copies", type=int, default=1, help="how often each document is there")
    parser.add_argument("--encoders", nargs="+", choices=_ENCODERS, default=_ENCODERS,
                        help="measure these alone, with no BPE trained")  # fmt: skip


class Timed(NamedTuple):
    """One run."""

    seconds: float
    sha256: str
    """Of all ids."""


def measure(arguments: argparse.Namespace) -> tuple[list[Row], str]:
    """Encode in turns, then train; returns the rows and what they mean."""
    arguments.documents = _multiply(arguments)
    megabytes = sum(shard.text_bytes for shard in list_shards(arguments.documents)) / 1e6
    tokenizer = gpt2_tokenizer(arguments.gpt2_bpe)
    tokenizer.save(arguments.scratch / "tokenizer")
    write_hugging_face_files(tokenizer, arguments.scratch / "tokenizer")
    whole = len(arguments.encoders) == len(_ENCODERS)
    peers = [peer for peer in _PEERS if whole or peer[0] in arguments.encoders]
    found: dict[str, list[Timed]] = {}
    for _ in range(arguments.rounds):
        for encoder in arguments.encoders:
            found.setdefault(f"stage, {encoder}", []).append(_run_stage(arguments, encoder))
        for name, threads in peers:
            timed = _run_peer(arguments, name, threads)
            found.setdefault(f"{name} alone, {threads} threads", []).append(timed)
        print({name: round(megabytes / runs[-1].seconds, 1) for name, runs in found.items()})
    hashes = {run.sha256 for runs in found.values() for run in runs}
    assert len(hashes) == 1, "ids differ"
    rows = [
        _row(f"stage, {encoder}", peer, found, megabytes)
        for encoder in arguments.encoders
        for peer in found
        if "alone" in peer
    ]
    notes = (
        f"The stage's two workers, shards read and written, over {megabytes:.0f} MB of text; MB of "
        "UTF-8 a second; ratios are medians of paired rounds. The ids of all documents are the "
        "same for all contenders in all rounds. `stage, gigatoken` compares its ids with "
        "tiktoken's for one document in a hundred."
    )
    return [*rows, *(_train(arguments) if whole else [])], notes


def _row(ours: str, peer: str, found: dict[str, list[Timed]], megabytes: float) -> Row:
    pairs = list(zip(found[ours], found[peer], strict=True))
    return Row(
        case=ours,
        ours=statistics.median(megabytes / mine.seconds for mine, _ in pairs),
        peer=statistics.median(megabytes / theirs.seconds for _, theirs in pairs),
        peer_name=peer,
        unit="MB/s",
        ratio=statistics.median(theirs.seconds / mine.seconds for mine, theirs in pairs),
        higher_is_better=True,
    )


def _multiply(arguments: argparse.Namespace) -> Path:
    """The folder of documents, or one with copies of them under ids of their own."""
    if arguments.copies == 1:
        return Path(arguments.documents)
    folder = Path(arguments.scratch) / "documents"
    folder.mkdir(parents=True)
    shards = []
    for copy in range(arguments.copies):
        for shard in list_shards(arguments.documents):
            table = read_verified_table(shard)
            ids = pc.binary_join_element_wise(table["id"], f"#{copy}", "")
            place = table.schema.get_field_index("id")
            table = table.set_column(place, table.schema.field("id"), ids)
            shards.append(write_table(folder / f"{len(shards):05d}.parquet", table))
    write_manifest(folder, shards)
    return folder


def _run_stage(arguments: argparse.Namespace, encoder: str) -> Timed:
    scratch = arguments.scratch / "stage"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    params = yaml.safe_load(Path("params.yaml").read_text())
    profile = params["profiles"]["single_gpu"]
    profile["compute"]["workers"] = 2
    places = {"gpt2_bpe_folder": str(arguments.gpt2_bpe), "encoder": encoder}
    profile["tokenize"] |= _GPT2 | places
    (scratch / "params.yaml").write_text(yaml.safe_dump(params))
    out = scratch / "out"
    options = ("--profile=single_gpu", f"--params={scratch / 'params.yaml'}", f"--out={out}",
               f"--work={scratch / 'work'}", f"--documents={arguments.documents}")  # fmt: skip
    command = [sys.executable, "-m", "pipeline.tokenize", *options]
    started_s = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - started_s
    return Timed(seconds, hash_ids(_ids_in_order(arguments.documents, out)))


def _ids_in_order(documents: Path, out: Path) -> Iterator[object]:
    """The ids that the stage wrote, without <|endoftext|>, in the order of the documents."""
    ids = {
        document.id: document.tokens[:-1]
        for split in ("train", "valid", "test")
        for document in open_split(out / split).documents()
    }
    for document in read_documents(documents):
        yield ids[document.id]


def _run_peer(arguments: argparse.Namespace, name: str, threads: int) -> Timed:
    command = [sys.executable, str(_HERE / "tokenize_contenders.py"), name,
               f"--documents={arguments.documents}", f"--threads={threads}",
               f"--tokenizer={arguments.scratch / 'tokenizer'}"]  # fmt: skip
    answer = subprocess.check_output(command, input="go\n", text=True, env=_environment())
    return Timed(**json.loads(answer))


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(_HERE.parent), "TOKENIZERS_PARALLELISM": "true"}


def _train(arguments: argparse.Namespace) -> list[Row]:
    """The BPE of the stage (the tokenizers library, by its streaming call) beside gigatoken's."""
    from gigatoken.gigatoken_rs import JsonlFileSource, train_bpe

    texts = _some_texts(arguments.documents, arguments.training_mb * 10**6)
    path = arguments.scratch / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    started_s = time.perf_counter()
    merges = list(find_merges(train_tokenizer(texts, vocab_size=_VOCAB_SIZE).ranks))
    ours = time.perf_counter() - started_s
    started_s = time.perf_counter()
    _, theirs = train_bpe(JsonlFileSource([path]), _VOCAB_SIZE - 1, [])
    peer = time.perf_counter() - started_s
    assert theirs == merges, "merges differ"
    case = f"BPE of {_VOCAB_SIZE:,} tokens on {arguments.training_mb} MB, the same merges"
    return [
        Row(case=case, ours=ours, peer=peer, peer_name="gigatoken", unit="s", ratio=peer / ours,
            higher_is_better=False)
    ]  # fmt: skip


def _some_texts(documents: Path, most_bytes: int) -> Sequence[str]:
    texts: list[str] = []
    size = 0
    for document in read_documents(documents):
        texts.append(document.text)
        size += len(document.text.encode())
        if size >= most_bytes:
            break
    return texts
