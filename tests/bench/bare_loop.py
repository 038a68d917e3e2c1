"""C_SignInit and C_Sign through python-pkcs11, and nothing else: no mail, no file, no CMS.

As a script it is the whole program that a person would write for that: ``bare_loop.py MODULE RSA|EC COUNT``, the PIN in
the variable ``PIN``. It imports nothing of ours.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import Any

import pkcs11

TOKEN = "bench"
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # of SHA-256, RFC 8017, 9.2


class BareLoop:
    """A loop over digests that are made beforehand, in a session of a token that is logged in."""

    def __init__(self, session: Any, kind: str, count: int) -> None:  # noqa: ANN401 - python-pkcs11 makes up its classes
        """Find the only key of a kind, ``RSA`` or ``EC``."""
        wanted = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
            pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType[kind],
        }
        (self._key,) = session.get_objects(wanted)
        rsa = kind == "RSA"
        self._mechanism = pkcs11.Mechanism.RSA_PKCS if rsa else pkcs11.Mechanism.ECDSA
        prefix = _DIGEST_INFO if rsa else b""
        self._inputs = [prefix + hashlib.sha256(str(number).encode()).digest() for number in range(count)]

    def __call__(self) -> None:
        """Sign all of them."""
        sign, mechanism = self._key.sign, self._mechanism
        for octets in self._inputs:
            sign(octets, mechanism=mechanism)


def _main(module: str, kind: str, count: str) -> None:
    session = pkcs11.lib(module).get_token(token_label=TOKEN).open(user_pin=os.environ["PIN"])
    BareLoop(session, kind, int(count))()


if __name__ == "__main__":
    _main(*sys.argv[1:])
