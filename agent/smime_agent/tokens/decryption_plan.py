"""How a content-encryption key is decrypted on a token: which mechanism it runs, what the host does after, and why.

A pure function, as :mod:`smime_agent.tokens.mechanisms` has for signatures. The host does what tokens do differently:
key derivation always; OAEP where the token lists raw RSA alone or cannot do this hash function; the padding of
RSAES-PKCS1-v1_5 wherever the token lists raw RSA, unless it is known to hide what is wrong, since others tell by the
time that they take.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from pkcs11 import MGF, Mechanism

from smime_agent.accepted import HashFunction
from smime_agent.algorithms import KeyKind
from smime_agent.errors import MechanismError
from smime_agent.tokens.mechanisms import Quirks
from smime_agent.tokens.native import CryptokiMechanism

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from smime_agent.algorithms import KeyAlgorithm
    from smime_agent.cms.key_transport import OaepParameters

#: What PKCS#11 v2.40 and v3.0 have for RSAES-OAEP; MD5, SHA-512/256 and SHAKE are for the host.
_OAEP_HASHES = {
    HashFunction.SHA1: (Mechanism.SHA_1, MGF.SHA1),
    HashFunction.SHA224: (Mechanism.SHA224, MGF.SHA224),
    HashFunction.SHA256: (Mechanism.SHA256, MGF.SHA256),
    HashFunction.SHA384: (Mechanism.SHA384, MGF.SHA384),
    HashFunction.SHA512: (Mechanism.SHA512, MGF.SHA512),
    HashFunction.SHA3_224: (Mechanism.SHA3_224, MGF.SHA3_224),
    HashFunction.SHA3_256: (Mechanism.SHA3_256, MGF.SHA3_256),
    HashFunction.SHA3_384: (Mechanism.SHA3_384, MGF.SHA3_384),
    HashFunction.SHA3_512: (Mechanism.SHA3_512, MGF.SHA3_512),
}


class KeyEncryption(Enum):
    """How a content-encryption key was encrypted, or what its key was agreed with. The value is the standards' name."""

    RSAES_PKCS1_V1_5 = "RSAES-PKCS1-v1_5"
    RSAES_OAEP = "RSAES-OAEP"
    ECDH = "ECDH"
    X25519 = "X25519"


class HostStep(Enum):
    """What the host makes of the token's answer; the value tells a person."""

    NOTHING = "nothing"
    RSAES_PKCS1_V1_5 = "take off the padding (RSAES-PKCS1-v1_5)"
    RSAES_OAEP = "take off the padding (RSAES-OAEP)"
    KEY_DERIVATION = "derive the key-encryption key and unwrap"


@dataclass(frozen=True, slots=True)
class DecryptionPlan:
    """How one key decrypts content-encryption keys of one kind. ``oaep`` is there with RSAES-OAEP alone."""

    scheme: KeyEncryption
    key: KeyAlgorithm
    mechanism: Mechanism
    host: HostStep
    because: str
    oaep: OaepParameters | None = None

    def cryptoki(self) -> CryptokiMechanism:
        """The mechanism as C_DecryptInit takes it."""
        if self.oaep is None or self.mechanism is not Mechanism.RSA_PKCS_OAEP:
            return CryptokiMechanism(self.mechanism)
        hash_mechanism, mask = _OAEP_HASHES[self.oaep.hash_function][0], _OAEP_HASHES[self.oaep.mask_hash][1]
        return CryptokiMechanism.oaep(self.mechanism, hash_mechanism, mask, self.oaep.label)

    def explain(self) -> str:
        """One line for people."""
        return f"{self._name}: token: CKM_{self.mechanism.name}; host: {self.host.value} ({self.because})"

    @property
    def _name(self) -> str:
        if self.oaep is None:
            return self.scheme.value
        label = " and a label" if self.oaep.label else ""
        return f"{self.scheme.value} with {self.oaep.hash_function}, MGF1 with {self.oaep.mask_hash}{label}"


def plan_decryption(
    key: KeyAlgorithm,
    mechanisms: Collection[Mechanism | int],
    quirks: Quirks = Quirks(),  # noqa: B008 - frozen
    oaep: OaepParameters | None = None,
) -> tuple[DecryptionPlan, ...]:
    """The plans for a key on a token that lists ``mechanisms``, best first; there is at least one.

    A token may refuse parameters that its list of mechanisms says nothing of. It does so before it uses the private
    key: then the next plan is for it. An RSA key decrypts by RSAES-OAEP with ``oaep``, else by RSAES-PKCS1-v1_5.

    Raises:
        MechanismError: the token lists nothing that would do.
    """
    candidates = list(_candidates(key, quirks, oaep))
    if not candidates:
        msg = f"a key of type {key} cannot decrypt"
        raise MechanismError(msg, hint="'smime-agent key list' shows the others")
    plans = tuple(plan for plan in candidates if plan.mechanism in mechanisms)
    if not plans:
        wanted = " or ".join(f"CKM_{plan.mechanism.name}" for plan in candidates)
        msg = f"the token cannot decrypt by {candidates[0].scheme.value}: it lists no {wanted}"
        raise MechanismError(msg, hint="'smime-agent doctor' shows what each key can do")
    return plans


def _candidates(key: KeyAlgorithm, quirks: Quirks, oaep: OaepParameters | None) -> Iterator[DecryptionPlan]:
    """The ways to decrypt, best first."""
    scheme = KeyEncryption.RSAES_PKCS1_V1_5 if oaep is None else KeyEncryption.RSAES_OAEP
    if key.kind is KeyKind.RSA and oaep is None:
        # SoftHSM takes 14 microseconds more to refuse a padding than to take it off. With raw RSA no token can tell
        # that a padding is wrong; cards do nothing else, and the padding is their module's.
        because = "the token is not to know whether the padding is right"
        raw = DecryptionPlan(scheme, key, Mechanism.RSA_X_509, HostStep.RSAES_PKCS1_V1_5, because)
        because = "it hides a wrong padding" if quirks.rejects_implicitly else "the token lists no raw RSA"
        padded = DecryptionPlan(scheme, key, Mechanism.RSA_PKCS, HostStep.NOTHING, because)
        yield from (padded, raw) if quirks.rejects_implicitly else (raw, padded)
    elif key.kind is KeyKind.RSA and oaep is not None:
        because = "the token does not do OAEP with these parameters"
        if _does_oaep(oaep, quirks):
            yield DecryptionPlan(scheme, key, Mechanism.RSA_PKCS_OAEP, HostStep.NOTHING, "the token does it all", oaep)
            because = "the token lists no OAEP of its own"
        yield DecryptionPlan(scheme, key, Mechanism.RSA_X_509, HostStep.RSAES_OAEP, because, oaep)
    elif key.kind in {KeyKind.EC, KeyKind.X25519}:
        scheme = KeyEncryption.ECDH if key.kind is KeyKind.EC else KeyEncryption.X25519
        because = "tokens differ in key derivation, and agree in this"
        yield DecryptionPlan(scheme, key, Mechanism.ECDH1_DERIVE, HostStep.KEY_DERIVATION, because)
        if key.kind is KeyKind.EC:
            because = "it lists no other, and the cofactor is 1"
            yield DecryptionPlan(scheme, key, Mechanism.ECDH1_COFACTOR_DERIVE, HostStep.KEY_DERIVATION, because)


def _does_oaep(oaep: OaepParameters, quirks: Quirks) -> bool:
    if quirks.oaep_sha1_only and (oaep.label or {oaep.hash_function, oaep.mask_hash} != {HashFunction.SHA1}):
        return False
    return oaep.hash_function in _OAEP_HASHES and oaep.mask_hash in _OAEP_HASHES
