"""The manual pages: typesetters take them without a word, and they say what ``--help`` says."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.cli.app import command as program

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = sorted((Path(__file__).resolve().parent.parent / "docs").glob("*.1"))


def said(*command: str | Path) -> str:
    """All that a program says, on either stream."""
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "1000", "MAN_KEEP_FORMATTING": ""}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=env, check=False)
    return done.stdout + done.stderr


@cache
def shown(page: Path) -> str:
    """A page as a person reads it, in long lines."""
    text = said("mandoc", "-Tutf8", "-Owidth=1000", page)
    return re.sub(r".\x08", "", text).replace("\u2010", "-").replace("\u2011", "-")


@pytest.mark.interop
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_groff_finds_nothing_wrong_with_a_page(page: Path) -> None:
    assert said("groff", "-ww", "-man", "-K", "utf8", "-z", page) == ""


@pytest.mark.interop
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_nothing_wrong_with_a_page(page: Path) -> None:
    assert said("mandoc", "-T", "lint", "-W", "warning", page) == ""


@pytest.mark.interop
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_man_shows_a_page_without_a_warning(page: Path) -> None:
    done = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert page.stem.upper() in done.stdout


@pytest.mark.interop
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_whatis_understands_the_name_of_a_page(page: Path) -> None:
    assert re.search(rf': "{page.stem} - \w', said("lexgrog", page))


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its name."""
    top = program()
    for name in top.list_commands(None):
        found = top.get_command(None, name)
        yield from ((f"{name} {inner}".strip(), one) for inner, one in getattr(found, "commands", {"": found}).items())


COMMANDS = dict(commands())


def section(name: str) -> str:
    """What the page says of a command."""
    found = re.search(rf"^ +{name}\n(.*?)(?=^ {{1,3}}\S|^[A-Z])", shown(PAGES[-1]), re.DOTALL | re.MULTILINE)
    assert found, name
    return " ".join(found[1].split())


@pytest.mark.interop
@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_the_values_as_the_help_does(name: str) -> None:
    text = section(name)
    taking = [one for one in COMMANDS[name].params if one.param_type_name == "option" and not one.is_flag]
    wanted = [(one.opts[-1], one.metavar) for one in taking if one.metavar]
    assert [pair for pair in wanted if not re.search(rf"(?<![\w-]){pair[0]} {pair[1]}\b", text)] == []


def choices() -> dict[tuple[str, str], list[str]]:
    """Every value that an option takes, with the commands that have the option: one of them describes it."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, command in COMMANDS.items():
        for one in command.params:
            for choice in getattr(one.type, "choices", ()):
                found.setdefault((one.opts[-1], choice), []).append(name)
    return found


@pytest.mark.interop
@pytest.mark.parametrize("option", choices(), ids=" ".join)
def test_the_page_has_every_choice(option: tuple[str, str]) -> None:
    word = re.compile(rf"(?<![\w:-]){option[1]}(?![\w:-])")
    assert any(word.search(section(name)) for name in choices()[option])


@pytest.mark.interop
@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_the_arguments_as_the_help_does(name: str) -> None:
    text = section(name)
    arguments = [one.metavar.strip("[].") for one in COMMANDS[name].params if one.param_type_name == "argument"]
    assert [one for one in arguments if not re.search(rf"(?<!-)\b{one}\b", text)] == []
