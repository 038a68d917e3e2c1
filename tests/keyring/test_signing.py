"""Which key signs, on tokens of SoftHSM."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from smime_agent.algorithms import Digest, KeyType, KeyUsage, Padding
from smime_agent.errors import AmbiguousError, CertificateNotUsableError, NoKeyError, UsageError
from smime_agent.keyring import TokenKeyring
from smime_agent.keys import KeyQuery
from smime_agent.tokens.provision import generate_key
from smime_agent.x509 import Certificate, certificate_of
from tests.support.ca import Authority, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.session import TokenSession
    from smime_agent.tokens.signer import TokenSigner
    from tests.support.softhsm import SoftHsm, SoftToken

NOW = datetime.now(UTC).replace(microsecond=0)


def der(authority: Authority, key: TokenKey, wanted: Wanted) -> bytes:
    assert key.public_key_info
    return authority.issue(load_der_public_key(key.public_key_info), wanted).public_bytes(Encoding.DER)


class Ring:
    """A token, and what its keyring answers in a login."""

    def __init__(self, token: SoftToken, authority: Authority) -> None:
        self.token, self.authority = token, authority

    def add(self, wanted: Wanted, usage: KeyUsage = KeyUsage.SIGN) -> tuple[TokenKey, Certificate]:
        """A new P-256 key with a certificate."""
        key = self.token.generate(KeyType.EC_P256, usage, wanted.name)
        return key, self.renew(key, wanted)

    def renew(self, key: TokenKey, wanted: Wanted) -> Certificate:
        """Another certificate for a key."""
        encoded = der(self.authority, key, wanted)
        self.token.store(encoded)
        return Certificate(encoded)

    def signer(self, *addresses: str, name: str | None = None, at: datetime = NOW) -> TokenSigner:
        with self.token.session() as session:
            session.login("for a test")
            return TokenKeyring(session).signer(KeyQuery(name, addresses), at=at)

    def chosen(self, *addresses: str, name: str | None = None, at: datetime = NOW) -> Certificate:
        return certificate_of(self.signer(*addresses, name=name, at=at).identity.certificate.encoded)


@pytest.fixture
def ring(softhsm: SoftHsm, issuing_ca: Authority, request: pytest.FixtureRequest) -> Ring:
    """An empty token."""
    return Ring(softhsm.new_token(f"ring {abs(hash(request.node.name)) % 10**9}"), issuing_ca)


@pytest.fixture(scope="module")
def people(softhsm: SoftHsm, issuing_ca: Authority) -> Ring:
    """Alice with a key, Bob with two, one with a strange address and one without a certificate. Tests only read it."""
    ring = Ring(softhsm.new_token("people"), issuing_ca)
    ring.add(Wanted(("alice@example.org",), "Alice"))
    ring.add(Wanted(("bob@example.org",), "Bob"))
    ring.add(Wanted(("bob@example.com",), "Bob"))
    ring.add(Wanted(("j\u00fcrgen@b\u00fccher.example",), "J\u00fcrgen"))
    ring.token.generate(KeyType.EC_P256, KeyUsage.SIGN, "bare")
    ring.token.generate(KeyType.X25519, KeyUsage.DECRYPT, "x")
    return ring


@pytest.fixture
def login(people: Ring) -> Iterator[TokenSession]:
    with people.token.session() as session:
        session.login("for a test")
        yield session


@pytest.mark.parametrize(
    ("addresses", "name"),
    [
        (["alice@example.org"], "Alice"),
        (["ALICE@EXAMPLE.ORG"], "Alice"),
        (["nobody@example.org", "alice@example.org"], "Alice"),
        (["alice@example.org", "bob@example.org"], "Alice"),
        (["bob@example.org", "alice@example.org"], "Bob"),
        (["j\u00fcrgen@b\u00fccher.example"], "J\u00fcrgen"),
        (["j\u00fcrgen@xn--bcher-kva.example"], "J\u00fcrgen"),
    ],
)
def test_the_first_sender_with_a_key_signs(people: Ring, addresses: list[str], name: str) -> None:
    assert people.chosen(*addresses).name == name


@pytest.mark.parametrize(
    ("name", "mailbox"),
    [
        ("01", "alice@example.org"),
        ("0x01", "alice@example.org"),
        ("Alice", "alice@example.org"),
        ("alice@example.org", "alice@example.org"),
        ("Alice@Example.org", "alice@example.org"),
        ("02", "bob@example.org"),
        ("bob@example.com", "bob@example.com"),
        ("J\u00fcrgen", "j\u00fcrgen@xn--bcher-kva.example"),
        ("j\u00fcrgen@b\u00fccher.example", "j\u00fcrgen@xn--bcher-kva.example"),
        ("pkcs11:id=%01", "alice@example.org"),
        ("pkcs11:object=Alice", "alice@example.org"),
        ("pkcs11:object=Alice;type=private", "alice@example.org"),
        ("PKCS11:id=%01", "alice@example.org"),
        ("pkcs11:token=people;id=%03", "bob@example.com"),
        ("pkcs11:object=Bob;id=%03", "bob@example.com"),
    ],
)
def test_a_key_can_be_named(people: Ring, name: str, mailbox: str) -> None:
    assert people.chosen("somebody@else.example", name=name).mailboxes == (mailbox,)


def test_the_uri_that_is_printed_names_the_key(people: Ring, login: TokenSession) -> None:
    key = TokenKeyring(login).key("03")
    assert people.chosen(name=str(key.uri(login.token.info.uri))).mailboxes == ("bob@example.com",)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody", "no key 'nobody' on token 'people'"),
        ("ff", "no key 'ff' on token 'people'"),
        ("nobody@example.org", "no key on token 'people' has a certificate for nobody@example.org"),
        ("pkcs11:object=alice", "no key"),
        ("pkcs11:token=other;id=%01", "no key"),
        ("pkcs11:id=%01;object=Bob", "no key"),
        ("bare", "'bare' on token 'people' has no certificate"),
        ("x", "'x' on token 'people' is not for signing"),
    ],
)
def test_a_name_that_fits_no_key_is_exit_7(people: Ring, name: str, words: str) -> None:
    with pytest.raises(NoKeyError) as caught:
        people.chosen(name=name)
    assert words in str(caught.value)
    assert caught.value.exit_code == 7
    assert caught.value.hint


def test_senders_without_a_key_are_named(people: Ring) -> None:
    with pytest.raises(NoKeyError, match=r"a certificate for x@example\.org, y@example\.org$") as caught:
        people.chosen("x@example.org", "y@example.org")
    assert "--key" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["Bob", "pkcs11:object=Bob", "pkcs11:"])
def test_a_name_that_fits_several_keys_lists_them(people: Ring, name: str) -> None:
    with pytest.raises(AmbiguousError) as caught:
        people.chosen(name=name)
    assert {"key 02 'Bob'", "key 03 'Bob'"} <= set(caught.value.details)
    assert caught.value.exit_code == 2
    assert "--key" in str(caught.value.hint)


def test_without_a_sender_several_keys_are_ambiguous(people: Ring) -> None:
    with pytest.raises(AmbiguousError) as caught:
        people.chosen()
    assert "4 keys with a certificate for signing" in str(caught.value)


@pytest.mark.parametrize("name", ["pkcs11:type=data", "pkcs11:type=secret-key"])
def test_a_uri_of_something_else_is_a_usage_error(people: Ring, name: str) -> None:
    with pytest.raises(UsageError):
        people.chosen(name=name)


def test_without_a_sender_the_only_key_signs(ring: Ring) -> None:
    ring.add(Wanted(name="Alice"))
    ring.token.generate(KeyType.EC_P256, KeyUsage.SIGN, "without a certificate")
    assert ring.chosen().name == "Alice"


def test_an_empty_token_has_no_key(ring: Ring) -> None:
    with pytest.raises(NoKeyError, match="there is no key with a certificate for signing"):
        ring.chosen()


@pytest.mark.parametrize(
    ("wanted", "words", "hint"),
    [
        (Wanted(name="A", not_before=-20, not_after=-2), f"expired on {NOW - timedelta(2):%Y-%m-%d}", "cert request"),
        (Wanted(name="A", not_before=2, not_after=20), f"is not valid before {NOW + timedelta(2):%Y-%m-%d}", "clock"),
        (Wanted(name="A", digital_signature=False, key_agreement=True), "is not for signing mail", "--key"),
        (Wanted(name="A", email_protection=False), "is not for signing mail", "--key"),
    ],
)
def test_a_certificate_that_is_not_to_be_used_is_exit_10(ring: Ring, wanted: Wanted, words: str, hint: str) -> None:
    ring.add(wanted)
    with pytest.raises(CertificateNotUsableError) as caught:
        ring.chosen("alice@example.org")
    assert words in str(caught.value)
    assert "key 01 'A'" in str(caught.value)
    assert hint in str(caught.value.hint)
    assert caught.value.exit_code == 10


def test_of_two_that_can_be_used_the_newer_signs(ring: Ring) -> None:
    ring.add(Wanted(name="older", not_before=-10))
    ring.add(Wanted(name="newest", not_before=-2))
    ring.add(Wanted(name="old", not_before=-5))
    assert ring.chosen("alice@example.org").name == "newest"


@pytest.mark.parametrize(
    "unusable",
    [
        Wanted(name="unusable", not_before=-1, not_after=-0.5),
        Wanted(name="unusable", not_before=2),
        Wanted(name="unusable", not_before=-0.1, email_protection=False),
    ],
)
def test_one_that_can_be_used_comes_before_a_newer_that_cannot(ring: Ring, unusable: Wanted) -> None:
    ring.add(unusable)
    ring.add(Wanted(name="usable", not_before=-10))
    assert ring.chosen("alice@example.org").name == "usable"


def test_a_renewed_certificate_of_the_same_key_signs(ring: Ring) -> None:
    key, _ = ring.add(Wanted(name="Alice", not_before=-9, not_after=-2))
    renewed = ring.renew(key, Wanted(name="Alice"))
    assert ring.chosen("alice@example.org") == renewed
    assert ring.chosen(name="01") == renewed


@pytest.mark.parametrize("write", ["{0}", "0x{0}", "{0}!", "{1}", "{2}"])
@pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha256])
def test_a_fingerprint_chooses_one_of_the_certificates_of_a_key(
    ring: Ring, write: str, digest: Callable[[bytes], Any]
) -> None:
    key, older = ring.add(Wanted(name="Alice", not_before=-9))
    ring.renew(key, Wanted(name="Alice"))
    digits = digest(older.encoded).hexdigest()
    name = write.format(digits, digits.upper(), ":".join(digits[i : i + 2] for i in range(0, len(digits), 2)))
    assert ring.chosen(name=name) == older


def test_the_time_of_signing_decides_which_one_is_valid(ring: Ring) -> None:
    key, first = ring.add(Wanted(name="Alice", not_before=-9, not_after=-2))
    second = ring.renew(key, Wanted(name="Alice", not_before=-4))
    assert ring.chosen(name="01", at=NOW - timedelta(5)) == first
    assert ring.chosen(name="01", at=NOW) == second


def test_one_login_notices_that_a_certificate_expires(ring: Ring) -> None:
    ring.add(Wanted(not_before=-9, not_after=2))
    with ring.token.session() as session:
        session.login("for a test")
        keyring = TokenKeyring(session)
        first = keyring.signer(KeyQuery(), at=NOW)
        assert keyring.signer(KeyQuery(), at=NOW) is first
        with pytest.raises(CertificateNotUsableError, match="expired"):
            keyring.signer(KeyQuery(), at=NOW + timedelta(3))


def test_a_certificate_to_encrypt_to_is_found(ring: Ring) -> None:
    ring.add(Wanted(name="sign"))
    _, encryption = ring.add(
        Wanted(name="encrypt", digital_signature=False, key_agreement=True), usage=KeyUsage.DECRYPT
    )
    identity = ring.signer("alice@example.org").identity
    assert (certificate_of(identity.certificate.encoded).name, identity.encryption_certificate) == ("sign", encryption)


@pytest.mark.parametrize(
    "other",
    [
        Wanted(("bob@example.org",), "x", digital_signature=False, key_agreement=True),
        Wanted(name="x", digital_signature=False, key_agreement=True, not_before=-9, not_after=-2),
        Wanted(name="x", digital_signature=False, key_agreement=True, not_before=2),
        Wanted(name="x", digital_signature=False, key_agreement=True, email_protection=False),
        Wanted(name="x", not_before=-10),
    ],
)
def test_no_other_certificate_is_offered_to_encrypt_to(ring: Ring, other: Wanted) -> None:
    ring.add(Wanted(name="sign"))
    ring.add(other, usage=KeyUsage.BOTH)
    assert ring.signer(name="sign").identity.encryption_certificate is None


def test_a_certificate_for_both_is_not_preferred_to_itself(ring: Ring) -> None:  # RFC 8551, 2.5.3
    ring.add(Wanted(name="both", key_agreement=True), usage=KeyUsage.BOTH)
    assert ring.signer().identity.encryption_certificate is None


def test_the_newest_certificate_to_encrypt_to_is_offered(ring: Ring) -> None:
    ring.add(Wanted(name="sign"))
    for age in (-3, -1, -2):
        wanted = Wanted(name=f"{age}", not_before=age, digital_signature=False, key_agreement=True)
        ring.add(wanted, usage=KeyUsage.DECRYPT)
    encryption = ring.signer(name="sign").identity.encryption_certificate
    assert encryption
    assert certificate_of(encryption.encoded).name == "-1"


def put_certificate(session: TokenSession, certificate: Certificate, identity: bytes = b"") -> None:
    """A certificate object, whoever's it is."""
    from pkcs11 import Attribute, CertificateType, ObjectClass

    with session.calling():
        session.working().create_object(
            {
                Attribute.CLASS: ObjectClass.CERTIFICATE,
                Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
                Attribute.TOKEN: True,
                Attribute.ID: identity,
                Attribute.LABEL: certificate.name,
                Attribute.SUBJECT: certificate.subject_encoded,
                Attribute.VALUE: certificate.encoded,
            }
        )


def test_the_chain_comes_from_the_token_and_from_what_was_imported(ring: Ring, root_ca: Authority) -> None:
    upper = Authority("Upper", root_ca, rsa_key=False)
    ring.authority = Authority("Lower", upper, rsa_key=False)
    ring.add(Wanted())
    root, above, below = (
        Certificate(one.certificate.public_bytes(Encoding.DER)) for one in (root_ca, upper, ring.authority)
    )
    with ring.token.session(writable=True) as session:
        session.login("for a test")
        put_certificate(session, above)
        put_certificate(session, root)
        alone = TokenKeyring(session).signer(KeyQuery(), at=NOW)
        helped = TokenKeyring(session, [below, root]).signer(KeyQuery(), at=NOW)
    assert alone.identity.chain == ()
    assert helped.identity.chain == (below, above)


def test_a_certificate_belongs_to_the_key_that_it_certifies_not_to_its_id(ring: Ring, issuing_ca: Authority) -> None:
    key, certificate = ring.add(Wanted(name="Alice"))
    stranger = issuing_ca.issue(ec.generate_private_key(ec.SECP256R1()).public_key(), Wanted(name="Mallory"))
    with ring.token.session(writable=True) as session:
        session.login("for a test")
        put_certificate(session, Certificate(stranger.public_bytes(Encoding.DER)), key.id)
    assert ring.chosen("alice@example.org") == certificate


def test_digest_and_padding_make_different_signers(ring: Ring) -> None:
    ring.add(Wanted())
    with ring.token.session() as session:
        session.login("for a test")
        keyring = TokenKeyring(session)
        digests = [keyring.signer(KeyQuery(), at=NOW, digest=one).scheme.digest for one in (None, Digest.SHA512)]
        with pytest.raises(UsageError):
            keyring.signer(KeyQuery(), at=NOW, padding=Padding.PSS)
    assert digests == [Digest.SHA256, Digest.SHA512]


def test_ids_of_several_octets_can_be_written_with_colons(ring: Ring) -> None:
    with ring.token.session(writable=True) as session:
        session.login("for a test")
        generate_key(session, KeyType.EC_P256, KeyUsage.SIGN, bytes.fromhex("4a6f"), "")
        keyring = TokenKeyring(session)
        assert {keyring.key(name).id for name in ("4a6f", "4A:6F", "0x4a6f")} == {bytes.fromhex("4a6f")}
