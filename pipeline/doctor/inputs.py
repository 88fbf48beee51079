"""What the profile reads from outside: corpus, dumps, evaluation files, the network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

from pipeline.doctor.finding import Finding, ok
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.eval_sets.sources import Folder, command_for
from pipeline.shared.errors import UserError
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.outside import places
from pipeline.shared.running.storage import exists, is_url, parse_place

_A_HOST = "example.com"  # reserved for such use (RFC 2606)
_TIMEOUT_S = 5.0
# One of each must be set, or a file of the tool's own be there, before a store lets anyone in.
_CREDENTIALS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS",),
}


def check_inputs(params: ProfileParams) -> Iterator[Finding]:
    """Places outside the chain, evaluation files, and what a crawl needs."""
    for section in type(params).model_fields:
        named = getattr(params, section)
        for key, found in (places(named) if section != "models" else {}).items():
            for place in found:
                yield from _check_place(f"{section}.{key}", place)
    yield from _check_eval_files(params)
    if params.links.source == "reddit":
        yield from _check_crawl(params)


def _check_place(key: str, place: str) -> Iterator[Finding]:
    if is_url(place):
        yield from _check_credentials(key, place)
    try:
        there = exists(parse_place(place))
    except UserError as error:
        yield Finding("wrong", f"{key} = {place}", str(error))
        return
    if there:
        yield ok(f"{key} = {place}: is there")
    else:
        yield Finding(
            "wrong", f"{key} = {place}: no such file or folder", "put it there or change it"
        )


def _check_credentials(key: str, place: str) -> Iterator[Finding]:
    names = _CREDENTIALS.get(place.partition("://")[0], ())
    if names and not any(os.environ.get(name) for name in names):
        yield Finding(
            "note",
            f"{key} = {place}: none of {', '.join(names)} is set",
            "fine where the store's own configuration file or the machine's role lets you in",
        )


def _check_eval_files(params: ProfileParams) -> Iterator[Finding]:
    """Which sets have their files, and the command for each that has not."""
    asked = params.eval_sets
    if asked.source != "folder" or not asked.location:
        yield ok(f"evaluation sets: from {asked.source}")
        return
    folder = Folder(parse_place(asked.location))
    published = {name: one for name, one in EVAL_SETS.items() if one.test}
    missing = {
        name: file
        for name, one in published.items()
        for file in one.test.values()
        if folder.find(file) is None
    }
    yield ok(f"evaluation sets: {len(published) - len(missing)} of {len(published)} have files")
    for name, file in missing.items():
        place = folder.root / file.folder / file.forms[0].name
        yield Finding("note", f"{name}: {place} is missing", command_for(file, place))


def _check_crawl(params: ProfileParams) -> Iterator[Finding]:
    agent = params.fetching.user_agent
    if agent:
        yield ok(f"user agent: {agent}")
    else:
        yield Finding(
            "wrong",
            "fetching.user_agent is empty",
            "name the crawler and a contact: 'name/1.0 (+https://your.site/about)'",
        )
    try:
        with socket.create_connection((_A_HOST, 443), timeout=_TIMEOUT_S):
            yield ok("network: other hosts answer")
    except OSError as error:
        yield Finding(
            "wrong", f"network: {_A_HOST} does not answer ({error})", "a crawl needs the web"
        )
