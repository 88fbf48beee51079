"""Parameters of a run: checked by their types, written where DVC reads them, all or none."""

from __future__ import annotations

import difflib
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.checkout.leavings import CheckoutError
from flows.checkout.overrides import override

LOG = logging.getLogger("test_overrides")


@pytest.fixture
def params(tmp_path: Path, project: Path) -> Path:
    return Path(shutil.copy(project / "params.yaml", tmp_path))


def changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[0] in "+-" and line[:3] not in {"+++", "---"}]


def test_a_value_is_a_change_of_its_line(params: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = params.read_text()
    with caplog.at_level(logging.INFO):
        override(params, "tiny", {"train.tokens": 500_000, "defaults.train.dropout": 0.1}, LOG)
    assert changed_lines(before, params.read_text()) == [
        "-    dropout: 0.0",
        "+    dropout: 0.1",
        "-      tokens: 350_000",
        "+      tokens: 500000",
    ]
    assert "profiles.tiny.train.tokens is now 500000, before it was 350000" in caplog.text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"train.tokens": "many"}, r"profiles\.tiny\.train\.tokens = 'many': .*valid integer"),
        ({"train.token": 5}, r"train\.token is no known key; did you mean tokens"),
        ({"trian.tokens": 5}, r"profiles\.tiny\.trian is no section"),
        ({"train.tokens": 500_000, "models.small.n_head": 3}, "n_head"),
        ({"models.small": None}, "models.small"),
        ({"profiles.tinny.train.tokens": 5}, r"profiles\.tinny is no section"),
    ],
)
def test_what_the_types_refuse_is_an_error_with_the_key_and_changes_nothing(
    params: Path, values: dict[str, Any], said: str
) -> None:
    before = params.read_text()
    with pytest.raises(CheckoutError, match=said) as error:
        override(params, "tiny", values, LOG)
    assert str(error.value).startswith("overrides: ")
    assert ".tmp-" not in str(error.value)
    assert params.read_text() == before
    assert [path.name for path in params.parent.iterdir()] == ["params.yaml"]
