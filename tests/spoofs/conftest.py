"""The collection on a disk, and what the program says of it: all mails with the same options in one run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.spoofs.collection import GROUPS, WORKSHOP
from tests.spoofs.honest import honest
from tests.spoofs.terminals import strange_names
from tests.support.program import run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.spoofs.spoof import Honest, Spoof
    from tests.support.program import Result

_SECONDS = 300


@dataclass(frozen=True)
class Shelf:
    """A folder for mails, with the root and the CRLs beside them."""

    folder: Path

    @property
    def options(self) -> list[str]:
        """What every run needs."""
        return ["--ca-file", str(self.folder / "root")]

    def put(self, name: str, mails: Iterable[Spoof | Honest]) -> Path:
        """A folder of its own with these mails."""
        folder = self.folder / name
        folder.mkdir()
        for mail in mails:
            (folder / f"{mail.name}.eml").write_bytes(mail.mail)
        return folder

    def verify(self, name: str, mails: Iterable[Spoof | Honest]) -> dict[str, dict[str, Any]]:
        """The finding about each mail, by its name."""
        by_options: dict[tuple[str, ...], list[Spoof | Honest]] = {}
        for mail in mails:
            by_options.setdefault(mail.options, []).append(mail)
        findings: dict[str, dict[str, Any]] = {}
        for number, (options, group) in enumerate(by_options.items()):
            folder = self.put(f"{name} {number}", group)
            done = self.run(folder, *(option.format(**self.files) for option in options), "--json")
            lines = [json.loads(line) for line in done.out.splitlines()]
            assert len(lines) == len(group), done.err
            findings |= dict(zip(sorted(mail.name for mail in group), _in_order(lines), strict=True))
        return findings

    def run(self, folder: Path, *options: str) -> Result:
        """``verify`` over a folder. Nobody is asked about revocation."""
        how = () if "--revocation" in options else ("--revocation", "off")
        return run("verify", folder, *self.options, *how, *options, timeout=_SECONDS)

    @property
    def files(self) -> dict[str, Path]:
        """What options name."""
        return {name: self.folder / name for name in WORKSHOP.files()}


def _in_order(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(findings, key=lambda finding: str(finding["file"]).rpartition("/")[2].removesuffix(".eml"))


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """The shelf."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for name, path in shelf.files.items():
        path.write_bytes(WORKSHOP.files()[name])
    return shelf


@pytest.fixture(scope="session")
def spoofs() -> dict[str, list[Spoof]]:
    """The spoofs of each group."""
    return {name: list(group(WORKSHOP)) for name, group in GROUPS.items()}


@pytest.fixture(scope="session")
def findings(shelf: Shelf, spoofs: dict[str, list[Spoof]]) -> dict[str, dict[str, Any]]:
    """What the program says of each spoof."""
    return shelf.verify("spoofs", [spoof for group in spoofs.values() for spoof in group])


@pytest.fixture(scope="session")
def honest_mails() -> list[Honest]:
    """The honest mails."""
    return [*honest(WORKSHOP), *strange_names(WORKSHOP)]
