"""PostgreSQL and an S3 server as installed on this machine, on loopback, for `make services`.

Their commands are those of compose.yaml, which a test compares. Either ends with the process that
started it, as the pages' servers do.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from flows.servers.addresses import LOOPBACK
from flows.supervisor import below_supervisor

USER = "figure4"
POSTGRES_PORT = 5433  # not 5432, where a system's own may listen
S3_PORT = 9000
_GRACE_S = 20.0
_START_TIMEOUT_S = 120.0
_DEBIAN = "/usr/lib/postgresql"
_UNPRIVILEGED = ("postgres", "nobody")  # for root, as whom PostgreSQL refuses to run


class ServiceError(Exception):
    """A server is not installed or does not come up; says why and what to do."""


class S3Program(NamedTuple):
    """One S3 server: its command and its names for the root key."""

    command: list[str]
    key: str
    secret: str
    keeps: bool
    """Whether objects outlive it."""
    environment: Mapping[str, str] = MappingProxyType({})
    """What else it is told."""


def s3_program(port: int, folder: Path, *, memory: bool = False) -> S3Program:
    """The server to start over `folder`: what is installed of those that keep objects there.

    `memory` takes moto's, of the development tools, which keeps them in memory.

    Raises:
        ServiceError: none is installed.
    """
    address = f"{LOOPBACK}:{port}"
    if memory:
        moto = [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)]
        return S3Program(moto, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", keeps=False)
    if found := shutil.which("versitygw"):
        command = [found, "--port", address, "posix", str(folder)]
        return S3Program(command, "ROOT_ACCESS_KEY", "ROOT_SECRET_KEY", keeps=True)
    if found := shutil.which("minio"):
        command = [found, "server", str(folder), "--address", address]
        names = ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")
        # Its console, which nobody here needs, would listen on every interface.
        return S3Program(command, *names, keeps=True, environment={"MINIO_BROWSER": "off"})
    raise ServiceError(
        "no S3 server: neither versitygw (github.com/versity/versitygw) nor minio is on the PATH; "
        "install either, or try with moto's, which forgets at the end: "
        "python -m flows.services --s3 memory"
    )


def postgres_program(name: str) -> str:
    """Where a program of PostgreSQL is: on the PATH or, of the newest version, in Debian's folder.

    Raises:
        ServiceError: PostgreSQL is not installed.
    """
    places = [*Path(_DEBIAN).glob(f"*/bin/{name}")]
    newest = max(places, key=lambda path: float(path.parents[1].name), default=None)
    found = shutil.which(name) or newest
    if found is None:
        raise ServiceError(
            f"PostgreSQL is not installed ({name} is not to be found); Debian: apt install "
            "postgresql; macOS: brew install postgresql"
        )
    return str(found)


@contextmanager
def postgres(folder: Path, port: int, password: str) -> Iterator[None]:
    """A PostgreSQL server on `port` of loopback over `folder`, which is made if it is new.

    Raises:
        ServiceError: it is not installed or does not come up.
    """
    if not folder.is_dir():
        _initialise(folder, password)
    # No socket in the file system: its path would have to be short.
    command = [*postgres_command(port), "-c", "unix_socket_directories=", "-D", str(folder)]
    log = folder.with_name("postgres.log")
    with supervised(_unprivileged(command), os.environ, log) as process:
        _wait_for_postgres(port, process, log)
        try:
            _psql(port, password, ["-f", "services/databases.sql"])
            yield
        finally:
            # By itself it waits for every client to leave.
            stop = [postgres_program("pg_ctl"), "stop", "-m", "fast", "-D", str(folder)]
            subprocess.run(_unprivileged(stop), check=False, capture_output=True)


def postgres_command(port: int) -> list[str]:
    """What the container runs too."""
    settings = (f"listen_addresses={LOOPBACK}", f"port={port}")
    return [postgres_program("postgres"), *(word for each in settings for word in ("-c", each))]


def _initialise(folder: Path, password: str) -> None:
    """Make it whole or not at all."""
    new, note = folder.with_name(f"{folder.name}.new"), folder.with_name("password")
    shutil.rmtree(new, ignore_errors=True)
    note.unlink(missing_ok=True)
    new.mkdir(parents=True)
    with open(note, "x", opener=private) as file:
        file.write(password)
    if (owner := _owner()) is not None:
        os.chown(new, owner.pw_uid, owner.pw_gid)
        os.chown(note, owner.pw_uid, owner.pw_gid)
    command = [postgres_program("initdb"), "-D", str(new), f"--username={USER}"]
    command += ["--auth=scram-sha-256", f"--pwfile={note}", "--encoding=UTF8", "--no-locale"]
    done = subprocess.run(_unprivileged(command), capture_output=True, text=True, check=False)
    note.unlink()
    if done.returncode:
        raise ServiceError(f"PostgreSQL: {folder} could not be made: {done.stderr.strip()}")
    new.rename(folder)


def private(path: str, flags: int) -> int:
    """An opener of files that nobody else can read."""
    return os.open(path, flags, 0o600)


def _owner() -> pwd.struct_passwd | None:
    """As whom PostgreSQL runs, if not as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in _UNPRIVILEGED if name in known)


def _unprivileged(command: Sequence[str]) -> list[str]:
    owner = _owner()
    return [*(["runuser", "-u", owner.pw_name, "--"] if owner else []), *command]


def _psql(port: int, password: str, arguments: list[str]) -> None:
    where = ["-h", LOOPBACK, "-p", str(port), "-U", USER, "-d", "postgres"]
    command = [postgres_program("psql"), *where, "-v", "ON_ERROR_STOP=1", "-q", *arguments]
    environment = os.environ | {"PGPASSWORD": password}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"PostgreSQL: {done.stderr.strip()}")


def _wait_for_postgres(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    asked = [postgres_program("pg_isready"), "-q", "-h", LOOPBACK, "-p", str(port)]
    ends_s = time.monotonic() + _START_TIMEOUT_S
    while subprocess.run(asked, check=False).returncode:
        if process.poll() is not None or time.monotonic() > ends_s:
            said = log.read_text(errors="replace").strip().splitlines()[-5:]
            raise ServiceError("PostgreSQL does not come up; it says\n" + "\n".join(said))
        time.sleep(0.2)


@contextmanager
def supervised(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with this process, however that ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            below_supervisor(command, grace_s=_GRACE_S),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()
