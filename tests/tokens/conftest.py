"""Tokens to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.ca import Wanted
from tests.support.fixtures import alice, faulty, faulty_module
from tests.support.softtoken import Softoken

if TYPE_CHECKING:
    from tests.support.ca import Authority

__all__ = ["alice", "faulty", "faulty_module"]


@pytest.fixture(scope="session")
def softoken(tmp_path_factory: pytest.TempPathFactory, issuing_ca: Authority) -> Softoken:
    """NSS softoken, the only one of this process, with keys ``rsa``, ``p256``, ``p384`` and ``p521``."""
    made = Softoken.made(tmp_path_factory.mktemp("softoken"))
    key = rsa.generate_private_key(65537, 2048)
    wanted = Wanted(("rsa@example.org",), "rsa", key_encipherment=True)
    made.store("rsa", key, issuing_ca.issue(key.public_key(), wanted))
    for name, curve in (("p256", ec.SECP256R1()), ("p384", ec.SECP384R1()), ("p521", ec.SECP521R1())):
        agreeing = ec.generate_private_key(curve)
        wanted = Wanted((f"{name}@example.org",), name, key_agreement=True)
        made.store(name, agreeing, issuing_ca.issue(agreeing.public_key(), wanted))
    return made
