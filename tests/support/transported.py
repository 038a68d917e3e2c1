"""Messages whose key transport is forged: an encrypted key of any octets before a content under any key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from smime_agent.cms.enveloped_data_builder import encrypt, recipient_info

if TYPE_CHECKING:
    from smime_agent.algorithms import ContentEncryption
    from smime_agent.x509 import Certificate


def forged(
    certificate: Certificate, encrypted_key: bytes, cipher: ContentEncryption, key: bytes, content: bytes
) -> bytes:
    """A ContentInfo for the holder of an RSA certificate, in whose RecipientInfo ``encrypted_key`` stands."""
    info = recipient_info(certificate, bytes(cipher.key_size), cipher, oaep=False, randomness=os.urandom)
    info = info[: -len(encrypted_key)] + encrypted_key
    return b"".join(encrypt([content], len(content), cipher, key, [info], randomness=os.urandom))
