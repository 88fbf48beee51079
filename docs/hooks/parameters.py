"""The page of parameters, made of their types: what each is, means, and is in every profile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from pipeline.shared.params.file import load_params
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.params.yaml_file import load_yaml

_PAGE = "parameters.md"
_PLAIN = {"string": "text", "boolean": "`true`, `false`"}  # as JSON schema calls a type
_INTRODUCTION = """\
# Parameters

Every key of `params.yaml`, from the types that the stages read it by. `defaults:` in that file
holds what profiles share; a profile says what is its own. One value for one run, without an editor:

```bash
dvc exp run -S profiles.tiny.train.tokens=500000
```

A value that stands in `defaults` alone: `-S defaults.SECTION.KEY=VALUE` for all profiles, and for
one, with a plus, `-S +profiles.tiny.SECTION.KEY=VALUE`.

A key that is unknown, missing, or of another type is an error that names the nearest key.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    params = Path(config.config_file_path).parent / "params.yaml"
    files.append(File.generated(config, _PAGE, content=page(params)))
    return files


def page(params: Path) -> str:
    """The page in Markdown."""
    schema = ProfileParams.model_json_schema()
    values = {
        name: load_params(params, name).params.model_dump(mode="json")
        for name in load_yaml(params)["profiles"]
    }
    return "\n".join([_INTRODUCTION, *_sections(schema, values)])


def _sections(schema: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    for name, field in schema["properties"].items():
        section = _definition(schema, field.get("additionalProperties", field))
        by_size = "additionalProperties" in field
        yield f"## {name}\n"
        yield f"{field.get('description', section['description'])}\n"
        yield "| parameter | what it may be | meaning | values |"
        yield "|---|---|---|---|"
        own = {profile: all_of[name] for profile, all_of in values.items()}
        for key, kind in section["properties"].items():
            shown = "" if by_size else _values({p: value[key] for p, value in own.items()})
            meaning = kind.get("description", _definition(schema, kind).get("description", ""))
            title = f"{name}.*size*.{key}" if by_size else f"{name}.{key}"
            yield f"| `{title}` | {describe(schema, kind)} | {_one_line(meaning)} | {shown} |"
        yield ""


def _values(by_profile: Mapping[str, Any]) -> str:
    """What each profile says; once, where all say the same."""
    written = {profile: json.dumps(value) for profile, value in by_profile.items()}
    if len(set(written.values())) == 1:
        return f"`{next(iter(written.values()))}`"
    return "<br>".join(f"{profile} `{value}`" for profile, value in written.items())


def describe(schema: Mapping[str, Any], kind: Mapping[str, Any]) -> str:
    """A type in words.

    >>> describe({}, {"type": "array", "items": {"type": "integer", "minimum": 1}})
    'list of integers >= 1'
    >>> describe({}, {"anyOf": [{"enum": ["cpu", "gpu"]}, {"type": "null"}]})
    '`cpu`, `gpu` or null'
    """
    if "anyOf" in kind:
        return " or ".join(describe(schema, choice) for choice in kind["anyOf"])
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    if "$ref" in kind:
        keys = _definition(schema, kind)["properties"]
        return "map of " + ", ".join(f"`{key}`" for key in keys)
    if kind["type"] == "array":
        return "list of " + _plural(describe(schema, kind["items"]))
    return _PLAIN.get(kind["type"], kind["type"]) + _bounds(kind)


def _plural(noun: str) -> str:
    first, *rest = noun.split(" ")
    first = first if first in {"text", "map"} or first.startswith("`") else f"{first}s"
    return " ".join([first, *rest])


def _bounds(kind: Mapping[str, Any]) -> str:
    lowest = kind.get("minimum", kind.get("ge"))
    highest = kind.get("maximum", kind.get("le"))
    signs = [(">=", lowest), (">", kind.get("exclusiveMinimum")), ("<=", highest)]
    said = [f"{sign} {bound:g}" for sign, bound in signs if bound is not None]
    return f" {', '.join(said)}" if said else ""


def _definition(schema: Mapping[str, Any], kind: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = kind.get("$ref", "")
    found: Mapping[str, Any] = schema["$defs"][reference.rpartition("/")[2]] if reference else {}
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
