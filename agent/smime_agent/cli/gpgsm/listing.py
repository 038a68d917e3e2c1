"""The keys that can sign, as gpgsm lists secret keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smime_agent.cli import ui
from smime_agent.cli.gpgsm.identity import fingerprint, key_name, public_key_number, timestamp, user_id
from smime_agent.errors import NoKeyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.cli.gpgsm.arguments import Request
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.token import TokenInfo
    from smime_agent.x509 import Certificate


def list_keys(request: Request) -> None:
    """List the certificates on the token whose keys are there too. Nobody is asked for a PIN.

    Raises:
        NoKeyError: a key was named, and there is none of that name.
        TokenError: there is no token, or it fails.
    """
    from smime_agent.cli.access import Access
    from smime_agent.tokens.objects import read_objects

    wanted = [key_name(name) for name in request.files]
    with Access.of(None, None).session() as session:
        objects = read_objects(session)
        token, where = session.token.info, session.name
    found = [(key, one.certificate) for key in objects.keys if key.can_sign for one in objects.certificates_of(key)]
    chosen = [pair for pair in found if not wanted or any(_is_named(*pair, name, token) for name in wanted)]
    if wanted and not chosen:
        msg = f"no certificate on {where} is of that name"
        raise NoKeyError(msg)
    now = datetime.now(UTC)
    for key, certificate in chosen:
        ui.out(*(_colons(certificate, now) if request.colons else _for_people(key, certificate)))


def _is_named(key: TokenKey, certificate: Certificate, name: str, token: TokenInfo) -> bool:
    from smime_agent.keyring.naming import has_fingerprint, is_address, is_named

    if is_address(name):
        return certificate.covers(name)
    return has_fingerprint(certificate, name) or is_named(key, name, token)


def _colons(certificate: Certificate, now: datetime) -> Iterator[str]:
    """The records of one certificate (GnuPG, doc/DETAILS): the certificate, its fingerprints, its names."""
    name, algorithm = fingerprint(certificate.encoded), certificate.key_algorithm
    validity = "e" if now > certificate.not_after else ""
    record = [""] * 19
    record[:8] = [
        "crs",
        validity,
        str(algorithm.bits),
        str(public_key_number(algorithm.kind.value)),
        name[-16:],
        timestamp(certificate.not_before),
        timestamp(certificate.not_after),
        f"{certificate.serial_number:X}",
    ]
    record[9], record[11] = _field(certificate.issuer), "s" if certificate.permits_signing else ""
    yield ":".join(record)
    yield f"fpr:::::::::{name}:::"
    yield f"fp2:::::::::{certificate.fingerprint.hex().upper()}:::"
    yield f"uid:{validity}::::::::{_field(certificate.subject)}::"
    for mailbox in certificate.mailboxes:
        yield f"uid:{validity}::::::::{_field(f'<{mailbox}>')}::"


def _field(text: str) -> str:
    """A text that neither ends a field nor a line: written as C would."""
    return "".join(
        c
        if c.isprintable() and c not in ":\\"
        else "".join(map(r"\x{:02x}".format, c.encode("utf-8", "surrogatepass")))
        for c in text
    )


def _for_people(key: TokenKey, certificate: Certificate) -> Iterator[str]:
    yield f"{fingerprint(certificate.encoded)}  {user_id(certificate)}"
    yield f"    {key.name}, {certificate.key_algorithm}, valid until {certificate.not_after:%Y-%m-%d}"
