"""What the agent signs: SignedAttributes of a mail or a commit, and nothing else.

The agent is no oracle. Who can reach it gets no signature over octets of their own choice, such as a certificate, a TLS
handshake or a time-stamp: only over attributes that say of themselves what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.attributes import attributes_of
from smime_agent.cms.ber import object_identifier
from smime_agent.cms.claims import signing_time
from smime_agent.cms.content_info import OBJECT_IDENTIFIER
from smime_agent.cms.normal import to_der, value
from smime_agent.cms.signed_attributes_builder import attribute, cms_algorithm_protection
from smime_agent.errors import PolicyError
from smime_agent.keys import ToBeSigned
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from datetime import datetime

    from smime_agent.algorithms import SignatureScheme

#: How far a signingTime may be from now: who asks has the same clock.
TOLERANCE: Final = timedelta(minutes=5)
#: The attributes that signatures of ours have. They are all of one value.
_REQUIRED: Final = (oids.CONTENT_TYPE, oids.MESSAGE_DIGEST, oids.SIGNING_TIME)
_PERMITTED: Final = frozenset(
    {
        *_REQUIRED,
        oids.SMIME_CAPABILITIES,
        oids.ENCRYPTION_KEY_PREFERENCE,
        oids.SIGNING_CERTIFICATE_V2,
        oids.CMS_ALGORITHM_PROTECTION,
    }
)
_MOST_OCTETS: Final = 16_384


class NotSignableError(PolicyError):
    """These octets are not what the agent signs."""


@dataclass(frozen=True, slots=True)
class Signable:
    """SignedAttributes that were decoded, found good, and encoded anew; ``message_digest`` is in them."""

    tbs: ToBeSigned
    message_digest: bytes


def signable(octets: bytes, scheme: SignatureScheme, now: datetime) -> Signable:
    """SignedAttributes (the DER SET OF of RFC 5652, 5.4) that are to be signed with ``scheme``.

    Raises:
        NotSignableError: they are none, not of a mail's content, or not of now.
    """
    if len(octets) > _MOST_OCTETS:
        raise NotSignableError(f"SignedAttributes of more than {_MOST_OCTETS} octets")
    try:
        found = {}
        for one in attributes_of(octets):
            if one.oid not in _PERMITTED:
                raise NotSignableError(f"the agent does not sign an attribute {one.oid}")
            if one.oid in found or len(one.values) != 1:
                raise NotSignableError(f"the attribute {one.oid} does not stand once with one value")
            found[one.oid] = one.values[0]
        for oid in _REQUIRED:
            if oid not in found:
                raise NotSignableError(f"the attribute {oid} is missing")
        digest = _checked(found, scheme, now)
        encoded = der.set_of([attribute(oid, to_der(one)) for oid, one in found.items()])
    except UntrustworthyError as error:
        raise NotSignableError(f"what is to be signed are no SignedAttributes: {error}") from error
    if encoded != octets:
        raise NotSignableError("the SignedAttributes are not in DER")
    return Signable(ToBeSigned(encoded), digest)


def _checked(found: dict[str, bytes], scheme: SignatureScheme, now: datetime) -> bytes:
    """The message digest, once the attributes agree with one another and with the clock."""
    content_type = object_identifier(value(found[oids.CONTENT_TYPE], OBJECT_IDENTIFIER))
    if content_type != oids.ID_DATA:
        raise NotSignableError(f"the agent signs the content of mail, and not a content of type {content_type}")
    digest = value(found[oids.MESSAGE_DIGEST], der.OCTET_STRING)
    if len(digest) != scheme.digest.size:
        raise NotSignableError(f"a messageDigest of {len(digest)} octets is none of {scheme.digest.micalg}")
    protection = found.get(oids.CMS_ALGORITHM_PROTECTION)
    if protection is not None and protection != cms_algorithm_protection(scheme):
        raise NotSignableError("the CMSAlgorithmProtection is for another scheme than is asked for")
    if abs(signing_time(found[oids.SIGNING_TIME]) - now) > TOLERANCE:
        raise NotSignableError(
            "the signingTime is not now", hint="the agent signs what is written now: is a clock wrong?"
        )
    return digest
