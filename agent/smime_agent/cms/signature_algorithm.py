"""Signature algorithms out of AlgorithmIdentifiers, their parameters included."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.accepted import SIGNATURE_ALGORITHMS, HashFunction, SignatureFamily
from smime_agent.cms.ber import exceeded, integer, malformed
from smime_agent.cms.normal import to_der, value, values
from smime_agent.cms.signer_info import AlgorithmIdentifier, algorithm_of
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from smime_agent.cms.normal import Value

_MGF1: Final = "1.2.840.113549.1.1.8"
_HASH, _MASK, _SALT, _TRAILER = 0xA0, 0xA1, 0xA2, 0xA3  # explicit tags
_DEFAULT_SALT: Final = 20
_TRAILER_FIELD_BC: Final = 1
_LONGEST_SALT: Final = 2_048  # octets of the largest modulus


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """A signature algorithm and what it is used with; ``hash_function`` is none where digestAlgorithm decides.

    ``mask_hash`` and ``salt_length`` are those of RSASSA-PSS.
    """

    family: SignatureFamily
    hash_function: HashFunction | None
    mask_hash: HashFunction | None = None
    salt_length: int = 0

    def __str__(self) -> str:
        """``RSASSA-PSS with SHA-256``."""
        return self.family.value if self.hash_function is None else f"{self.family.value} with {self.hash_function}"

    @property
    def is_weak(self) -> bool:
        """One of its hash functions is."""
        return any(function is not None and function.is_weak for function in (self.hash_function, self.mask_hash))

    def used_with(self, digest: HashFunction) -> SignatureAlgorithm:
        """The same with the hash function that digestAlgorithm names, where it has none of its own."""
        return self if self.hash_function is not None else replace(self, hash_function=digest)


def hash_function(algorithm: AlgorithmIdentifier) -> HashFunction:
    """The hash function of a DigestAlgorithmIdentifier.

    Raises:
        UntrustworthyError: it is not supported.
    """
    function = HashFunction.by_oid(algorithm.oid, algorithm.parameters)
    if function is None:
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"the digest algorithm {algorithm.oid} is not supported")
    return function


@lru_cache(maxsize=256)
def signature_algorithm(algorithm: AlgorithmIdentifier) -> SignatureAlgorithm:
    """The algorithm of a SignatureAlgorithmIdentifier.

    Raises:
        UntrustworthyError: it is not supported, or its parameters are damaged.
    """
    known = SIGNATURE_ALGORITHMS.get(algorithm.oid)
    if known is None:
        text = f"the signature algorithm {algorithm.oid} is not supported"
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, text)
    family, function = known
    if family is SignatureFamily.RSASSA_PSS:
        if algorithm.parameters is None:  # RFC 4056, 2.2: they must be there, be they empty
            malformed("RSASSA-PSS without parameters")
        return pss_algorithm(algorithm.parameters)
    if family.is_pure and algorithm.parameters is not None:  # RFC 8419, 2.4; RFC 9882, 2
        malformed(f"{family.value} with parameters")
    # Whatever else stands there is not used: NULL or nothing, the curve with ecPublicKey, p, q and g with DSA.
    return SignatureAlgorithm(family, function)


def pss_algorithm(parameters: bytes) -> SignatureAlgorithm:
    """RSASSA-PSS with these RSASSA-PSS-params; what is not said is the default, SHA-1 throughout (RFC 8017, A.2.3).

    Raises:
        UntrustworthyError: they are damaged, or not supported.
    """
    tagged = values(value(to_der(parameters), der.SEQUENCE))
    tags = [one.tag for one in tagged]
    if tags != sorted(set(tags) & {_HASH, _MASK, _SALT, _TRAILER}):
        malformed("RSASSA-PSS with parameters that are none")
    fields = {one.tag: _inside(one) for one in tagged}
    mask = algorithm_of(fields[_MASK]) if _MASK in fields else AlgorithmIdentifier(_MGF1, _SHA1_ENCODED)
    if mask.oid != _MGF1 or mask.parameters is None:
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"the mask generation of RSASSA-PSS is {mask.oid}")
    salt_length = integer(value(fields[_SALT], der.INTEGER)) if _SALT in fields else _DEFAULT_SALT
    if _TRAILER in fields and integer(value(fields[_TRAILER], der.INTEGER)) != _TRAILER_FIELD_BC:
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, "the trailer field of RSASSA-PSS is not 1")
    if salt_length < 0:
        malformed("RSASSA-PSS with a salt shorter than nothing")
    if salt_length > _LONGEST_SALT:
        exceeded(f"RSASSA-PSS with a salt of {salt_length} octets")
    return SignatureAlgorithm(
        SignatureFamily.RSASSA_PSS,
        hash_function(algorithm_of(fields[_HASH])) if _HASH in fields else HashFunction.SHA1,
        hash_function(algorithm_of(mask.parameters)),
        salt_length,
    )


_SHA1_ENCODED: Final = der.algorithm(HashFunction.SHA1.oid, der.NULL)


def _inside(tagged: Value) -> bytes:
    """What an explicit tag is around."""
    inside = values(tagged.contents)
    if len(inside) != 1:
        malformed("an explicit tag around not exactly one value")
    return inside[0].encoded
