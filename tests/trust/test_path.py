"""Paths to an anchor: which are found, and what each way of being wrong is called."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.trust.anchors import Anchor
from smime_agent.trust.evidence import RevocationMode
from smime_agent.trust.path import LONG, PathResult, PathValidator, PolicyInputs, Purpose, RevocationStatus, TrustPolicy
from smime_agent.verdict import Code, Verdict
from smime_agent.x509 import load_certificates
from tests.support.pki import DAY, MAIL, NOW, SERVER, Party, rsa_key, signer, usage, version_1, with_sha1

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from smime_agent.x509 import Certificate

ROOT = Party("Example Root")
ISSUING = Party("Example CA", ROOT)
ALICE = signer(ISSUING)


def validate(
    leaf: Party,
    *pool: Party | bytes,
    anchors: Iterable[Party | Anchor] = (ROOT,),
    at: datetime = NOW,
    purpose: Purpose = Purpose.SIGN,
    **policy: Any,  # noqa: ANN401 - any field of a policy
) -> PathResult:
    given_anchors = tuple(anchor.anchor if isinstance(anchor, Party) else anchor for anchor in anchors)
    policy = {"revocation": RevocationMode.OFF} | policy
    validator = PathValidator(TrustPolicy(given_anchors, at, **policy))
    encoded = [one.der if isinstance(one, Party) else one for one in pool]
    return validator.validate(leaf.certificate, encoded, purpose)


def codes(result: PathResult) -> list[Code]:
    return [reason.code for reason in result.reasons]


def text(result: PathResult) -> str:
    [reason] = result.reasons
    return reason.text


# --- what is found ---------------------------------------------------------------------------------------------------


def test_a_certificate_below_an_anchor_is_trusted() -> None:
    assert not validate(ALICE, ISSUING).reasons


def test_the_chain_goes_from_the_leaf_to_the_anchor() -> None:
    chain = validate(ALICE, ISSUING).chain
    assert chain == (ALICE.certificate, ISSUING.certificate, ROOT.certificate)


def test_an_intermediate_ca_can_be_an_anchor() -> None:
    assert validate(ALICE, anchors=[ISSUING]).chain == (ALICE.certificate, ISSUING.certificate)


def test_the_signers_own_certificate_can_be_an_anchor() -> None:
    result = validate(ALICE, anchors=[ALICE])
    assert (result.chain, result.reasons) == ((ALICE.certificate,), ())


def test_a_self_signed_certificate_that_is_an_anchor_is_trusted() -> None:
    bob = signer(None, "Bob")
    assert not validate(bob, anchors=[bob]).reasons


def test_an_end_entity_that_is_an_anchor_vouches_for_nobody_else() -> None:
    bob = signer(None, "Bob", key_usage=None)
    assert codes(validate(signer(bob), bob, anchors=[bob])) == [Code.UNKNOWN_ISSUER]


def test_names_are_compared_without_case_and_extra_spaces() -> None:
    differently = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example  ca")])
    same = Party("Example CA", ROOT, key=ISSUING.key, subject=differently)
    assert not validate(ALICE, same).reasons


def test_an_issuer_without_key_identifiers_that_fit_is_still_tried() -> None:
    other = Party("Example CA", ROOT)
    assert validate(ALICE, other, ISSUING).chain[1] == ISSUING.certificate


def test_a_path_beside_an_expired_intermediate_is_found() -> None:
    expired = Party("Example CA", ROOT, key=ISSUING.key, not_after=NOW - DAY)
    assert not validate(ALICE, expired, ISSUING).reasons


def test_a_path_over_another_root_is_found() -> None:
    other_root = Party("Other Root")
    cross = Party("Example CA", other_root, key=ISSUING.key, not_after=NOW - DAY)
    assert not validate(ALICE, cross, ISSUING, anchors=[other_root, ROOT]).reasons


def test_an_anchor_without_certificates_in_between_ends_the_path() -> None:
    """A root that is also cross-signed: the path does not go on to who signed it."""
    other_root = Party("Other Root")
    cross = Party("Example Root", other_root, key=ROOT.key)
    assert validate(ALICE, ISSUING, cross, anchors=[ROOT]).chain[-1] == ROOT.certificate


def test_a_root_of_version_1_vouches_for_others() -> None:
    old = Party("Old Root")
    old.der = version_1(old)
    assert not validate(signer(old), anchors=[old]).reasons


# --- what a stranger can do ------------------------------------------------------------------------------------------


def test_cas_that_sign_each_other_end() -> None:
    key_a, key_b = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    a = Party("A", key=key_a)
    b = Party("B", a, key=key_b)
    a_by_b = Party("A", b, key=key_a)
    assert codes(validate(signer(a), a_by_b, b)) == [Code.UNKNOWN_ISSUER]


@pytest.mark.slow
def test_many_cas_that_all_sign_each_other_end() -> None:
    keys = {f"CA {number}": ec.generate_private_key(ec.SECP256R1()) for number in range(8)}
    plain = {name: Party(name, key=key) for name, key in keys.items()}
    mesh = [Party(name, issuer, key=keys[name]) for name in keys for issuer in plain.values() if issuer.name != name]
    assert codes(validate(signer(plain["CA 0"]), *mesh)) == [Code.UNKNOWN_ISSUER]


@pytest.mark.slow
def test_an_issuer_is_found_among_ten_thousand_certificates() -> None:
    junk = [ISSUING.der.replace(b"Example CA", b"Other %04d" % number) for number in range(10_000)]
    assert not validate(ALICE, *junk, ISSUING).reasons


def test_an_issuer_is_found_behind_forgeries_of_its_name() -> None:
    forged = [Party("Example CA") for _ in range(20)]
    assert not validate(ALICE, *forged, ISSUING).reasons


def test_garbage_beside_the_issuer_is_left_out() -> None:
    assert not validate(ALICE, b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", ISSUING.der[:-1], ISSUING).reasons


@given(st.data())
def test_a_damaged_issuer_never_gets_out_of_hand(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(ISSUING.der) - 1))
    damaged = bytearray(ISSUING.der)
    damaged[place] = data.draw(st.integers(0, 255).filter(lambda octet: octet != ISSUING.der[place]))
    assert validate(ALICE, bytes(damaged)).reasons


@given(st.binary(max_size=200))
def test_any_octets_can_stand_in_the_pool(octets: bytes) -> None:
    assert not validate(ALICE, octets, ISSUING).reasons


# --- reasons ---------------------------------------------------------------------------------------------------------


def test_signed_by_itself() -> None:
    assert codes(validate(signer(None))) == [Code.SELF_SIGNED]


def test_an_issuer_that_nobody_knows() -> None:
    assert codes(validate(signer(Party("Stranger")))) == [Code.UNKNOWN_ISSUER]


def test_a_root_that_comes_with_the_message_is_not_trusted() -> None:
    stranger = Party("Stranger")
    assert codes(validate(signer(stranger), stranger)) == [Code.UNKNOWN_ISSUER]


def test_a_chain_that_leads_nowhere_is_shown_all_the_same() -> None:
    assert validate(ALICE, ISSUING, anchors=[]).chain == (ALICE.certificate, ISSUING.certificate)


def test_expired() -> None:
    old = signer(ISSUING, not_after=datetime.fromisoformat("2026-01-31T10:00:00Z"))
    assert text(validate(old, ISSUING)) == "the certificate of Alice expired on 2026-01-31"


def test_not_yet_valid() -> None:
    assert codes(validate(signer(ISSUING, not_before=NOW + DAY), ISSUING)) == [Code.NOT_YET_VALID]


@pytest.mark.parametrize("validity", [{"not_after": NOW - DAY}, {"not_before": NOW + DAY}])
def test_an_issuer_outside_of_its_validity(validity: dict[str, Any]) -> None:
    issuing = Party("Example CA", ROOT, key=ISSUING.key, **validity)
    assert codes(validate(ALICE, issuing)) == [Code.ISSUER_EXPIRED]


def test_an_anchor_that_has_expired() -> None:
    root = Party("Example Root", key=ROOT.key, not_after=NOW - DAY)
    assert codes(validate(ALICE, ISSUING, anchors=[root])) == [Code.ISSUER_EXPIRED]


def test_an_anchor_that_was_renewed_later_is_taken() -> None:
    root = Party("Example Root", key=ROOT.key, not_before=NOW + DAY)
    assert not validate(ALICE, ISSUING, anchors=[root]).reasons


def test_a_key_usage_that_is_not_for_signatures() -> None:
    assert codes(validate(signer(ISSUING, key_usage=usage("key_encipherment")), ISSUING)) == [Code.KEY_USAGE]


@pytest.mark.parametrize("bits", [("digital_signature",), ("content_commitment",)])
def test_a_key_usage_for_signatures(bits: tuple[str, ...]) -> None:
    assert not validate(signer(ISSUING, key_usage=usage(*bits)), ISSUING).reasons


def test_no_key_usage_permits_all() -> None:
    assert not validate(signer(ISSUING, key_usage=None), ISSUING).reasons


def test_a_key_usage_that_is_not_for_encryption() -> None:
    assert codes(validate(ALICE, ISSUING, purpose=Purpose.ENCRYPT)) == [Code.KEY_USAGE]


def test_a_key_usage_for_encryption() -> None:
    recipient = signer(ISSUING, key_usage=usage("key_agreement"))
    assert not validate(recipient, ISSUING, purpose=Purpose.ENCRYPT).reasons


def test_a_ca_that_signs_mail_may() -> None:
    ca = Party("Example CA", ROOT, key_usage=usage("digital_signature", "key_cert_sign"), address="ca@example.org")
    assert not validate(ca).reasons


def test_a_ca_that_signs_mail_and_may_only_sign_certificates() -> None:
    assert codes(validate(Party("Example CA", ROOT))) == [Code.KEY_USAGE]


def test_an_extended_key_usage_for_something_else() -> None:
    assert codes(validate(signer(ISSUING, extra=((SERVER, False),)), ISSUING)) == [Code.EXTENDED_KEY_USAGE]


@pytest.mark.parametrize("extra", [(), ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False),)])
def test_no_extended_key_usage_or_any(extra: Any) -> None:  # noqa: ANN401 - extensions of all kinds
    assert not validate(signer(ISSUING, extra=extra), ISSUING).reasons


@pytest.mark.parametrize("use", [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.CODE_SIGNING])
def test_what_signs_commits_need_not_be_for_mail(use: x509.ObjectIdentifier) -> None:
    person = signer(ISSUING, extra=((x509.ExtendedKeyUsage([use]), False),))
    assert not validate(person, ISSUING, purpose=Purpose.COMMIT).reasons
    assert codes(validate(person, ISSUING)) == [Code.EXTENDED_KEY_USAGE]


def test_a_server_signs_no_commits() -> None:
    server = signer(ISSUING, extra=((SERVER, False),))
    assert codes(validate(server, ISSUING, purpose=Purpose.COMMIT)) == [Code.EXTENDED_KEY_USAGE]


def test_a_key_usage_for_encryption_signs_no_commits() -> None:
    recipient = signer(ISSUING, key_usage=usage("key_encipherment"))
    assert codes(validate(recipient, ISSUING, purpose=Purpose.COMMIT)) == [Code.KEY_USAGE]


def test_an_intermediate_ca_for_servers() -> None:
    issuing = Party("Example CA", ROOT, extra=((SERVER, False),))
    assert codes(validate(signer(issuing), issuing)) == [Code.EXTENDED_KEY_USAGE]


def test_an_intermediate_ca_for_mail() -> None:
    issuing = Party("Example CA", ROOT, extra=((MAIL, False),))
    assert not validate(signer(issuing), issuing).reasons


def test_an_anchor_that_says_that_it_is_for_servers_is_not_for_mail() -> None:
    root = Party("Root", extra=((SERVER, False),))
    assert codes(validate(signer(root), anchors=[root])) == [Code.EXTENDED_KEY_USAGE]


def test_an_anchor_may_allow_no_ca_below_it() -> None:
    root = Party("Root", path_length=0)
    issuing = Party("Example CA", root)
    assert codes(validate(signer(issuing), issuing, anchors=[root])) == [Code.PATH_LENGTH]


@pytest.mark.parametrize("wanted", [{"ca": None}, {"ca": False}, {"key_usage": usage("crl_sign")}])
def test_an_issuer_that_is_no_ca(wanted: dict[str, Any]) -> None:
    issuing = Party("Example CA", ROOT, **wanted)
    assert codes(validate(signer(issuing), issuing)) == [Code.ISSUER_NOT_CA]


def test_a_person_who_issues_certificates() -> None:
    """The mistake that made browsers believe everybody: an end-entity certificate as an issuer."""
    assert codes(validate(signer(ALICE, "Mallory"), ALICE, ISSUING)) == [Code.ISSUER_NOT_CA]


def test_a_path_that_is_too_long() -> None:
    first = Party("First", ROOT, path_length=0)
    second = Party("Second", first)
    assert codes(validate(signer(second), first, second)) == [Code.PATH_LENGTH]


def test_a_path_as_long_as_allowed() -> None:
    first = Party("First", ROOT, path_length=1)
    second = Party("Second", first)
    assert not validate(signer(second), first, second).reasons


def test_a_path_deeper_than_we_look() -> None:
    cas = [ROOT]
    for number in range(20):
        cas.append(Party(f"CA {number}", cas[-1]))
    assert codes(validate(signer(cas[-1]), *cas[1:])) == [Code.UNKNOWN_ISSUER]


def test_a_critical_extension_that_is_not_known() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert codes(validate(signer(ISSUING, extra=((MAIL, False), (unknown, True))), ISSUING)) == [
        Code.CRITICAL_EXTENSION
    ]


def test_an_extension_that_is_not_known_and_not_critical() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert not validate(signer(ISSUING, extra=((MAIL, False), (unknown, False))), ISSUING).reasons


def test_a_certificate_that_its_issuer_did_not_sign() -> None:
    forged = signer(ISSUING)
    forged.der = forged.der.replace(b"alice@example.org", b"mallo@example.org")
    assert codes(validate(forged, ISSUING)) == [Code.CERTIFICATE_SIGNATURE]


def test_an_intermediate_that_the_root_did_not_sign() -> None:
    issuing = Party("Example CA", ROOT, path_length=0)
    issuing.der = issuing.der.replace(b"Example CA", b"Example CB")
    impostor = Party("Example CB", key=issuing.key)
    assert codes(validate(signer(impostor), issuing)) == [Code.CERTIFICATE_SIGNATURE]


def test_an_issuer_of_the_same_name_with_another_key() -> None:
    assert codes(validate(signer(Party("Example CA")), ISSUING)) == [Code.UNKNOWN_ISSUER]


def test_an_explicit_policy_that_nobody_asserts() -> None:
    result = validate(ALICE, ISSUING, policies=PolicyInputs(require_explicit=True))
    assert codes(result) == [Code.CERTIFICATE_POLICY]


def test_a_ca_that_demands_a_policy() -> None:
    demanding = Party("Example CA", ROOT, extra=((x509.PolicyConstraints(0, None), True),))
    assert codes(validate(signer(demanding), demanding)) == [Code.CERTIFICATE_POLICY]


def test_a_weak_digest() -> None:
    issuing = Party("Example CA", ROOT, key=rsa_key())
    weak = signer(issuing)
    weak.der = with_sha1(weak)
    assert codes(validate(weak, issuing)) == [Code.WEAK_DIGEST]


def test_a_weak_digest_of_the_roots_own_signature_does_not_matter() -> None:
    root = Party("Root", key=rsa_key())
    root.der = with_sha1(root)
    assert not validate(signer(root), anchors=[root]).reasons


@pytest.mark.parametrize("below", [False, True])
def test_a_short_rsa_key(below: bool) -> None:  # noqa: FBT001 - pytest passes it
    key = rsa_key(1024)
    weak = Party("Weak", ROOT, key=key) if below else ROOT
    leaf = signer(weak) if below else signer(weak, key=key)
    assert codes(validate(leaf, weak)) == [Code.WEAK_KEY]


def test_a_dsa_key() -> None:
    assert codes(validate(signer(ROOT, key=dsa.generate_private_key(2048)))) == [Code.LEGACY_ALGORITHM]


def test_weak_keys_pass_where_a_person_wants_it() -> None:
    leaf = signer(ROOT, key=rsa_key(1024))
    assert not validate(leaf, weak_digests=True).reasons


def test_several_reasons_are_all_told() -> None:
    leaf = signer(ISSUING, not_after=NOW - DAY, key_usage=usage("key_encipherment"), extra=((SERVER, False),))
    assert codes(validate(leaf, ISSUING)) == [Code.EXPIRED, Code.KEY_USAGE, Code.EXTENDED_KEY_USAGE]


def test_every_reason_leads_to_untrusted() -> None:
    result = validate(signer(None, not_after=NOW - DAY))
    assert {reason.code.verdict for reason in result.reasons} == {Verdict.UNTRUSTED}


def test_what_a_root_issued_after_it_was_distrusted() -> None:
    anchor = Anchor(ROOT.certificate, "a test", distrust_after=NOW - 500 * DAY)
    assert codes(validate(ALICE, ISSUING, anchors=[anchor])) == [Code.UNKNOWN_ISSUER]


def test_what_a_root_issued_before_it_was_distrusted() -> None:
    anchor = Anchor(ROOT.certificate, "a test", distrust_after=NOW - 300 * DAY)
    assert not validate(ALICE, ISSUING, anchors=[anchor]).reasons


# --- keys of all kinds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "digest"),
    [
        (ed25519.Ed25519PrivateKey.generate(), None),
        (ed448.Ed448PrivateKey.generate(), None),
        (mldsa.MLDSA44PrivateKey.generate(), None),
        (mldsa.MLDSA65PrivateKey.generate(), None),
        (mldsa.MLDSA87PrivateKey.generate(), None),
        (ec.generate_private_key(ec.BrainpoolP256R1()), hashes.SHA256()),
        (ec.generate_private_key(ec.BrainpoolP512R1()), hashes.SHA512()),
        (ec.generate_private_key(ec.SECP521R1()), hashes.SHA512()),
        (rsa_key(), hashes.SHA384()),
    ],
    ids=[
        "Ed25519",
        "Ed448",
        "ML-DSA-44",
        "ML-DSA-65",
        "ML-DSA-87",
        "brainpoolP256r1",
        "brainpoolP512r1",
        "P-521",
        "RSA",
    ],
)
def test_a_ca_with_a_key_of_any_kind(key: Any, digest: hashes.HashAlgorithm | None) -> None:  # noqa: ANN401 - any key
    root = Party("Root", key=key, digest=digest)
    assert not validate(signer(root), anchors=[root]).reasons


@pytest.mark.parametrize("key", [rsa_key(), x25519.X25519PrivateKey.generate()], ids=["RSA", "X25519"])
def test_a_signature_that_the_issuers_key_cannot_have_made(key: Any) -> None:  # noqa: ANN401 - any key
    maker = Party("Root")
    other = Party("Root", issuer=maker, key=key)
    leaf = signer(maker)
    ours = x509.SubjectKeyIdentifier.from_public_key(maker.key.public_key()).digest
    theirs = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
    leaf.der = leaf.der.replace(ours, theirs)
    assert codes(validate(leaf, anchors=[other])) == [Code.CERTIFICATE_SIGNATURE]


# --- memory ----------------------------------------------------------------------------------------------------------


def test_the_same_question_is_answered_from_memory() -> None:
    validator = PathValidator(TrustPolicy((ROOT.anchor,), NOW, RevocationMode.OFF))
    first = validator.validate(ALICE.certificate, [ISSUING.der])
    assert validator.validate(ALICE.certificate, [ISSUING.der]) is first


def test_another_pool_is_another_question() -> None:
    validator = PathValidator(TrustPolicy((ROOT.anchor,), NOW, RevocationMode.OFF))
    without = validator.validate(ALICE.certificate, [])
    assert validator.validate(ALICE.certificate, [ISSUING.der]).reasons != without.reasons


def test_two_certificates_run_together_are_not_two() -> None:
    validator = PathValidator(TrustPolicy((ROOT.anchor,), NOW, RevocationMode.OFF))
    validator.validate(ALICE.certificate, [ISSUING.der + ROOT.der])
    assert not validator.validate(ALICE.certificate, [ISSUING.der, ROOT.der]).reasons


def test_another_long_crl_is_another_question() -> None:
    validator = PathValidator(TrustPolicy((ROOT.anchor,), NOW, RevocationMode.OFF))
    first = validator.validate(ALICE.certificate, [ISSUING.der], crls=[bytes(LONG), bytes(LONG)])
    assert validator.validate(ALICE.certificate, [ISSUING.der], crls=[bytes(LONG), b"\1" * LONG]) is not first


def test_long_crls_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smime_agent.trust.path.MAXIMUM_KEPT", 3 * LONG)
    validator = PathValidator(TrustPolicy((ROOT.anchor,), NOW, RevocationMode.OFF))
    for octet in range(5):
        validator.validate(ALICE.certificate, [], crls=[bytes([octet]) * LONG])
    assert len(validator._fingerprints._long) == 3


def test_revocation_that_is_off_is_noted() -> None:
    result = validate(ALICE, ISSUING)
    assert (result.revocation, [note.code for note in result.notes]) == (
        RevocationStatus.NOT_CHECKED,
        [Code.REVOCATION_NOT_CHECKED],
    )


# --- the certificates of RFC 9216 ------------------------------------------------------------------------------------


def of_rfc_9216(folder: Path, section: str) -> Certificate:
    [file] = (folder / "rfc9216").glob(f"*-{section}_*.pem")
    [certificate] = load_certificates(file.read_bytes())
    return certificate


@pytest.mark.parametrize(
    ("leaf", "purpose", "cross", "root"),
    [
        ("4_1_Alice", Purpose.SIGN, None, "3_1"),
        ("4_3_Alice", Purpose.ENCRYPT, None, "3_1"),
        ("5_1_Bob", Purpose.SIGN, "3_3", "6_1"),
        ("5_3_Bob", Purpose.ENCRYPT, "3_3", "6_1"),
        ("7_1_Carlos", Purpose.SIGN, None, "6_1"),
        ("7_3_Carlos", Purpose.ENCRYPT, None, "6_1"),
        ("8_1_Dana", Purpose.SIGN, "6_3", "3_1"),
        ("8_3_Dana", Purpose.ENCRYPT, "6_3", "3_1"),
    ],
)
def test_the_chains_of_rfc_9216(leaf: str, purpose: Purpose, cross: str | None, root: str, vectors: Path) -> None:
    pool = [of_rfc_9216(vectors, cross).encoded] if cross else []
    anchor = Anchor(of_rfc_9216(vectors, root), "RFC 9216")
    validator = PathValidator(TrustPolicy((anchor,), NOW, RevocationMode.OFF))
    assert not validator.validate(of_rfc_9216(vectors, leaf), pool, purpose).reasons
