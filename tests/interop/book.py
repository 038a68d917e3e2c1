"""The fifth judge: the standards, read once more. asn1crypto takes the CMS apart, cryptography does the mathematics.

It is stricter than the strangers are, has an opinion on Ed25519, and is fast enough for hundreds of examples.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from tests.interop.extractor import open_up, take_apart
from tests.interop.judges import Judge, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.ca import Authority

_CONSTRUCTED, _SET, _SHORT_FORM = 0x20, 0x31, 0x80
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@dataclass(frozen=True)
class Book(Judge):
    """RFC 5652 with RFC 8551, 5754, 4056, 8419, 5035 and 6211, as far as our signatures go."""

    root: x509.Certificate
    name = "the book"

    @classmethod
    def at_home(cls, home: Path, root_ca: Authority) -> Book:  # noqa: ARG003 - it needs none
        """The same book anywhere."""
        return cls(root_ca.certificate)

    def close(self) -> None:
        """It left nothing."""

    def verify_clear(self, mail: bytes) -> bytes:
        """The first part, after a look at everything in the signature."""
        parts = take_apart(mail)
        signed_data = _signed_data(parts.signature)
        require(signed_data["encap_content_info"]["content"].native is None, "a detached signature holds a content")
        self._check(signed_data, parts.content)
        return parts.content

    def verify_opaque(self, mail: bytes) -> bytes:
        """The content inside, after the same look."""
        signed_data = _signed_data(open_up(mail))
        content = signed_data["encap_content_info"]["content"].native
        require(isinstance(content, bytes), "there is no content inside")
        self._check(signed_data, content)
        return cast("bytes", content)

    def _check(self, signed_data: Any, content: bytes) -> None:  # noqa: ANN401 - asn1crypto has no types
        require(len(signed_data["signer_infos"]) == 1, "not one SignerInfo")
        signer = signed_data["signer_infos"][0]
        certificates = [x509.load_der_x509_certificate(each.dump()) for each in signed_data["certificates"]]
        certificate = _signers_certificate(signer, certificates)
        _check_versions(signed_data, signer)
        _check_attributes(signer, certificate, content)
        check_signature(signer, certificate)
        self._check_chain(certificate, certificates)

    def _check_chain(self, certificate: x509.Certificate, others: Iterable[x509.Certificate]) -> None:
        """From the signer to the root in as many steps as there are names: what the mail brought must do."""
        pool = [*others, self.root]
        now = datetime.now(UTC)
        for _ in range(len(pool)):
            require(certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc, "not valid now")
            if certificate == self.root:
                return
            issuers = [each for each in pool if _is_issued_by(certificate, each)]
            require(bool(issuers), f"nobody here issued {certificate.subject.rfc4514_string()}")
            certificate = issuers[0]
        raise Refused("the chain does not end at the root")


def require(holds: bool, text: str) -> None:  # noqa: FBT001 - a condition
    """Refuse unless it holds."""
    if not holds:
        raise Refused(text)


def _signed_data(encoded: bytes) -> Any:  # noqa: ANN401 - asn1crypto has no types
    try:
        info = cms.ContentInfo.load(encoded, strict=True)
        require(info["content_type"].native == "signed_data", "not SignedData")
        _elements(encoded)
    except (ValueError, TypeError, KeyError) as error:
        raise Refused(f"not CMS: {error}") from error
    return info["content"]


def _elements(encoded: bytes) -> list[bytes]:
    """The values that stand one after another, each in DER all through: X.690, 10.1 and 11.6."""
    elements = []
    while encoded:
        number = encoded[1] & 0x7F if encoded[1] & 0x80 else 0
        length = int.from_bytes(encoded[2 : 2 + number], "big") if number else encoded[1]
        start, end = 2 + number, 2 + number + length
        require(number == len(_minimal(length)), "a length is not in DER")
        if encoded[0] & _CONSTRUCTED:
            inner = _elements(encoded[start:end])
            require(encoded[0] != _SET or inner == sorted(inner), "a SET OF is not sorted")
        elements.append(encoded[:end])
        encoded = encoded[end:]
    return elements


def _minimal(length: int) -> bytes:
    return b"" if length < _SHORT_FORM else length.to_bytes((length.bit_length() + 7) // 8, "big")


def _check_versions(signed_data: Any, signer: Any) -> None:  # noqa: ANN401 - asn1crypto has no types
    """RFC 5652, 5.1 and 5.3: 1 where the signer is named by issuer and serial number, and the content is id-data."""
    require(signed_data["encap_content_info"]["content_type"].native == "data", "the content is not id-data")
    require(signer["sid"].name == "issuer_and_serial_number", "the signer has another name")
    require((signed_data["version"].native, signer["version"].native) == ("v1", "v1"), "not version 1")
    named = [each.dump() for each in signed_data["digest_algorithms"]]
    require(named == [signer["digest_algorithm"].dump()], "digestAlgorithms are not the signer's")
    # RFC 5754, 2: absent parameters are what a sender should write.
    require(b"\x05\x00" not in named[0], "a digest algorithm has parameters")
    require(signer["unsigned_attrs"].native is None, "there are unsigned attributes")


def _signers_certificate(signer: Any, certificates: Iterable[x509.Certificate]) -> x509.Certificate:  # noqa: ANN401 - asn1crypto has no types
    sid = signer["sid"].chosen
    for certificate in certificates:
        same_issuer = certificate.issuer.public_bytes() == sid["issuer"].dump()
        if same_issuer and certificate.serial_number == sid["serial_number"].native:
            return certificate
    raise Refused("the signer's certificate is not there")


def _check_attributes(signer: Any, certificate: x509.Certificate, content: bytes) -> None:  # noqa: ANN401 - asn1crypto has no types
    attributes = single_values(signer)
    digest = signer["digest_algorithm"]["algorithm"].native
    require(attributes["content_type"].native == "data", "contentType is not the content's")
    require(attributes["message_digest"].native == hashlib.new(digest, content).digest(), "messageDigest differs")
    require("signing_time" in attributes, "no signingTime")
    # RFC 5035, 3: SHA-256 is the default, and the first certificate is the signer's.
    require(isinstance(attributes["signing_certificate_v2"], tsp.SigningCertificateV2), "no signingCertificateV2")
    first = attributes["signing_certificate_v2"]["certs"][0]
    require(first["cert_hash"].native == certificate.fingerprint(hashes.SHA256()), "another signingCertificateV2")
    require(first["issuer_serial"]["serial_number"].native == certificate.serial_number, "another issuerSerial")
    # RFC 6211, 2: what is named inside is what is used outside.
    protection = attributes["cms_algorithm_protection"]
    require(protection["digest_algorithm"].dump() == signer["digest_algorithm"].dump(), "another digest is protected")
    inside = protection["signature_algorithm"].untag().dump()
    require(inside == signer["signature_algorithm"].dump(), "another signature algorithm is protected")


def single_values(signer: Any) -> dict[str, Any]:  # noqa: ANN401 - asn1crypto has no types
    """Each signed attribute, of which there must be one with one value (RFC 5652, 11), by its name."""
    attributes = signer["signed_attrs"]
    encoded = [attribute.dump() for attribute in attributes]
    require(encoded == sorted(encoded), "the signed attributes are not sorted")
    names = [attribute["type"].native for attribute in attributes]
    require(len(names) == len(set(names)), "an attribute occurs twice")
    require(all(len(attribute["values"]) == 1 for attribute in attributes), "an attribute has not one value")
    return {attribute["type"].native: attribute["values"][0] for attribute in attributes}


def check_signature(signer: Any, certificate: x509.Certificate) -> None:  # noqa: ANN401 - asn1crypto has no types
    """The signature over the attributes as a SET OF (RFC 5652, 5.4).

    Raises:
        Refused: it is not good, or the algorithms do not go together.
    """
    key = certificate.public_key()
    signed = b"\x31" + signer["signed_attrs"].dump()[1:]
    signature = signer["signature"].native
    digest = signer["digest_algorithm"]["algorithm"].native
    algorithm = signer["signature_algorithm"]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, _rsa_padding(algorithm, digest), _HASHES[digest])
        elif isinstance(key, ec.EllipticCurvePublicKey):
            require(algorithm["algorithm"].native == f"{digest}_ecdsa", "not ECDSA with this digest")
            require(_has_no_parameters(algorithm), "ECDSA with parameters")
            key.verify(signature, signed, ec.ECDSA(_HASHES[digest]))
        else:
            # RFC 8419, 3.1: no parameters, SHA-512 for the content, and the attributes go into EdDSA whole.
            require(isinstance(key, ed25519.Ed25519PublicKey), "a key of another kind")
            require((algorithm["algorithm"].native, digest) == ("ed25519", "sha512"), "not Ed25519 with SHA-512")
            require(_has_no_parameters(algorithm), "Ed25519 with parameters")
            cast("ed25519.Ed25519PublicKey", key).verify(signature, signed)
    except InvalidSignature as error:
        raise Refused("the signature is not good") from error


def _has_no_parameters(algorithm: Any) -> bool:  # noqa: ANN401 - asn1crypto has no types
    encoded, identifier = cast("tuple[bytes, bytes]", (algorithm.dump(), algorithm["algorithm"].dump()))
    return encoded == b"\x30" + encoded[1:2] + identifier


def _rsa_padding(algorithm: Any, digest: str) -> padding.AsymmetricPadding:  # noqa: ANN401 - asn1crypto has no types
    if algorithm["algorithm"].native == "rsassa_pkcs1v15":
        return padding.PKCS1v15()
    require(algorithm["algorithm"].native == "rsassa_pss", "an RSA key with another algorithm")
    # RFC 4056, 2.2: one digest for everything, and a salt as long.
    given = algorithm["parameters"]
    mask = given["mask_gen_algorithm"]
    named = {
        given["hash_algorithm"]["algorithm"].native,
        mask["parameters"]["algorithm"].native,
        digest,
    }
    require(named == {digest}, "PSS with several digests")
    require(mask["algorithm"].native == "mgf1", "PSS without MGF1")
    size = _HASHES[digest].digest_size
    require((given["salt_length"].native, given["trailer_field"].native) == (size, "trailer_field_bc"), "another salt")
    return padding.PSS(padding.MGF1(_HASHES[digest]), size)


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
