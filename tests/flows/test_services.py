"""`make services` and compose.yaml: the same four servers, on loopback, with secrets of .env."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from made_checkout import environment, free_port

from flows.servers.addresses import answers
from flows.servers.storage_servers import (
    USER,
    ServiceError,
    postgres_command,
    postgres_program,
    s3_program,
)
from flows.services import Ports, pages, read_secrets, storage_access

SECRETS = ("POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")


@pytest.fixture(scope="module")
def compose(project: Path) -> dict[str, Any]:
    composed: dict[str, Any] = yaml.safe_load((project / "compose.yaml").read_text())
    return composed


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both programs, as if they were on the PATH."""
    monkeypatch.setattr(shutil, "which", lambda name: name)


def filled(values: dict[str, str]) -> dict[str, str]:
    """An environment of compose.yaml, each secret replaced by its own name."""
    for name in SECRETS:
        for form in (f"${{{name}}}", f"${{{name}:?copy .env.example to .env}}"):
            values = {key: value.replace(form, name) for key, value in values.items()}
    return values


@pytest.mark.usefixtures("installed")
def test_containers_run_what_make_services_runs(compose: dict[str, Any]) -> None:
    services, ports = compose["services"], Ports()
    known = {name: name for name in SECRETS}
    assert services["postgres"]["command"] == postgres_command(ports.postgres)
    program = s3_program(ports.s3, Path("/data"))
    assert ["versitygw", *services["s3"]["command"]] == program.command
    assert filled(services["s3"]["environment"]) == {
        program.key: "S3_ACCESS_KEY",
        program.secret: "S3_SECRET_KEY",
    }
    assert filled(services["bucket"]["environment"]) == storage_access(ports.s3, known)
    for server in pages(ports, known):
        container = services[server.name.lower()]
        assert container["command"] == ["python", *server.command]
        assert filled(container["environment"]) == server.environment
    assert services["postgres"]["environment"]["POSTGRES_USER"] == USER


def test_nothing_listens_beyond_loopback_and_no_secret_is_written_down(
    compose: dict[str, Any], project: Path
) -> None:
    for service in compose["services"].values():
        assert service["network_mode"] == "host"
        assert "ports" not in service
    text = (project / "compose.yaml").read_text()
    assert "0.0.0.0" not in text
    example = (project / ".env.example").read_text()
    for name in SECRETS:
        assert f"{name}=change-me" in example or name == "S3_ACCESS_KEY"
        assert f"${{{name}:?" in text
    for place in (".env", ".services/x"):
        asked = ["git", "check-ignore", "-q", place]
        assert subprocess.run(asked, cwd=project, check=False).returncode == 0


def test_secrets_are_made_once_and_for_us_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ".env"
    made = read_secrets(path)
    assert set(made) == set(SECRETS)
    assert len(set(made.values())) == 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_secrets(path) == made
    assert not any(value in capsys.readouterr().out for value in made.values())
    path.write_text("# none\nPOSTGRES_PASSWORD=a\nS3_ACCESS_KEY=b\nS3_SECRET_KEY=\n")
    with pytest.raises(ServiceError, match=r"S3_SECRET_KEY is missing; add it, as in \.env\.ex"):
        read_secrets(path)


def test_a_program_that_is_not_installed_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr("flows.servers.storage_servers._DEBIAN", str(tmp_path))
    with pytest.raises(ServiceError, match="apt install postgresql"):
        postgres_program("initdb")
    with pytest.raises(ServiceError, match=r"neither versitygw .* nor minio .* --s3 memory"):
        s3_program(9000, tmp_path)


def test_minio_serves_no_console_which_would_listen_on_every_interface(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "minio" else None)
    program = s3_program(9000, tmp_path)
    assert program.command == ["minio", "server", str(tmp_path), "--address", "127.0.0.1:9000"]
    assert program.environment == {"MINIO_BROWSER": "off"}


@pytest.mark.long
def test_all_four_servers_answer_end_together_and_keep_their_data(
    checkout: Path, project: Path
) -> None:
    try:
        postgres_program("initdb")
    except ServiceError as error:
        pytest.skip(str(error))
    for parent in (checkout, *checkout.parents):  # root's PostgreSQL runs as another user
        if parent.stat().st_uid == 0 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    shutil.copytree(project / "services", checkout / "services")
    ports = Ports(*(free_port() for _ in Ports._fields))
    for _ in range(2):  # the second finds the folder of the first
        process = start(checkout, ports)
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "Runs are recorded" in line:
                    break
            assert f"MLFLOW_TRACKING_URI=http://127.0.0.1:{ports.mlflow}" in said
            assert answers(f"http://127.0.0.1:{ports.prefect}/api/health")
            assert answers(f"http://127.0.0.1:{ports.mlflow}/health")
            assert answers(f"http://127.0.0.1:{ports.mlflow}/figure4/tiny/sizes")
            listening = {
                (socket.laddr.port, socket.laddr.ip)
                for socket in psutil.net_connections("tcp")
                if socket.status == psutil.CONN_LISTEN and socket.laddr.port in ports
            }
            assert listening == {(port, "127.0.0.1") for port in ports}
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)
        assert process.returncode == 0
        deadline_s = time.monotonic() + 30
        while {c.laddr.port for c in psutil.net_connections("tcp") if c.status == "LISTEN"} & {
            *ports
        }:
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
        assert "database system is shut down" in (checkout / ".services/postgres.log").read_text()


def start(checkout: Path, ports: Ports) -> subprocess.Popen[str]:
    options = [f"--{name}-port={port}" for name, port in ports._asdict().items()]
    return subprocess.Popen(
        [sys.executable, "-m", "flows.services", "--s3", "memory", *options],
        cwd=checkout,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
