"""Which bytes of a mail are protected, and how they travel: bytes to bytes, byte-exact.

``message`` splits a mail into the fields that stay outside and the entity that is protected,
``canonical`` gives that entity in the one form that survives its way, ``assemble`` writes the outgoing mail.
"""

from smime_agent.mime.assemble import multipart_signed, pkcs7_mime
from smime_agent.mime.canonical import Entity
from smime_agent.mime.message import Message, Protection, split

__all__ = ["Entity", "Message", "Protection", "multipart_signed", "pkcs7_mime", "split"]
