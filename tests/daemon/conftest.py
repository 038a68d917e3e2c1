"""Tokens for agents to hold, and the faults that they may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.tokens.token import Search
from tests.support.ca import Wanted
from tests.support.fixtures import alice, faulty, faulty_module
from tests.support.softhsm import MODULE, SoftToken

if TYPE_CHECKING:
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm

__all__ = ["alice", "faulty", "faulty_module"]


@pytest.fixture(scope="session")
def both(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """A token with a P-256 key to sign and an RSA key to decrypt with. Tests only read it."""
    if Search("of the agent", MODULE).tokens():
        return SoftToken("of the agent")
    token = softhsm.new_token("of the agent")
    token.enrol(issuing_ca, KeyType.EC_P256, Wanted(name="to sign"))
    use = Wanted(name="to decrypt", digital_signature=False, key_encipherment=True)
    token.enrol(issuing_ca, KeyType.RSA_2048, use, KeyUsage.DECRYPT)
    return token
