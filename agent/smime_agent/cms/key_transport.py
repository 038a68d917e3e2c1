"""A content-encryption key for an RSA key: KeyTransRecipientInfo, by RSAES-PKCS1-v1_5 or RSAES-OAEP.

::

    KeyTransRecipientInfo ::= SEQUENCE {                                             -- RFC 5652, 6.2.1
      version CMSVersion, rid RecipientIdentifier,
      keyEncryptionAlgorithm KeyEncryptionAlgorithmIdentifier, encryptedKey OCTET STRING }
    RSAES-OAEP-params ::= SEQUENCE {                                                 -- RFC 4055, 4.1
      hashFunc [0] AlgorithmIdentifier DEFAULT sha1, maskGenFunc [1] AlgorithmIdentifier DEFAULT mgf1SHA1,
      pSourceFunc [2] AlgorithmIdentifier DEFAULT pSpecifiedEmpty }
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.accepted import RSA_ENCRYPTION_OID, HashFunction
from smime_agent.algorithms import Digest, KeyKind
from smime_agent.cms.ber import exceeded, malformed
from smime_agent.cms.normal import value, values
from smime_agent.cms.signature_algorithm import hash_function
from smime_agent.cms.signed_attributes_builder import issuer_and_serial_number
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.errors import UsageError
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from smime_agent.x509 import Certificate

RSAES_OAEP_OID: Final = "1.2.840.113549.1.1.7"
_MGF1, _P_SPECIFIED = "1.2.840.113549.1.1.8", "1.2.840.113549.1.1.9"
_HASH, _MASK, _LABEL = 0xA0, 0xA1, 0xA2  # explicit tags
#: Mathematics with larger numbers takes longer than anybody waits; OpenSSL ends there too.
MAX_MODULUS_BITS: Final = 16_384
MAX_EXPONENT_BITS: Final = 64
#: A label, in octets.
MAX_LABEL: Final = 1_024
_VERSION: Final = der.integer(0)  # the recipient is named by issuer and serial number
_PKCS1_V1_5: Final = der.algorithm(RSA_ENCRYPTION_OID, der.NULL)  # RFC 3370, 4.2.1: NULL must be there
_SHA256: Final = Digest.SHA256.algorithm_identifier_with_null
#: RFC 4055, 4.1: all but the empty label, which is the default.
_OAEP: Final = der.algorithm(
    RSAES_OAEP_OID, der.sequence(der.context(0, _SHA256), der.context(1, der.algorithm(_MGF1, _SHA256)))
)


@dataclass(frozen=True, slots=True)
class OaepParameters:
    """What RSAES-OAEP is used with."""

    hash_function: HashFunction
    mask_hash: HashFunction
    label: bytes


def oaep_parameters(parameters: bytes | None) -> OaepParameters:
    """RSAES-OAEP-params, read; what is not said is the default, SHA-1 throughout and no label (RFC 4055, 4.1).

    Raises:
        UntrustworthyError: they are damaged, absent or not supported.
    """
    if parameters is None:  # RFC 3560, 3: they must be there, be they empty
        malformed("RSAES-OAEP without parameters")
    tagged = values(value(parameters, der.SEQUENCE))
    tags = [one.tag for one in tagged]
    if tags != sorted(set(tags) & {_HASH, _MASK, _LABEL}):
        malformed("RSAES-OAEP with parameters that are none")
    fields = {one.tag: algorithm_of(one.contents) for one in tagged}
    digest = hash_function(fields[_HASH]) if _HASH in fields else HashFunction.SHA1
    mask_digest, label = HashFunction.SHA1, b""
    if _MASK in fields:
        mask = fields[_MASK]
        if mask.oid != _MGF1 or mask.parameters is None:
            raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"the mask generation of RSAES-OAEP is {mask.oid}")
        mask_digest = hash_function(algorithm_of(mask.parameters))
    if _LABEL in fields:
        source = fields[_LABEL]
        if source.oid != _P_SPECIFIED:
            raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"the label of RSAES-OAEP is by {source.oid}")
        label = value(source.parameters or b"", der.OCTET_STRING)
    if len(label) > MAX_LABEL:
        exceeded(f"RSAES-OAEP with a label of {len(label)} octets")
    return OaepParameters(digest, mask_digest, label)


def key_transport(certificate: Certificate, content_key: bytes, *, oaep: bool) -> bytes:
    """The DER RecipientInfo for an RSA key: by RSAES-PKCS1-v1_5 or, with ``oaep``, by RSAES-OAEP with SHA-256.

    Raises:
        UsageError: the key is for something else, too short or damaged.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    key = _public_key(certificate)
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if oaep:
        scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    try:
        encrypted_key = key.encrypt(content_key, scheme)
    except ValueError as error:
        raise UsageError(f"the RSA key of {certificate.holder} is too short to encrypt to") from error
    return der.sequence(
        _VERSION,
        issuer_and_serial_number(certificate),
        _OAEP if oaep else _PKCS1_V1_5,
        der.octet_string(encrypted_key),
    )


def key_oid(certificate: Certificate) -> str:
    """The dotted OID of the algorithm that the key of a certificate is for.

    Raises:
        UntrustworthyError: the SubjectPublicKeyInfo is damaged.
    """
    parts = values(value(certificate.public_key_info, der.SEQUENCE))
    return algorithm_of(parts[0].encoded).oid if parts else ""


def _public_key(certificate: Certificate) -> RSAPublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    # RFC 4055, 1.2: a key that is named id-RSASSA-PSS must not encrypt.
    if certificate.key_algorithm.kind is not KeyKind.RSA or key_oid(certificate) != RSA_ENCRYPTION_OID:
        raise UsageError(f"nothing can be encrypted to the key of {certificate.holder}: it is for something else")
    if certificate.key_algorithm.bits > MAX_MODULUS_BITS:
        raise UsageError(f"the RSA key of {certificate.holder} has more than {MAX_MODULUS_BITS} bits")
    try:
        key = load_der_public_key(certificate.public_key_info)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm) as error:
        raise UsageError(f"the RSA key of {certificate.holder} is damaged") from error
    if not isinstance(key, RSAPublicKey) or key.public_numbers().e.bit_length() > MAX_EXPONENT_BITS:
        raise UsageError(f"the RSA key of {certificate.holder} is not one that is in use anywhere")
    return key
