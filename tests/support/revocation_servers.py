"""Servers of CRLs and OCSP responses on 127.0.0.1: well-behaved ones, and ones that misbehave in each known way."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

    from tests.support.ca import Authority

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Request:
    """What a server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Connection:
    """How a server answers: octets as they are; ``is_over`` when the test ends."""

    stream: socket.socket
    is_over: threading.Event

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self.stream.sendall(octets)


Behaviour = Callable[[Request, Connection], None]


def response(body: bytes, status: int = 200, **headers: str) -> bytes:
    """A whole HTTP response; an underscore in the name of a header stands for a hyphen."""
    fields = {"Content-Length": str(len(body)), "Connection": "close", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode() + body


def sends(body: bytes, status: int = 200, **headers: str) -> Behaviour:
    """Answers with a body."""
    return lambda _, connection: connection.send(response(body, status, **headers))


def redirects(location: str, status: int = 302) -> Behaviour:
    """Answers that it is elsewhere."""
    return sends(b"", status, Location=location)


def hangs(_: Request, connection: Connection) -> None:
    """Takes the connection and says nothing."""
    connection.is_over.wait()


def drips(body: bytes, seconds: float) -> Behaviour:
    """Sends one octet at a time."""

    def behave(_: Request, connection: Connection) -> None:
        for octet in response(body):
            connection.send(bytes((octet,)))
            if connection.is_over.wait(seconds):
                return

    return behave


def never_ends(_: Request, connection: Connection) -> None:
    """Sends a body without end."""
    connection.send(b"HTTP/1.1 200 Whatever\r\nConnection: close\r\n\r\n")
    while not connection.is_over.is_set():
        connection.send(bytes(1 << 16))


@dataclass
class WebServer:
    """An HTTP server of our own, which does what a test says for each path, and remembers what it was asked.

    With ``tls`` it is one of HTTPS.
    """

    tls: ssl.SSLContext | None = None
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._streams: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for stream in (self._listening, *self._streams):
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listening.close()

    def url(self, path: str = "/") -> str:
        """The URL of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def serve(self, path: str, behaviour: Behaviour) -> str:
        """Behave like that for a path, whose URL it gives."""
        self.behaviours[path] = behaviour
        return self.url(path)

    def asked(self, path: str) -> int:
        """How often it was asked for a path."""
        return sum(request.path == path for request in self.requests)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            try:
                stream, _ = self._listening.accept()
            except OSError:
                return
            self._streams.append(stream)
            self._start(self._talk, stream)

    def _talk(self, stream: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            stack.enter_context(stream)
            if self.tls:
                stream = stack.enter_context(self.tls.wrap_socket(stream, server_side=True))
            request = _read_request(stream)
            if request is not None:
                self.requests.append(request)
                behave = self.behaviours.get(request.path, sends(b"no such path", 404))
                behave(request, Connection(stream, self._is_over))


def _read_request(stream: socket.socket) -> Request | None:
    received = b""
    while b"\r\n\r\n" not in received:
        octets = stream.recv(1 << 16)
        if not octets:
            return None
        received += octets
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += stream.recv(1 << 16)
    method, path, _ = first.split(" ", 2)
    return Request(method, path, headers, body)


def unused_port() -> int:
    """A port that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def crl_pointer(*urls: str, issuer: x509.Name | None = None) -> tuple[x509.ExtensionType, bool]:
    """A cRLDistributionPoints extension for ``Wanted.extra``: one point with all of the URLs."""
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    signer = [x509.DirectoryName(issuer)] if issuer else None
    return x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, signer)]), False


def responder_pointer(*urls: str) -> tuple[x509.ExtensionType, bool]:
    """An authorityInfoAccess extension for ``Wanted.extra``."""
    oid = AuthorityInformationAccessOID.OCSP
    places = [x509.AccessDescription(oid, x509.UniformResourceIdentifier(url)) for url in urls]
    return x509.AuthorityInformationAccess(places), False


def crl(  # noqa: PLR0913 - each is one thing that can be wrong with a CRL
    authority: Authority,
    revoked: Iterable[int] = (),
    *,
    this_update: timedelta = -HOUR,
    next_update: timedelta = 24 * HOUR,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    delta_of: int | None = None,
    deltas_at: str | None = None,
    scope: x509.IssuingDistributionPoint | None = None,
) -> bytes:
    """A DER CRL; times count from now, ``key`` signs instead of the authority's.

    ``delta_of`` makes it a delta CRL to that number; ``deltas_at`` is the URL where it says that its delta CRL is,
    ``scope`` what it says that it is about.
    """
    now = datetime.now(UTC)
    entries = [
        x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - HOUR).build() for serial in revoked
    ]
    builder = x509.CertificateRevocationListBuilder(
        authority.subject, now + this_update, now + next_update, [], entries
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    builder = builder.add_extension(x509.CRLNumber(7 if delta_of is None else delta_of + 1), critical=False)
    if delta_of is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(delta_of), critical=True)
    if deltas_at is not None:
        names = [x509.UniformResourceIdentifier(deltas_at)]
        builder = builder.add_extension(
            x509.FreshestCRL([x509.DistributionPoint(names, None, None, None)]), critical=False
        )
    if scope is not None:
        builder = builder.add_extension(scope, critical=True)
    return builder.sign(key or authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass(frozen=True)
class Responder:
    """An OCSP responder made by hand: what ``openssl ocsp`` cannot be made to say, this one says.

    ``authority`` issued the certificates; ``signer`` signs with ``key``, the authority itself where there is none, and
    its certificate is sent along.
    """

    authority: Authority
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    this_update: timedelta = -HOUR
    next_update: timedelta | None = 24 * HOUR
    signer: x509.Certificate | None = None
    key: CertificateIssuerPrivateKeyTypes | None = None

    def answer(self, certificate: x509.Certificate) -> bytes:
        """The DER response about a certificate."""
        now = datetime.now(UTC)
        is_revoked = self.status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            certificate,
            self.authority.certificate,
            hashes.SHA1(),  # noqa: S303 - a CertID is in SHA-1
            self.status,
            now + self.this_update,
            None if self.next_update is None else now + self.next_update,
            now - HOUR if is_revoked else None,
            x509.ReasonFlags.key_compromise if is_revoked else None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, self.signer or self.authority.certificate)
        if self.signer:
            builder = builder.certificates([self.signer])
        signed = builder.sign(self.key or self.authority.key, hashes.SHA256())
        return signed.public_bytes(Encoding.DER)

    def behaviour(self, *certificates: x509.Certificate) -> Behaviour:
        """Answers about these certificates, whichever the request is about; the first where it is about none."""

        def behave(request: Request, connection: Connection) -> None:
            serial = ocsp.load_der_ocsp_request(request.body).serial_number
            wanted = next((found for found in certificates if found.serial_number == serial), certificates[0])
            connection.send(response(self.answer(wanted), Content_Type="application/ocsp-response"))

        return behave


@dataclass
class OpensslResponder:
    """The responder of ``openssl ocsp``, which knows what is in its index: serial numbers, good and revoked."""

    folder: Path
    authority: Authority
    good: Sequence[int] = ()
    revoked: Sequence[int] = ()
    port: int = field(default_factory=unused_port)

    def __enter__(self) -> Self:
        key = self.authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "ca.pem").write_bytes(self.authority.pem)
        (self.folder / "key.pem").write_bytes(key)
        lines = [f"V\t400101000000Z\t\t{_hexadecimal(serial)}\tunknown\t/CN=x\n" for serial in self.good]
        lines += [
            f"R\t400101000000Z\t250101000000Z\t{_hexadecimal(serial)}\tunknown\t/CN=x\n" for serial in self.revoked
        ]
        (self.folder / "index.txt").write_text("".join(lines), encoding="ascii")
        files = ["-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "key.pem"]
        self._process = subprocess.Popen(
            ["openssl", "ocsp", *files, "-ndays", "1", "-port", str(self.port)],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output = self._process.stdout
        # A connection that only tries whether it listens would make it deaf.
        if output is None or not any(line.startswith(b"ACCEPT") for line in output):
            raise RuntimeError("openssl ocsp did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/"


def _hexadecimal(serial: int) -> str:
    digits = f"{serial:X}"
    return digits.rjust(len(digits) + len(digits) % 2, "0")
