"""YAML as DVC reads it: version 1.2, by the library that DVC uses.

By version 1.1 `1e-4` is a string, `on` is true and `1:30` is 90: the code and DVC's lock would
disagree. JSON is YAML too, and is read without that library: a node on which only trainings run has
none (`node/pack.py`).
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.shared.errors import UserError


def load_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        UserError: the file is missing or is no YAML, with line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the project's folder") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start + 1} is not UTF-8; restore the file") from None
    with suppress(json.JSONDecodeError):
        return json.loads(text)
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = str(error.problem or error.context).splitlines()[0]
        raise UserError(f"{path}:{where}: {problem}; mend the YAML there") from None
    except ReaderError as error:
        raise UserError(f"{path}: no text: {error.reason}; restore the file") from None
