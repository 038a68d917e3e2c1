"""What is asked, in which order, and what is done with what comes back."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPCertStatus
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.retrieval.conftest import KEY, LIMITS, Chain, Net, own
from tests.support.ca import Authority, Wanted
from tests.support.revocation_servers import (
    HOUR,
    Behaviour,
    Connection,
    OpensslResponder,
    Request,
    Responder,
    crl,
    crl_pointer,
    hangs,
    responder_pointer,
    sends,
    unused_port,
)

if TYPE_CHECKING:
    from pathlib import Path

#: Calls itself as the root does.
IMPOSTOR = Authority("Test Root CA", rsa_key=False)
OTHER_KEY = rsa.generate_private_key(65537, 2048)


def with_both(net: Net) -> Chain:
    return net.chain(crl_pointer(net.server.url("/crl")), responder_pointer(net.server.url("/ocsp")))


def with_crl(net: Net) -> Chain:
    return net.chain(crl_pointer(net.server.url("/crl")))


def with_responder(net: Net) -> Chain:
    return net.chain(responder_pointer(net.server.url("/ocsp")))


def delegated(net: Net, purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.OCSP_SIGNING) -> x509.Certificate:
    """A certificate for a responder's own key."""
    builder = x509.CertificateBuilder(net.authority.subject, x509.Name([]), OTHER_KEY.public_key())
    builder = builder.not_valid_before(datetime.now(UTC) - HOUR).not_valid_after(datetime.now(UTC) + 24 * HOUR)
    builder = builder.serial_number(x509.random_serial_number())
    return net.authority.sign(builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False))


def below(net: Net, *extra: tuple[x509.ExtensionType, bool]) -> Authority:
    """An issuing CA whose certificate has such extensions."""
    authority = Authority("Below", net.authority)
    made = authority.certificate
    builder = x509.CertificateBuilder(made.issuer, made.subject, authority.key.public_key(), made.serial_number)
    builder = builder.not_valid_before(made.not_valid_before_utc).not_valid_after(made.not_valid_after_utc)
    for extension in made.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    for value, critical in extra:
        builder = builder.add_extension(value, critical)
    authority.certificate = net.authority.sign(builder)
    return authority


def test_a_crl_is_fetched(net: Net) -> None:
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))
    assert net.gather(with_crl(net)).crls == (made,)


def test_a_responder_is_asked(net: Net) -> None:
    chain = with_responder(net)
    net.server.serve("/ocsp", Responder(net.authority).behaviour(chain.issued))
    evidence = net.gather(chain)
    assert (len(evidence.ocsp_responses), evidence.problems) == (1, ())


@pytest.mark.interop
@pytest.mark.parametrize("is_revoked", [False, True])
def test_the_responder_of_openssl_answers(net: Net, tmp_path: Path, *, is_revoked: bool) -> None:
    port = unused_port()
    chain = net.chain(responder_pointer(f"http://127.0.0.1:{port}/"))
    serials = [chain.issued.serial_number]
    good, revoked = ([], serials) if is_revoked else (serials, [])
    with OpensslResponder(tmp_path, net.authority, good, revoked, port):
        evidence = net.gather(chain)
    assert (len(evidence.ocsp_responses), evidence.problems) == (1, ())


@pytest.mark.interop
def test_the_responder_of_openssl_does_not_know_a_certificate(net: Net, tmp_path: Path) -> None:
    port = unused_port()
    with OpensslResponder(tmp_path, net.authority, port=port):
        evidence = net.gather(net.chain(responder_pointer(f"http://127.0.0.1:{port}/")))
    assert evidence.problems == (f"Alice Example: 127.0.0.1:{port} does not know the certificate",)


def test_a_leaf_whose_responder_answers_needs_no_crl(net: Net) -> None:
    chain = with_both(net)
    net.server.serve("/ocsp", Responder(net.authority).behaviour(chain.issued))
    net.gather(chain)
    assert net.server.asked("/crl") == 0


def test_a_responder_asked_by_post_gets_no_nonce(net: Net) -> None:
    chain = with_responder(net)
    net.server.serve("/ocsp", Responder(net.authority).behaviour(chain.issued))
    net.gather(chain)
    request = net.server.requests[0]
    assert (request.method, len(x509.ocsp.load_der_ocsp_request(request.body).extensions)) == ("POST", 0)


def test_a_server_learns_who_asks_and_nothing_else(net: Net) -> None:
    net.gather(with_crl(net))
    headers = net.server.requests[0].headers
    assert set(headers) == {"host", "accept", "accept-encoding", "user-agent"}
    assert headers["user-agent"].startswith("smime-agent/")


DOUBTFUL: dict[str, dict[str, Any]] = {
    "is out of date since": {"this_update": -48 * HOUR, "next_update": -24 * HOUR},
    "is dated in the future": {"this_update": 24 * HOUR, "next_update": 48 * HOUR},
    "is signed neither with the issuer's key nor by": {"signer": IMPOSTOR.certificate, "key": IMPOSTOR.key},
    "does not know the certificate": {"status": OCSPCertStatus.UNKNOWN},
}


@pytest.mark.parametrize("why", DOUBTFUL)
def test_a_doubtful_response_is_a_reason_to_fetch_the_crl(net: Net, why: str) -> None:
    chain = with_both(net)
    net.server.serve("/ocsp", replace(Responder(net.authority), **DOUBTFUL[why]).behaviour(chain.issued))
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))
    evidence = net.gather(chain)
    assert (evidence.crls, evidence.problems) == ((made,), ())


@pytest.mark.parametrize("why", DOUBTFUL)
def test_a_doubtful_response_alone_is_a_problem(net: Net, why: str) -> None:
    chain = with_responder(net)
    net.server.serve("/ocsp", replace(Responder(net.authority), **DOUBTFUL[why]).behaviour(chain.issued))
    (problem,) = net.gather(chain).problems
    assert why in problem


@pytest.mark.parametrize("why", DOUBTFUL)
def test_a_doubtful_response_is_not_kept(net: Net, why: str) -> None:
    chain = with_responder(net)
    net.server.serve("/ocsp", replace(Responder(net.authority), **DOUBTFUL[why]).behaviour(chain.issued))
    net.gather(chain)
    assert not net.folder.exists()


def test_a_response_about_another_certificate_is_a_problem(net: Net) -> None:
    chain = with_responder(net)
    net.server.serve("/ocsp", Responder(net.authority).behaviour(net.chain().issued))
    (problem,) = net.gather(chain).problems
    assert "answered about another certificate" in problem


def test_a_responder_that_refuses_says_so(net: Net) -> None:
    net.server.serve("/ocsp", sends(b"\x30\x03\x0a\x01\x03"))
    (problem,) = net.gather(with_responder(net)).problems
    assert problem.endswith("refused to answer: try later")


def test_a_delegated_responder_is_beyond_doubt(net: Net) -> None:
    chain = with_responder(net)
    responder = Responder(net.authority, signer=delegated(net), key=OTHER_KEY)
    net.server.serve("/ocsp", responder.behaviour(chain.issued))
    assert net.gather(chain).problems == ()


def test_a_certificate_that_is_not_for_a_responder_delegates_nothing(net: Net) -> None:
    chain = with_responder(net)
    signer = delegated(net, ExtendedKeyUsageOID.EMAIL_PROTECTION)
    net.server.serve("/ocsp", Responder(net.authority, signer=signer, key=OTHER_KEY).behaviour(chain.issued))
    assert len(net.gather(chain).problems) == 1


def test_a_response_without_next_update_is_good_for_a_day(net: Net) -> None:
    chain = with_responder(net)
    responder = Responder(net.authority, this_update=-23 * HOUR, next_update=None)
    net.server.serve("/ocsp", responder.behaviour(chain.issued))
    assert net.gather(chain).problems == ()


def test_an_old_response_without_next_update_is_a_replay(net: Net) -> None:
    chain = with_responder(net)
    responder = Responder(net.authority, this_update=-25 * HOUR, next_update=None)
    net.server.serve("/ocsp", responder.behaviour(chain.issued))
    assert "is out of date" in net.gather(chain).problems[0]


def test_who_asks_about_the_past_gets_what_was_current_then(net: Net) -> None:
    made = crl(net.authority, this_update=-100 * HOUR, next_update=-10 * HOUR)
    net.server.serve("/crl", sends(made))
    at = datetime.now(UTC) - 20 * HOUR
    assert net.source().gather(with_crl(net).certificates, at).crls == (made,)


CRLS: dict[str, dict[str, Any]] = {
    "is out of date since": {"this_update": -48 * HOUR, "next_update": -24 * HOUR},
    "is dated in the future": {"this_update": 24 * HOUR, "next_update": 48 * HOUR},
    "is not signed with the issuer's key": {"key": OTHER_KEY},
}


@pytest.mark.parametrize("why", CRLS)
def test_a_doubtful_crl_is_a_problem(net: Net, why: str) -> None:
    net.server.serve("/crl", sends(crl(net.authority, **CRLS[why])))
    (problem,) = net.gather(with_crl(net)).problems
    assert why in problem


@pytest.mark.parametrize("why", CRLS)
def test_a_doubtful_crl_is_not_kept(net: Net, why: str) -> None:
    net.server.serve("/crl", sends(crl(net.authority, **CRLS[why])))
    net.gather(with_crl(net))
    assert not net.folder.exists()


def test_the_crl_of_another_issuer_is_a_problem(net: Net) -> None:
    net.server.serve("/crl", sends(crl(Authority("Somebody else", rsa_key=False))))
    evidence = net.gather(with_crl(net))
    assert (evidence.crls, evidence.problems[0].partition(" sent ")[2]) == ((), "the CRL of another issuer")


def test_a_crl_in_pem_is_taken_as_der(net: Net) -> None:
    made = crl(net.authority)
    net.server.serve("/crl", sends(x509.load_der_x509_crl(made).public_bytes(Encoding.PEM)))
    assert net.gather(with_crl(net)).crls == (made,)


def test_the_second_url_of_a_crl_is_tried_when_the_first_fails(net: Net) -> None:
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))
    chain = net.chain(crl_pointer(net.server.url("/lost"), net.server.url("/crl")))
    evidence = net.gather(chain)
    assert (evidence.crls, evidence.problems) == ((made,), ())


def test_a_delta_crl_that_the_base_names_comes_with_it(net: Net) -> None:
    delta = crl(net.authority, delta_of=7)
    base = crl(net.authority, deltas_at=net.server.serve("/delta", sends(delta)))
    net.server.serve("/crl", sends(base))
    assert net.gather(with_crl(net)).crls == (base, delta)


def test_a_base_is_good_enough_without_its_delta_crl(net: Net) -> None:
    base = crl(net.authority, deltas_at=net.server.url("/lost"))
    net.server.serve("/crl", sends(base))
    evidence = net.gather(with_crl(net))
    assert (evidence.crls, evidence.problems) == ((base,), ())


def test_a_delta_crl_that_the_certificate_names_comes_with_its_base(net: Net) -> None:
    base, delta = crl(net.authority), crl(net.authority, delta_of=7)
    net.server.serve("/crl", sends(base))
    point = x509.DistributionPoint(
        [x509.UniformResourceIdentifier(net.server.serve("/delta", sends(delta)))], *[None] * 3
    )
    chain = net.chain(crl_pointer(net.server.url("/crl")), (x509.FreshestCRL([point]), False))
    assert net.gather(chain).crls == (base, delta)


def test_a_ca_is_asked_for_by_crl_first(net: Net) -> None:
    issuing = below(net, crl_pointer(net.server.url("/crl")), responder_pointer(net.server.url("/ocsp")))
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))
    leaf = own(issuing.issue(KEY.public_key(), Wanted()))
    chain = [leaf, own(issuing.certificate), own(net.authority.certificate)]
    evidence = net.source().gather(chain, datetime.now(UTC))
    assert (evidence.crls, net.server.asked("/ocsp")) == ((made,), 0)


def test_all_of_a_chain_is_asked_for_at_the_same_time(net: Net) -> None:
    both = threading.Barrier(2, timeout=5)
    made = crl(net.authority)
    issuing = below(net, crl_pointer(net.server.url("/upper")))
    lower = crl(issuing)

    def meets(body: bytes) -> Behaviour:
        def behave(request: Request, connection: Connection) -> None:
            both.wait()
            sends(body)(request, connection)

        return behave

    net.server.serve("/upper", meets(made))
    net.server.serve("/lower", meets(lower))
    leaf = own(issuing.issue(KEY.public_key(), Wanted(extra=(crl_pointer(net.server.url("/lower")),))))
    chain = [leaf, own(issuing.certificate), own(net.authority.certificate)]
    limits = replace(LIMITS, each=5, together=5)
    assert net.source(limits).gather(chain, datetime.now(UTC)).crls == (lower, made)


def test_what_came_in_time_is_kept_when_the_rest_does_not(net: Net) -> None:
    made = crl(net.authority)
    issuing = below(net, crl_pointer(net.server.serve("/upper", sends(made))))
    leaf = own(issuing.issue(KEY.public_key(), Wanted(extra=(crl_pointer(net.server.serve("/lower", hangs)),))))
    chain = [leaf, own(issuing.certificate), own(net.authority.certificate)]
    evidence = net.source(replace(LIMITS, each=9, together=0.3)).gather(chain, datetime.now(UTC))
    assert evidence.crls == (made,)
    assert evidence.problems == (
        f"Alice Example: 127.0.0.1:{net.server.port} did not answer within the 0.3 seconds for all",
    )


def test_a_chain_of_one_asks_nobody(net: Net) -> None:
    evidence = net.source().gather([own(net.authority.certificate)], datetime.now(UTC))
    assert evidence.problems == ()


def test_a_certificate_that_names_no_place_is_a_problem(net: Net) -> None:
    assert net.gather(net.chain()).problems == ("Alice Example: it names no place to ask about its revocation",)


def test_a_person_is_told_whom_we_wait_for(net: Net) -> None:
    net.server.serve("/crl", hangs)
    net.gather(with_crl(net))
    assert net.told == [f"127.0.0.1:{net.server.port}"]


def test_a_person_is_not_told_of_what_is_quick(net: Net) -> None:
    net.server.serve("/crl", sends(crl(net.authority)))
    net.gather(with_crl(net), replace(LIMITS, moment=5, each=5, together=5))
    assert net.told == []


def test_one_run_fetches_each_url_once(net: Net) -> None:
    net.server.serve("/crl", sends(crl(net.authority)))
    source = net.source()
    first = source.gather(with_crl(net).certificates, datetime.now(UTC))
    second = source.gather(with_crl(net).certificates, datetime.now(UTC))
    assert net.server.asked("/crl") == 1
    assert first.crls[0] is second.crls[0]


def test_a_server_that_hangs_is_asked_once_in_a_while(net: Net) -> None:
    net.server.serve("/crl", hangs)
    source = net.source()
    for _ in range(3):
        source.gather(net.chain(crl_pointer(net.server.url("/crl"))).certificates, datetime.now(UTC))
    source.gather(net.chain(crl_pointer(net.server.url("/other"))).certificates, datetime.now(UTC))
    assert len(net.server.requests) == 1


def test_a_server_that_failed_is_asked_again_later(net: Net) -> None:
    source = net.source()
    chain = with_crl(net)
    source.gather(chain.certificates, datetime.now(UTC))
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))
    net.pass_time(minutes=6)
    assert source.gather(chain.certificates, datetime.now(UTC)).crls == (made,)


def test_a_path_that_is_not_there_says_nothing_of_the_server(net: Net) -> None:
    source = net.source()
    source.gather(net.chain(crl_pointer(net.server.url("/lost"))).certificates, datetime.now(UTC))
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))
    assert source.gather(with_crl(net).certificates, datetime.now(UTC)).crls == (made,)


def test_it_can_be_called_while_a_loop_runs(net: Net) -> None:
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))

    async def call() -> tuple[bytes, ...]:
        return net.gather(with_crl(net)).crls  # from a coroutine, as somebody's program may do

    assert asyncio.run(call()) == (made,)


def test_nothing_heavy_is_imported_before_something_is_fetched() -> None:
    heavy = "{'aiohttp', 'asyncio', 'cryptography', 'urllib.request'} & set(sys.modules)"
    script = f"import sys, smime_agent.retrieval; print({heavy})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_broken_issuer_key_is_no_error_of_ours(net: Net) -> None:
    chain = with_responder(net)
    chain.certificates[1].public_key_info = b"\x30\x00"
    assert len(net.gather(chain).problems) == 1


def test_a_cached_crl_without_a_look_at_the_net(net: Net) -> None:
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))
    net.gather(with_crl(net))
    net.pass_time(hours=2)
    assert net.gather(with_crl(net), offline=True).crls == (made,)
