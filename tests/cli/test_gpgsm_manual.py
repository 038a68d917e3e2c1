"""The manual page of ``smime-agent-gpgsm`` says what it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smime_agent import __version__
from smime_agent.cli.gpgsm import arguments, verifying

MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "smime-agent-gpgsm.1").read_text(encoding="utf-8")
PLAIN = re.sub(r"\\(?:f.|)", "", MANUAL)
OPTIONS = {*arguments._COMMANDS, *arguments._VALUES, *arguments._FLAGS}


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_it_has_every_option_that_makes_a_difference(option: str) -> None:
    assert option in PLAIN


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--[a-z]+(?:-[a-z]+)*", PLAIN)) - {"--global"}))
def test_every_option_in_it_is_one(option: str) -> None:
    assert option in arguments._KNOWN


@pytest.mark.parametrize("name", verifying._REVOCATION)
def test_it_has_every_way_to_look_at_revocation(name: str) -> None:
    assert f".B {name}\n" in MANUAL


def test_it_is_of_this_version() -> None:
    assert f'"smime\\-agent {__version__}"' in MANUAL


def test_its_hyphens_can_be_typed() -> None:
    assert not [line for line in MANUAL.splitlines() if re.search(r"(?<!\\)--?[a-zA-Z]", line)]
