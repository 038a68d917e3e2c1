"""What OpenSSL signs, in all the forms it has for it, and what others have signed."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smime_agent.accepted import HashFunction, SignatureFamily
from smime_agent.cms import SignedData, check_signature, digest_content, oids
from smime_agent.cms.public_key import public_key
from smime_agent.cms.signature_algorithm import SignatureAlgorithm
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError
from smime_agent.x509 import Certificate, certificate_of, load_certificates

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.cms import CheckedSignature
    from tests.support.ca import Authority

CONTENT = b"Content-Type: text/plain\r\n\r\n" + b"Hello, Bob.\r\n" * 2_000

interop = pytest.mark.interop


@dataclass(frozen=True)
class Signer:
    """Files of a signer, for the command line of OpenSSL."""

    folder: Path
    name: str

    @property
    def arguments(self) -> list[str]:
        return ["-signer", f"{self.name}.pem", "-inkey", f"{self.name}.key"]

    def sign(self, *options: str) -> bytes:
        """A SignedData in DER (or, with -stream, in BER)."""
        command = ["openssl", "cms", "-sign", "-binary", "-in", "content", "-outform", "DER", *self.arguments, *options]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory, issuing_ca: Authority) -> dict[str, Signer]:
    folder = tmp_path_factory.mktemp("openssl")
    (folder / "content").write_bytes(CONTENT)
    (folder / "ca.pem").write_bytes(issuing_ca.pem)
    keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {
        "rsa": rsa.generate_private_key(65537, 2048),
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "brainpool": ec.generate_private_key(ec.BrainpoolP384R1()),
    }
    for name, key in keys.items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(pem)
        (folder / f"{name}.pem").write_bytes(issuing_ca.issue(key.public_key()).public_bytes(Encoding.PEM))
    return {name: Signer(folder, name) for name in keys}


def checked(octets: bytes, content: bytes = CONTENT, known: list[Certificate] | None = None) -> list[CheckedSignature]:
    """All signers; what is attached must be the content."""
    signed_data = SignedData.read(Source.from_bytes(octets))
    if signed_data.content is not None:
        assert b"".join(signed_data.content.chunks()) == content
    digests = digest_content([content], [one.digest_algorithm for one in signed_data.signer_infos])
    found = []
    for signer in signed_data.signer_infos:
        certificates = [certificate_of(one) for one in signed_data.certificates_for(signer.sid)]
        certificates = certificates or [one for one in known or [] if signer.sid.names(one)]
        found.append(check_signature(signed_data, signer, digests, certificates[0], content=lambda: content))
    return found


@interop
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-nodetach"],
        ["-nodetach", "-stream"],
        ["-stream"],
        ["-keyid"],
        ["-noattr"],
        ["-noattr", "-nodetach", "-stream"],
        ["-nosmimecap"],
        ["-cades"],
        ["-certfile", "ca.pem"],
        ["-md", "sha1"],
        ["-md", "sha224"],
        ["-md", "sha512"],
        ["-md", "sha3-256"],
        ["-keyopt", "rsa_padding_mode:pss"],
        ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:0"],
        ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:max", "-md", "sha512"],
        ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha512"],
        ["-keyopt", "rsa_padding_mode:pss", "-noattr", "-keyid"],
        ["-receipt_request_to", "bob@example.org", "-receipt_request_all"],
    ],
    ids=" ".join,
)
def test_rsa(signers: dict[str, Signer], options: list[str]) -> None:
    (one,) = checked(signers["rsa"].sign(*options))
    assert one.algorithm.startswith("RSASSA-PSS" if "rsa_padding_mode:pss" in options else "RSASSA-PKCS1-v1_5")
    assert (one.claimed_at is None) is ("-noattr" in options)
    assert [reason.code for reason in one.weaknesses] == ([Code.WEAK_DIGEST] if "sha1" in options else [])
    assert one.receipt_request is ("-receipt_request_all" in options)
    assert one.unknown == ()


@interop
@pytest.mark.parametrize("options", [[], ["-nodetach", "-stream"], ["-noattr"], ["-md", "sha384"]])
@pytest.mark.parametrize("name", ["p256", "p521", "brainpool"])
def test_ecdsa(signers: dict[str, Signer], name: str, options: list[str]) -> None:
    (one,) = checked(signers[name].sign(*options))
    assert one.algorithm.startswith("ECDSA with SHA")


@interop
def test_several_signers(signers: dict[str, Signer]) -> None:
    octets = signers["rsa"].sign("-nodetach", *signers["p256"].arguments, *signers["brainpool"].arguments)
    assert len(checked(octets)) == 3


@interop
def test_another_content_is_told(signers: dict[str, Signer]) -> None:
    for options, code in (([], Code.DIGEST_MISMATCH), (["-noattr"], Code.SIGNATURE_MISMATCH)):
        with pytest.raises(UntrustworthyError) as caught:
            checked(signers["rsa"].sign(*options), CONTENT + b"!")
        assert caught.value.reason.code is code


@interop
def test_another_type_of_content(signers: dict[str, Signer]) -> None:
    (one,) = checked(signers["p256"].sign("-nodetach", "-econtent_type", "1.2.3.4"))
    assert one.digest == "SHA-256"


# --- what others have signed ---


@pytest.mark.parametrize(
    "name",
    [
        "signedByAliceRSA",
        "signedByAliceRSAPSS",
        "signedByCarlosEd25519",
        "signedByCarlosDetached",
        "signedByAliceAndCarlosNoCerts",
    ],
)
def test_objects_on_the_keys_of_rfc_9216(vectors: Path, name: str) -> None:
    folder = vectors / "rfc9216"
    known = [one for path in sorted(folder.glob("*Certificate.pem")) for one in load_certificates(path.read_bytes())]
    octets = (vectors / "cms-on-rfc9216" / f"{name}.p7m").read_bytes()
    found = checked(octets, b"This is some sample content.", known)
    assert len(found) == (2 if "And" in name else 1)
    assert not any(one.weaknesses for one in found)


@pytest.mark.parametrize("section", ["4.1", "4.2", "4.3", "4.4", "4.5", "4.7", "4.10"])
def test_examples_of_rfc_4134(vectors: Path, section: str) -> None:
    content = (vectors / "rfc4134" / "ExContent.bin").read_bytes()
    found = checked((vectors / "rfc4134" / f"{section}.bin").read_bytes(), content)
    assert {reason.code for one in found for reason in one.weaknesses} >= {Code.WEAK_DIGEST}
    assert sum(one.countersignatures for one in found) == (1 if section == "4.4" else 0)


def test_inherited_dsa_parameters_are_not_supported(vectors: Path) -> None:
    signed_data = SignedData.read(Source.from_bytes((vectors / "rfc4134" / "4.6.bin").read_bytes()))
    assert signed_data.content is not None
    digests = digest_content(signed_data.content.chunks(), signed_data.digest_algorithms)
    outcomes = []
    for signer in signed_data.signer_infos:
        (encoded,) = signed_data.certificates_for(signer.sid)
        try:
            outcomes.append(check_signature(signed_data, signer, digests, certificate_of(encoded)).algorithm)
        except UntrustworthyError as error:
            outcomes.append(error.reason.code)
    assert outcomes == ["DSA with SHA-1", Code.UNSUPPORTED_ALGORITHM]


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        (
            "rsa_pss_2048_sha256_mgf1_32_test",
            SignatureAlgorithm(SignatureFamily.RSASSA_PSS, HashFunction.SHA256, HashFunction.SHA256, 32),
        ),
        ("ed25519_test", SignatureAlgorithm(SignatureFamily.ED25519, None)),
    ],
)
def test_wycheproof(vectors: Path, name: str, algorithm: SignatureAlgorithm) -> None:
    groups = json.loads((vectors / "wycheproof" / f"{name}.json").read_text())["testGroups"]
    wrong = []
    for group in groups:
        key = public_key(bytes.fromhex(group.get("publicKeyDer") or group["publicKeyAsn"]))
        for test in group["tests"]:
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            signed = message if algorithm.family.is_pure else HashFunction.SHA256.of(message)
            try:
                key.verify(algorithm, signature, [signed])
                valid = True
            except UntrustworthyError:
                valid = False
            if test["result"] != "acceptable" and valid is not (test["result"] == "valid"):
                wrong.append(test["tcId"])
    assert groups
    assert not wrong


def test_object_identifiers_are_those_of_rfc_5652() -> None:
    assert (oids.ID_DATA, oids.ID_SIGNED_DATA) == ("1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2")
