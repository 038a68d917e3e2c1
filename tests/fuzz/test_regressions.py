"""What the fuzzers found once, in the fewest octets, and stays mended."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import pytest

from tests.fuzz.costs import clear
from tests.fuzz.recorder import problem_of
from tests.fuzz.targets import TARGETS
from tests.spoofs.asn1 import bits
from tests.spoofs.certificates import extension, rfc822
from tests.spoofs.cms import SignedData, SignerInfo, usual
from tests.spoofs.collection import WORKSHOP
from tests.spoofs.mime import ALICE, ENTITY, MALLORY
from tests.spoofs.workshop import Leaf

if TYPE_CHECKING:
    from pathlib import Path

_SIGNED: Final = b"--=_signed\n\n--=_signed\nContent-Type: application/pkcs7-signature\n\n--=_signed--\n"

#: Signed by somebody whose address is in the second From alone.
_MALLORY: Final = WORKSHOP.clear(MALLORY)
_OBJECT: Final = SignedData((SignerInfo(WORKSHOP.mallory, usual(ENTITY)),), WORKSHOP.mallory.chain, ENTITY).der
_PEM: Final = b"-----BEGIN CMS-----\n%b-----END CMS-----\n" % base64.encodebytes(_OBJECT)
_UNREADABLE: Final = b"\x10\x0a\x06\x08".join(WORKSHOP.alice.certificate.rsplit(b"\x30\x0a\x06\x08", 1))
_STRANGE_USAGE: Final = WORKSHOP.leaf(Leaf((rfc822(ALICE),), usage=extension("2.5.29.15", bits(b"\x80\x00\x40"))))

#: What went wrong, the target, and the input.
FOUND: Final = (
    ("two boundaries in a row are one to others", "mail",
     b'From: a@b.example\nContent-Type: multipart/signed; boundary="=_signed"; protocol="application/pkcs7-signature"'
     b"\n\n" + _SIGNED.replace(b"\n\n", b"\n", 1)),
    ("a quote that stands alone hides the boundary from others", "mail",
     b'From: a@b.example\nContent-Type: multipart/signed;";boundary="=_signed"\n\n' + _SIGNED),
    ("a blank before a colon ends the header for others", "mail",
     b'From: a@b.example\nX-Note : x\nContent-Type: multipart/signed; boundary="=_signed"\n\n' + _SIGNED),
    ("a From with a blank is no line of a mailbox", "verify", b"From : alice@example.org\r\n" + _MALLORY),
    ("an empty line before a mail makes it no bare signature", "verify",
     b"\r\nFrom: alice@example.org\r\n\r\nPlease pay.\r\n" + _PEM),
    ("a certificate whose signature has an algorithm that cannot be read", "verify",
     clear(SignedData((SignerInfo(WORKSHOP.alice, usual(ENTITY)),), (_UNREADABLE, *WORKSHOP.alice.above)).der)),
    ("a key usage of more bits than there are", "inspect", WORKSHOP.clear(ALICE, _STRANGE_USAGE)),
)  # fmt: skip


@pytest.mark.parametrize(("target", "data"), [pytest.param(*one[1:], id=one[0]) for one in FOUND])
def test_what_was_found_is_mended(target: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(WORKSHOP.files()["root"])
    run = TARGETS[target].made(tmp_path)
    assert problem_of(run, data) is None
