"""A second oracle: the PKCS #7 code of ``cryptography``, with the same key on the same token, builds the same object.

Both are taken apart, and whatever differs must be in the list of what we do otherwise on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from smime_agent.algorithms import Digest, KeyType, Padding
from smime_agent.api.signing import Format, SignOptions, sign
from smime_agent.tokens.private_key import private_key
from tests.interop.book import check_signature, single_values
from tests.interop.corpus import HELLO
from tests.interop.judges import Case, Form

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from smime_agent.tokens.signer import TokenSigner
    from tests.interop.conftest import Bench

pytestmark = pytest.mark.interop

# Each is a difference of ours from cryptography 50, with its reason.
ON_PURPOSE: Final = {
    "digestAlgorithms": "parameters absent, as RFC 5754, 2 wants them written; there they are NULL",
    "digestAlgorithm": "the same, in the SignerInfo",
    "attribute smime_capabilities": "AES-GCM first, and no AES-192 (RFC 8551, 2.5.2 and 2.7); there AES-CBC alone",
    "attribute signing_certificate_v2": "binds the certificate to the signature (RFC 5035, 4); there none",
    "attribute cms_algorithm_protection": "binds the algorithms to it (RFC 6211, 2); there none",
}

_HASHES: dict[Digest, pkcs7.PKCS7HashTypes] = {
    Digest.SHA256: hashes.SHA256(),
    Digest.SHA384: hashes.SHA384(),
    Digest.SHA512: hashes.SHA512(),
}


def cases() -> Iterator[Case]:
    """What ``cryptography`` signs PKCS #7 with: RSA and ECDSA."""
    yield from (Case(KeyType.RSA_2048, digest, padding) for padding in Padding for digest in Digest)
    yield from (Case(key_type) for key_type in (KeyType.EC_P256, KeyType.EC_P384, KeyType.EC_P521))


every_case = pytest.mark.parametrize("case", list(cases()), ids=str)


def theirs(bench: Bench, case: Case, form: Form) -> bytes:
    """The object as ``cryptography`` builds it."""
    login = bench.login(case.key_type)
    signer = login.signer(SignOptions(digest=case.digest, padding=case.padding))
    key = cast("pkcs7.PKCS7PrivateKeyTypes", private_key(login.session, signer.key.key))
    hash_type = _HASHES[case.scheme.digest]
    pss = padding.PSS(padding.MGF1(hash_type), hash_type.digest_size) if case.padding is Padding.PSS else None
    builder = pkcs7.PKCS7SignatureBuilder().set_data(HELLO)
    builder = builder.add_signer(_certificate(signer), key, hash_type, rsa_padding=pss)
    for certificate in signer.identity.chain:
        builder = builder.add_certificate(x509.load_der_x509_certificate(certificate.encoded))
    options = [pkcs7.PKCS7Options.Binary]
    return builder.sign(Encoding.DER, options + [pkcs7.PKCS7Options.DetachedSignature] * (form is Form.CLEAR))


def ours(bench: Bench, case: Case, form: Form, at: datetime) -> bytes:
    """The object as we build it, at the same time."""
    options = SignOptions(Format.DER, opaque=form is Form.OPAQUE, digest=case.digest, padding=case.padding)
    return bytes(sign(HELLO, bench.login(case.key_type), options, at=at))


def _certificate(signer: TokenSigner) -> x509.Certificate:
    return x509.load_der_x509_certificate(signer.identity.certificate.encoded)


def anatomy(encoded: bytes) -> dict[str, bytes | None]:
    """Each piece of a SignedData with one signer, in DER, by its name in RFC 5652; all but the signature."""
    signed_data = signed_data_of(encoded)
    signer = signed_data["signer_infos"][0]
    content = signed_data["encap_content_info"]
    return {
        "version": signed_data["version"].dump(),
        "digestAlgorithms": signed_data["digest_algorithms"].dump(),
        "eContentType": content["content_type"].dump(),
        "eContent": content["content"].native,
        "certificates": signed_data["certificates"].dump(),
        "crls": signed_data["crls"].dump(),
        "number of signers": bytes([len(signed_data["signer_infos"])]),
        "SignerInfo version": signer["version"].dump(),
        "sid": signer["sid"].dump(),
        "digestAlgorithm": signer["digest_algorithm"].dump(),
        "signatureAlgorithm": signer["signature_algorithm"].dump(),
        "unsignedAttrs": signer["unsigned_attrs"].dump(),
    } | {f"attribute {name}": value.dump() for name, value in single_values(signer).items()}


def signed_data_of(encoded: bytes) -> Any:  # noqa: ANN401 - asn1crypto has no types
    return cms.ContentInfo.load(encoded, strict=True)["content"]


@every_case
def test_the_structure_is_the_same_but_for_what_we_do_on_purpose(case: Case, form: Form, bench: Bench) -> None:
    expected = theirs(bench, case, form)
    at = single_values(signed_data_of(expected)["signer_infos"][0])["signing_time"].native
    one, other = anatomy(ours(bench, case, form, at)), anatomy(expected)
    assert {name for name in one | other if one.get(name) != other.get(name)} == set(ON_PURPOSE)


@every_case
def test_only_the_parameters_of_the_digest_differ(case: Case, bench: Bench) -> None:
    one, other = (signed_data_of(each) for each in _both(bench, case))
    pairs = [
        (one["digest_algorithms"][0], other["digest_algorithms"][0]),
        (one["signer_infos"][0]["digest_algorithm"], other["signer_infos"][0]["digest_algorithm"]),
    ]
    for mine, his in pairs:
        assert mine.dump() == case.scheme.digest.algorithm_identifier
        assert his.dump() == case.scheme.digest.algorithm_identifier_with_null


@every_case
def test_the_attributes_that_only_we_write(case: Case, bench: Bench) -> None:
    one, other = (single_values(signed_data_of(each)["signer_infos"][0]) for each in _both(bench, case))
    assert set(one) - set(other) == {"signing_certificate_v2", "cms_algorithm_protection"}
    assert set(other) - set(one) == set()


@every_case
def test_both_signatures_are_good(case: Case, bench: Bench) -> None:
    """So the key on the token does in another's hands what it does in ours."""
    certificate = _certificate(bench.login(case.key_type).signer())
    for encoded in _both(bench, case):
        check_signature(signed_data_of(encoded)["signer_infos"][0], certificate)


def _both(bench: Bench, case: Case) -> tuple[bytes, bytes]:
    expected = theirs(bench, case, Form.CLEAR)
    at = single_values(signed_data_of(expected)["signer_infos"][0])["signing_time"].native
    return ours(bench, case, Form.CLEAR, at), expected
