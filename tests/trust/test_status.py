"""Revocation: whose CRLs and OCSP responses count, what they mean, and what a stranger can make of them."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ReasonFlags, ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.trust.evidence import Evidence, GivenEvidence, RevocationMode
from smime_agent.trust.path import PathResult, PathValidator, RevocationStatus, TrustPolicy
from smime_agent.verdict import Code
from smime_agent.x509 import Certificate
from tests.support.pki import DAY, NOW, Party, response, signer, usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

ROOT = Party("Example Root")
ISSUING = Party("Example CA", ROOT)
ALICE = signer(ISSUING)
DELEGATE = Party(
    "Responder",
    ISSUING,
    ca=False,
    key_usage=usage("digital_signature"),
    extra=((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False), (x509.OCSPNoCheck(), False)),
)
ROOT_CRL, CRL = ROOT.crl(), ISSUING.crl()
ANSWER = response(ALICE, DELEGATE)
LAST_WEEK = NOW - 7 * DAY
REVOKED = (ALICE.serial_number, LAST_WEEK, ReasonFlags.superseded)


def ask(
    *crls: bytes,
    responses: Sequence[bytes] = (),
    leaf: Party = ALICE,
    pool: Sequence[bytes] = (ISSUING.der,),
    at: datetime = NOW,
    mode: RevocationMode = RevocationMode.REQUIRE,
) -> PathResult:
    """Ask about a leaf; the CRL of the root, which has nothing in it, is always there."""
    source = GivenEvidence((ROOT_CRL, *crls), tuple(responses))
    policy = TrustPolicy((ROOT.anchor,), at, mode, in_retrospect=at < NOW)
    return PathValidator(policy, source).validate(leaf.certificate, pool)


def codes(result: PathResult) -> list[Code]:
    return [reason.code for reason in result.reasons]


# --- CRLs ------------------------------------------------------------------------------------------------------------


def test_a_crl_without_the_certificate_says_good() -> None:
    result = ask(CRL)
    assert (result.reasons, result.revocation) == ((), RevocationStatus.GOOD)


def test_a_crl_with_the_certificate_says_revoked() -> None:
    [reason] = ask(ISSUING.crl(REVOKED)).reasons
    assert (reason.code, reason.text) == (
        Code.REVOKED,
        f"the certificate of Alice was revoked on {LAST_WEEK:%Y-%m-%d} (superseded)",
    )


def test_a_revoked_issuer() -> None:
    revoked = ROOT.crl((ISSUING.serial_number, LAST_WEEK, None), this_update=NOW)
    assert codes(ask(CRL, revoked)) == [Code.ISSUER_REVOKED]


@pytest.mark.parametrize(("crl", "expected"), [(CRL, []), (ISSUING.crl(REVOKED), [Code.REVOKED])])
def test_a_crl_of_an_anchor_counts_whoever_issued_that(crl: bytes, expected: list[Code]) -> None:
    policy = TrustPolicy((ISSUING.anchor,), NOW, RevocationMode.REQUIRE)
    result = PathValidator(policy, GivenEvidence((crl,), ())).validate(ALICE.certificate, [])
    assert codes(result) == expected


def test_a_crl_of_a_message_counts() -> None:
    validator = PathValidator(TrustPolicy((ROOT.anchor,), NOW))
    assert codes(validator.validate(ALICE.certificate, [ISSUING.der], crls=[ISSUING.crl(REVOKED)])) == [Code.REVOKED]


def test_nothing_at_hand_is_no_reason_where_revocation_is_preferred() -> None:
    result = ask(mode=RevocationMode.PREFER)
    assert (result.reasons, result.revocation) == ((), RevocationStatus.UNKNOWN)


def test_nothing_at_hand_is_noted() -> None:
    assert [note.code for note in ask(mode=RevocationMode.PREFER).notes] == [Code.REVOCATION_UNAVAILABLE]


def test_nothing_at_hand_is_a_reason_where_revocation_is_required() -> None:
    assert codes(ask()) == [Code.REVOCATION_UNKNOWN]


def test_a_crl_that_is_too_old_says_nothing() -> None:
    assert codes(ask(ISSUING.crl(this_update=NOW - 9 * DAY, next_update=NOW - DAY))) == [Code.REVOCATION_UNKNOWN]


def test_a_crl_of_somebody_else_says_nothing() -> None:
    assert codes(ask(Party("Stranger").crl())) == [Code.REVOCATION_UNKNOWN]


def test_a_crl_that_the_issuer_did_not_sign_says_nothing() -> None:
    assert codes(ask(Party("Example CA").crl())) == [Code.REVOCATION_UNKNOWN]


def test_a_crl_for_ca_certificates_says_nothing_about_a_person() -> None:
    scope = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)  # noqa: FBT003 - its fields
    assert codes(ask(ISSUING.crl(extra=((scope, True),)))) == [Code.REVOCATION_UNKNOWN]


def test_a_crl_for_some_reasons_only_does_not_say_good() -> None:
    some = frozenset({ReasonFlags.key_compromise})
    scope = x509.IssuingDistributionPoint(None, None, False, False, some, False, False)  # noqa: FBT003 - its fields
    assert codes(ask(ISSUING.crl(extra=((scope, True),)))) == [Code.REVOCATION_UNKNOWN]


def test_a_base_crl_is_enough_where_no_delta_is_at_hand() -> None:
    where = x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example/delta")], None, None, None)
    assert not ask(ISSUING.crl(extra=((x509.FreshestCRL([where]), False),))).reasons


def test_a_delta_crl_counts() -> None:
    where = x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example/delta")], None, None, None)
    base = ISSUING.crl(extra=((x509.CRLNumber(1), False), (x509.FreshestCRL([where]), False)))
    delta = ISSUING.crl(REVOKED, extra=((x509.CRLNumber(2), False), (x509.DeltaCRLIndicator(1), True)))
    assert codes(ask(base, delta)) == [Code.REVOKED]


# --- times -----------------------------------------------------------------------------------------------------------


def test_what_was_superseded_later_was_good_then() -> None:
    assert not ask(ISSUING.crl(REVOKED), at=NOW - 30 * DAY).reasons


def test_a_key_that_was_compromised_is_not_believed_for_any_time() -> None:
    compromised = ISSUING.crl((ALICE.serial_number, LAST_WEEK, ReasonFlags.key_compromise))
    assert codes(ask(compromised, at=NOW - 30 * DAY)) == [Code.REVOKED]


def test_the_same_by_an_ocsp_response() -> None:
    later = response(ALICE, ISSUING, status=ocsp.OCSPCertStatus.REVOKED, since=LAST_WEEK, reason=ReasonFlags.superseded)
    assert not ask(responses=[later], at=NOW - 30 * DAY).reasons


def test_expired_and_revoked_are_both_told() -> None:
    old = signer(ISSUING, not_after=NOW - DAY)
    crl = ISSUING.crl((old.serial_number, LAST_WEEK, None))
    assert codes(ask(crl, leaf=old)) == [Code.EXPIRED, Code.REVOKED]


# --- OCSP ------------------------------------------------------------------------------------------------------------


def test_a_response_counts_although_the_certificate_names_no_responder() -> None:
    assert ask(responses=[response(ALICE, ISSUING)]).revocation is RevocationStatus.GOOD


def test_a_response_that_says_revoked() -> None:
    revoked = response(ALICE, ISSUING, status=ocsp.OCSPCertStatus.REVOKED, since=LAST_WEEK)
    assert codes(ask(responses=[revoked])) == [Code.REVOKED]


def test_revoked_is_believed_before_good() -> None:
    assert codes(ask(ISSUING.crl(REVOKED), responses=[response(ALICE, ISSUING)])) == [Code.REVOKED]


def test_a_responder_of_the_issuer() -> None:
    assert not ask(responses=[response(ALICE, DELEGATE)]).reasons


def test_a_response_that_says_unknown() -> None:
    unknown = response(ALICE, ISSUING, status=ocsp.OCSPCertStatus.UNKNOWN)
    assert codes(ask(responses=[unknown])) == [Code.REVOCATION_UNKNOWN]


def test_unknown_in_a_response_leaves_it_to_a_crl() -> None:
    assert not ask(CRL, responses=[response(ALICE, ISSUING, status=ocsp.OCSPCertStatus.UNKNOWN)]).reasons


def test_a_response_that_is_too_old() -> None:
    stale = response(ALICE, ISSUING, this_update=NOW - 9 * DAY, next_update=NOW - DAY)
    assert codes(ask(responses=[stale])) == [Code.REVOCATION_UNKNOWN]


def test_a_response_about_somebody_else() -> None:
    assert codes(ask(responses=[response(signer(ISSUING, "Bob"), ISSUING)])) == [Code.REVOCATION_UNKNOWN]


def test_a_responder_that_may_not() -> None:
    ordinary = signer(ISSUING, "Mallory")
    assert codes(ask(responses=[response(ALICE, ordinary)])) == [Code.REVOCATION_UNKNOWN]


def test_a_responder_of_another_ca() -> None:
    other = Party("Other CA", ROOT)
    delegate = Party("Responder", other, ca=False, key_usage=DELEGATE.key_usage, extra=DELEGATE.extra)
    assert codes(ask(responses=[response(ALICE, delegate)])) == [Code.REVOCATION_UNKNOWN]


def test_a_responder_that_has_expired() -> None:
    delegate = Party(
        "Responder", ISSUING, ca=False, key_usage=DELEGATE.key_usage, extra=DELEGATE.extra, not_after=NOW - DAY
    )
    assert codes(ask(responses=[response(ALICE, delegate)])) == [Code.REVOCATION_UNKNOWN]


def without_nocheck() -> Party:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example/ca")], None, None, None)
    extra = (DELEGATE.extra[0], (x509.CRLDistributionPoints([point]), False))
    return Party("Responder", ISSUING, ca=False, key_usage=DELEGATE.key_usage, extra=extra)


def test_a_responder_that_may_have_been_revoked() -> None:
    assert codes(ask(responses=[response(ALICE, without_nocheck())])) == [Code.REVOCATION_UNKNOWN]


def test_a_revoked_responder_is_not_believed() -> None:
    delegate = without_nocheck()
    revoked = response(ALICE, delegate, status=ocsp.OCSPCertStatus.REVOKED, since=LAST_WEEK)
    assert not ask(ISSUING.crl((delegate.serial_number, LAST_WEEK, None)), responses=[revoked]).reasons


# --- forgeries -------------------------------------------------------------------------------------------------------


def with_key_of(victim: Party, thief: Party, **changes: Any) -> bytes:  # noqa: ANN401 - fields of a certificate
    """The certificate of ``victim`` with another key in it, and the signature value left as it was."""
    forged = asn1_x509.Certificate.load(victim.der)
    tbs = forged["tbs_certificate"].copy()
    public = thief.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    tbs["subject_public_key_info"] = asn1_x509.PublicKeyInfo.load(public)
    for name, value in changes.items():
        tbs[name] = value
    forged["tbs_certificate"] = tbs
    return bytes(forged.dump(force=True))


def test_a_response_signed_with_a_key_slipped_into_the_issuers_certificate() -> None:
    """The forged certificate has the issuer's name, serial number and signature value, and the thief's key."""
    thief = Party("Example CA")
    forged = with_key_of(ISSUING, thief)
    Certificate(forged)
    genuine = response(ALICE, thief, certificates=[])
    head = asn1_ocsp.OCSPResponse.load(genuine)["response_bytes"]["response"].parsed
    basic = der.sequence(
        head["tbs_response_data"].dump(),
        head["signature_algorithm"].dump(),
        head["signature"].dump(),
        der.context(0, der.sequence(forged)),
    )
    inner = der.sequence(der.object_identifier("1.3.6.1.5.5.7.48.1.1"), der.octet_string(basic))
    assert codes(ask(responses=[der.sequence(b"\x0a\x01\x00", der.context(0, inner))])) == [Code.REVOCATION_UNKNOWN]


def test_a_crl_signed_with_a_key_slipped_into_the_issuers_certificate() -> None:
    thief = Party("Example CA")
    forged = with_key_of(ISSUING, thief, serial_number=4711)
    assert codes(ask(thief.crl(), pool=[ISSUING.der, forged])) == [Code.REVOCATION_UNKNOWN]


def test_a_crl_with_the_signature_value_of_an_old_one() -> None:
    """The old one is genuine and stale; the other claims to be fresh and is empty."""
    old = ISSUING.crl(this_update=NOW - 9 * DAY, next_update=NOW - 5 * DAY)
    signature = x509.load_der_x509_crl(old).signature
    fresh = Party("Example CA").crl(this_update=NOW - 10 * DAY)
    forged = fresh.replace(x509.load_der_x509_crl(fresh).signature, signature)
    if len(signature) != len(x509.load_der_x509_crl(fresh).signature):
        tbs = x509.load_der_x509_crl(fresh).tbs_certlist_bytes
        forged = der.sequence(tbs, der.algorithm("1.2.840.10045.4.3.2"), der.tlv(0x03, b"\0", signature))
    assert codes(ask(old, forged)) == [Code.REVOCATION_UNKNOWN]


def test_a_colleague_cannot_issue_crls() -> None:
    """Somebody with a certificate of the same CA, and no key usage that would forbid it."""
    mallory = signer(ISSUING, "Mallory", key_usage=None)
    assert codes(ask(mallory.crl(), pool=[ISSUING.der, mallory.der])) == [Code.REVOCATION_UNKNOWN]


def test_a_signer_cannot_issue_his_own_crl() -> None:
    mallory = signer(ISSUING, "Mallory", key_usage=None)
    scope = x509.IssuingDistributionPoint(None, None, False, False, None, True, False)  # noqa: FBT003 - its fields
    own = mallory.crl(extra=((scope, True),))
    assert codes(ask(own, leaf=mallory, pool=[ISSUING.der, mallory.der])) == [Code.REVOCATION_UNKNOWN]


def test_a_separate_key_of_the_issuer_for_crls() -> None:
    signer_of_lists = Party("Example CA", ROOT, ca=None, key_usage=usage("crl_sign"))
    assert not ask(signer_of_lists.crl(), pool=[ISSUING.der, signer_of_lists.der]).reasons


def test_a_revoked_key_of_the_issuer_for_crls() -> None:
    signer_of_lists = Party("Example CA", ROOT, ca=None, key_usage=usage("crl_sign"))
    revoked = ROOT.crl((signer_of_lists.serial_number, LAST_WEEK, None), this_update=NOW)
    result = ask(signer_of_lists.crl(), revoked, pool=[ISSUING.der, signer_of_lists.der])
    assert codes(result) == [Code.REVOCATION_UNKNOWN]


def test_an_unsigned_crl_beside_a_separate_key_for_crls() -> None:
    signer_of_lists = Party("Example CA", ROOT, ca=None, key_usage=usage("crl_sign"))
    stale = signer_of_lists.crl(this_update=NOW - 9 * DAY, next_update=NOW - DAY)
    result = ask(stale, Party("Example CA").crl(), pool=[ISSUING.der, signer_of_lists.der])
    assert codes(result) == [Code.REVOCATION_UNKNOWN]


@given(st.data())
def test_damaged_evidence_never_gets_out_of_hand(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from([CRL, ANSWER])))
    damaged[data.draw(st.integers(0, 2000)) % len(damaged)] ^= data.draw(st.integers(1, 255))
    assert ask(bytes(damaged), responses=[bytes(damaged)]).revocation in RevocationStatus


def test_a_crl_that_is_out_of_date_is_right_in_whom_it_lists() -> None:
    stale = ISSUING.crl(REVOKED, this_update=NOW - 9 * DAY, next_update=NOW - DAY)
    assert codes(ask(stale)) == [Code.REVOKED]


def test_a_hold_may_be_over_since_a_crl_was_out_of_date() -> None:
    held = (ALICE.serial_number, LAST_WEEK, ReasonFlags.certificate_hold)
    stale = ISSUING.crl(held, this_update=NOW - 9 * DAY, next_update=NOW - DAY)
    assert codes(ask(stale)) == [Code.REVOCATION_UNKNOWN]


def test_a_revocation_that_is_dated_a_little_ahead_counts_now() -> None:
    ahead = (ALICE.serial_number, NOW + timedelta(minutes=2), ReasonFlags.superseded)
    assert codes(ask(ISSUING.crl(ahead))) == [Code.REVOKED]


@pytest.mark.parametrize("mode", [RevocationMode.PREFER, RevocationMode.REQUIRE])
def test_copies_of_a_revoked_ca_are_all_asked_about(mode: RevocationMode) -> None:
    """What is around a certificate is not signed: its length may be written in many ways."""
    revoked = ROOT.crl((ISSUING.serial_number, LAST_WEEK, ReasonFlags.superseded))
    inside = ISSUING.der[4:]
    copies = [b"\x30" + bytes([0x80 | size]) + len(inside).to_bytes(size, "big") + inside for size in range(2, 8)]
    policy = TrustPolicy((ROOT.anchor,), NOW, mode)
    result = PathValidator(policy, GivenEvidence((revoked, CRL))).validate(ALICE.certificate, [*copies, ISSUING.der])
    assert codes(result) == [Code.ISSUER_REVOKED]


def test_junk_that_a_message_brings_does_not_push_out_what_was_fetched() -> None:
    junk = [ISSUING.crl(this_update=NOW - timedelta(seconds=number)) for number in range(220)]
    source = GivenEvidence((ROOT_CRL, ISSUING.crl(REVOKED)))
    policy = TrustPolicy((ROOT.anchor,), NOW, RevocationMode.REQUIRE)
    result = PathValidator(policy, source).validate(ALICE.certificate, [ISSUING.der], crls=junk)
    assert codes(result) == [Code.REVOKED]


def test_an_anchor_that_is_named_again_and_again_is_one() -> None:
    policy = TrustPolicy((ROOT.anchor,) * 5, NOW, RevocationMode.REQUIRE)
    result = PathValidator(policy, GivenEvidence()).validate(ALICE.certificate, [ISSUING.der])
    assert set(codes(result)) == {Code.REVOCATION_UNKNOWN}


# --- the source ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Recorder:
    """A source that remembers whom it was asked about."""

    asked: list[int] = dataclasses.field(default_factory=list)

    def gather(self, chain: Sequence[Certificate], at: datetime) -> Evidence:  # noqa: ARG002 - the port's arguments
        self.asked.append(len(chain))
        return Evidence((ROOT_CRL, CRL), problems=("the server is down",))


def gathered(leaf: Party) -> list[int]:
    recorder = Recorder()
    PathValidator(TrustPolicy((ROOT.anchor,), NOW), recorder).validate(leaf.certificate, [ISSUING.der])
    return recorder.asked


def test_a_source_is_asked_about_a_valid_path() -> None:
    assert gathered(ALICE) == [3]


@pytest.mark.parametrize(
    "leaf", [signer(Party("Stranger")), signer(ISSUING, not_after=NOW - DAY)], ids=["unknown", "old"]
)
def test_a_source_is_not_asked_about_anything_else(leaf: Party) -> None:
    assert gathered(leaf) == []


def test_a_person_is_told_what_went_wrong() -> None:
    class Down(Recorder):
        def gather(self, chain: Sequence[Certificate], at: datetime) -> Evidence:  # noqa: ARG002
            return Evidence(problems=("the server is down",))

    result = PathValidator(TrustPolicy((ISSUING.anchor,), NOW), Down()).validate(ALICE.certificate, [])
    assert "the server is down" in result.notes[0].text
