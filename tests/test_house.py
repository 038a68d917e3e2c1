"""What is true of the source as a whole, and should stay so."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import smime_agent

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "agent" / "smime_agent"

MADE = {"__pycache__", "build", "dist"}  # by tools; git ignores them
FOLDERS = {"agent", "docs", "tests", "tools", "udev"}
OWN_TEST_FOLDERS = {
    "bench",
    "cards",
    "faulty",
    "fuzz",
    "interop",
    "neomutt",
    "spoofs",
    "support",
    "vectors",
}  # the other folders of tests/ mirror the package

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50

# Of the machine a change was made on, not of the project. Written in pieces, so that this file passes too.
LEAKS = re.compile("/" + r"work/|/tmp/" + r"(?:bash_jobs|v/)|/root/" + r"\.")


def files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in MADE or (path.name.startswith(".") and path.name not in {".ci", ".gitignore"}):
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


MODULES = [path for path in files(PACKAGE) if path.suffix == ".py"]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_fits_in_one_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = [
        f"{node.name}: {length} lines"
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert not long


def test_every_folder_has_its_place() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert folders - MADE <= FOLDERS


def test_the_folders_of_tests_mirror_the_package() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - MADE - OWN_TEST_FOLDERS
    assert folders <= {path.name for path in PACKAGE.iterdir() if path.is_dir()}


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == smime_agent.__version__


def test_the_changelog_knows_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(smime_agent.__version__)}\]", changelog, re.MULTILINE)


def test_nothing_tells_of_the_machine_it_was_written_on() -> None:
    found = [
        f"{name(path)}: {match[0]!r}"
        for path in files(ROOT)
        if (match := LEAKS.search(path.read_bytes().decode("utf-8", "replace")))
    ]
    assert not found
