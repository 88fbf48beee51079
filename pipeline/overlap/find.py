"""Print which training documents hold a text's 8-grams: `python -m pipeline.overlap.find`."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.overlap.holders import Found, Holder, find_holders
from pipeline.overlap.ngram_index import NgramIndex
from pipeline.shared.errors import UserError
from pipeline.shared.formats.examples import read_examples
from pipeline.shared.params.file import load_params
from pipeline.shared.study import places
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.text.words import split_words

_EXAMPLES = """\
examples
  python -m pipeline.overlap.find --text "We hold these truths to be self-evident, that all men"
  python -m pipeline.overlap.find --file sample.txt --top 20
  cat sample.txt | python -m pipeline.overlap.find --file -
  python -m pipeline.overlap.find --set lambada --example 17
  python -m pipeline.overlap.find --set ptb         lists the ids of the set's examples

what it says
  Texts are compared as lower-case words without punctuation. For each training document: how many
  of the text's 8-grams it holds, the longest passage that both hold word for word, and its address.
  A passage of fewer than eight words has no 8-gram and is not found. Training documents are those
  that the study's models were trained on, not all that were crawled.

what is needed
  data/<profile>/overlap/index and data/<profile>/dedup/kept: `dvc repro` makes them, `dvc checkout`
  brings them back. A study with overlap.index: false has no index.
"""
_NUM_IDS = 15


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one question; the exit code is 0 also where the training text holds nothing of it."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.example is not None and arguments.set is None:
        parser.error("--example needs --set")
    logging.basicConfig(level=logging.WARNING)
    try:
        folder = arguments.study
        if folder is None:
            folder = Path("data", load_params(arguments.params, arguments.profile).profile)
        study = StudyFolder(folder)
        words = split_words(_read_text(arguments, study))
        index = NgramIndex(study.path(places.NGRAMS))
        documents = study.path(places.DOCUMENTS)
        found = find_holders(index, documents, words, most=arguments.top)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(_say(words, found, index.num_words, shutil.get_terminal_size((100, 24)).columns))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.overlap.find",
        description="Which training documents hold the 8-grams of a text: any text, or an example "
        "of an evaluation set.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXAMPLES,
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--text", help="the text itself")
    asked.add_argument("--file", type=Path, help="a file of text in UTF-8; - reads what is piped")
    asked.add_argument("--set", help="an evaluation set, for --example")
    add = parser.add_argument
    add("--example", metavar="ID", help="of the set; without it, ids are listed")
    add("--top", type=int, default=8, metavar="N", help="most documents shown (default: 8)")
    add("--profile", help="study of params.yaml (default: the file's choice)")
    add("--study", type=Path, metavar="FOLDER", help="default: data/<profile>")
    add("--params", type=Path, default=Path("params.yaml"), metavar="FILE", help="of profiles")
    return parser


def _read_text(arguments: argparse.Namespace, study: StudyFolder) -> str:
    if arguments.text is not None:
        return str(arguments.text)
    if arguments.file is not None:
        return _read_file(arguments.file)
    path = study.path(places.QUESTIONS, set=arguments.set)
    if not path.is_file():
        names = ", ".join(sorted(found.stem for found in path.parent.glob("*.parquet"))) or "none"
        raise UserError(f"{path}: no such set; there are {names}")
    texts = {example.id: example.text for example in read_examples(path)}
    if arguments.example not in texts:
        ids = "  ".join(list(texts)[:_NUM_IDS])
        what = "give one by --example" if arguments.example is None else "no such example"
        raise UserError(f"{arguments.set}: {what}, of {len(texts):,}:\n{ids}  ...")
    return texts[arguments.example]


def _read_file(path: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a file of text in UTF-8 ({error})") from None


def _say(words: Sequence[str], found: Found, num_words: int, width: int) -> str:
    """The answer, for a terminal of this width."""
    grams = f"{num_words}-grams"
    if not found.num_ngrams:
        return f"{len(words)} words: too few for an n-gram of {num_words}"
    percent = 100 * found.num_held / found.num_ngrams
    lines = [
        f"{len(words):,} words, {found.num_ngrams:,} {grams}: {found.num_held:,} "
        f"({percent:.1f} %) are in the training text, in {_count(found.num_documents)}"
    ]
    if found.holders:
        lines.append(f"\n{grams:>9}  longest passage  document")
    for holder in found.holders:
        lines += _say_holder(holder, width)
    if found.num_documents > len(found.holders):
        lines.append(f"... and {found.num_documents - len(found.holders):,} more (--top)")
    return "\n".join(lines)


def _count(documents: int) -> str:
    return "1 document" if documents == 1 else f"{documents:,} documents"


def _say_holder(holder: Holder, width: int) -> list[str]:
    room = max(width - 14, 20)
    span = holder.span if len(holder.span) <= room else holder.span[: room - 3] + "..."
    passage = f"{holder.words:,} words"
    return [
        f"{holder.shared:>9,}  {passage:>15}  {holder.document}  {holder.url}",
        f'{"":11}"{span}"',
    ]


if __name__ == "__main__":
    sys.exit(main())
