"""Public keys of certificates, and signatures checked with them by ``cryptography``."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

from smime_agent import accepted, der
from smime_agent.accepted import HashFunction, SignatureFamily
from smime_agent.cms.content_info import OBJECT_IDENTIFIER
from smime_agent.cms.normal import value, values
from smime_agent.cms.signature_algorithm import SignatureAlgorithm, pss_algorithm
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

#: Mathematics with larger numbers takes longer than anybody waits. FIPS 186-5 ends exponents at 256 bits.
MAX_MODULUS_BITS: Final = 16_384
MAX_EXPONENT_BITS: Final = 256
_MAX_ENCODED: Final = 16_384
_BIT_STRING: Final = 0x03

_CLASSES: Final[dict[SignatureFamily, type]] = {
    SignatureFamily.RSASSA_PKCS1_V1_5: rsa.RSAPublicKey,
    SignatureFamily.RSASSA_PSS: rsa.RSAPublicKey,
    SignatureFamily.ECDSA: ec.EllipticCurvePublicKey,
    SignatureFamily.DSA: dsa.DSAPublicKey,
    SignatureFamily.ED25519: ed25519.Ed25519PublicKey,
    SignatureFamily.ED448: ed448.Ed448PublicKey,
    SignatureFamily.ML_DSA_44: mldsa.MLDSA44PublicKey,
    SignatureFamily.ML_DSA_65: mldsa.MLDSA65PublicKey,
    SignatureFamily.ML_DSA_87: mldsa.MLDSA87PublicKey,
}
_HASHES: Final[dict[HashFunction, type[hashes.HashAlgorithm]]] = {
    HashFunction.MD5: hashes.MD5,
    HashFunction.SHA1: hashes.SHA1,
    HashFunction.SHA224: hashes.SHA224,
    HashFunction.SHA256: hashes.SHA256,
    HashFunction.SHA384: hashes.SHA384,
    HashFunction.SHA512: hashes.SHA512,
    HashFunction.SHA512_224: hashes.SHA512_224,
    HashFunction.SHA512_256: hashes.SHA512_256,
    HashFunction.SHA3_224: hashes.SHA3_224,
    HashFunction.SHA3_256: hashes.SHA3_256,
    HashFunction.SHA3_384: hashes.SHA3_384,
    HashFunction.SHA3_512: hashes.SHA3_512,
}


class PublicKey:
    """One public key, with what its certificate restricts it to."""

    __slots__ = ("_key", "_only")

    def __init__(self, key: PublicKeyTypes, only: SignatureAlgorithm | SignatureFamily | None) -> None:
        self._key = key
        self._only = only

    def check_use(self, algorithm: SignatureAlgorithm) -> None:
        """See that the key is for signatures by this algorithm.

        Raises:
            UntrustworthyError: it is of another kind, or restricted to another use.
        """
        if not isinstance(self._key, _CLASSES[algorithm.family]):
            text = (
                f"the signature is said to be {algorithm.family.value}, and the key of the certificate is for another"
            )
            raise UntrustworthyError(Code.ALGORITHM_MISMATCH, text)
        only = self._only
        if isinstance(only, SignatureAlgorithm):  # RFC 4056, 3: the same, and no shorter salt
            fits = replace(algorithm, salt_length=only.salt_length) == only
            fits = fits and algorithm.salt_length >= only.salt_length
        else:
            fits = only in {None, algorithm.family}
        if not fits:
            text = "the certificate restricts its key to other signatures than this one"
            raise UntrustworthyError(Code.ALGORITHM_MISMATCH, text)
        if not algorithm.family.is_pure and algorithm.hash_function not in _HASHES:
            raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"{algorithm} is not supported")

    def verify(self, algorithm: SignatureAlgorithm, signature: bytes, candidates: Iterable[bytes]) -> None:
        """See that the key signed one of the ``candidates``: octets if the algorithm is pure, else their digests.

        Raises:
            UntrustworthyError: it signed none of them.
        """
        for candidate in candidates:
            try:
                self._verify(algorithm, signature, candidate)
            except (InvalidSignature, ValueError, OverflowError):
                continue
            except UnsupportedAlgorithm as error:
                raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"{algorithm} is not supported") from error
            return
        text = "the signature was not made by the key of the certificate, or was changed"
        raise UntrustworthyError(Code.SIGNATURE_MISMATCH, text)

    def _verify(self, algorithm: SignatureAlgorithm, signature: bytes, candidate: bytes) -> None:
        match self._key:
            case rsa.RSAPublicKey():
                self._key.verify(signature, candidate, _padding(algorithm), _prehashed(algorithm.hash_function))
            case ec.EllipticCurvePublicKey():
                self._key.verify(signature, candidate, ec.ECDSA(_prehashed(algorithm.hash_function)))
            case dsa.DSAPublicKey():
                self._key.verify(signature, candidate, _prehashed(algorithm.hash_function))
            case _:
                cast("_PureKey", self._key).verify(signature, candidate)


class _PureKey(Protocol):
    def verify(self, signature: bytes, data: bytes, /) -> None: ...


def public_key(encoded: bytes) -> PublicKey:
    """The key of a DER SubjectPublicKeyInfo; the latest are kept.

    Raises:
        UntrustworthyError: it cannot be used.
    """
    if len(encoded) > _MAX_ENCODED:
        _unusable(f"it has more than {_MAX_ENCODED} octets")
    return _public_key(encoded)


@lru_cache(maxsize=256)
def _public_key(encoded: bytes) -> PublicKey:
    parts = values(value(encoded, der.SEQUENCE))
    if [part.tag for part in parts] != [der.SEQUENCE, _BIT_STRING]:
        _unusable("it is damaged")
    identifier = algorithm_of(parts[0].encoded)
    only: SignatureAlgorithm | SignatureFamily | None = None
    match identifier.oid:
        case accepted.EC_PUBLIC_KEY_OID:
            # Only curves by name: with parameters of one's own, any key has a private half (CVE-2020-0601).
            if not identifier.parameters or identifier.parameters[0] != OBJECT_IDENTIFIER:
                _unusable("its elliptic curve has no name")
        case accepted.DSA_OID:
            if identifier.effective_parameters is None:
                _unusable("its parameters are inherited from the issuer")
        case accepted.RSA_ENCRYPTION_OID:
            _check_size(parts[1].contents)
        case accepted.RSASSA_PSS_OID:
            _check_size(parts[1].contents)
            given = identifier.effective_parameters
            only = SignatureFamily.RSASSA_PSS if given is None else pss_algorithm(given)
            # `cryptography` knows few of the parameters, which were looked at here; the key is the same.
            encoded = der.sequence(der.algorithm(accepted.RSA_ENCRYPTION_OID, der.NULL), parts[1].encoded)
    try:
        return PublicKey(load_der_public_key(encoded), only)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm) as error:
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, "the key of the certificate cannot be used") from error


def _check_size(bit_string: bytes) -> None:
    """RSAPublicKey ::= SEQUENCE { modulus, publicExponent } (RFC 8017, A.1.1)."""
    numbers = values(value(bit_string[1:], der.SEQUENCE))
    if [number.tag for number in numbers] != [der.INTEGER, der.INTEGER]:
        _unusable("it is damaged")
    modulus, exponent = (int.from_bytes(number.contents).bit_length() for number in numbers)
    if modulus > MAX_MODULUS_BITS or exponent > MAX_EXPONENT_BITS:
        _unusable(f"RSA with a modulus of {modulus} and an exponent of {exponent} bits")


def _unusable(why: str) -> NoReturn:
    raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"the key of the certificate cannot be used: {why}")


@lru_cache(maxsize=32)
def _prehashed(function: HashFunction | None) -> utils.Prehashed:
    return utils.Prehashed(_hash(function))


def _hash(function: HashFunction | None) -> hashes.HashAlgorithm:
    if function not in _HASHES:
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"{function} is not supported in this signature")
    return _HASHES[function]()


@lru_cache(maxsize=64)
def _padding(algorithm: SignatureAlgorithm) -> padding.AsymmetricPadding:
    if algorithm.family is SignatureFamily.RSASSA_PKCS1_V1_5:
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(_hash(algorithm.mask_hash)), algorithm.salt_length)
