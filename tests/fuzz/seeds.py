"""What the fuzzers begin with: the spoofs and honest mails of this project, and the vectors where they are."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from smime_agent.errors import SmimeAgentError
from smime_agent.mime import Form, LayerKind, clear_signed, cms_of, cms_of_pem, layer_of, read_mail, recognise
from smime_agent.source import Source
from tests.conftest import VECTORS
from tests.fuzz.decryption import sealed_seeds
from tests.spoofs.certificates import RevocationList
from tests.spoofs.collection import WORKSHOP, collection
from tests.spoofs.honest import honest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LARGEST: Final = 16 * 1024
_MAILS: Final = frozenset({".eml", ".txt"})
_OBJECTS: Final = frozenset({".bin", ".der", ".p7m", ".p7s"})


def write(folder: Path) -> None:
    """Put every seed into a folder for its kind, and the trust anchor of the mails into ``root.pem``.

    The names of mails that may be trusted begin with ``honest``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "root.pem").write_bytes(WORKSHOP.files()["root"])
    mails = list(_mails())
    objects = [octets for _, mail in mails for octets in _cms_in(mail)]
    for kind, seeds in (
        ("mail", mails),
        ("sealed", [("", octets) for octets in sealed_seeds([*(mail for _, mail in mails), *_objects()])]),
        ("cms", [("", octets) for octets in (*objects, *_objects())]),
        ("certificate", [("", octets) for octets in _certificates(objects)]),
        ("crl", [("", octets) for octets in _crls()]),
        ("fields", [("", mail.partition(b"\r\n\r\n")[0] + b"\r\n") for _, mail in mails]),
    ):
        (folder / kind).mkdir(exist_ok=True)
        for prefix, octets in seeds:
            if len(octets) <= _LARGEST:
                digest = hashlib.sha256(octets).hexdigest()[:16]
                (folder / kind / f"{prefix or 'seed'}-{digest}").write_bytes(octets)


def _mails() -> Iterator[tuple[str, bytes]]:
    yield from (("honest", mail.mail) for mail in honest(WORKSHOP))
    # Those with options are spoofs only to who looks into a CRL, or expects another sender.
    yield from (("honest" if spoof.options else "spoof", spoof.mail) for spoof in collection())
    for path in _files(_MAILS):
        yield "vector", path.read_bytes()


def _objects() -> Iterator[bytes]:
    for path in _files(_OBJECTS):
        yield path.read_bytes()


def _files(suffixes: frozenset[str]) -> Iterator[Path]:
    if VECTORS.is_dir():
        yield from (path for path in sorted(VECTORS.rglob("*")) if path.suffix in suffixes)


def _cms_in(mail: bytes) -> Iterator[bytes]:
    """The CMS of a mail, where it is found."""
    try:
        source = Source.from_bytes(mail)
        if recognise(source) in {Form.PEM, Form.BASE64}:
            yield cms_of_pem(source).read()
            return
        part = read_mail(source)
        kind = layer_of(part)
        if kind is LayerKind.CLEAR_SIGNED:
            yield clear_signed(part).signature.decode_to_source()[0].read()
        elif kind is LayerKind.CMS:
            yield cms_of(part)[0].read()
    except SmimeAgentError:
        return


def _certificates(objects: list[bytes]) -> Iterator[bytes]:
    from smime_agent.cms import SignedData

    for octets in objects:
        try:
            yield from SignedData.read(Source.from_bytes(octets)).certificates
        except SmimeAgentError:
            continue


def _crls() -> Iterator[bytes]:
    yield from (octets for name, octets in WORKSHOP.files().items() if name.endswith("crl"))
    yield RevocationList(WORKSHOP.root).made()
