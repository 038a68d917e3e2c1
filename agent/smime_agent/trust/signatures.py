"""Signatures on certificates, CRLs and OCSP responses, as the path validator asks for them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smime_agent.x509 import Certificate

#: What asn1crypto raises on garbage, as measured; some of it only when a value is looked at.
GARBAGE = (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError, AttributeError)
#: Digests that collide (RFC 8551, B.1): what they sign can be exchanged.
WEAK_DIGESTS = frozenset({"md2", "md4", "md5", "sha1"})


@lru_cache(maxsize=512)
def parsed(encoded: bytes) -> Any:  # noqa: ANN401 - asn1crypto has no types
    """A certificate as asn1crypto has it, to be looked at. It must have been read as a :class:`Certificate` before."""
    return unread(encoded)


def unread(encoded: bytes) -> Any:  # noqa: ANN401 - asn1crypto has no types
    """The same, whose signature is to be verified: of one that was looked at, asn1crypto may write other octets."""
    from asn1crypto import x509

    return x509.Certificate.load(encoded, strict=True)


def digest_name(signature_algorithm: Any) -> str | None:  # noqa: ANN401 - the same
    """The digest of a signature algorithm, ``None`` where there is none to name (Ed25519 and its like)."""
    try:
        return str(signature_algorithm.hash_algo)
    except (ValueError, KeyError, TypeError):
        return None


class SignatureChecker:
    """The signature validator that pyhanko-certvalidator is given.

    It never lets anything out but ``InvalidSignature``; refuses weak digests unless told otherwise; and checks a
    shortened CRL against the octets that were signed.
    """

    def __init__(self, *, weak_digests: bool) -> None:
        """``weak_digests`` says that MD5 and SHA-1 are good enough."""
        self._weak_digests = weak_digests
        self._signed: dict[bytes, bytes] = {}
        self._keys: dict[bytes, Any] = {}
        self._good: set[tuple[bytes, bytes, bytes]] = set()

    def stands_for(self, shown: bytes, signed: bytes) -> None:
        """Whoever asks about a signature over ``shown`` means ``signed``."""
        self._signed[shown] = signed

    def inherits(self, key: Any, above: Any) -> None:  # noqa: ANN401 - asn1crypto has no types
        """A DSA key without parameters has those of the key that signed its certificate (RFC 3279, 2.3.2)."""
        if key.algorithm != "dsa" or key["algorithm"]["parameters"].native is not None or above.algorithm != "dsa":
            return
        above = self._keys.get(above.dump(), above)
        complete = key.copy()
        complete["algorithm"]["parameters"] = above["algorithm"]["parameters"].copy()
        self._keys[key.dump()] = complete

    def validate_signature(
        self,
        signature: bytes,
        signed_data: bytes,
        public_key_info: Any,  # noqa: ANN401 - asn1crypto has no types
        signature_algorithm: Any,  # noqa: ANN401 - the same
        context: Any = None,  # noqa: ANN401, ARG002 - digests from a context are for time-stamps
    ) -> None:
        """Check one signature.

        Raises:
            InvalidSignature: it is wrong, or of a kind that is not known or not taken.
        """
        from cryptography.exceptions import InvalidSignature
        from pyhanko_certvalidator.sig_validate import DEFAULT_SIGNATURE_VALIDATOR

        if not self._weak_digests and digest_name(signature_algorithm) in WEAK_DIGESTS:
            raise InvalidSignature("the digest is too weak")
        question = (signature, signed_data, public_key_info.dump())
        if question in self._good:
            return
        octets = self._signed.get(signed_data, signed_data)
        key = self._keys.get(question[2], public_key_info)
        try:
            DEFAULT_SIGNATURE_VALIDATOR.validate_signature(signature, octets, key, signature_algorithm)
        except InvalidSignature:
            raise
        except Exception as error:  # on keys and parameters of strangers it raises half of Python's errors
            raise InvalidSignature("not a signature that can be checked") from error
        if signed_data in self._signed:  # a long CRL is hashed once
            self._good.add(question)


@lru_cache(maxsize=4096)
def is_signed_by(encoded: bytes, issuer: bytes) -> bool:
    """The key of the certificate ``issuer`` made the signature of the certificate ``encoded``; both are DER.

    True also where only the path can tell: DSA parameters may be inherited from further up (RFC 3279, 2.3.2).
    """
    from cryptography.exceptions import InvalidSignature
    from pyhanko_certvalidator.errors import DSAParametersUnavailable

    try:
        certificate = unread(encoded)
        SignatureChecker(weak_digests=True).validate_signature(
            certificate["signature_value"].native,
            certificate["tbs_certificate"].dump(),
            parsed(issuer).public_key,
            certificate["signature_algorithm"],
        )
    except DSAParametersUnavailable:
        return True
    except (InvalidSignature, *GARBAGE):
        return False
    return True


def issued(certificate: Certificate, issuer: Certificate) -> bool:
    """The key of ``issuer`` made the signature of ``certificate``."""
    return is_signed_by(certificate.encoded, issuer.encoded)
