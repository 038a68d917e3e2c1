"""Fixtures that several folders of tests import into their ``conftest.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smime_agent.algorithms import KeyType
from smime_agent.tokens.token import Search
from tests.faulty import FaultScript, build
from tests.support.faulty import Faulty
from tests.support.softhsm import MODULE, SoftToken

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm


@pytest.fixture(scope="session")
def alice(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """A token with one P-256 key and its certificate, for alice@example.org. Tests only read it."""
    if Search("alice", MODULE).tokens():  # made for another folder's tests
        return SoftToken("alice")
    token = softhsm.new_token("alice")
    token.enrol(issuing_ca, KeyType.EC_P256)
    return token


@pytest.fixture(scope="session")
def faulty_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fault-injecting module, compiled."""
    return build(tmp_path_factory.mktemp("faulty"))


@pytest.fixture
def faulty(faulty_module: Path, tmp_path: Path) -> Faulty:
    """The module with a script of its own, without faults."""
    return Faulty(faulty_module, FaultScript(tmp_path / "faults"))
