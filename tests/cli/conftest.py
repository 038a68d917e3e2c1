"""Tokens, and the command line in this process."""

from __future__ import annotations

import pytest

from tests.support.command import Command
from tests.support.correspondents import encrypt, person
from tests.support.fixtures import alice, faulty, faulty_module

__all__ = ["alice", "encrypt", "faulty", "faulty_module", "person"]


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    """``smime-agent``, called in this process."""
    return Command(capfdbinary, monkeypatch)
