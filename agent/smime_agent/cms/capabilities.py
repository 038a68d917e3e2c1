"""SMIMECapabilities: what somebody says that mail to them may be encrypted with.

::

    SMIMECapabilities ::= SEQUENCE OF SMIMECapability                                -- RFC 8551, 2.5.2
    SMIMECapability ::= SEQUENCE { capabilityID OBJECT IDENTIFIER, parameters ANY OPTIONAL }
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.accepted import HashFunction
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms import oids
from smime_agent.cms.ber import exceeded, malformed, object_identifier
from smime_agent.cms.certificate_index import extension_of
from smime_agent.cms.content_info import OBJECT_IDENTIFIER
from smime_agent.cms.key_transport import RSAES_OAEP_OID, OaepParameters, oaep_parameters
from smime_agent.cms.normal import to_der, value, values
from smime_agent.cms.signer_info import AlgorithmIdentifier, algorithm_of
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from smime_agent.x509 import Certificate

#: The octets of a list, and its members. The longest in use have some forty.
MAX_SIZE: Final = 16_384
MAX_CAPABILITIES: Final = 1_000
_CIPHERS: Final = {cipher.oid: cipher for cipher in ContentEncryption}
#: Content encryption that people still claim to know, and that nothing is encrypted with any more (RFC 8551, 2.7.2).
_RETIRED: Final = {"1.2.840.113549.3.7": "Triple DES", "1.2.840.113549.3.2": "RC2", "1.3.14.3.2.7": "DES"}
_OAEP_SHA256: Final = OaepParameters(HashFunction.SHA256, HashFunction.SHA256, b"")
_SMIME_CAPABILITIES: Final = der.object_identifier(oids.SMIME_CAPABILITIES)
#: The parameters as RFC 3560, 5, prints them, octet by octet: without the tags that their ASN.1 has.
_OAEP_SHA256_UNTAGGED: Final = bytes.fromhex(
    "302b300d06096086480165030402010500301a06092a864886f70d010108300d06096086480165030402010500"
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What somebody can decrypt, as far as we can encrypt it; what is not known here is left out.

    ``content_encryption`` is in the order that they prefer, ``encoded`` the DER of all of it. ``retired`` are the names
    of ciphers that they claim to know and that are never used here.
    """

    content_encryption: tuple[ContentEncryption, ...]
    oaep_sha256: bool
    encoded: bytes
    retired: tuple[str, ...] = ()


def read_capabilities(encoded: bytes) -> Capabilities:
    """An SMIMECapabilities value, in BER.

    Raises:
        UntrustworthyError: it is none, or longer than any in use.
    """
    if len(encoded) > MAX_SIZE:
        exceeded(f"capabilities of more than {MAX_SIZE} octets")
    normal = to_der(encoded)
    found = [_capability(one.tag, one.encoded) for one in values(value(normal, der.SEQUENCE), MAX_CAPABILITIES)]
    ciphers = [_CIPHERS[one.oid] for one in found if one.oid in _CIPHERS and one.effective_parameters is None]
    retired = dict.fromkeys(_RETIRED[one.oid] for one in found if one.oid in _RETIRED)
    return Capabilities(tuple(dict.fromkeys(ciphers)), any(map(_is_oaep_sha256, found)), normal, tuple(retired))


def capabilities_of_certificate(certificate: Certificate) -> Capabilities | None:
    """What the CA says that the holder can decrypt (RFC 4262, 2); nothing where it says nothing that can be read."""
    encoded = extension_of(certificate.encoded, _SMIME_CAPABILITIES)
    try:
        return read_capabilities(encoded) if encoded is not None else None
    except UntrustworthyError:
        return None


def _capability(tag: int, encoded: bytes) -> AlgorithmIdentifier:
    if tag == OBJECT_IDENTIFIER:  # pyca/cryptography wrote bare object identifiers until 2024
        return AlgorithmIdentifier(object_identifier(value(encoded, tag)), None)
    if tag != der.SEQUENCE:
        malformed("a capability that is none")
    return algorithm_of(encoded)


def _is_oaep_sha256(capability: AlgorithmIdentifier) -> bool:
    return capability.oid == RSAES_OAEP_OID and _names_sha256(capability.parameters)


@lru_cache(maxsize=16)
def _names_sha256(parameters: bytes | None) -> bool:
    if parameters == _OAEP_SHA256_UNTAGGED:
        return True
    try:
        return oaep_parameters(parameters) == _OAEP_SHA256
    except UntrustworthyError:  # another mask generation, or damaged: not what we would use
        return False
