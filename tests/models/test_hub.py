"""Weights fetched by name from a server on loopback that speaks the hub's protocol."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save

from models.checkpoints import load_pretrained, save_pretrained
from models.errors import CheckpointError
from models.gpt2 import GPT2, GPT2Config, empty_model
from models.hub import HubError, fetch_pretrained
from models.hugging_face_config import read_config

NAME, COMMIT = "openai-community/gpt2", "0123456789" * 4
NOWHERE = "http://127.0.0.1:1"
TINY = GPT2Config(vocab_size=101, n_positions=32, n_embd=24, n_layer=2, n_head=3)
# The keys of openai-community/gpt2's config.json and, at the end, what the larger ones add.
RELEASED: dict[str, Any] = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "eos_token_id": 50256,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 50257,
    "n_special": 0,
    "output_past": True,
    "predict_special_tokens": True,
}


@dataclass
class MadeHub:
    """The hub's routes for one repository: revision, tree, resolve, and a storage apart."""

    files: dict[str, bytes]
    endpoint: str = ""
    storage: str = ""
    stored: bytes = b""
    """What the storage sends for the weights, which may not be what the hub has promised."""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        api, plain = f"/api/models/{NAME}", path.partition("?")[0]
        if plain == f"{api}/revision/main":
            return 200, {}, json.dumps({"id": NAME, "sha": COMMIT}).encode()
        if plain == f"{api}/tree/{COMMIT}":
            return 200, {}, json.dumps([self._entry(name) for name in self.files]).encode()
        if plain == "/storage":
            return 200, {}, self.stored
        name = plain.removeprefix(f"/{NAME}/resolve/{COMMIT}/")
        if name in self.files:
            return self._resolve(name)
        kind = "RevisionNotFound" if plain.startswith(f"{api}/") else "RepoNotFound"
        return 404, {"X-Error-Code": kind}, b""

    def _entry(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        entry = {"type": "file", "path": name, "size": len(content), "oid": _git_hash(content)}
        if name == "model.safetensors":
            oid = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
        return entry

    def _resolve(self, name: str) -> tuple[int, dict[str, str], bytes]:
        content, headers = self.files[name], {"X-Repo-Commit": COMMIT}
        if name != "model.safetensors":
            return 200, headers | {"ETag": f'"{_git_hash(content)}"'}, content
        headers |= {"X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        headers |= {"X-Linked-Size": str(len(content)), "Location": self.storage}
        return 302, headers, b""


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture(scope="module")
def model() -> GPT2:
    model = empty_model(TINY)
    model.initialise(torch.Generator().manual_seed(0), "none")
    return model.eval()


@pytest.fixture
def hub(model: GPT2, tmp_path: Path) -> Iterator[MadeHub]:
    """A hub with the model in the released files' layout: bare names, and causal masks."""
    save_pretrained(model, tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in saved.items()}
    for layer in range(TINY.n_layer):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 32, 32).tril()
    weights = save(tensors, metadata={"format": "pt"})
    shape = {name: getattr(TINY, name) for name in ("vocab_size", "n_embd", "n_layer", "n_head")}
    config = RELEASED | shape | {"n_positions": 32, "n_ctx": 32}
    hub = MadeHub({
        "config.json": json.dumps(config).encode(),
        "generation_config.json": b"{}",
        "model.safetensors": weights,
        "onnx/decoder_model.onnx": b"not asked for",
        "pytorch_model.bin": b"a pickle",
        "vocab.json": b"{}",
    })
    hub.stored = weights
    yield from _serve(hub)


def _serve(hub: MadeHub) -> Iterator[MadeHub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            status, headers, body = hub.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        # Another host, as with the real hub: its answer must not be needed for the hash.
        hub.storage = f"http://localhost:{server.server_port}/storage"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield hub
        server.shutdown()


def test_a_fetched_model_has_the_logits_of_the_one_that_was_released(
    hub: MadeHub, model: GPT2, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    folder = fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache")
    fetched, peer = load_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens_BT = torch.randint(101, (2, 32), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = fetched.logits(fetched(tokens_BT))
        assert torch.equal(logits, model.logits(model(tokens_BT)))
        assert torch.allclose(logits, peer(tokens_BT).logits, atol=1e-5)


def test_neither_pickles_nor_other_formats_are_asked_for(hub: MadeHub, tmp_path: Path) -> None:
    folder = fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache")
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "vocab.json",
    }
    assert not [line for line in hub.asked if ".bin" in line or "onnx" in line]


def test_a_second_fetch_asks_for_the_revision_alone(hub: MadeHub, tmp_path: Path) -> None:
    first = fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache")
    assert hub.asked.count("GET /storage") == 1
    hub.asked.clear()
    assert fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache") == first
    assert hub.asked == [f"GET /api/models/{NAME}/revision/main"]


def test_weights_with_one_wrong_byte_are_refused_until_deleted(
    hub: MadeHub, tmp_path: Path
) -> None:
    hub.stored = hub.stored[:-1] + bytes([hub.stored[-1] ^ 1])
    for _ in range(2):  # the damaged file stays in the cache
        with pytest.raises(CheckpointError, match=r"damaged, SHA-256 .* delete it") as refused:
            fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache")
    Path(str(refused.value).partition(":")[0]).unlink()
    hub.stored = hub.files["model.safetensors"]
    load_pretrained(fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache"))


def test_weights_that_are_cut_short_are_refused_and_fetched_anew(
    hub: MadeHub, tmp_path: Path
) -> None:
    hub.stored = hub.stored[:-1]
    with pytest.raises(HubError, match=r"should be of size \d+ but has size"):
        fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache")
    hub.stored = hub.files["model.safetensors"]
    load_pretrained(fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache"))


def test_a_repository_of_pickles_is_refused_by_name(hub: MadeHub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(CheckpointError, match=rf"{NAME}: has no model\.safetensors .* pickled"):
        fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "revision", "remedy"),
    [
        ("openai-community/gpt3", "main", r"check the name \(GPT-2's: openai-community/gpt2, "),
        (NAME, "v2", "take a revision that it has, such as main"),
        ("no/such/folder", "main", r"give a folder that holds model\.safetensors and config"),
    ],
)
def test_what_the_hub_does_not_have_is_one_clear_error(
    hub: MadeHub, tmp_path: Path, name: str, revision: str, remedy: str
) -> None:
    with pytest.raises(HubError, match=rf"^{name}: no such folder, and the hub .*{remedy}"):
        fetch_pretrained(name, revision=revision, endpoint=hub.endpoint, cache=tmp_path / "cache")


def test_without_a_server_the_error_offers_a_folder(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"refused\); give a folder that .* or set HF_ENDPOINT"):
        fetch_pretrained(NAME, endpoint=NOWHERE, cache=tmp_path)


def test_a_folder_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # as if it were not installed
    assert fetch_pretrained(tmp_path) == tmp_path
    with pytest.raises(HubError, match=r"library is missing .*`pip install huggingface_hub`"):
        fetch_pretrained(NAME)


def test_what_was_fetched_is_had_without_a_network(
    hub: MadeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache")
    hub.asked.clear()
    assert fetch_pretrained(NAME, endpoint=NOWHERE, cache=tmp_path / "cache") == folder
    # What HF_HUB_OFFLINE=1 does, which the library reads once, when it is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "cache") == folder
    with pytest.raises(HubError, match="outgoing traffic has been disabled"):
        fetch_pretrained(NAME, endpoint=hub.endpoint, cache=tmp_path / "empty")
    assert hub.asked == []


def test_the_environment_names_the_hub_and_the_cache(hub: MadeHub, tmp_path: Path) -> None:
    code = f"from models.hub import fetch_pretrained; print(fetch_pretrained({NAME!r}))"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert Path(printed.strip()).is_relative_to(tmp_path / "home")
    assert hub.asked.count("GET /storage") == 1


def test_the_released_config_is_read_whatever_else_it_says(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(RELEASED))
    assert read_config(tmp_path) == GPT2Config(50_257, 1024, 768, 12, 12)
