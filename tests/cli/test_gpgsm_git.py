"""Real git signs and verifies with our program: commits, tags, merges, pushes."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smime_agent.algorithms import KeyType
from tests.support.ca import Authority, Wanted
from tests.support.git import Repository, script, stranger
from tests.support.program import run
from tests.support.softhsm import MODULE, PIN
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.softhsm import SoftHsm, SoftToken

ALICE = "Alice Example <alice@example.org>"
FORMAT = "--format=%G?|%GS|%GK|%GF|%GP|%GT"


def fingerprint(token: SoftToken) -> str:
    with token.open() as opened:
        certificate = opened.objects.certificates[0].certificate
    return hashlib.sha1(certificate.encoded, usedforsecurity=False).hexdigest().upper()


@pytest.fixture
def repository(tmp_path: Path, alice: SoftToken, issuing_ca: Authority) -> Repository:
    """A repository of Alice, who is trusted."""
    return Repository(tmp_path, f"pkcs11:token={alice.label}", anchors=(issuing_ca,))


@pytest.fixture(scope="module", params=[KeyType.RSA_2048, KeyType.EC_P256, KeyType.ED25519], ids=lambda one: one.value)
def anyone(request: pytest.FixtureRequest, softhsm: SoftHsm, issuing_ca: Authority) -> tuple[SoftToken, str]:
    """A token with a key of each kind, and the numbers of its algorithm and digest in OpenPGP."""
    kind: KeyType = request.param
    token = softhsm.new_token(f"git {kind.value}")
    token.enrol(issuing_ca, kind)
    return token, {KeyType.RSA_2048: "1 8", KeyType.EC_P256: "19 8", KeyType.ED25519: "22 10"}[kind]


def test_a_commit_by_any_kind_of_key_is_good(
    tmp_path: Path, anyone: tuple[SoftToken, str], issuing_ca: Authority
) -> None:
    token, numbers = anyone
    repository = Repository(tmp_path, f"pkcs11:token={token.label.replace(' ', '%20')}", anchors=(issuing_ca,))
    repository.commit()
    name = fingerprint(token)
    assert repository.git("log", FORMAT).out.strip() == f"G|{ALICE}|{name}|{name}||fully"
    new, good, valid, trust = repository.status()
    assert (new, good, trust) == ("NEWSIG", f"GOODSIG {name} {ALICE}", "TRUST_FULLY 0 shell")
    pattern = rf"VALIDSIG {name} \d{{4}}-\d\d-\d\d \d{{8}}T\d{{6}} \d{{8}}T\d{{6}} 0 0 {numbers} 00"
    assert re.fullmatch(pattern, valid)


def test_the_signature_has_the_label_by_which_git_knows_it(repository: Repository) -> None:
    repository.commit()
    assert b"\ngpgsig -----BEGIN SIGNED MESSAGE-----\n" in repository.raw()


def test_git_is_told_that_a_signature_was_created(repository: Repository) -> None:
    ran = repository.call("--status-fd=2", "-bsau", "pkcs11:token=alice", stdin=b"content")
    begin, created = ran.err.splitlines()
    assert begin == "[GNUPG:] BEGIN_SIGNING"  # git before 2.43 wants a line before the next
    assert re.fullmatch(r"\[GNUPG:\] SIG_CREATED D 19 8 00 \d{8}T\d{6} [0-9A-F]{40}", created)


def test_a_log_shows_who_signed(repository: Repository) -> None:
    repository.commit()
    shown = repository.git("log", "--show-signature").out
    assert f"smime-agent: signed by {ALICE} at " in shown
    assert "smime-agent: good signature\n" in shown


def test_a_signed_tag_is_verified(repository: Repository) -> None:
    repository.commit()
    repository.git("tag", "-s", "-m", "A release", "v1")
    assert repository.git("verify-tag", "v1").code == 0
    assert repository.status("v1", "verify-tag")[1].startswith("GOODSIG ")


def test_an_amended_commit_is_signed_anew(repository: Repository) -> None:
    repository.commit()
    before = repository.raw()
    repository.commit("Another message", "--amend")
    assert repository.raw() != before
    assert repository.letter() == "G"


def test_a_signed_merge_is_verified(repository: Repository) -> None:
    repository.commit()
    repository.git("checkout", "--quiet", "-b", "topic")
    repository.commit("On a branch")
    repository.git("checkout", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "-S", "--verify-signatures", "-m", "Merge", "topic")
    assert repository.letter() == "G"
    assert len(repository.git("rev-list", "--parents", "-1", "HEAD").out.split()) == 3


def test_a_merge_of_a_signed_tag_shows_both_signatures(repository: Repository) -> None:
    repository.commit()
    repository.git("checkout", "--quiet", "-b", "topic")
    repository.commit("On a branch")
    repository.git("tag", "-s", "-m", "To be merged", "topic-1")
    repository.git("checkout", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "-S", "-m", "Merge", "topic-1")
    assert repository.git("log", "-1", "--show-signature").out.count("smime-agent: good signature\n") == 2


def test_a_merge_that_verifies_refuses_who_is_not_trusted(repository: Repository, tmp_path: Path) -> None:
    repository.commit()
    repository.git("checkout", "--quiet", "-b", "topic")
    key = ec.generate_private_key(ec.SECP256R1())
    unknown = Authority("Unknown CA").issue(key.public_key())
    repository.commit("On a branch", program=stranger(tmp_path / "mallory", unknown, key))
    repository.git("checkout", "--quiet", "main")
    refused = repository.git("merge", "--no-ff", "--verify-signatures", "topic", ok=False)
    assert refused.code
    assert f"untrusted GPG signature, allegedly by {ALICE}" in refused.err


def test_a_signed_push_is_verified_by_who_receives_it(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit()
    repository.git("init", "--quiet", "--bare", str(tmp_path / "bare"))
    for name, value in {"receive.certNonceSeed": "a seed", "gpg.x509.program": str(repository.program)}.items():
        repository.git("-C", str(tmp_path / "bare"), "config", name, value)
    hook = tmp_path / "bare" / "hooks" / "pre-receive"
    told = tmp_path / "told"
    hook.parent.mkdir(exist_ok=True)
    script(
        hook, f'#!/bin/sh\necho "$GIT_PUSH_CERT_STATUS|$GIT_PUSH_CERT_SIGNER|$GIT_PUSH_CERT_NONCE_STATUS" > {told}\n'
    )
    repository.git("push", "--quiet", "--signed=yes", str(tmp_path / "bare"), "main")
    assert told.read_text() == f"G|{ALICE}|OK\n"
    assert repository.git("-C", str(tmp_path / "bare"), "rev-parse", "main").out.strip() == commit


def test_without_a_signing_key_it_is_that_of_the_committer(
    tmp_path: Path, alice: SoftToken, issuing_ca: Authority
) -> None:
    repository = Repository(tmp_path, anchors=(issuing_ca,))
    repository.environment["SMIME_AGENT_TOKEN"] = alice.label
    repository.commit()
    assert repository.letter() == "G"


def test_a_committer_without_a_key_is_told_what_to_do(repository: Repository, alice: SoftToken) -> None:
    ran = repository.call(
        "--status-fd=2", "-bsau", "Nobody <nobody@example.org>", env={"SMIME_AGENT_TOKEN": alice.label}
    )
    assert ran.code == 2
    assert "smime-agent: error: no key on token 'alice' has a certificate for nobody@example.org\n" in ran.err
    assert "'smime-agent setup git --key KEY' chooses one" in ran.err
    assert "[GNUPG:] INV_SGNR 9 Nobody <nobody@example.org>\n" in ran.err
    assert "[GNUPG:] FAILURE sign 50331665\n" in ran.err  # of gpgsm, no secret key


def test_no_commit_is_made_where_signing_fails(repository: Repository) -> None:
    repository.git("config", "user.signingKey", "pkcs11:token=alice;object=nothing")
    assert repository.git("commit", "-S", "--allow-empty", "-m", "A change", ok=False).code
    assert repository.git("rev-parse", "HEAD", ok=False).code


def test_a_fingerprint_names_the_key(repository: Repository, alice: SoftToken) -> None:
    repository.environment["SMIME_AGENT_TOKEN"] = alice.label
    repository.git("config", "user.signingKey", f"0x{fingerprint(alice).lower()}")
    repository.commit()
    assert repository.letter() == "G"


def test_a_wrong_pin_is_told_as_such(repository: Repository, tmp_path: Path) -> None:
    file = tmp_path / "home" / "pin"
    right = file.read_text()
    file.write_text("not the PIN")
    ran = repository.call("--status-fd=2", "-bsau", "pkcs11:token=alice")
    file.write_text(right)
    repository.commit()  # which sets back the count of tries
    assert ran.code == 2
    assert "[GNUPG:] FAILURE sign 50331735\n" in ran.err  # of gpgsm, bad PIN
    assert "not the PIN" not in ran.err


def test_two_trusted_people_in_one_history(repository: Repository, tmp_path: Path, issuing_ca: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    bob = issuing_ca.issue(key.public_key(), Wanted(addresses=("bob@example.org", "bob@example.net"), name="Bob"))
    repository.commit()
    repository.commit(program=stranger(tmp_path / "bob", bob, key))
    shown = repository.git("log", "--format=%G? %GS").out.splitlines()
    assert shown == ["G Bob <bob@example.org> <bob@example.net>", f"G {ALICE}"]


def test_who_sees_the_root_alone_takes_the_rest_of_the_path_from_the_signature(
    tmp_path: Path, root_ca: Authority, issuing_ca: Authority, alice: SoftToken
) -> None:
    repository = Repository(tmp_path, f"pkcs11:token={alice.label}", anchors=(root_ca,))
    (tmp_path / "issuing.pem").write_bytes(issuing_ca.pem)
    assert run("cert", "import", tmp_path / "issuing.pem", "--token", alice.label, env=repository.environment).code == 0
    repository.commit()
    assert repository.letter() == "G"


def test_the_pin_is_asked_for_at_the_terminal_while_git_has_standard_input(repository: Repository) -> None:
    (repository.folder / "home" / "config.toml").write_text(f'module = "{MODULE}"')
    with Terminal(
        "commit",
        "-S",
        "--allow-empty",
        "-m",
        "A change",
        program=["git"],
        cwd=repository.tree,
        env=repository.environment,
    ) as terminal:
        terminal.expect("PIN for token 'alice'.*: ")
        terminal.type(PIN)
        assert terminal.end()[0] == 0
    assert repository.git("cat-file", "-p", "HEAD").out.count("BEGIN SIGNED MESSAGE") == 1


def test_a_person_at_the_terminal_reads_why_git_did_not_sign(repository: Repository) -> None:
    repository.git("config", "user.signingKey", "pkcs11:token=alice;object=nothing")
    with Terminal(
        "commit",
        "-S",
        "--allow-empty",
        "-m",
        "A change",
        program=["git"],
        cwd=repository.tree,
        env=repository.environment,
    ) as terminal:
        terminal.end()
        assert (
            "smime-agent: error: there is no key 'pkcs11:token=alice;object=nothing' on token 'alice'"
            in terminal.screen
        )
