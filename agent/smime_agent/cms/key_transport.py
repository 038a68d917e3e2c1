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
from smime_agent.cms.recipient_name import RecipientName, recipient_identifier
from smime_agent.cms.signature_algorithm import hash_function
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.errors import UsageError
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from smime_agent.cms.signer_info import AlgorithmIdentifier
    from smime_agent.x509 import Certificate

RSAES_OAEP_OID: Final = "1.2.840.113549.1.1.7"
_MGF1, _P_SPECIFIED = "1.2.840.113549.1.1.8", "1.2.840.113549.1.1.9"
_HASH, _MASK, _LABEL = 0xA0, 0xA1, 0xA2  # explicit tags
#: Mathematics with larger numbers takes longer than anybody waits; OpenSSL ends there too.
MAX_MODULUS_BITS: Final = 16_384
MAX_EXPONENT_BITS: Final = 64
#: A label, in octets.
MAX_LABEL: Final = 1_024
_PKCS1_V1_5: Final = der.algorithm(RSA_ENCRYPTION_OID, der.NULL)  # RFC 3370, 4.2.1: NULL must be there
_SHA256: Final = Digest.SHA256.algorithm_identifier_with_null
#: RFC 4055, 4.1: all but the empty label, which is the default.
_OAEP_SHA256: Final = der.sequence(der.context(0, _SHA256), der.context(1, der.algorithm(_MGF1, _SHA256)))
#: RFC 4055, 2.1: what a key may ask for.
_OAEP_HASHES: Final = frozenset(
    (HashFunction.SHA1, HashFunction.SHA224, HashFunction.SHA256, HashFunction.SHA384, HashFunction.SHA512)
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


def key_transport(
    certificate: Certificate,
    content_key: bytes,
    *,
    oaep: bool,
    name: RecipientName = RecipientName.ISSUER_AND_SERIAL_NUMBER,
) -> bytes:
    """The DER RecipientInfo for an RSA key: by RSAES-PKCS1-v1_5 or, with ``oaep``, by RSAES-OAEP with SHA-256.

    A key that is named id-RSAES-OAEP gets nothing else than that, with the parameters that it names (RFC 4055, 4).

    Raises:
        UsageError: the key is for something else, too short or damaged; or the certificate cannot be named by ``name``.
    """
    from cryptography.hazmat.primitives.asymmetric import padding

    version, identifier = recipient_identifier(certificate, name)
    key, restriction = _public_key(certificate)
    parameters = restriction or (_OAEP_SHA256 if oaep else None)
    scheme = _oaep_scheme(certificate, parameters) if parameters else padding.PKCS1v15()
    try:
        encrypted_key = key.encrypt(content_key, scheme)
    except ValueError as error:
        raise UsageError(f"the RSA key of {certificate.holder} is too short to encrypt to") from error
    algorithm = der.algorithm(RSAES_OAEP_OID, parameters) if parameters else _PKCS1_V1_5
    return der.sequence(version, identifier, algorithm, der.octet_string(encrypted_key))


def needs_oaep(certificate: Certificate) -> bool:
    """The key of a certificate is named id-RSAES-OAEP: it must be used with that alone (RFC 4055, 4)."""
    return key_oid(certificate) == RSAES_OAEP_OID


def key_oid(certificate: Certificate) -> str:
    """The dotted OID of the algorithm that the key of a certificate is for.

    Raises:
        UntrustworthyError: the SubjectPublicKeyInfo is damaged.
    """
    return _key_algorithm(certificate)[0].oid


def _key_algorithm(certificate: Certificate) -> tuple[AlgorithmIdentifier, bytes]:
    """The algorithm of a SubjectPublicKeyInfo, and the encoded BIT STRING."""
    parts = values(value(certificate.public_key_info, der.SEQUENCE))
    if len(parts) != 2:  # noqa: PLR2004 - RFC 5280, 4.1
        malformed("a SubjectPublicKeyInfo that is none")
    return algorithm_of(parts[0].encoded), parts[1].encoded


def _oaep_scheme(certificate: Certificate, parameters: bytes) -> AsymmetricPadding:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    wanted = oaep_parameters(parameters)
    if not {wanted.hash_function, wanted.mask_hash} <= _OAEP_HASHES:
        raise UsageError(f"the RSA key of {certificate.holder} is for OAEP with a hash function that is not supported")
    digest, mask = (getattr(hashes, one.name)() for one in (wanted.hash_function, wanted.mask_hash))
    return padding.OAEP(padding.MGF1(mask), digest, wanted.label or None)


def _public_key(certificate: Certificate) -> tuple[RSAPublicKey, bytes | None]:
    """The key, and the RSAES-OAEP-params that it is restricted to, if it is."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    algorithm, bits = _key_algorithm(certificate)
    # RFC 4055, 1.2: a key that is named id-RSASSA-PSS must not encrypt.
    if certificate.key_algorithm.kind is not KeyKind.RSA or algorithm.oid not in {RSA_ENCRYPTION_OID, RSAES_OAEP_OID}:
        raise UsageError(f"nothing can be encrypted to the key of {certificate.holder}: it is for something else")
    if certificate.key_algorithm.bits > MAX_MODULUS_BITS:
        raise UsageError(f"the RSA key of {certificate.holder} has more than {MAX_MODULUS_BITS} bits")
    try:
        key = load_der_public_key(der.sequence(der.algorithm(RSA_ENCRYPTION_OID, der.NULL), bits))
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm) as error:
        raise UsageError(f"the RSA key of {certificate.holder} is damaged") from error
    if not isinstance(key, RSAPublicKey) or key.public_numbers().e.bit_length() > MAX_EXPONENT_BITS:
        raise UsageError(f"the RSA key of {certificate.holder} is not one that is in use anywhere")
    restricted = algorithm.oid == RSAES_OAEP_OID
    return key, (algorithm.effective_parameters or _OAEP_SHA256) if restricted else None
