"""What a flow does to its checkout before the first stage."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_checkout import environment

from flows.checkout.checkout import (
    activate,
    device_slots,
    listed_gpus,
    prepare,
    read_params,
    visible_gpus,
)
from flows.checkout.leavings import CheckoutError, clear_dead_lock

LOG = logging.getLogger("test_checkout")


def test_the_checkout_tells_sizes_and_devices(checkout: Path) -> None:
    with prepare(checkout, None, None, LOG) as found:
        assert found.profile == "tiny"
        assert found.sizes == ["small", "xl"]
        assert found.devices == [None]


def test_a_folder_without_dvc_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckoutError, match="start the flow in the project's folder"):
        prepare(tmp_path, None, None, LOG).__enter__()


def test_a_folder_that_cannot_be_written_is_one_line(checkout: Path) -> None:
    (checkout / ".prefect").write_text("a file in the place of the folder")
    with pytest.raises(CheckoutError, match=r"study\.lock: .*; the study needs to write there"):
        prepare(checkout, None, None, LOG).__enter__()


def test_another_profile_is_written_where_dvc_reads_it(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = checkout / "params.yaml"
    path.write_text(
        "# kept\nprofile: tiny  # the active one\nprofiles: {tiny: {}, other: {}}\nsizes: [s]\n"
    )
    with caplog.at_level(logging.INFO):
        assert activate(path, "other", LOG) == "other"
    assert path.read_text().startswith("# kept\nprofile: other\n")
    assert "profile is now other, before it was tiny" in caplog.text


def test_an_unknown_profile_changes_nothing(checkout: Path) -> None:
    before = (checkout / "params.yaml").read_text()
    with pytest.raises(CheckoutError, match=r"'tinny' is not under profiles; did you mean tiny\?"):
        activate(checkout / "params.yaml", "tinny", LOG)
    with pytest.raises(CheckoutError, match=r"choose one of \['other', 'tiny'\]"):
        activate(checkout / "params.yaml", "paper", LOG)
    assert (checkout / "params.yaml").read_text() == before


def test_a_profile_that_the_file_chooses_and_lacks_is_an_error_with_the_nearest(
    checkout: Path,
) -> None:
    path = checkout / "params.yaml"
    path.write_text(path.read_text().replace("profile: tiny", "profile: tinny"))
    with pytest.raises(CheckoutError, match=r"did you mean tiny\?"):
        prepare(checkout, None, None, LOG).__enter__()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [", "cannot be read"),
        (b"profile: t\xff", "cannot be read"),
        (b"", "no profile, profiles and sizes in it"),
        (b"profile: tiny\n", "no profile, profiles and sizes in it"),
    ],
)
def test_broken_parameters_are_an_error_with_the_place(
    checkout: Path, content: bytes, said: str
) -> None:
    (checkout / "params.yaml").write_bytes(content)
    with pytest.raises(CheckoutError, match=rf"params\.yaml: {said}"):
        read_params(checkout / "params.yaml")


@pytest.mark.parametrize("key", ["profile", "profiles", "sizes"])
@pytest.mark.parametrize("name", ["tiny$(touch X)", "../..", "a b", "-x", "tiny\n", 7, ""])
def test_a_name_that_dvc_would_write_into_a_command_is_refused_before_dvc_reads_it(
    checkout: Path, key: str, name: object
) -> None:
    params: dict[str, object] = {"profile": "tiny", "profiles": {"tiny": {}}, "sizes": ["small"]}
    params[key] = {"profile": name, "profiles": {"tiny": {}, name: {}}, "sizes": [name]}[key]
    (checkout / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(CheckoutError, match="letters, digits, _ and -"):
        prepare(checkout, None, None, LOG).__enter__()


def write_shipped_params(checkout: Path, project: Path, keys: str, value: Any) -> None:
    """The project's own parameters with another value at `keys`, or without them."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    *sections, last = keys.split(".")
    where = params
    for section in sections:
        where = where[section]
    where[last] = value
    if value is LEFT_OUT:
        del where[last]
    (checkout / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


LEFT_OUT = object()
COMPUTE = "profiles.tiny.compute"


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (COMPUTE, LEFT_OUT, rf"{COMPUTE} is missing"),
        (COMPUTE, None, rf"{COMPUTE} = None must be a mapping of keys"),
        ("profiles.tiny", None, r"profiles\.tiny = None must be sections of keys"),
        ("defaults", None, r"defaults = None must be sections of keys"),
        ("defaults.compute", None, r"defaults\.compute = None must be a mapping of keys"),
        (f"{COMPUTE}.accelerator", LEFT_OUT, rf"{COMPUTE}\.accelerator is missing; add it"),
        (f"{COMPUTE}.workers", "two", rf"{COMPUTE}\.workers = 'two': .*; change it"),
        (f"{COMPUTE}.threads", 0, rf"{COMPUTE}\.threads = 0: .*; change it"),
        (COMPUTE, {"accelerator": "gpu", "devices": 0}, rf"{COMPUTE}\.devices = 0: .*; change it"),
    ],
)
def test_parameters_that_tell_no_devices_are_an_error_with_the_key_before_anything_is_mended(
    checkout: Path, project: Path, keys: str, value: Any, said: str
) -> None:
    write_shipped_params(checkout, project, keys, value)
    lock = write_lock(checkout, os.getpid())
    with pytest.raises(CheckoutError, match=said) as error:
        prepare(checkout, None, None, LOG).__enter__()
    assert all(line.startswith("params.yaml: ") for line in str(error.value).splitlines())
    assert lock.is_file()


def test_a_number_that_dvc_and_the_flow_read_differently_is_an_error_too(
    checkout: Path, project: Path
) -> None:
    write_shipped_params(checkout, project, f"{COMPUTE}.threads", 1)
    path = checkout / "params.yaml"
    # A one in YAML 1.2, which DVC reads; text in YAML 1.1.
    path.write_text(path.read_text().replace("threads: 1\n", "threads: 0o1\n", 1))
    with pytest.raises(CheckoutError, match=r"compute of tiny tells no devices \(ValueError"):
        prepare(checkout, None, None, LOG).__enter__()


def test_make_study_ends_with_that_line_and_no_traceback(checkout: Path, project: Path) -> None:
    write_shipped_params(checkout, project, COMPUTE, LEFT_OUT)
    done = subprocess.run(
        [sys.executable, "-m", "flows.side_by_side"],
        cwd=checkout,
        env=environment() | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"params.yaml: {COMPUTE} is missing")


@pytest.mark.parametrize(
    ("each", "gpus", "wanted", "slots"),
    [
        (1, [], None, [None]),  # no NVIDIA's: the training finds its device itself
        (1, [], 2, [None, None]),
        (1, ["0", "1"], None, ["0", "1"]),
        (2, ["0", "1", "2"], None, ["0,1"]),  # the third GPU is no pair
        (1, ["0", "1", "2", "3"], 2, ["0", "1"]),
        (1, ["5"], 2, ["5", "5"]),  # asked for: two small trainings share one GPU
        (8, ["0"], None, [None]),  # too few: the training itself says so
    ],
)
def test_a_training_has_its_gpus_for_itself(
    each: int, gpus: list[str], wanted: int | None, slots: list[str | None]
) -> None:
    assert device_slots({"accelerator": "gpu", "devices": each}, gpus, wanted) == slots


@pytest.mark.parametrize(
    ("workers", "threads", "wanted", "at_a_time"),
    [(2, 1, None, 2), (2, 2, None, 1), (1, 2, None, 1), (8, 2, None, 4), (8, 2, 3, 3)],
)
def test_on_a_cpu_as_many_stages_run_as_have_threads_of_their_own(
    workers: int, threads: int, wanted: int | None, at_a_time: int
) -> None:
    compute = {"accelerator": "cpu", "workers": workers, "threads": threads}
    assert device_slots(compute, [], wanted) == [None] * at_a_time


def test_gpus_are_those_the_environment_leaves_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert visible_gpus({"accelerator": "gpu"}) == ["2", "3"]
    assert visible_gpus({"accelerator": "cpu"}) == []
    for none in ("", "-1", " "):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert visible_gpus({"accelerator": "gpu"}) == []


def test_a_gpu_that_is_cut_is_its_mig_devices() -> None:
    listing = (
        "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5f)\n"
        "  MIG 1g.10gb     Device  0: (UUID: MIG-3c)\n"
        "  MIG 2g.20gb     Device  1: (UUID: MIG-4d)\n"
        "GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-6e)\n"
    )
    assert listed_gpus(listing) == ["MIG-3c", "MIG-4d", "1"]


def write_lock(checkout: Path, pid: int) -> Path:
    path = checkout / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"data/x": {"write": {"pid": pid, "cmd": "dvc repro"}}}))
    return path


def test_a_lock_of_a_dead_process_is_cleared(checkout: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    path = write_lock(checkout, process.pid)
    assert clear_dead_lock(path, LOG)
    assert not path.exists()


def test_a_lock_whose_number_another_program_has_got_is_cleared(checkout: Path) -> None:
    assert clear_dead_lock(write_lock(checkout, os.getpid()), LOG)


def test_a_lock_of_a_living_dvc_stays(checkout: Path) -> None:
    (checkout / "do").mkdir()
    (checkout / "do" / "sample_web").write_text(
        "import time; pathlib.Path('there').touch(); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "--single-item", "sample_web"],
        cwd=checkout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not (checkout / "there").exists():
            assert process.poll() is None
            time.sleep(0.05)
        path = checkout / ".dvc" / "tmp" / "rwlock"
        assert path.is_file()
        assert not clear_dead_lock(path, LOG)
        assert path.is_file()
    finally:
        os.killpg(process.pid, 9)
        process.wait()
    assert clear_dead_lock(path, LOG)


def test_a_torn_lock_is_cleared(checkout: Path) -> None:
    path = write_lock(checkout, 1)
    path.write_text('{"data/x": {"wri')
    assert clear_dead_lock(path, LOG)
