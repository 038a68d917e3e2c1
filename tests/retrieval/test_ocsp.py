"""OCSP requests and responses, without a net."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.retrieval.answers import Answer, UnavailableError
from smime_agent.retrieval.limits import Limits
from smime_agent.retrieval.ocsp import OcspQuestion
from tests.retrieval.conftest import KEY, own
from tests.support.ca import Authority, Wanted
from tests.support.revocation_servers import Responder

CA = Authority("Somebody", rsa_key=False)
ISSUED = CA.issue(KEY.public_key(), Wanted())
QUESTION = OcspQuestion("http://ocsp.example.org/", own(ISSUED), own(CA.certificate))
NOW = datetime.now(UTC)
MADE = Responder(CA).answer(ISSUED)
RESPONDER = Authority("Responder", CA, rsa_key=False)  # whose certificate does not say that it is one
DELEGATED = Responder(CA, signer=RESPONDER.certificate, key=RESPONDER.key).answer(ISSUED)
SIGNED_BY_RESPONDER = ocsp.load_der_ocsp_response(DELEGATED).tbs_response_bytes
SIGNED = ocsp.load_der_ocsp_response(MADE).tbs_response_bytes


def test_the_request_is_what_the_library_makes() -> None:
    builder = ocsp.OCSPRequestBuilder().add_certificate(ISSUED, CA.certificate, hashes.SHA1())  # noqa: S303 - a CertID
    assert QUESTION.body == builder.build().public_bytes(Encoding.DER)


@given(st.binary(max_size=200))
def test_garbage_is_no_response(octets: bytes) -> None:
    with pytest.raises(UnavailableError):
        QUESTION.judge(octets, NOW)


@given(st.integers(0, len(MADE) - 1), st.integers(0, 255))
def test_an_octet_that_was_changed_is_noticed(place: int, octet: int) -> None:
    changed = bytearray(MADE)
    changed[place] = octet
    try:
        answer = QUESTION.judge(bytes(changed), NOW)
    except UnavailableError:
        return
    assert answer.doubt or ocsp.load_der_ocsp_response(bytes(changed)).tbs_response_bytes == SIGNED


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_responders_certificate_that_was_changed_raises_nothing_else(place: int, octet: int) -> None:
    changed = bytearray(DELEGATED)
    changed[place % len(changed)] = octet
    try:
        answer = QUESTION.judge(bytes(changed), NOW)
    except UnavailableError:
        return
    assert answer.doubt or ocsp.load_der_ocsp_response(bytes(changed)).tbs_response_bytes == SIGNED_BY_RESPONDER


@pytest.mark.parametrize("rsa_key", [True, False])
def test_a_response_of_the_issuer_is_beyond_doubt(*, rsa_key: bool) -> None:
    authority = Authority("Another", rsa_key=rsa_key)
    issued = authority.issue(KEY.public_key(), Wanted())
    question = OcspQuestion("http://ocsp.example.org/", own(issued), own(authority.certificate))
    assert question.judge(Responder(authority).answer(issued), NOW).doubt is None


def answer(this_update: timedelta, next_update: timedelta | None) -> Answer:
    return Answer(b"", NOW + this_update, None if next_update is None else NOW + next_update)


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("made", "at", "is_good"),
    [
        (answer(-HOUR, HOUR), NOW, True),
        (answer(-HOUR, timedelta(0)), NOW, True),
        (answer(-HOUR, timedelta(seconds=-1)), NOW, False),
        (answer(-9 * HOUR, -HOUR), NOW - 2 * HOUR, True),
        (answer(-HOUR, HOUR), NOW - 1000 * HOUR, True),
        (answer(-HOUR, HOUR), NOW + 1000 * HOUR, True),
        (answer(timedelta(minutes=4), HOUR), NOW, True),
        (answer(timedelta(minutes=6), HOUR), NOW, False),
        (answer(-23 * HOUR, None), NOW, True),
        (answer(-25 * HOUR, None), NOW, False),
    ],
)
def test_an_answer_is_current_between_its_updates(made: Answer, at: datetime, *, is_good: bool) -> None:
    assert (made.objection(NOW, at, Limits()) is None) is is_good


def test_an_answer_says_since_when_it_is_out_of_date() -> None:
    made = Answer(b"", datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 8, 12, tzinfo=UTC))
    at = datetime(2026, 6, 1, tzinfo=UTC)
    assert made.objection(at, at, Limits()) == "is out of date since 2026-05-08 12:00 UTC"
