"""GnuPG's own gpgsm verifies what we signed for git, and we what it signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from smime_agent.algorithms import KeyType
from tests.support.ca import Authority, Wanted
from tests.support.git import Repository, stranger
from tests.support.gpgsm import Gpgsm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.softhsm import SoftHsm, SoftToken

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def gpgsm(tmp_path_factory: pytest.TempPathFactory, root_ca: Authority, issuing_ca: Authority) -> Iterator[Gpgsm]:
    """A home that trusts the root."""
    with Gpgsm.trusting(tmp_path_factory.mktemp("g") / "home", root_ca, issuing_ca) as home:
        yield home


@pytest.fixture(scope="module")
def rsa_token(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """An RSA key for Alice."""
    token = softhsm.new_token("git-rsa")
    token.enrol(issuing_ca, KeyType.RSA_2048)
    return token


@pytest.fixture
def repository(tmp_path: Path, rsa_token: SoftToken, root_ca: Authority, issuing_ca: Authority) -> Repository:
    """Where both programs trust the same people."""
    return Repository(tmp_path, f"pkcs11:token={rsa_token.label}", anchors=(root_ca, issuing_ca))


def by(gpgsm: Gpgsm, repository: Repository) -> tuple[str, list[str]]:
    """The letter and the status lines when gpgsm verifies the last commit."""
    other = ("-c", f"gpg.x509.program={gpgsm.program}")
    letter = repository.git(*other, "log", "-1", "--format=%G?").out.strip()
    lines = repository.git(*other, "verify-commit", "--raw", "HEAD", ok=False).err.splitlines()
    ours = ("NEWSIG", "GOODSIG", "BADSIG", "EXPKEYSIG", "VALIDSIG", "TRUST_")
    status = [line.removeprefix("[GNUPG:] ") for line in lines if line.startswith("[GNUPG:] ")]
    return letter, [line for line in status if line.startswith(ours)]


def without_name(lines: list[str]) -> list[str]:
    """The same without the name of the signer, which we write as a mail address and gpgsm as a subject."""
    named = ("GOODSIG", "BADSIG", "EXPKEYSIG")
    return [" ".join(line.split(" ")[:2]) if line.startswith(named) else line for line in lines]


def test_gpgsm_verifies_our_commit_and_says_the_same_of_it(repository: Repository, gpgsm: Gpgsm) -> None:
    repository.commit()
    letter, lines = by(gpgsm, repository)
    assert letter == "G"
    assert without_name(lines) == without_name(repository.status())


def test_gpgsm_verifies_our_commit_with_an_elliptic_curve(
    tmp_path: Path, alice: SoftToken, issuing_ca: Authority, gpgsm: Gpgsm
) -> None:
    repository = Repository(tmp_path, f"pkcs11:token={alice.label}", anchors=(issuing_ca,))
    repository.commit()
    assert by(gpgsm, repository)[0] == "G"


def test_gpgsm_verifies_our_tag(repository: Repository, gpgsm: Gpgsm) -> None:
    repository.commit()
    repository.git("tag", "-s", "-m", "A release", "v1")
    repository.git("-c", f"gpg.x509.program={gpgsm.program}", "verify-tag", "v1")


def test_we_verify_the_commit_of_gpgsm(repository: Repository, gpgsm: Gpgsm, issuing_ca: Authority) -> None:
    key = rsa.generate_private_key(65537, 2048)
    gpgsm.add(key, issuing_ca.issue(key.public_key(), Wanted(addresses=("bob@example.org",), name="Bob")))
    repository.git("config", "user.signingKey", "bob@example.org")
    repository.commit(program=gpgsm.program)
    assert repository.git("log", "-1", "--format=%G? %GS").out.strip() == "G Bob <bob@example.org>"
    assert without_name(repository.status()) == without_name(by(gpgsm, repository)[1])


@pytest.mark.parametrize(
    ("wanted", "letter"),
    [(Wanted(), "G"), (Wanted(not_before=-5, not_after=-1), "Y"), (Wanted(email_protection=False), "G")],
    ids=["valid", "expired", "for-code"],
)
def test_both_show_the_same_letter(
    repository: Repository, gpgsm: Gpgsm, issuing_ca: Authority, wanted: Wanted, letter: str
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    repository.commit(program=stranger(repository.folder / "one", issuing_ca.issue(key.public_key(), wanted), key))
    assert (repository.letter(), by(gpgsm, repository)[0]) == (letter, letter)
    assert without_name(repository.status()) == without_name(by(gpgsm, repository)[1])


def test_both_show_who_is_not_trusted(repository: Repository, gpgsm: Gpgsm) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    unknown = Authority("Unknown CA")
    signer = stranger(repository.folder / "one", unknown.issue(key.public_key()), key, unknown.certificate)
    repository.commit(program=signer)
    letter, lines = by(gpgsm, repository)
    assert (repository.letter(), letter) == ("U", "U")
    assert [line for line in lines if "TRUST" in line] == [line for line in repository.status() if "TRUST" in line]


def test_both_show_a_change(repository: Repository, gpgsm: Gpgsm) -> None:
    repository.commit()
    changed = repository.store(repository.raw().replace(b"A change", b"A chance"))
    repository.git("reset", "--quiet", "--hard", changed)
    letter, lines = by(gpgsm, repository)
    assert (repository.letter(), letter) == ("B", "B")
    assert without_name(repository.status()) == without_name(lines)
