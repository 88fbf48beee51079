"""Released weights by name, from the Hugging Face hub where there is a network.

    model = load_pretrained(fetch_pretrained("openai-community/gpt2-medium"))

Safetensors, JSON and the tokenizer's text are all that is asked for: a pickle can run code. The
hub's library keeps the files, and reads HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN itself.
Of a download over HTTP it compares the size alone, so the weights' hash is checked here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from models.errors import CheckpointError
from models.hugging_face_config import CONFIG
from models.weight_files import INDEX
from models.weights_note import WEIGHTS

_SHARDS = "model-*-of-*.safetensors"
_TOKENIZER = (
    *("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"),
    *("added_tokens.json", "special_tokens_map.json", "encoder.json", "vocab.bpe", "*.tiktoken"),
    "tokenizer.model",
)
_RELEASED = "openai-community/gpt2, gpt2-medium, gpt2-large and gpt2-xl"
_SHA256_DIGITS = 64


class HubError(Exception):
    """Weights that the hub did not give: names the repository, the reason and the remedy."""


def fetch_pretrained(
    name: str | Path,
    *,
    revision: str = "main",
    endpoint: str | None = None,
    cache: Path | None = None,
) -> Path:
    """The folder of a model: `name` itself if it is one, else the hub's repository, fetched.

    What was fetched before is not fetched again, and is had without a network.

    Args:
        name: A folder, or `owner/name` on the hub; GPT-2's owner is openai-community.
        revision: A branch, a tag or a commit; of these a commit alone stays what it is.
        endpoint: The hub's address, where it is not that of HF_ENDPOINT.
        cache: Where files are kept, if not in HF_HOME.

    Raises:
        HubError: no such folder, and the hub does not answer or does not have it.
        CheckpointError: a file is missing there, or the weights are not those that the hub names.
    """
    if Path(name).is_dir():
        return Path(name)
    folder = _fetch(str(name), revision, endpoint, cache)
    whole = (folder / WEIGHTS).is_file()
    weights = [folder / WEIGHTS] if whole else sorted(folder.glob(_SHARDS))
    if not weights or not (whole or (folder / INDEX).is_file()):
        raise _lacks(name, WEIGHTS, revision)
    if not (folder / CONFIG).is_file():
        raise _lacks(name, CONFIG, revision)
    for path in weights:
        _check_hash(path)
    return folder


def _lacks(name: str | Path, file: str, revision: str) -> CheckpointError:
    return CheckpointError(
        f"{name}: has no {file} at revision {revision}, and pickled weights are not read; "
        f"take a revision or a repository that has it (GPT-2's: {_RELEASED})"
    )


def _fetch(name: str, revision: str, endpoint: str | None, cache: Path | None) -> Path:
    try:
        # Here, not above: a GPU node may have torch alone, and a folder needs nothing else.
        from httpx2 import HTTPError
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise HubError(
            f"{name}: no such folder, and the hub's library is missing ({error}); "
            f"`pip install huggingface_hub`, or {_FOLDER}"
        ) from None
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                endpoint=endpoint,
                cache_dir=cache,
                allow_patterns=[WEIGHTS, INDEX, _SHARDS, CONFIG, *_TOKENIZER],
            )
        )
    except (OSError, ValueError, HTTPError) as error:  # the library's own errors are among these
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise HubError(
            f"{name}: no such folder, and the hub did not give it ({reason}); {_remedy(error)}"
        ) from None


_FOLDER = f"give a folder that holds {WEIGHTS} and {CONFIG}"


def _remedy(error: Exception) -> str:
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, RevisionNotFoundError):
        return "take a revision that it has, such as main"
    if isinstance(error, RepositoryNotFoundError):  # the hub says so of private ones, too
        return f"check the name (GPT-2's: {_RELEASED}), or set HF_TOKEN if it is private"
    return f"{_FOLDER}, or set HF_ENDPOINT to a hub that answers"


def _check_hash(weights: Path) -> None:
    """Compare with the SHA-256 by which the cache names a large file, behind its link."""
    if not weights.is_symlink():  # a file system without links keeps no such name
        return
    stored = weights.parent / weights.readlink()
    if len(stored.name) != _SHA256_DIGITS:  # a small file, named by Git's own hash
        return
    with stored.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != stored.name:
        raise CheckpointError(
            f"{stored.resolve()}: damaged, SHA-256 {found[:12]}... instead of "
            f"{stored.name[:12]}...; delete it and fetch it again"
        )
