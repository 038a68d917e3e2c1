"""A signature over standard input or a file, judged, and told as GnuPG would.

Not by the roads for mail: a commit is signed octet by octet, so no other line ends are tried, and nothing may stand
beside the signature that a person could take for signed.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from smime_agent import cms
from smime_agent.accepted import HashFunction
from smime_agent.api.trusting import read_named, trust_of
from smime_agent.cli import ui
from smime_agent.cli.gpgsm.identity import digest_number, fingerprint, public_key_number, timestamp, user_id
from smime_agent.cli.gpgsm.judging import UNSUPPORTED, judge
from smime_agent.cli.output import open_source
from smime_agent.cms import oids
from smime_agent.config import load_config
from smime_agent.errors import ConfigError, UsageError
from smime_agent.smime.signers import SignerCheck
from smime_agent.source import Source
from smime_agent.trust.evidence import RevocationMode
from smime_agent.trust.path import PathValidator
from smime_agent.trust.requirements import Purpose
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from smime_agent.cli.gpgsm.arguments import Request
    from smime_agent.cli.gpgsm.judging import Judgement
    from smime_agent.cli.gpgsm.status import StatusLines
    from smime_agent.smime.verification import Signer
    from smime_agent.verdict import Reason

_LARGEST_SIGNATURE: Final = 16 * 1024 * 1024  # octets: some bring CRLs along
_NOBODY: Final = "0" * 16
_ARMOR: Final = re.compile(
    rb"\s*-----BEGIN (SIGNED MESSAGE|CMS|PKCS7)-----[ \t]*\r?\n([A-Za-z0-9+/=\s]*)-----END \1-----\s*"
)
#: How much is asked about revocation, by its name in the configuration: the mode, and whether no server is asked.
_REVOCATION: Final = {
    "off": (RevocationMode.OFF, True),
    "cached": (RevocationMode.PREFER, True),
    "ask": (RevocationMode.PREFER, False),
    "require": (RevocationMode.REQUIRE, False),
}
_VARIABLE: Final = "SMIME_AGENT_GIT_REVOCATION"


@dataclass(frozen=True, slots=True)
class _Trusted:
    """Whom to believe, for :func:`.trust_of`."""

    ca_files: tuple[Path, ...]
    revocation: RevocationMode
    offline: bool
    system_roots: bool = True
    crl_files: tuple[Path, ...] = ()


def verify(request: Request, status: StatusLines) -> bool:
    """Whether all signatures are good and their signers trusted; each was told.

    Raises:
        UsageError, FileError: a file cannot be read. Whatever is wrong with the signature is told as its status.
    """
    if len(request.files) not in {0, 1, 2} or request.files == ("-", "-"):
        msg = "--verify takes the file of a signature, and that of the content, one of which may be '-'"
        raise UsageError(msg)
    check = _check(request)
    with ExitStack() as resources:
        signature, content = _inputs(request, resources)
        try:
            signed_data = _read(signature, is_detached=content is not None)
            if content is None:
                if signed_data.content is None:
                    _refuse(Code.NO_CONTENT, "the signature is detached, and its content was not named")
                content = resources.enter_context(signed_data.content.source())
            signers = list(check.all(signed_data, content.chunks))
        except UntrustworthyError as error:
            status.write("NEWSIG")
            status.write("ERRSIG", _NOBODY, 0, 0, "00", 0, UNSUPPORTED, "-")
            ui.note(f"smime-agent: the signature cannot be checked: {error}")
            return False
    good = True
    for info, signer in zip(signed_data.signer_infos, signers, strict=True):
        judgement = judge(signer, partial(_was_trusted, check, signer, signed_data))
        _report(status, signer, info, judgement)
        good = good and judgement.is_trusted
    return good


def _check(request: Request) -> SignerCheck:
    """Whom to believe: the anchors of the configuration and NSS's, and what is known of revocation."""
    config = load_config()
    name = os.environ.get(_VARIABLE) or "cached"
    if request.revocation is not None:
        name = "ask" if request.revocation else "off"
    if name not in _REVOCATION:
        msg = f"{_VARIABLE} is {', '.join(_REVOCATION)}, not '{name}'"
        raise ConfigError(msg)
    mode, offline = _REVOCATION[name]
    now = datetime.now(UTC)
    trust = trust_of(_Trusted(tuple(map(Path, config.ca_files)), mode, offline), now)
    if not trust.trusts_anybody:
        ui.warning("NSS's list of CAs is not installed and ca_files names none, so nobody can be trusted")
    known = tuple(anchor.certificate for anchor in trust.given)
    return SignerCheck(trust.validator, now=now, known=known, purpose=Purpose.COMMIT)


def _inputs(request: Request, resources: ExitStack) -> tuple[bytes, Source | None]:
    """The signature, and the content if it is beside it."""
    name, *rest = request.files or ("-",)
    if name == "-":
        signature = resources.enter_context(open_source(None)).read(0, _LARGEST_SIGNATURE + 1)
    else:
        signature = read_named(Path(name), "signature")
    content = resources.enter_context(open_source(Path(rest[0]))) if rest else None
    return signature, content


def _read(text: bytes, *, is_detached: bool) -> cms.SignedData:
    """The signature and nothing else.

    Raises:
        UntrustworthyError: it is none, or something stands beside it, which nobody signed.
    """
    if len(text) > _LARGEST_SIGNATURE:
        _refuse(Code.LIMIT_EXCEEDED, "it is larger than any signature")
    der = text
    if text[:1] != b"\x30":
        armor = _ARMOR.fullmatch(text)
        if armor is None:
            _refuse(Code.MALFORMED_CMS, "it is not one block of PEM text and nothing else")
        try:
            der = b64decode(b"".join(armor[2].split()), validate=True)
        except ValueError:
            _refuse(Code.MALFORMED_CMS, "its base64 is damaged")
    signed_data = cms.SignedData.read(Source.from_bytes(der))
    if signed_data.trailing:
        _refuse(Code.TRAILING_DATA, "data follows after it")
    if signed_data.content_type != oids.ID_DATA:
        _refuse(Code.CONTENT_TYPE_MISMATCH, "it signs another kind of content")
    if not signed_data.signer_infos:
        _refuse(Code.NO_SIGNER, "nobody signed it")
    if is_detached and signed_data.content is not None:
        _refuse(Code.UNEXPECTED_CONTENT, "it brings a content of its own")
    return signed_data


def _refuse(code: Code, text: str) -> NoReturn:
    raise UntrustworthyError(code, text)


def _was_trusted(check: SignerCheck, signer: Signer, signed_data: cms.SignedData) -> bool:
    """Whether nothing stood against the certificate in the last second in which all of its path was valid.

    A path that has expired is not looked through to its end. The time that the signature claims has no say in it.
    """
    if signer.certificate is None or not signer.chain:
        return False
    last = min(certificate.not_after for certificate in signer.chain) - timedelta(seconds=1)
    policy = replace(check.validator.policy, at=last, in_retrospect=True, revocation=RevocationMode.OFF)
    path = PathValidator(policy).validate(signer.certificate, signed_data.certificates, check.purpose)
    return path.anchor is not None and not path.reasons


def _report(status: StatusLines, signer: Signer, info: cms.SignerInfo, judgement: Judgement) -> None:
    """The status of one signature, and what a person reads."""
    function = HashFunction.by_oid(info.digest_algorithm.oid, info.digest_algorithm.parameters)
    digest = digest_number(function.value) if function is not None else 0
    status.write("NEWSIG")
    certificate = signer.certificate
    if certificate is None:
        status.write("ERRSIG", _NOBODY, 0, digest, "00", 0, judgement.error, "-")
        ui.note(f"smime-agent: {judgement.text}")
        return
    name, who = fingerprint(certificate.encoded), user_id(certificate)
    key = public_key_number(certificate.key_algorithm.kind.value)
    if judgement.error:
        status.write("ERRSIG", name, key, digest, "00", 0, judgement.error, name)
    else:
        status.write(judgement.status, name, who)
    if signer.is_valid:
        at, until = signer.claimed_at, certificate.not_after
        day = f"{at:%Y-%m-%d}" if at is not None else "0"
        status.write("VALIDSIG", name, day, timestamp(at), timestamp(until), 0, 0, key, digest, "00")
        status.write(*judgement.trust)
    when = f" at {signer.claimed_at:%Y-%m-%d %H:%M:%S} UTC, as it says" if signer.claimed_at is not None else ""
    ui.note(
        f"smime-agent: signed by {who}{when}",
        f"smime-agent: with the key of certificate {name}, issued by {certificate.issuer}",
        f"smime-agent: {judgement.text}",
        *(f"smime-agent: {_brief(note)}" for note in signer.notes),
    )


def _brief(note: Reason) -> str:
    """A note; that nothing is known of revocation stands under each commit of a log, so it is said in few words."""
    if note.code in {Code.REVOCATION_UNAVAILABLE, Code.REVOCATION_NOT_CHECKED}:
        return "whether the certificate was revoked is not known"
    return note.text
