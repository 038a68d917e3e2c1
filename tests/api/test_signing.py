"""The library, as an application uses it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms

import smime_agent
from smime_agent import (
    AmbiguousError,
    Digest,
    Format,
    InvalidMessageError,
    NoKeyError,
    PinError,
    PolicyError,
    SignOptions,
    SmimeAgentError,
    TokenError,
    UsageError,
)
from smime_agent.algorithms import KeyType
from smime_agent.errors import PinUnavailableError
from tests.support.ca import Wanted
from tests.support.mails import MAIL
from tests.support.softhsm import MODULE, PIN, KnownPin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from smime_agent import OpenToken
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm, SoftToken


@pytest.fixture(scope="module")
def library_token(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    made = softhsm.new_token("library")
    made.enrol(issuing_ca, KeyType.EC_P256, Wanted())
    return made


@pytest.fixture
def token(library_token: SoftToken) -> Iterator[OpenToken]:
    with smime_agent.open_token(library_token.label, module=MODULE, pin_from=KnownPin()) as opened:
        yield opened


def parts(signed: bytes) -> list[str]:
    return [part.get_content_type() for part in message_from_bytes(signed, policy=default).walk()]


def test_everything_that_is_announced_is_there() -> None:
    for name in smime_agent.__all__:
        assert getattr(smime_agent, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = smime_agent.nothing


@pytest.mark.parametrize("kind", ["bytes", "path", "file", "stream"])
def test_a_message_may_come_in_any_way(token: OpenToken, tmp_path: Path, kind: str) -> None:
    (tmp_path / "mail.eml").write_bytes(MAIL)
    with (tmp_path / "mail.eml").open("rb") as file:
        message = {"bytes": MAIL, "path": tmp_path / "mail.eml", "file": file, "stream": io.BytesIO(MAIL)}[kind]
        signed = bytes(smime_agent.sign(message, token))  # type: ignore[arg-type]  # each of them is taken
    assert parts(signed) == ["multipart/signed", "text/plain", "application/pkcs7-signature"]


def test_many_messages_are_signed_in_one_login(library_token: SoftToken) -> None:
    prompter = KnownPin()
    with smime_agent.open_token(library_token.label, module=MODULE, pin_from=prompter) as token:
        boundaries = {message_from_bytes(bytes(smime_agent.sign(MAIL, token))).get_boundary() for _ in range(5)}
    assert len(prompter.requests) == 1
    assert len(boundaries) == 5


def test_the_time_is_an_argument(token: OpenToken) -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    signed = bytes(smime_agent.sign(b"x", token, SignOptions(form=Format.DER), at=at))
    (signer_info,) = cms.ContentInfo.load(signed)["content"]["signer_infos"]
    (time,) = (one["values"][0] for one in signer_info["signed_attrs"] if one["type"].native == "signing_time")
    assert time.native == at


def test_the_signer_is_told(token: OpenToken) -> None:
    signed = smime_agent.sign(MAIL, token, SignOptions(digest=Digest.SHA512))
    assert str(signed.signer.scheme) == "ECDSA with SHA-512"
    assert signed.signer.identity.certificate.mailboxes == ("alice@example.org",)
    assert signed.notes == ()
    bytes(signed)


def test_a_result_is_written_to_a_file(token: OpenToken, tmp_path: Path) -> None:
    smime_agent.sign(MAIL, token).write_to(tmp_path / "signed.eml")
    assert parts((tmp_path / "signed.eml").read_bytes())[0] == "multipart/signed"


def test_a_result_that_was_taken_already_is_no_empty_one(token: OpenToken, tmp_path: Path) -> None:
    signed = smime_agent.sign(MAIL, token)
    assert bytes(signed)
    with pytest.raises(UsageError, match="taken already"):
        signed.write_to(tmp_path / "signed.eml")


@pytest.mark.parametrize(
    ("message", "options", "error"),
    [
        (b"", SignOptions(), InvalidMessageError),
        (b"From: bob@example.org\n\nx\n", SignOptions(), NoKeyError),
        (MAIL, SignOptions(key="none"), NoKeyError),
        (MAIL, SignOptions(key="pkcs11:type=data"), UsageError),
    ],
)
def test_what_goes_wrong_is_an_error_of_ours(
    token: OpenToken, message: bytes, options: SignOptions, error: type[SmimeAgentError]
) -> None:
    with pytest.raises(error):
        smime_agent.sign(message, token, options)


def test_a_signed_mail_is_not_signed_again_by_accident(token: OpenToken) -> None:
    signed = bytes(smime_agent.sign(MAIL, token))
    with pytest.raises(PolicyError):
        smime_agent.sign(signed, token)
    assert parts(bytes(smime_agent.sign(signed, token, SignOptions(again=True)))).count("multipart/signed") == 2


def test_the_pin_comes_from_a_source(library_token: SoftToken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PIN", PIN)
    smime_agent.open_token(library_token.label, module=MODULE, pin_from="env:THE_PIN").close()


def test_the_pin_comes_from_the_source_of_the_uri(library_token: SoftToken, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(PIN)
    smime_agent.open_token(f"pkcs11:token={library_token.label}?pin-source=file:{tmp_path}/pin", module=MODULE).close()


def test_without_a_source_nobody_is_asked(library_token: SoftToken) -> None:
    with pytest.raises(PinUnavailableError) as caught:
        smime_agent.open_token(library_token.label, module=MODULE)
    assert "pass pin_from to open_token" in str(caught.value.hint)


def test_a_pin_is_not_taken_for_a_source(library_token: SoftToken) -> None:
    with pytest.raises(UsageError) as caught:
        smime_agent.open_token(library_token.label, module=MODULE, pin_from=PIN)
    assert PIN not in f"{caught.value} {caught.value.hint}"


def test_a_wrong_pin_is_a_pin_error(library_token: SoftToken) -> None:
    with pytest.raises(PinError, match="wrong PIN for token 'library'"):
        smime_agent.open_token(library_token.label, module=MODULE, pin_from=KnownPin("wrong"))
    smime_agent.open_token(library_token.label, module=MODULE, pin_from=KnownPin()).close()


@pytest.mark.usefixtures("library_token")
def test_a_token_that_is_absent_or_one_of_several_is_told(softhsm: SoftHsm) -> None:
    softhsm.new_token("library two")
    with pytest.raises(TokenError, match="no token 'nobody' is plugged in"):
        smime_agent.open_token("nobody", module=MODULE)
    with pytest.raises(AmbiguousError, match="tokens are plugged in"):
        smime_agent.open_token(module=MODULE, pin_from=KnownPin())
