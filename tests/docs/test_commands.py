"""Every command that README, docs and CONTRIBUTING tell to type can be typed: names and options.

What the commands do is tried elsewhere; here no page may tell of an option that is no more.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import dvc.cli
import pytest

ROOT = Path(__file__).parents[2]
# Of runpy: what a test before has imported is begun once more.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
PAGES = [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
_BLOCK = re.compile(r"^```(?:bash|sh|console)?\n(.*?)^```", re.DOTALL | re.MULTILINE)
_IN_TEXT = re.compile(r"`((?:python -m|python benchmarks|make) [^`<]+)`")
_SETTING = re.compile(r"[A-Z_]+=")
_ENDS = {"&&", "||", "|", ";", "&", ">", ">>", "<"}


class Command(NamedTuple):
    """A command and the page that tells it."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        """As pytest names it."""
        return f"{self.page}: {' '.join(self.words)}"


def commands() -> Iterator[Command]:
    """The commands of all pages, without settings of the environment before them."""
    for page in PAGES:
        text = page.read_text()
        for block in [*_BLOCK.findall(text), *_IN_TEXT.findall(text)]:
            for line in block.replace("\\\n", " ").splitlines():
                for words in split(line):
                    yield Command(str(page.relative_to(ROOT)), tuple(words))


def split(line: str) -> Iterator[list[str]]:
    """The commands of a line of shell; a line that is no shell has none."""
    try:
        words = shlex.split(line.removeprefix("$ "), comments=True)
    except ValueError:
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word in _ENDS:
            yield from [command] if command else []
            command = []
        elif command or not _SETTING.match(word):
            command.append(word)


def starting(*names: str) -> list[Command]:
    """Those commands that begin with one of `names`."""
    found = [command for command in commands() if command.words[0] in names]
    return sorted(set(found))


@cache
def help_of(module: str, *subcommand: str) -> str:
    """What `python -m MODULE [SUBCOMMAND] --help` prints."""
    printed, argv = io.StringIO(), sys.argv
    sys.argv = [module, *subcommand, "--help"]
    try:
        with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as end:
            runpy.run_module(module, run_name="__main__", alter_sys=False)
    finally:
        sys.argv = argv
    assert end.value.code in {0, None}
    return printed.getvalue()


def options(words: tuple[str, ...]) -> list[str]:
    """The long options among a command's words."""
    return [word.partition("=")[0] for word in words if word.startswith("--")]


def has_option(text: str, option: str) -> bool:
    """Whether a help names the option, and not only one that begins like it."""
    return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text) is not None


@pytest.mark.parametrize("command", starting("python"), ids=str)
def test_a_module_knows_the_options_that_a_page_tells(command: Command) -> None:
    if command.words[1] != "-m":
        script = ROOT / command.words[1]
        assert all(option in script.read_text() for option in options(command.words))
        return
    module, rest = command.words[2], command.words[3:]
    if module.partition(".")[0] not in {"flows", "models", "pipeline"}:
        pytest.skip(f"{module} is no module of the project")
    text = help_of(module)
    first = next(iter(rest), "")
    if re.search(rf"^ {{4}}{re.escape(first)}\b", text, re.MULTILINE) and first.isalpha():
        text += help_of(module, first)
    assert not [option for option in options(rest) if not has_option(text, option)]


@pytest.mark.parametrize("command", starting("dvc"), ids=str)
def test_dvc_takes_the_command_that_a_page_tells(command: Command) -> None:
    dvc.cli.parse_args(list(command.words[1:]))


@pytest.mark.parametrize("command", starting("make"), ids=str)
def test_the_makefile_has_the_target_that_a_page_tells(command: Command) -> None:
    made = subprocess.run(
        ["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr.decode()


def test_the_pages_tell_commands_of_every_kind() -> None:
    assert len(starting("python")) > 15
    assert len(starting("dvc")) > 5
    assert starting("make")


def test_an_option_that_is_no_more_is_found() -> None:
    text = help_of("flows.study")
    assert has_option(text, "--profile")
    assert not has_option(text, "--prof")
    assert not has_option(text, "--no-such-option")
