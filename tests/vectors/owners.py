"""The people of the vectors who decrypt, each with the published key on a token of their own."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key, load_pem_private_key, pkcs12

from smime_agent.api.decrypting import Decryptor
from smime_agent.keyring.decrypting import DecryptionKeyring
from smime_agent.keyring.opened import TokenDoor
from smime_agent.tokens.token import Search
from tests.support.imported import PrivateKey, import_key
from tests.support.softhsm import MODULE, KnownPin

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.api.verifying import Verifier
    from tests.support.softhsm import SoftHsm

_TODAY = date(2026, 6, 1)
Owner = Callable[["Path"], tuple["PrivateKey", bytes]]


def _of_rfc9216(key: str, certificate: str) -> Owner:
    def read(vectors: Path) -> tuple[PrivateKey, bytes]:
        folder = vectors / "rfc9216"
        (key_file,), (certificate_file,) = folder.glob(f"{key}-*.pem"), folder.glob(f"{certificate}-*.pem")
        # The RFC has prose inside of its armour.
        armour = re.search(rb"-----BEGIN.*?-----END[^\n]*", key_file.read_bytes(), re.DOTALL)
        assert armour is not None
        found = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        return _private(load_pem_private_key(armour[0], None)), found.public_bytes(Encoding.DER)

    return read


def _of_rfc4134(key: str, certificate: str) -> Owner:
    def read(vectors: Path) -> tuple[PrivateKey, bytes]:
        folder = vectors / "rfc4134"
        return _private(load_der_private_key((folder / key).read_bytes(), None)), (folder / certificate).read_bytes()

    return read


def _of_the_mail_client(name: str) -> Owner:
    def read(vectors: Path) -> tuple[PrivateKey, bytes]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of BER, which NSS writes
            bundle = (vectors / "thunderbird" / name).read_bytes()
            key, certificate, _ = pkcs12.load_key_and_certificates(bundle, b"nss")
        assert certificate is not None
        return _private(key), certificate.public_bytes(Encoding.DER)

    return read


def _private(key: object) -> PrivateKey:
    assert isinstance(key, PrivateKey)
    return key


OWNERS: dict[str, Owner] = {
    "Alice of RFC 9216": _of_rfc9216("06", "05"),
    "Bob of RFC 9216": _of_rfc9216("11", "10"),
    "Dana of RFC 9216": _of_rfc9216("24", "23"),
    "Bob of RFC 4134": _of_rfc4134("BobPrivRSAEncrypt.pri", "BobRSASignByCarl.cer"),
    "Bob of the mail client": _of_the_mail_client("Bob.p12"),
}


class Owners:
    """Makes the token of an owner when it is first wanted, and decrypts with it."""

    def __init__(self, softhsm: SoftHsm, vectors: Path) -> None:
        """Read keys from ``vectors``."""
        self._softhsm = softhsm
        self._vectors = vectors
        self._made: set[str] = set()

    @contextmanager
    def decryptor(self, owner: str, verifier: Verifier, *, legacy: bool = False) -> Iterator[Decryptor]:
        """Decrypts with the keys of one owner alone."""
        if owner not in self._made:
            token = self._softhsm.new_token(owner)
            import_key(token, *OWNERS[owner](self._vectors), owner)
            self._made.add(owner)
        keyring = DecryptionKeyring(Search(owner, MODULE), TokenDoor.asking(KnownPin()), today=_TODAY)
        try:
            yield Decryptor(keyring, verifier, legacy=legacy)
        finally:
            keyring.close()
