"""The people of the demo: a token each, with a key and a certificate from a CA that lives for a day."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.cli.guard import guard
from smime_agent.errors import FileError, ModuleLoadError
from smime_agent.keys import Pin
from smime_agent.tokens import module as modules
from smime_agent.tokens.session import TokenSession
from smime_agent.tokens.token import Search

if TYPE_CHECKING:
    from cryptography import x509

    from smime_agent.keys import PinRequest
    from smime_agent.tokens.token import Token
    from smime_agent.x509 import Certificate


class KnownPin:
    """The demo chose the PIN itself."""

    def __init__(self) -> None:
        self.octets = b"%06d" % secrets.randbelow(10**6)

    def pin(self, request: PinRequest) -> Pin:  # noqa: ARG002 - it is the same for both tokens
        """The PIN."""
        return Pin(self.octets)

    def pad(self, token: str) -> None:
        """SoftHSM has none."""

    def touch(self, token: str) -> None:
        """SoftHSM wants none."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token, a key on it that can do all, and a certificate."""

    name: str
    address: str
    token: Token
    certificate: Certificate


class Stage:
    """Tokens in SoftHSM, with a configuration in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._module = next((path for path in modules.SOFTHSM_PATHS if Path(path).is_file()), None)
        if self._module is None:
            msg = "the demo needs SoftHSM, which is not installed"
            raise ModuleLoadError(msg, hint="apt install softhsm2")
        (folder / "tokens").mkdir()
        configuration = folder / "softhsm2.conf"
        text = f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
        configuration.write_text(text)
        os.environ["SOFTHSM2_CONF"] = str(configuration)
        self.prompter = KnownPin()
        self.ca = CertificationAuthority()

    def search(self, token: str | None = None) -> Search:
        """All tokens of the demo, or the one that is named."""
        return Search(token, self._module, before_load=guard)

    def person(self, name: str, address: str, key_type: KeyType) -> Person:
        """A new token, a key on it, a request that the key signed, and the certificate beside it."""
        from smime_agent.certificates.request import Subject, certification_request
        from smime_agent.tokens.provision import generate_key, store_certificate
        from smime_agent.x509 import Certificate

        token = self._new_token(name.lower())
        with TokenSession(token, self.prompter, writable=True) as session:
            session.login("for the demo")
            key = generate_key(session, key_type, KeyUsage.BOTH, None, "mail")
            request = certification_request(session, key, Subject((address,), name))
            certificate = Certificate(self.ca.issue(request))
            store_certificate(session, certificate, None)
        return Person(name, address, token, certificate)

    def _new_token(self, label: str) -> Token:
        from smime_agent.tokens.provision import init_token, set_user_pin

        blank = next(token for token in self.search().tokens(uninitialized=True) if not token.info.initialized)
        so_pin = secrets.token_hex(4).encode()
        init_token(blank, label, Pin(so_pin))
        token = self.search(label).one()
        with TokenSession(token, self.prompter, writable=True) as session:
            set_user_pin(session, Pin(so_pin), Pin(self.prompter.octets))
        return token.refreshed()


class CertificationAuthority:
    """A CA that lives for a day."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._key = ec.generate_private_key(ec.SECP256R1())
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smime-agent demo CA")])
        self._root = self._sign(self._builder(self._name, self._key.public_key(), ca=True))

    @property
    def pem(self) -> bytes:
        """The root certificate."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self._root.public_bytes(Encoding.PEM)

    def issue(self, request: bytes) -> bytes:
        """A DER certificate for a PEM request, whose signature is checked."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        asked = x509.load_pem_x509_csr(request)
        if not asked.is_signature_valid:
            msg = "the request is not signed by its key"
            raise FileError(msg)
        builder = self._builder(asked.subject, asked.public_key(), ca=False)
        for extension in asked.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return self._sign(builder).public_bytes(Encoding.DER)

    def _builder(self, subject: x509.Name, key: object, *, ca: bool) -> x509.CertificateBuilder:
        from cryptography import x509

        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=key)  # type: ignore[arg-type]  # any public key
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        from cryptography.hazmat.primitives import hashes

        return builder.sign(self._key, hashes.SHA256())
