"""`make ui`: both pages or none, found by flows, wholly gone afterwards."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from made_checkout import Pages, environment, free_port

from flows.doctor import check_servers
from flows.servers.addresses import (
    Servers,
    UiError,
    noted,
    port_is_free,
    read_state,
    running_prefect_api,
)
from flows.servers.pages import PREFECT_PORT, mlflow_server
from flows.servers.serving import serving
from flows.ui import main


def processes_about(port: int) -> list[str]:
    """Command lines of living processes that name a port."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(port) in command and f"/{os.getpid()}/" not in str(path):
            found.append(command)
    return found


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def test_both_pages_answer_and_their_addresses_are_printed(pages: Pages) -> None:
    assert f"Prefect  {pages.prefect}/runs" in pages.said
    assert f"MLflow   {pages.mlflow}" in pages.said
    for address in (pages.prefect, pages.mlflow):
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert b"<html" in answer.read().lower()


def test_prefects_page_asks_its_own_port(pages: Pages) -> None:
    with urllib.request.urlopen(f"{pages.prefect}/ui-settings", timeout=10) as answer:
        assert f"{pages.prefect}/api".encode() in answer.read()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example"}, 400),
        ({"Host": "rebound.example:4200", "Origin": "http://rebound.example:4200"}, 400),
        ({"Origin": "https://other.example"}, 403),
        ({"Origin": "http://127.0.0.1.other.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 200),
        ({"Origin": "http://localhost:4200"}, 200),
    ],
)
def test_pages_of_other_sites_start_nothing(
    pages: Pages, headers: dict[str, str], status: int
) -> None:
    body = b'{"limit": 1}'
    headers = headers | {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{pages.prefect}/api/flow_runs/filter", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == status
    except urllib.error.HTTPError as error:
        assert error.code == status


def test_flows_of_the_checkout_find_the_server(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pages.root)
    assert running_prefect_api() == f"{pages.prefect}/api"


def test_a_note_of_a_dead_server_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert running_prefect_api() is None
    servers = Servers(prefect=f"http://127.0.0.1:{free_port()}", mlflow="")
    with noted(servers):
        assert read_state() == servers
        assert running_prefect_api() is None
        Path(".prefect/ui.json").write_text("{torn")
        assert running_prefect_api() is None
    assert read_state() is None


def test_what_answers_where_a_killed_ui_was_is_not_taken_for_its_server(
    pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = f"""
import os
from flows.servers.addresses import Servers, noted, running_prefect_api
with noted(Servers({pages.prefect!r}, "")):
    assert running_prefect_api()
    os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), check=False)
    assert done.returncode == -9
    assert pages.prefect in Path(".prefect/ui.json").read_text()
    assert running_prefect_api() is None
    assert ("ok", "Prefect: not started; its port 4200 is free") in check_servers() or not (
        port_is_free(PREFECT_PORT)
    )


def test_a_second_ui_of_a_checkout_is_refused_and_names_the_first(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pages.root)
    ports = [str(free_port()), str(free_port())]
    assert main(["--prefect-port", ports[0], "--mlflow-port", ports[1]]) == 1
    said = capsys.readouterr().err
    assert f"is at work ({pages.prefect}, {pages.mlflow}); use it or end it" in said
    assert running_prefect_api() == f"{pages.prefect}/api"
    assert ("ok", f"MLflow: {pages.mlflow} answers") in list(check_servers())


@pytest.mark.parametrize("name", ["Prefect", "MLflow"])
def test_a_port_in_use_is_one_error_with_the_option_and_leaves_nothing(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    option = f"--{name.lower()}-port"
    other = "--mlflow-port" if name == "Prefect" else "--prefect-port"
    free = free_port()
    with taken_port() as port:
        code = main([option, str(port), other, str(free)])
    said = capsys.readouterr()
    assert code == 1
    assert f"{name}: port {port} of 127.0.0.1 is in use" in said.err
    assert f"python -m flows.ui {option} {port + 1}" in said.err
    assert len(said.err.splitlines()) == 1
    assert processes_about(free) == []


def test_a_server_that_does_not_come_up_is_an_error_with_its_last_lines(checkout: Path) -> None:
    server = mlflow_server(free_port(), "sqlite:///mlflow.db", checkout.as_uri())
    broken = server._replace(command=["-c", "print('no such table'); raise SystemExit(3)"])
    with pytest.raises(UiError, match=r"(?s)^MLflow: the server ended; .*mlflow\.log .*no such"):
        serving([broken], checkout / "logs", command="x").__enter__()


def test_servers_named_by_the_environment_are_not_started(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.test/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.test")
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "Prefect  http://prefect.test  (PREFECT_API_URL; not started here)" in said
    assert "MLflow   http://mlflow.test  (MLFLOW_TRACKING_URI; not started here)" in said


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_the_servers_end_with_the_command_however_it_ends(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.ui", f"--prefect-port={port}"],
        cwd=checkout,
        env=environment() | {"MLFLOW_TRACKING_URI": "off"},
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 60
    while not any("-m flows.servers.prefect_server" in line for line in processes_about(port)):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    getattr(process, how)()
    process.communicate(timeout=60)
    while processes_about(port):
        assert time.monotonic() < deadline_s, processes_about(port)
        time.sleep(0.1)
    monkeypatch.chdir(checkout)
    assert read_state() is None


def test_neither_server_listens_beyond_loopback(pages: Pages) -> None:
    ports = {int(address.rpartition(":")[2]) for address in (pages.prefect, pages.mlflow)}
    listening = {
        (socket.laddr.port, socket.laddr.ip)
        for socket in psutil.net_connections("tcp")
        if socket.status == psutil.CONN_LISTEN and socket.laddr.port in ports
    }
    assert listening == {(port, "127.0.0.1") for port in ports}
