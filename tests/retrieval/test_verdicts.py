"""What the path validation makes of what servers say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPCertStatus
from cryptography.x509.oid import ExtendedKeyUsageOID

from smime_agent.retrieval import Limits
from smime_agent.trust.anchors import Anchor
from smime_agent.trust.evidence import RevocationMode
from smime_agent.trust.path import PathResult, PathValidator, RevocationStatus, TrustPolicy
from smime_agent.verdict import Code
from tests.support.ca import Authority
from tests.support.revocation_servers import (
    HOUR,
    OpensslResponder,
    Responder,
    crl,
    crl_pointer,
    drips,
    hangs,
    never_ends,
    responder_pointer,
    sends,
    unused_port,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.retrieval.conftest import Chain, Net
    from tests.support.revocation_servers import Behaviour

IMPOSTOR = Authority("Test Root CA", rsa_key=False)
RESPONDER_KEY = rsa.generate_private_key(65537, 2048)


def judge(
    net: Net, chain: Chain, mode: RevocationMode = RevocationMode.REQUIRE, at: datetime | None = None
) -> PathResult:
    leaf, root = chain.certificates
    policy = TrustPolicy((Anchor(root, "a test"),), at or datetime.now(UTC), mode, in_retrospect=at is not None)
    return PathValidator(policy, net.source()).validate(leaf, ())


def codes(result: PathResult) -> list[Code]:
    return [reason.code for reason in result.reasons]


def with_responder(net: Net) -> Chain:
    return net.chain(responder_pointer(net.server.url("/ocsp")))


def with_crl(net: Net) -> Chain:
    return net.chain(crl_pointer(net.server.url("/crl")))


def answered(net: Net, responder: Responder) -> PathResult:
    chain = with_responder(net)
    net.server.serve("/ocsp", responder.behaviour(chain.issued))
    return judge(net, chain)


@pytest.mark.interop
@pytest.mark.parametrize(
    ("known", "expected"), [("good", []), ("revoked", [Code.REVOKED]), ("", [Code.REVOCATION_UNKNOWN])]
)
def test_the_responder_of_openssl_decides(net: Net, tmp_path: Path, known: str, expected: list[Code]) -> None:
    port = unused_port()
    chain = net.chain(responder_pointer(f"http://127.0.0.1:{port}/"))
    serials = {known: [chain.issued.serial_number]}
    with OpensslResponder(tmp_path, net.authority, serials.get("good", ()), serials.get("revoked", ()), port):
        assert codes(judge(net, chain)) == expected


def test_a_good_certificate_is_good(net: Net) -> None:
    assert answered(net, Responder(net.authority)).revocation is RevocationStatus.GOOD


def test_a_revoked_certificate_is_revoked(net: Net) -> None:
    assert codes(answered(net, Responder(net.authority, OCSPCertStatus.REVOKED))) == [Code.REVOKED]


UNTRUE = {
    "unknown": Responder(IMPOSTOR, OCSPCertStatus.UNKNOWN),
    "expired": Responder(IMPOSTOR, this_update=-48 * HOUR, next_update=-24 * HOUR),
    "not yet valid": Responder(IMPOSTOR, this_update=24 * HOUR, next_update=48 * HOUR),
}


@pytest.mark.parametrize("kind", UNTRUE)
def test_a_response_that_says_nothing_leaves_it_open(net: Net, kind: str) -> None:
    like = UNTRUE[kind]
    responder = Responder(net.authority, like.status, like.this_update, like.next_update)
    assert codes(answered(net, responder)) == [Code.REVOCATION_UNKNOWN]


def test_a_response_by_a_stranger_says_nothing(net: Net) -> None:
    responder = Responder(net.authority, signer=IMPOSTOR.certificate, key=IMPOSTOR.key)
    assert codes(answered(net, responder)) == [Code.REVOCATION_UNKNOWN]


def test_a_stranger_cannot_revoke(net: Net) -> None:
    revoked = OCSPCertStatus.REVOKED
    responder = Responder(net.authority, revoked, signer=IMPOSTOR.certificate, key=IMPOSTOR.key)
    assert codes(answered(net, responder)) == [Code.REVOCATION_UNKNOWN]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(OCSPCertStatus.GOOD, []), (OCSPCertStatus.REVOKED, [Code.REVOKED])],
    ids=["good", "revoked"],
)
def test_a_delegated_responder_speaks_for_the_issuer(net: Net, status: OCSPCertStatus, expected: list[Code]) -> None:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Responder")])
    builder = x509.CertificateBuilder(
        net.authority.subject, name, RESPONDER_KEY.public_key(), 77, now - HOUR, now + HOUR
    )
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    builder = builder.add_extension(purpose, critical=False).add_extension(x509.OCSPNoCheck(), critical=False)
    responder = Responder(net.authority, status, signer=net.authority.sign(builder), key=RESPONDER_KEY)
    assert codes(answered(net, responder)) == expected


def test_a_certificate_on_the_crl_is_revoked(net: Net) -> None:
    chain = with_crl(net)
    net.server.serve("/crl", sends(crl(net.authority, [chain.issued.serial_number])))
    assert codes(judge(net, chain)) == [Code.REVOKED]


def test_a_certificate_that_is_not_on_the_crl_is_good(net: Net) -> None:
    net.server.serve("/crl", sends(crl(net.authority, [1, 2, 3])))
    assert judge(net, with_crl(net)).revocation is RevocationStatus.GOOD


def test_a_crl_tells_where_the_responder_is_silent(net: Net) -> None:
    chain = net.chain(crl_pointer(net.server.url("/crl")), responder_pointer(net.server.url("/ocsp")))
    net.server.serve("/crl", sends(crl(net.authority, [chain.issued.serial_number])))
    assert codes(judge(net, chain)) == [Code.REVOKED]


def test_a_crl_tells_where_a_stranger_says_that_all_is_well(net: Net) -> None:
    chain = net.chain(crl_pointer(net.server.url("/crl")), responder_pointer(net.server.url("/ocsp")))
    responder = Responder(net.authority, signer=IMPOSTOR.certificate, key=IMPOSTOR.key)
    net.server.serve("/ocsp", responder.behaviour(chain.issued))
    net.server.serve("/crl", sends(crl(net.authority, [chain.issued.serial_number])))
    assert codes(judge(net, chain)) == [Code.REVOKED]


def test_a_kept_crl_still_revokes(net: Net) -> None:
    chain = with_crl(net)
    net.server.serve("/crl", sends(crl(net.authority, [chain.issued.serial_number])))
    judge(net, chain)
    net.server.serve("/crl", sends(b"", 503))
    assert codes(judge(net, chain)) == [Code.REVOKED]


def test_a_delta_crl_adds_to_its_base(net: Net) -> None:
    chain = with_crl(net)
    net.server.serve("/crl", sends(crl(net.authority, deltas_at=net.server.url("/delta"))))
    net.server.serve("/delta", sends(crl(net.authority, [chain.issued.serial_number], delta_of=7)))
    assert codes(judge(net, chain)) == [Code.REVOKED]


@pytest.mark.parametrize("wrong", ["expired", "not yet valid", "wrong signer"])
def test_a_crl_that_says_nothing_leaves_it_open(net: Net, wrong: str) -> None:
    made = {
        "expired": crl(net.authority, this_update=-48 * HOUR, next_update=-24 * HOUR),
        "not yet valid": crl(net.authority, this_update=24 * HOUR, next_update=48 * HOUR),
        "wrong signer": crl(IMPOSTOR),
    }
    net.server.serve("/crl", sends(made[wrong]))
    assert codes(judge(net, with_crl(net))) == [Code.REVOCATION_UNKNOWN]


SILENT: dict[str, Behaviour] = {
    "hangs": hangs,
    "drips": drips(bytes(100), 0.05),
    "never ends": never_ends,
    "404": sends(b"", 404),
    "500": sends(b"", 500),
    "html": sends(b"<html>"),
}


@pytest.mark.parametrize("kind", SILENT)
def test_a_server_that_does_not_help_leaves_it_open(net: Net, kind: str) -> None:
    net.server.serve("/crl", SILENT[kind])
    result = judge(net, with_crl(net))
    assert (codes(result), result.revocation) == ([Code.REVOCATION_UNKNOWN], RevocationStatus.UNKNOWN)


def test_a_server_that_does_not_help_is_named(net: Net) -> None:
    net.server.serve("/crl", sends(b"", 500))
    (reason,) = judge(net, with_crl(net)).reasons
    assert f"127.0.0.1:{net.server.port} answered with HTTP status 500" in reason.text


def test_where_nothing_is_required_a_note_is_enough(net: Net) -> None:
    result = judge(net, with_crl(net), RevocationMode.PREFER)
    assert (codes(result), [note.code for note in result.notes]) == ([], [Code.REVOCATION_UNAVAILABLE])


def test_where_it_is_off_nobody_is_asked(net: Net) -> None:
    judge(net, with_crl(net), RevocationMode.OFF)
    assert net.server.requests == []


def test_a_stranger_whom_nobody_vouches_for_makes_us_ask_nobody(net: Net) -> None:
    leaf, _ = with_crl(net).certificates
    policy = TrustPolicy((), datetime.now(UTC), RevocationMode.REQUIRE)
    PathValidator(policy, net.source()).validate(leaf, (net.authority.certificate.public_bytes(Encoding.DER),))
    assert net.server.requests == []


def test_what_was_revoked_later_was_good_before(net: Net) -> None:
    chain = with_crl(net)
    net.server.serve("/crl", sends(crl(net.authority, [chain.issued.serial_number])))
    at = datetime.now(UTC) - timedelta(hours=12)  # crl() revokes an hour ago
    assert codes(judge(net, chain, at=at)) == []


def test_the_bounds_of_every_day_are_as_documented() -> None:
    assert (Limits().each, Limits().together, Limits().crl_octets) == (10, 15, 64 << 20)
