"""Trust anchors: who may vouch for others."""

from __future__ import annotations

import pytest

from smime_agent.trust.anchors import Anchor, UnreadCertificate
from smime_agent.x509 import InvalidCertificateError
from tests.support.pki import DAY, Party, signer, usage, version_1

ROOT = Party("Example Root")


def anchor(encoded: bytes) -> Anchor:
    return Anchor(UnreadCertificate(encoded), "a test")


def test_a_ca_may_issue() -> None:
    assert anchor(ROOT.der).may_issue


def test_a_root_of_version_1_may_issue() -> None:
    assert anchor(version_1(ROOT)).may_issue


@pytest.mark.parametrize(
    "party",
    [signer(None), Party("No CA", ca=None), Party("No issuer", key_usage=usage("digital_signature"))],
    ids=["end-entity", "no basicConstraints", "no keyCertSign"],
)
def test_others_may_not(party: Party) -> None:
    assert not anchor(party.der).may_issue


def test_what_cannot_be_read_may_not() -> None:
    assert not anchor(ROOT.der[:-1]).may_issue


def test_an_anchor_without_an_end_believes_all() -> None:
    assert ROOT.anchor.believes(signer(ROOT).certificate)


def test_an_anchor_does_not_believe_what_came_after_its_end() -> None:
    leaf = signer(ROOT).certificate
    assert not Anchor(ROOT.certificate, "a test", leaf.not_before - DAY).believes(leaf)


def test_an_unread_certificate_is_read_when_it_is_asked() -> None:
    assert UnreadCertificate(ROOT.der).name == "Example Root"


def test_an_unread_certificate_equals_the_same_one_read() -> None:
    assert {UnreadCertificate(ROOT.der)} == {ROOT.certificate}


def test_an_unread_certificate_lets_only_our_errors_out() -> None:
    with pytest.raises(InvalidCertificateError):
        _ = UnreadCertificate(b"\x30\x00").not_after


def test_an_unread_certificate_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        _ = UnreadCertificate(ROOT.der).shoe_size
