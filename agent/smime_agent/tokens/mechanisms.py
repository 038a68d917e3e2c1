"""How a signature is made on a token: what the host computes, which mechanism the token runs, and why.

A pure function: from what a key is, what the token lists and what is known of its module, to a frozen plan. The host
always hashes, so that a mail of any size sends the token some hundred octets.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from pkcs11 import MGF, Mechanism

from smime_agent import der
from smime_agent.algorithms import Digest, KeyAlgorithm, SignatureAlgorithm, SignatureScheme
from smime_agent.errors import MechanismError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_PSS_PARAMETERS = {
    Digest.SHA256: (Mechanism.SHA256, MGF.SHA256, 32),
    Digest.SHA384: (Mechanism.SHA384, MGF.SHA384, 48),
    Digest.SHA512: (Mechanism.SHA512, MGF.SHA512, 64),
}


class HostStep(Enum):
    """What the host makes of the octets to be signed before the token sees them; the value tells a person."""

    DIGEST_INFO = "hash, wrap in DigestInfo"
    DIGEST = "hash"
    TRUNCATED_DIGEST = "hash, keep as many bits as the curve has"
    EMSA_PKCS1 = "hash, wrap in DigestInfo, pad (EMSA-PKCS1-v1_5)"
    EMSA_PSS = "hash, salt, pad (EMSA-PSS)"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Quirks:
    """What is known of a module and cannot be asked. The defaults are what PKCS#11 says."""

    #: X25519 keys are made as EC_EDWARDS keys with the OID of X25519.
    x25519_as_edwards: bool = False
    #: CKM_RSA_PKCS_OAEP works with SHA-1, MGF1 with SHA-1 and no label alone.
    oaep_sha1_only: bool = False
    #: CKM_ECDH1_DERIVE wants the point as a DER OCTET STRING (PKCS#11 v2.40, 2.3.9, permits it; v3.0 wants it raw).
    encoded_point: bool = False
    #: A decryption that fails is over, as PKCS#11 wants it. Others leave the session with an active operation for ever.
    ends_failed_decryptions: bool = False
    #: A wrong RSAES-PKCS1-v1_5 padding is answered with octets made of the ciphertext, in the time of a right one.
    rejects_implicitly: bool = False


@dataclass(frozen=True, slots=True)
class SignaturePlan:
    """How one key makes one kind of signature."""

    scheme: SignatureScheme
    key: KeyAlgorithm
    host: HostStep
    mechanism: Mechanism
    parameter: tuple[Mechanism, MGF, int] | None
    because: str

    def prepare(self, tbs: bytes) -> bytes:
        """What the token is given to sign ``tbs``."""
        return _PREPARE[self.host](self, tbs)

    def finish(self, signature: bytes) -> bytes:
        """The signature as CMS and X.509 carry it."""
        if self.scheme.algorithm is not SignatureAlgorithm.ECDSA:
            return signature
        half = len(signature) // 2  # CKM_ECDSA returns r and s side by side; RFC 5753, 7.2 wants ECDSA-Sig-Value
        return der.sequence(der.unsigned(signature[:half]), der.unsigned(signature[half:]))

    def explain(self) -> str:
        """One line for people."""
        return f"{self.scheme}: host: {self.host.value}; token: CKM_{self.mechanism.name} ({self.because})"


def plan_signature(
    scheme: SignatureScheme, key: KeyAlgorithm, mechanisms: Collection[Mechanism | int]
) -> SignaturePlan:
    """The plan for a key on a token that lists ``mechanisms``.

    Raises:
        MechanismError: the token lists nothing that would do.
    """
    for host, mechanism, parameter, because in _candidates(scheme, key):
        if mechanism in mechanisms:
            return SignaturePlan(scheme, key, host, mechanism, parameter, because)
    wanted = " or ".join(f"CKM_{mechanism.name}" for _, mechanism, _, _ in _candidates(scheme, key))
    msg = f"the token cannot make a signature of {scheme}: it lists no {wanted}"
    raise MechanismError(msg, hint="'smime-agent doctor' shows what each key can do")


def quirks_of(library_description: str) -> Quirks:
    """What is known of a module, by its own description."""
    if "SoftHSM" in library_description or "Implementation of PKCS11" in library_description:
        # SoftHSM 2.6 knows no CKK_EC_MONTGOMERY. It takes raw points for what they are only by chance: those that begin
        # 04 3F on P-256, or 04 1E on Curve25519, look encoded to it.
        return Quirks(x25519_as_edwards=True, oaep_sha1_only=True, encoded_point=True, ends_failed_decryptions=True)
    if "NSS" in library_description:
        return Quirks(ends_failed_decryptions=True, rejects_implicitly=True)
    return Quirks()


def _candidates(
    scheme: SignatureScheme, key: KeyAlgorithm
) -> list[tuple[HostStep, Mechanism, tuple[Mechanism, MGF, int] | None, str]]:
    """The ways to make such a signature, best first."""
    raw = "the token lists no padding of its own"
    match scheme.algorithm:
        case SignatureAlgorithm.RSASSA_PKCS1_V1_5:
            return [
                (HostStep.DIGEST_INFO, Mechanism.RSA_PKCS, None, "every RSA token has it"),
                (HostStep.EMSA_PKCS1, Mechanism.RSA_X_509, None, raw),
            ]
        case SignatureAlgorithm.RSASSA_PSS:
            parameters = _PSS_PARAMETERS[scheme.digest]
            return [
                (HostStep.DIGEST, Mechanism.RSA_PKCS_PSS, parameters, "salt as long as the digest"),
                (HostStep.EMSA_PSS, Mechanism.RSA_X_509, None, raw),
            ]
        case SignatureAlgorithm.ECDSA:
            longer = key.bits < scheme.digest.size * 8
            host = HostStep.TRUNCATED_DIGEST if longer else HostStep.DIGEST
            # SoftHSM 2.6 has no CKM_ECDSA_SHA256; PIV cards hash nothing.
            return [(host, Mechanism.ECDSA, None, "every EC token has it")]
        case SignatureAlgorithm.ED25519:
            return [(HostStep.NOTHING, Mechanism.EDDSA, None, "PureEdDSA hashes on the token, in one part")]


def _emsa_pkcs1(plan: SignaturePlan, tbs: bytes) -> bytes:
    """RFC 8017, 9.2, with the leading zero that makes it as long as the modulus."""
    info = plan.scheme.digest.digest_info(plan.scheme.digest.of(tbs))
    return b"\x00\x01".ljust((plan.key.bits + 7) // 8 - len(info) - 1, b"\xff") + b"\x00" + info


def _emsa_pss(plan: SignaturePlan, tbs: bytes) -> bytes:
    """RFC 8017, 9.1.1, the salt as long as the digest."""
    digest = plan.scheme.digest
    salt = os.urandom(digest.size)
    seal = digest.of(bytes(8) + digest.of(tbs) + salt)
    length = (plan.key.bits + 6) // 8  # of the encoded message, which has a bit less than the modulus
    block = (b"\x01" + salt).rjust(length - digest.size - 1, b"\x00")
    mask = _mgf1(digest, seal, len(block))
    masked = bytearray(left ^ right for left, right in zip(block, mask, strict=True))
    masked[0] &= 0xFF >> (8 * length - (plan.key.bits - 1))
    return (bytes(masked) + seal + b"\xbc").rjust((plan.key.bits + 7) // 8, b"\x00")


def _mgf1(digest: Digest, seed: bytes, length: int) -> bytes:
    """RFC 8017, B.2.1."""
    blocks = -(-length // digest.size)
    return b"".join(digest.of(seed + counter.to_bytes(4, "big")) for counter in range(blocks))[:length]


_PREPARE: dict[HostStep, Callable[[SignaturePlan, bytes], bytes]] = {
    HostStep.DIGEST_INFO: lambda plan, tbs: plan.scheme.digest.digest_info(plan.scheme.digest.of(tbs)),
    HostStep.DIGEST: lambda plan, tbs: plan.scheme.digest.of(tbs),
    HostStep.TRUNCATED_DIGEST: lambda plan, tbs: plan.scheme.digest.of(tbs)[: (plan.key.bits + 7) // 8],
    HostStep.EMSA_PKCS1: _emsa_pkcs1,
    HostStep.EMSA_PSS: _emsa_pss,
    HostStep.NOTHING: lambda _, tbs: tbs,
}
