"""Whether a signer signed a content: the steps of RFC 5652, 5.4 to 5.6, in the order in which they fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.accepted import HashFunction
from smime_agent.cms.ber import header
from smime_agent.cms.claims import check_claims
from smime_agent.cms.signature_algorithm import SignatureAlgorithm, hash_function, signature_algorithm
from smime_agent.verdict import Code, Reason, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from smime_agent.cms.claims import Claims
    from smime_agent.cms.signed_data import SignedData
    from smime_agent.cms.signer_info import AlgorithmIdentifier, SignerInfo
    from smime_agent.x509 import Certificate

_HEAD: Final = 16  # octets of a content that show whether it is one DER value


@dataclass(frozen=True, slots=True)
class ContentDigests:
    """The digests of one content, its size, and its first octets."""

    digests: Mapping[HashFunction, bytes]
    size: int
    head: bytes

    def by(self, function: HashFunction) -> bytes:
        """The digest by this function.

        Raises:
            UntrustworthyError: the content was not digested by it.
        """
        if function not in self.digests:
            raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"the content was not digested by {function}")
        return self.digests[function]


@dataclass(frozen=True, slots=True)
class CheckedSignature:
    """A signature that its key did make over this content. Nothing of the certificate was checked but its key.

    ``algorithm`` and ``digest`` are names for people; ``digest`` is empty where the content was not digested. The
    ``weaknesses`` are those of its hash function; those of the
    key are the certificate's. ``claimed_at`` is the signingTime, which nobody vouches for.
    ``countersignatures`` were seen, not checked. ``capabilities`` and ``key_preference`` are for answers, encoded, and
    not looked into. ``unknown`` are the OIDs of attributes that mean nothing to us.
    """

    algorithm: str
    digest: str
    claimed_at: datetime | None
    weaknesses: tuple[Reason, ...]
    countersignatures: int
    receipt_request: bool
    unknown: tuple[str, ...]
    capabilities: bytes | None = None
    key_preference: bytes | None = None


def digest_content(chunks: Iterable[bytes], algorithms: Iterable[AlgorithmIdentifier]) -> ContentDigests:
    """The digests of a content, by all these algorithms in one pass; what is not supported is left out."""
    functions = {HashFunction.by_oid(one.oid, one.parameters) for one in set(algorithms)} - {None}
    hashings = {function: function.new() for function in functions if function is not None}
    updates = [hashing.update for hashing in hashings.values()]
    size, head = 0, b""
    for chunk in chunks:
        for update in updates:
            update(chunk)
        if size < _HEAD:
            head += chunk[: _HEAD - size]
        size += len(chunk)
    return ContentDigests({function: hashing.digest() for function, hashing in hashings.items()}, size, head)


def check_signature(  # noqa: PLR0913 - a signature, what it is over, and by whom
    signed_data: SignedData,
    signer: SignerInfo,
    digests: ContentDigests,
    certificate: Certificate,
    *,
    content: Callable[[], bytes] | None = None,
    public_key_info: bytes | None = None,
) -> CheckedSignature:
    """What a signature is worth that this certificate's key made over the content with these digests.

    ``content`` gives all of it, for algorithms that sign octets and not their digest, where there are no signed
    attributes; it may raise ``UntrustworthyError`` if there are too many. ``public_key_info`` stands for that of the
    certificate where it had to be completed.

    Raises:
        UntrustworthyError: attributes or algorithms are wrong; else ``DIGEST_MISMATCH``, the content is another; else
            ``SIGNATURE_MISMATCH``, the signature is.
    """
    # 1. The structure: attributes that must be there, once, and agree with the rest.
    claims = check_claims(signed_data, signer, certificate)
    # 2. The algorithms: known ones, that agree with one another and with the key.
    algorithm = signature_algorithm(signer.signature_algorithm)
    pure, digest = algorithm.family.is_pure, None
    if not pure or claims.message_digest is not None:  # else RFC 9882, 3.3: digestAlgorithm means nothing
        digest = hash_function(signer.digest_algorithm)
        algorithm = algorithm.used_with(digest)
        _check_agreement(algorithm, digest)
    from smime_agent.cms.public_key import public_key  # `cryptography` takes a while to load, and signing goes without

    key = public_key(public_key_info or certificate.public_key_info)
    key.check_use(algorithm)
    # 3. The content, and 4. the signature over its digest, over the attributes, or over itself.
    if claims.message_digest is None:
        _check_bare_content(digests)
        candidates = [_octets(algorithm, content) if digest is None else digests.by(digest)]
    elif digest is None or digests.by(digest) != claims.message_digest:
        raise UntrustworthyError(Code.DIGEST_MISMATCH, "the content was changed after it was signed")
    else:
        candidates = [octets if pure else digest.of(octets) for octets in signer.signed_octets]
    key.verify(algorithm, signer.signature, candidates)
    return _checked(algorithm, digest, claims)


def _check_agreement(algorithm: SignatureAlgorithm, digest: HashFunction) -> None:
    """One hash function for the content and the attributes (RFC 8933, 3), or the one that the algorithm asks for."""
    suitable = algorithm.family.content_digests
    if algorithm.hash_function is not digest or (suitable is not None and digest not in suitable):
        text = f"the content is digested by {digest}, which does not go with {algorithm}"
        raise UntrustworthyError(Code.ALGORITHM_MISMATCH, text)


def _check_bare_content(digests: ContentDigests) -> None:
    """Refuse a content that is itself a SET: the attributes of another signature, taken for a content.

    Whoever signs with attributes signs a DER SET. Sent as a content without attributes, it would be validly signed.
    """
    if digests.head[:1] == bytes((der.SET,)):
        try:
            _, body, length = header(digests.head, 0)
        except UntrustworthyError:
            return
        if body + length == digests.size:
            text = "the content is the attributes of another signature, and has none itself"
            raise UntrustworthyError(Code.MISSING_ATTRIBUTE, text)


def _octets(algorithm: SignatureAlgorithm, content: Callable[[], bytes] | None) -> bytes:
    if content is None:
        text = f"{algorithm.family.value} signs the content itself, which is not at hand"
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, text)
    return content()


def _checked(algorithm: SignatureAlgorithm, digest: HashFunction | None, claims: Claims) -> CheckedSignature:
    weaknesses = []
    if algorithm.is_weak:  # its hash function is that of the content too
        text = f"it is signed with {algorithm}, whose hash function can be made to say the same of two contents"
        weaknesses.append(Reason(Code.WEAK_DIGEST, text))
    return CheckedSignature(
        algorithm=str(algorithm),
        digest="" if digest is None else str(digest),
        claimed_at=claims.signing_time,
        weaknesses=tuple(weaknesses),
        countersignatures=claims.countersignatures,
        receipt_request=claims.receipt_request,
        unknown=claims.unknown,
        capabilities=claims.capabilities,
        key_preference=claims.key_preference,
    )
