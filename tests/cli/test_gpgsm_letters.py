"""The letter that real git shows of a signature, for each thing that can be wrong with it."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.ca import Authority, Wanted
from tests.support.git import Repository, stranger
from tests.support.pki import DAY, Party, usage
from tests.support.revocation_servers import WebServer, crl, crl_pointer, sends

if TYPE_CHECKING:
    from pathlib import Path

EXPIRED = Wanted(not_before=-5, not_after=-1)


@dataclass
class Workshop:
    """A repository whose owner trusts one CA, and people who sign in it with keys in files."""

    repository: Repository
    authority: Authority

    def commit(self, wanted: Wanted = Wanted(), authority: Authority | None = None, **how: Any) -> str:  # noqa: ANN401, B008 - options of a stranger; frozen
        """A commit by somebody with such a certificate; its name is returned."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (authority or self.authority).issue(key.public_key(), wanted)
        folder = self.repository.folder / f"person-{certificate.serial_number}"
        return self.repository.commit(program=stranger(folder, certificate, key, **how))

    def status(self) -> list[str]:
        """The keywords of the status lines, with the code of the trust."""
        lines = [line.split(" ") for line in self.repository.status()]
        return [" ".join(line[:2]) if line[0].startswith("TRUST_") else line[0] for line in lines]

    def said(self) -> str:
        """What a person reads."""
        return self.repository.git("verify-commit", "HEAD", ok=False).err


@pytest.fixture
def workshop(tmp_path: Path, root_ca: Authority, issuing_ca: Authority) -> Workshop:
    """One who trusts the root."""
    return Workshop(Repository(tmp_path, anchors=(root_ca, issuing_ca)), issuing_ca)


def test_trusted_is_g(workshop: Workshop) -> None:
    workshop.commit()
    assert workshop.repository.letter() == "G"
    assert workshop.repository.git("verify-commit", "HEAD").code == 0


def test_an_unknown_ca_is_u(workshop: Workshop) -> None:
    workshop.commit(authority=Authority("Unknown CA"))
    assert workshop.repository.letter() == "U"
    assert workshop.status() == ["NEWSIG", "GOODSIG", "VALIDSIG", "TRUST_UNDEFINED 98"]
    assert "somebody who is not trusted" in workshop.said()


def test_who_is_not_trusted_is_not_verified(workshop: Workshop) -> None:
    workshop.commit(authority=Authority("Unknown CA"))
    assert workshop.repository.git("verify-commit", "HEAD", ok=False).code == 1


def test_expired_since_is_y(workshop: Workshop) -> None:
    workshop.commit(EXPIRED)
    assert workshop.repository.letter() == "Y"
    assert workshop.status() == ["NEWSIG", "EXPKEYSIG", "VALIDSIG", "TRUST_FULLY 0"]
    assert "nobody vouches for when it was made" in workshop.said()
    assert workshop.repository.git("verify-commit", "HEAD", ok=False).code == 1


def test_expired_and_of_an_unknown_ca_is_u_and_not_y(workshop: Workshop) -> None:
    workshop.commit(EXPIRED, Authority("Unknown CA"))
    assert workshop.repository.letter() == "U"


def test_expired_and_for_something_else_is_u_and_not_y(workshop: Workshop) -> None:
    server = ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(workshop.authority.subject, workshop.authority.subject, key.public_key())
    now = workshop.authority.issue(key.public_key(), EXPIRED)
    builder = builder.serial_number(7).not_valid_before(now.not_valid_before_utc)
    builder = builder.not_valid_after(now.not_valid_after_utc).add_extension(*server[0])
    certificate = workshop.authority.sign(builder)
    workshop.repository.commit(program=stranger(workshop.repository.folder / "server", certificate, key))
    assert workshop.repository.letter() == "U"


def test_expired_and_outside_of_every_policy_is_u_and_not_y(tmp_path: Path) -> None:
    """A path that has expired is not looked through to its end at once: what is there must be found all the same."""
    now = datetime.now(UTC)
    days: dict[str, Any] = {"not_before": now - 9 * DAY, "not_after": now + 9 * DAY}
    explicit = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None)
    root = Party("Root", **days)
    issuing = Party("Issuing", root, extra=((explicit, True),), **days)
    days["not_after"] = now - DAY
    leaf = Party("Alice", issuing, ca=None, key_usage=usage("digital_signature"), address="alice@example.org", **days)
    repository = Repository(tmp_path, anchors=(root,))
    repository.commit(program=stranger(tmp_path / "alice", leaf.x509, leaf.key, issuing.x509))
    assert repository.letter() == "U"


def test_not_yet_valid_is_u(workshop: Workshop) -> None:
    workshop.commit(Wanted(not_before=2))
    assert workshop.repository.letter() == "U"


def test_a_certificate_for_code_is_g(workshop: Workshop) -> None:
    workshop.commit(Wanted(email_protection=False))
    assert workshop.repository.letter() == "G"


def test_an_old_digest_is_u(workshop: Workshop) -> None:
    workshop.commit(digest="sha1")
    assert workshop.repository.letter() == "U"
    assert workshop.status()[-1] == "TRUST_NEVER 98"


def test_revoked_is_r_and_stays_r_without_the_net(workshop: Workshop) -> None:
    with WebServer() as server:
        commit = workshop.commit(Wanted(extra=(crl_pointer(server.url("/crl")),)))
        text = workshop.repository.git("cat-file", "commit", commit).out
        serial = _serial(text)
        server.serve("/crl", sends(crl(workshop.authority, [serial])))
        asking = workshop.repository.letter(env={"SMIME_AGENT_GIT_REVOCATION": "ask"})
    assert (asking, workshop.repository.letter()) == ("R", "R")
    assert workshop.status() == ["NEWSIG", "REVKEYSIG", "VALIDSIG", "TRUST_NEVER 94"]


def test_a_log_asks_nobody_about_revocation(workshop: Workshop) -> None:
    with WebServer() as server:
        for _ in range(3):
            workshop.commit(Wanted(extra=(crl_pointer(server.url("/crl")),)))
        assert workshop.repository.git("log", "--format=%G?").out.split() == ["G", "G", "G"]
        assert not server.requests


def test_where_an_answer_is_required_and_there_is_none_it_is_u(workshop: Workshop) -> None:
    workshop.commit(Wanted(extra=(crl_pointer("http://127.0.0.1:9/crl"),)))
    assert workshop.repository.letter(env={"SMIME_AGENT_GIT_REVOCATION": "require"}) == "U"


def test_without_the_certificate_is_e(workshop: Workshop) -> None:
    workshop.commit(options="-nocerts")
    assert workshop.repository.letter() == "E"
    [_, line] = workshop.repository.status()
    assert line == "ERRSIG 0000000000000000 0 8 00 0 9 -"


def test_a_changed_commit_is_b(workshop: Workshop) -> None:
    workshop.commit()
    changed = workshop.repository.store(workshop.repository.raw().replace(b"A change", b"A chance"))
    assert workshop.repository.letter(changed) == "B"
    assert [line.split()[0] for line in workshop.repository.status(changed)] == ["NEWSIG", "BADSIG"]


def test_what_was_signed_with_other_line_ends_is_b(workshop: Workshop) -> None:
    """``openssl cms`` signs text with CRLF line ends, unless it is told not to; a mail signed so is verified."""
    workshop.commit()
    octets = workshop.repository.raw()
    payload = _payload(octets)
    folder = next(workshop.repository.folder.glob("person-*"))
    der = subprocess.run(
        [
            "openssl",
            "cms",
            "-sign",
            "-outform",
            "DER",
            "-signer",
            folder / "certificate.pem",
            "-inkey",
            folder / "key.pem",
        ],
        input=payload,
        capture_output=True,
        check=True,
    ).stdout
    assert workshop.repository.letter(workshop.repository.store(signed(payload, pem(der)))) == "B"


def test_two_signatures_in_one_are_e(workshop: Workshop, tmp_path: Path) -> None:
    """Git takes them for a trick: one signer may be trusted, and the other have said something else."""
    key = ec.generate_private_key(ec.SECP256R1())
    mallory = Authority("Unknown CA").issue(key.public_key())
    other = stranger(tmp_path / "mallory", mallory, key).parent
    workshop.commit(options=f"-signer {other / 'certificate.pem'} -inkey {other / 'key.pem'}")
    assert workshop.repository.letter() == "E"


def test_a_signature_of_another_commit_is_b(workshop: Workshop) -> None:
    workshop.commit()
    first = workshop.repository.raw()
    workshop.commit()
    second = _payload(workshop.repository.raw())
    moved = workshop.repository.store(signed(second, _signature(first)))
    assert workshop.repository.letter(moved) == "B"


def _payload(octets: bytes) -> bytes:
    """A commit without its signature."""
    head, _, message = octets.partition(b"\n\n")
    lines = head.split(b"\n")
    start = next(place for place, line in enumerate(lines) if line.startswith(b"gpgsig "))
    return b"\n".join(lines[:start]) + b"\n\n" + message


def _signature(octets: bytes) -> bytes:
    """The signature of a commit."""
    head = octets.partition(b"\n\n")[0]
    return head.partition(b"\ngpgsig ")[2].replace(b"\n ", b"\n") + b"\n"


def signed(payload: bytes, signature: bytes) -> bytes:
    """A commit with a signature."""
    head, _, message = payload.partition(b"\n\n")
    return head + b"\ngpgsig " + signature.rstrip(b"\n").replace(b"\n", b"\n ") + b"\n\n" + message


def pem(der: bytes) -> bytes:
    """A signature as git knows it."""
    return b"-----BEGIN SIGNED MESSAGE-----\n" + base64.encodebytes(der) + b"-----END SIGNED MESSAGE-----\n"


def _serial(commit: str) -> int:
    """The serial number of the certificate in the signature of a commit."""
    der = subprocess.run(
        ["openssl", "pkcs7", "-inform", "DER", "-print_certs"],
        input=base64.b64decode(b"".join(_signature(commit.encode()).splitlines()[1:-1])),
        capture_output=True,
        check=True,
    ).stdout
    return x509.load_pem_x509_certificate(der).serial_number
