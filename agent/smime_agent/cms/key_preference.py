"""SMIMEEncryptionKeyPreference: which certificate of theirs somebody wants answers to be encrypted to.

::

    SMIMEEncryptionKeyPreference ::= CHOICE {                                        -- RFC 8551, 2.5.3
      issuerAndSerialNumber [0] IssuerAndSerialNumber,
      receipentKeyId [1] RecipientKeyIdentifier,
      subjectAltKeyIdentifier [2] SubjectKeyIdentifier }
"""

from __future__ import annotations

from typing import Final

from smime_agent import der
from smime_agent.cms.ber import exceeded, integer, malformed
from smime_agent.cms.normal import Value, to_der, values
from smime_agent.cms.signer_info import SignerIdentifier

#: The octets of a preference; all of it is one name.
MAX_SIZE: Final = 65_536
_ISSUER_AND_SERIAL, _RECIPIENT_KEY, _SUBJECT_KEY = 0xA0, 0xA1, 0x82  # tagged implicitly


def read_key_preference(encoded: bytes) -> SignerIdentifier:
    """What a preference names, in BER; that of Microsoft too, which is an IssuerAndSerialNumber without a tag.

    Raises:
        UntrustworthyError: it is none.
    """
    if len(encoded) > MAX_SIZE:
        exceeded(f"a key preference of more than {MAX_SIZE} octets")
    (choice,) = values(to_der(encoded), 1)
    if choice.tag == _SUBJECT_KEY:
        return SignerIdentifier(None, None, choice.contents)
    if choice.tag == _RECIPIENT_KEY:
        parts = values(choice.contents, 3)
        if parts and parts[0].tag == der.OCTET_STRING:  # date and other mean nothing to a certificate
            return SignerIdentifier(None, None, parts[0].contents)
    if choice.tag in {_ISSUER_AND_SERIAL, der.SEQUENCE}:
        return _issuer_and_serial_number(choice)
    return malformed("an encryption key preference that is none")


def _issuer_and_serial_number(choice: Value) -> SignerIdentifier:
    parts = values(choice.contents, 2)
    if [part.tag for part in parts] != [der.SEQUENCE, der.INTEGER]:
        malformed("an encryption key preference that names nobody")
    return SignerIdentifier(parts[0].encoded, integer(parts[1].contents), None)
