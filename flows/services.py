"""`make services`: both pages over PostgreSQL and object storage; compose.yaml without containers.

Everything listens on loopback, keeps its data in .services/, and ends with Ctrl-C. Secrets are
those of .env, which is written with random ones where it is not there.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from flows.checkout.checkout import read_params
from flows.checkout.leavings import CheckoutError
from flows.servers.addresses import LOOPBACK, UiError, noted, port_is_free
from flows.servers.bucket import make_bucket
from flows.servers.pages import (
    MLFLOW_PORT,
    PREFECT_PORT,
    addresses_of,
    announce,
    mlflow_server,
    prefect_server,
)
from flows.servers.serving import Server, interrupt, keep_up, serving
from flows.servers.storage_servers import (
    POSTGRES_PORT,
    S3_PORT,
    USER,
    ServiceError,
    postgres,
    private,
    s3_program,
    supervised,
)

_COMMAND = "python -m flows.services"
_FOLDER = Path(".services")
_SECRETS = Path(".env")
_BUCKET = "mlflow"
_NAMES = ("POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")


class Ports(NamedTuple):
    """Of loopback."""

    prefect: int = PREFECT_PORT
    mlflow: int = MLFLOW_PORT
    postgres: int = POSTGRES_PORT
    s3: int = S3_PORT


def read_secrets(path: Path = _SECRETS) -> dict[str, str]:
    """What .env says; a file that is not there is written with random secrets.

    Raises:
        ServiceError: it lacks one of them.
    """
    if not path.is_file():
        with open(path, "x", opener=private) as file:
            file.writelines(f"{name}={secrets.token_hex(16)}\n" for name in _NAMES)
        print(f"{path}: written, with secrets of its own")
    lines = [line for line in path.read_text().splitlines() if "=" in line and line[:1] != "#"]
    found = {name.strip(): value.strip() for name, _, value in (x.partition("=") for x in lines)}
    for name in _NAMES:
        if not found.get(name):
            raise ServiceError(f"{path}: {name} is missing; add it, as in .env.example")
    return found


def pages(ports: Ports, known: Mapping[str, str]) -> list[Server]:
    """Both pages' servers, which find databases and bucket by their environment."""
    database = f"{USER}:{quote(known['POSTGRES_PASSWORD'], safe='')}@{LOOPBACK}:{ports.postgres}"
    prefect = prefect_server(ports.prefect)
    address = f"postgresql+asyncpg://{database}/prefect"
    prefect.environment["PREFECT_API_DATABASE_CONNECTION_URL"] = address
    mlflow = mlflow_server(
        ports.mlflow, f"postgresql+psycopg://{database}/mlflow", f"s3://{_BUCKET}"
    )
    mlflow.environment.update(storage_access(ports.s3, known))
    return [prefect, mlflow]


def storage_access(port: int, known: Mapping[str, str]) -> dict[str, str]:
    """How MLflow reaches the object storage."""
    return {
        "MLFLOW_S3_ENDPOINT_URL": f"http://{LOOPBACK}:{port}",
        "AWS_ACCESS_KEY_ID": known["S3_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": known["S3_SECRET_KEY"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@contextmanager
def storage(
    ports: Ports, known: Mapping[str, str], folder: Path, *, memory: bool
) -> Iterator[None]:
    """PostgreSQL and the S3 server over `folder`, the bucket made.

    Raises:
        ServiceError: either is not installed, has no port or does not come up.
    """
    for name in ("postgres", "s3"):
        if not port_is_free(port := getattr(ports, name)):
            raise ServiceError(
                f"{name}: port {port} of {LOOPBACK} is in use; end what uses it or choose another: "
                f"{_COMMAND} --{name}-port {port + 1}"
            )
    objects = folder / "s3"
    program = s3_program(ports.s3, objects, memory=memory)
    objects.mkdir(parents=True, exist_ok=True)
    access = storage_access(ports.s3, known)
    keys = {program.key: known["S3_ACCESS_KEY"], program.secret: known["S3_SECRET_KEY"]}
    environment = {**os.environ, **access, **keys, **program.environment}
    with (
        postgres(folder / "postgres", ports.postgres, known["POSTGRES_PASSWORD"]),
        supervised(program.command, environment, folder / "s3.log"),
    ):
        os.environ.update(access)
        try:
            make_bucket(_BUCKET, access["MLFLOW_S3_ENDPOINT_URL"])
        except (BotoCoreError, ClientError) as error:
            raise ServiceError(f"{program.command[0]}: {error}; see {folder / 's3.log'}") from None
        print(f"Postgres {LOOPBACK}:{ports.postgres}\nS3       {access['MLFLOW_S3_ENDPOINT_URL']}")
        if not program.keeps:
            print("         in memory: artefacts are gone at the end")
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _parse(arguments)
    ports = Ports(*(getattr(options, f"{name}_port") for name in Ports._fields))
    signal.signal(signal.SIGTERM, interrupt)
    try:
        profile = str(read_params(Path("params.yaml"))["profile"])
        known = read_secrets()
        memory = options.s3 == "memory"
        with storage(ports, known, _FOLDER.resolve(), memory=memory):
            servers = pages(ports, known)
            with (
                noted(addresses_of(servers)),
                serving(servers, _FOLDER / "logs", command=_COMMAND) as served,
            ):
                announce(servers, profile)
                print(f"Runs are recorded there with MLFLOW_TRACKING_URI={servers[1].address}")
                sys.stdout.flush()
                keep_up(served)
    except (ServiceError, UiError, CheckoutError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nAll four servers are closed; their data stays in .services/")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=_COMMAND,
        description="Both pages over PostgreSQL and an S3 server as installed here, on loopback.",
    )
    for name, port in Ports()._asdict().items():
        parser.add_argument(f"--{name}-port", type=int, default=port, metavar="PORT")
    parser.add_argument(
        "--s3",
        choices=["installed", "memory"],
        default="installed",
        help="memory: moto's server, to try it without versitygw or minio; forgets at the end",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
