"""A small signed mail, and what somebody who has no key can make of it."""

from __future__ import annotations

from typing import Final

from tests.interop.extractor import open_up, replace_cms, replace_signature, take_apart
from tests.interop.judges import Form

MAIL: Final = b"From: alice@example.org\r\nContent-Type: text/plain\r\n\r\nPay Bob 100 euros.\r\n"
CONTENT: Final = b"Content-Type: text/plain\r\n\r\nPay Bob 100 euros.\r\n"


def rewritten(mail: bytes, form: Form, old: bytes, new: bytes) -> bytes:
    """The mail with other octets of the same number in its content."""
    assert len(old) == len(new)
    if form is Form.CLEAR:
        assert mail.count(old) == 1
        return mail.replace(old, new)
    cms = open_up(mail)
    assert cms.count(old) == 1
    return replace_cms(mail, cms.replace(old, new))


def resigned(mail: bytes, form: Form) -> bytes:
    """The mail with another last octet in its CMS, which is the signature's."""
    if form is Form.OPAQUE:
        return replace_cms(mail, flipped(open_up(mail)))
    return replace_signature(mail, flipped(take_apart(mail).signature))


def flipped(octets: bytes) -> bytes:
    return octets[:-1] + bytes([octets[-1] ^ 1])
