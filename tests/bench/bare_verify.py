"""SHA-256 of a mail and one RSA signature through ``cryptography``, and nothing else: no MIME, no CMS, no certificate.

As a script it reads the mails of a folder: ``bare_verify.py PUBLIC_KEY FOLDER``. It imports nothing of ours.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_pem_public_key

if TYPE_CHECKING:
    from collections.abc import Iterable


class BareVerify:
    """A loop over mails. The signatures are all wrong, which takes as long: nobody here has the private key."""

    def __init__(self, key: bytes, mails: Iterable[bytes]) -> None:
        """Verify by an RSA key in PEM."""
        found = load_pem_public_key(key)
        assert isinstance(found, rsa.RSAPublicKey)
        self._key = found
        self._mails = mails
        # Less than the modulus, so that the library does not refuse it unseen.
        self._signature = b"\0" + bytes(range(1, 256))

    def __call__(self) -> None:
        """Verify all of them."""
        verify, signature, scheme = self._key.verify, self._signature, padding.PKCS1v15()
        algorithm = utils.Prehashed(hashes.SHA256())
        for mail in self._mails:
            try:
                verify(signature, hashlib.sha256(mail).digest(), scheme, algorithm)
            except InvalidSignature:
                continue


def _main(key: str, folder: str) -> None:
    BareVerify(Path(key).read_bytes(), (path.read_bytes() for path in sorted(Path(folder).iterdir())))()


if __name__ == "__main__":
    _main(*sys.argv[1:])
