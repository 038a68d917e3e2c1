"""Messages for certificates, as our own builder writes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.enveloped_data_builder import encrypt, recipient_info
from smime_agent.cms.recipient_name import RecipientName

if TYPE_CHECKING:
    from smime_agent.x509 import Certificate

ENTITY = b"Content-Type: text/plain\r\n\r\nThe plan is to meet at nine.\r\n"


def enveloped(
    *certificates: Certificate,
    name: RecipientName = RecipientName.ISSUER_AND_SERIAL_NUMBER,
    cipher: ContentEncryption = ContentEncryption.AES256_GCM,
    content: bytes = ENTITY,
) -> bytes:
    """A ContentInfo for these, who are named in this way."""
    key = os.urandom(cipher.key_size)
    infos = [recipient_info(one, key, cipher, oaep=False, randomness=os.urandom, name=name) for one in certificates]
    return b"".join(encrypt([content], len(content), cipher, key, infos, randomness=os.urandom))
