"""Which bytes of a mail are protected, and how they travel: bytes to bytes, byte-exact.

To sign, ``message`` splits a mail into the fields that stay outside and the entity that is protected, ``canonical``
gives that entity in the one form that survives its way, ``assemble`` writes the outgoing mail. To verify,
``recognition`` tells what the input is, ``part`` reads a mail as it stands, ``envelope`` finds what a signature is
over, ``tree`` walks through all parts, and ``sender`` reads who the mail says it is from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent.lazily import names_of

if TYPE_CHECKING:
    from smime_agent.mime.assemble import clear_signed_frame, multipart_signed, pkcs7_mime, pkcs7_mime_entity
    from smime_agent.mime.canonical import Entity
    from smime_agent.mime.envelope import ClearSigned, LayerKind, clear_signed, cms_of, layer_of
    from smime_agent.mime.message import Addressees, Message, Protection, split
    from smime_agent.mime.part import Part, read_mail, read_part, read_protected
    from smime_agent.mime.recognition import Form, cms_of_pem, recognise
    from smime_agent.mime.sender import Claims, Mailbox, read_claims
    from smime_agent.mime.transfer import canonical_lines
    from smime_agent.mime.tree import Node, errant_layers, walk

_HOMES = {
    "assemble": ("clear_signed_frame", "multipart_signed", "pkcs7_mime", "pkcs7_mime_entity"),
    "canonical": ("Entity",),
    "envelope": ("ClearSigned", "LayerKind", "clear_signed", "cms_of", "layer_of"),
    "message": ("Addressees", "Message", "Protection", "split"),
    "part": ("Part", "read_mail", "read_part", "read_protected"),
    "recognition": ("Form", "cms_of_pem", "recognise"),
    "sender": ("Claims", "Mailbox", "read_claims"),
    "transfer": ("canonical_lines",),
    "tree": ("Node", "errant_layers", "walk"),
}

__all__ = [
    "Addressees",
    "Claims",
    "ClearSigned",
    "Entity",
    "Form",
    "LayerKind",
    "Mailbox",
    "Message",
    "Node",
    "Part",
    "Protection",
    "canonical_lines",
    "clear_signed",
    "clear_signed_frame",
    "cms_of",
    "cms_of_pem",
    "errant_layers",
    "layer_of",
    "multipart_signed",
    "pkcs7_mime",
    "pkcs7_mime_entity",
    "read_claims",
    "read_mail",
    "read_part",
    "read_protected",
    "recognise",
    "split",
    "walk",
]

__getattr__ = names_of(__name__, globals(), _HOMES)
