"""C_DecryptInit and C_Decrypt through python-pkcs11, and nothing else: no mail, no CMS, no cipher.

As a script it is the whole program that a person would write for that: ``bare_decrypt.py MODULE COUNT BITS``, the PIN
in the variable ``PIN``. It imports nothing of ours. (SoftHSM answers the first of the two calls of python-pkcs11, which
asks for the length, without using the key.)
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pkcs11

TOKEN = "bench"
_KEY_SIZE = 32


class BareDecrypt:
    """A loop over one ciphertext, in a session of a token that is logged in."""

    def __init__(self, session: Any, count: int, bits: int) -> None:  # noqa: ANN401 - python-pkcs11 makes up its classes
        """Find the key of the token that decrypts and has so many bits."""
        kind = {pkcs11.Attribute.KEY_TYPE: pkcs11.KeyType.RSA}
        private = {**kind, pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.DECRYPT: True}
        (self._key,) = [key for key in session.get_objects(private) if key.key_length == bits]
        public = {**kind, pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY, pkcs11.Attribute.ID: self._key.id}
        (public_key,) = session.get_objects(public)
        self._ciphertext = public_key.encrypt(os.urandom(_KEY_SIZE), mechanism=pkcs11.Mechanism.RSA_PKCS)
        self._count = count

    def __call__(self) -> None:
        """Decrypt it as often as there are mails."""
        decrypt, ciphertext, mechanism = self._key.decrypt, self._ciphertext, pkcs11.Mechanism.RSA_PKCS
        for _ in range(self._count):
            decrypt(ciphertext, mechanism=mechanism)


def _main(module: str, count: str, bits: str) -> None:
    session = pkcs11.lib(module).get_token(token_label=TOKEN).open(user_pin=os.environ["PIN"])
    BareDecrypt(session, int(count), int(bits))()


if __name__ == "__main__":
    _main(*sys.argv[1:])
