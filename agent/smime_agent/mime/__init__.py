"""Which bytes of a mail are protected, and how they travel: bytes to bytes, byte-exact.

``source`` reads, ``message`` splits a mail into the fields that stay outside and the entity that is protected,
``canonical`` gives that entity in the one form that survives its way, ``assemble`` writes the outgoing mail.
"""

from smime_agent.mime.assemble import multipart_signed, pkcs7_mime
from smime_agent.mime.canonical import Entity
from smime_agent.mime.message import Message, Protection, split
from smime_agent.mime.source import Source

__all__ = ["Entity", "Message", "Protection", "Source", "multipart_signed", "pkcs7_mime", "split"]
