"""Signers in software: what a token would do, without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent.algorithms import Digest, Padding, SignatureScheme
from smime_agent.keys import Identity
from smime_agent.x509 import Certificate
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from smime_agent.keys import ToBeSigned
    from tests.support.ca import Authority

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
HASHES = {Digest.SHA256: hashes.SHA256(), Digest.SHA384: hashes.SHA384(), Digest.SHA512: hashes.SHA512()}


@dataclass(frozen=True)
class SoftwareSigner:
    """A :class:`~smime_agent.keys.Signer` whose key is in memory."""

    key: PrivateKey
    identity: Identity
    scheme: SignatureScheme
    rsa_padding: Padding | None = None

    def sign(self, tbs: ToBeSigned) -> bytes:
        digest = self.scheme.digest
        match self.key:
            case rsa.RSAPrivateKey():
                pss = padding.PSS(padding.MGF1(HASHES[digest]), digest.size)
                how = pss if self.rsa_padding is Padding.PSS else padding.PKCS1v15()
                return self.key.sign(tbs, how, HASHES[digest])
            case ec.EllipticCurvePrivateKey():
                return self.key.sign(tbs, ec.ECDSA(HASHES[digest]))
            case ed25519.Ed25519PrivateKey():
                return self.key.sign(tbs)


def certificate_for(authority: Authority, key: PrivateKey, wanted: Wanted) -> Certificate:
    return Certificate(authority.issue(key.public_key(), wanted).public_bytes(Encoding.DER))


KINDS: dict[str, tuple[Digest | None, Padding | None]] = {
    "rsa": (None, None),
    "rsa-sha512": (Digest.SHA512, None),
    "pss": (None, Padding.PSS),
    "pss-sha384": (Digest.SHA384, Padding.PSS),
    "p256": (None, None),
    "p384": (None, None),
    "p521": (None, None),
    "p256-sha512": (Digest.SHA512, None),
    "ed25519": (None, None),
}


@pytest.fixture(scope="session", params=KINDS)
def signer(request: pytest.FixtureRequest, issuing_ca: Authority) -> SoftwareSigner:
    """One signer of each kind, with a chain and a certificate to encrypt to."""
    kind: str = request.param
    digest, rsa_padding = KINDS[kind]
    curves: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    key: PrivateKey
    if kind[:4] in curves:
        key = ec.generate_private_key(curves[kind[:4]])
    elif kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = rsa.generate_private_key(65537, 2048)
    certificate = certificate_for(issuing_ca, key, Wanted())
    chain = (Certificate(issuing_ca.certificate.public_bytes(Encoding.DER)),)
    encryption = certificate_for(
        issuing_ca, ec.generate_private_key(ec.SECP256R1()), Wanted(digital_signature=False, key_agreement=True)
    )
    scheme = SignatureScheme.for_key(certificate.key_algorithm, digest, rsa_padding)
    return SoftwareSigner(key, Identity(certificate, chain, encryption), scheme, rsa_padding)
