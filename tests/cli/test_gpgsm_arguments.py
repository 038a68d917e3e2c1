"""The arguments of gpgsm, as git, EGit and their like give them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.cli.gpgsm.arguments import Request, parse, status_descriptor
from smime_agent.cli.gpgsm.identity import key_name
from smime_agent.errors import UsageError
from tests.support.git import Repository

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority
    from tests.support.softhsm import SoftToken

KEY = "Alice Example <alice@example.org>"
SIGN = Request("sign", detached=True, armor=True, key=KEY, status=2)
VERIFY = Request("verify", ("/tmp/sig", "-"), status=1)


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        (["--status-fd=2", "-bsau", KEY], SIGN),  # git
        (["-bsau", KEY, "--status-fd", "2"], SIGN),  # EGit, JGit
        (["--detach-sign", "--armor", "--no-tty", "--status-fd", "2", "--batch", "--local-user", KEY], SIGN),  # JGit
        (["--status-fd=2", "--keyid-format=long", "-bsau", KEY], SIGN),  # other writers of git objects
        (["--status-fd=2", f"-bsau{KEY}"], SIGN),
        (["-b", "-s", "-a", "-u", KEY, "--status-fd=2"], SIGN),
        (["--batch", "--yes", "-q", "--homedir", "/nowhere", "--detach", "--arm", "--loc", KEY, "--stat=2"], SIGN),
        (["--status-fd=2", "-bsa"], SIGN._replace(key=None)),
        (["-s", "-u", KEY, "--status-fd=2"], SIGN._replace(detached=False, armor=False)),
        (["-b", "-o", "out", "--", "-file"], Request("sign", ("-file",), detached=True, output="out")),
        (["--status-fd=1", "--verify", "/tmp/sig", "-"], VERIFY),  # git
        (["--status-fd", "1", "--verify", "/tmp/sig", "-"], VERIFY),  # EGit
        (["--keyid-format=long", "--status-fd=1", "--verify", "/tmp/sig", "-"], VERIFY),
        (["--disable-crl-checks", "--status-fd=1", "--verify", "/tmp/sig", "-"], VERIFY._replace(revocation=False)),
        (["--enable-crl-checks", "--status-fd=1", "--verify", "/tmp/sig", "-"], VERIFY._replace(revocation=True)),
        (["--with-colons", "-K", KEY], Request("list", (KEY,), colons=True)),
        (["--list-secret-keys", "--with-colons", "--batch", "--no-tty"], Request("list", colons=True)),
        (["--version"], Request("version")),
        (["-K", "--version"], Request("version")),
        (["--help"], Request("help")),
        (["--logger-fd", "1", "-K"], Request("list", logger=1)),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_the_arguments_of_known_callers(arguments: list[str], request_: Request) -> None:
    assert parse(arguments) == request_


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing was asked for"),
        (["/tmp/file"], "nothing was asked for"),
        (["-bsau"], "--local-user lacks its value"),
        (["--status-fd"], "--status-fd lacks its value"),
        (["--status-fd=x", "-K"], "--status-fd takes the number of a descriptor, not 'x'"),
        (["--status-fd=-1", "-K"], "--status-fd takes the number"),
        (["--status-fd=\u0661", "-K"], "--status-fd takes the number"),
        (["--status-fd=99999999999", "-K"], "--status-fd takes the number"),
        (["--decrypt"], "there is no option --decrypt"),
        (["-z"], "there is no option -z"),
        (["--armor=yes", "-s"], "--armor takes no value"),
        (["--list"], "--list may be --list-keys, --list-secret-keys"),
        (["-s", "--verify"], "exclude each other"),
    ],
)
def test_other_arguments_are_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        parse(arguments)


@given(st.lists(st.text(alphabet="-bsauKvo=fd1 x", max_size=6) | st.sampled_from(["--status-fd", "--verify", "--"])))
def test_whatever_the_arguments_are_they_are_read_or_refused(arguments: list[str]) -> None:
    try:
        parse(arguments)
    except UsageError:
        status_descriptor(arguments)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (KEY, "alice@example.org"),
        ("<alice@example.org>", "alice@example.org"),
        (" J\u00fcrgen (work) <j@example.org>\n", "j@example.org"),
        ("alice@example.org", "alice@example.org"),
        ("A Label", "A Label"),
        ("Label <no address>", "Label <no address>"),
        ("a <b@example.org> <c@example.org>", "a <b@example.org> <c@example.org>"),
        ("pkcs11:token=x;id=%01", "pkcs11:token=x;id=%01"),
        ("0xAB CD", "0xAB CD"),
    ],
)
def test_a_committer_means_the_address(text: str, name: str) -> None:
    assert key_name(text) == name


# --- the program -----------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, alice: SoftToken, issuing_ca: Authority) -> Repository:
    """Where Alice has the one token."""
    repository = Repository(tmp_path, anchors=(issuing_ca,))
    repository.environment["SMIME_AGENT_TOKEN"] = alice.label
    return repository


def test_egit_finds_what_it_looks_for(repository: Repository) -> None:
    ran = repository.call("-bsau", "<alice@example.org>", "--status-fd", "2", stdin=b"content")
    lines = ran.out.splitlines()
    assert (lines[0], lines[-1]) == ("-----BEGIN SIGNED MESSAGE-----", "-----END SIGNED MESSAGE-----")
    (repository.folder / "egit.sig").write_text(ran.out)
    signature = str(repository.folder / "egit.sig")
    verified = repository.call("--status-fd", "1", "--verify", signature, "-", stdin=b"content")
    assert "[GNUPG:] GOODSIG " in verified.out
    assert verified.err.partition(": ")[0] == "smime-agent"  # which it shows as the program's name


def test_a_content_inside_the_signature(repository: Repository) -> None:
    ran = repository.call("--status-fd=2", "-s", "-a", "-u", "alice@example.org", stdin=b"content")
    assert "[GNUPG:] SIG_CREATED S 19 8 00 " in ran.err
    assert repository.call("--verify", stdin=ran.out.encode()).code == 0


def test_a_signature_in_a_file_of_a_content_in_a_file(repository: Repository) -> None:
    (repository.tree / "content").write_bytes(b"content")
    assert repository.call("-b", "-u", "alice@example.org", "-o", "signature", "content").code == 0
    assert (repository.tree / "signature").read_bytes()[:1] == b"\x30"
    assert repository.call("--verify", "signature", "content").code == 0


def test_keys_are_listed_for_programs(repository: Repository) -> None:
    record, fpr, fp2, subject, mailbox = repository.call("--with-colons", "-K").out.splitlines()
    fields = record.split(":")
    assert (fields[0], fields[2], fields[9], fields[11]) == ("crs", "256", "CN=Test Issuing CA", "s")
    assert fpr.split(":")[9].endswith(fields[4])
    assert len(fp2.split(":")[9]) == 64
    assert (subject.split(":")[9], mailbox.split(":")[9]) == ("CN=Alice Example", "<alice@example.org>")


def test_keys_are_listed_for_people(repository: Repository) -> None:
    assert " Alice Example <alice@example.org>\n" in repository.call("-K", "alice@example.org").out


def test_a_key_that_is_not_there_is_not_listed(repository: Repository) -> None:
    assert repository.call("-K", "nobody@example.org").code == 2


def test_what_is_wrong_with_the_arguments_is_told_on_the_status_too(repository: Repository) -> None:
    ran = repository.call("--status-fd=1", "--decrypt")
    assert ran.code == 2
    assert ran.out == "[GNUPG:] FAILURE option-parser 50331703\n"
    assert ran.err.startswith("smime-agent: error: there is no option --decrypt\n")


def test_a_descriptor_that_is_not_open(repository: Repository) -> None:
    ran = repository.call("--status-fd=77", "-K")
    assert (ran.code, ran.err) == (2, "smime-agent: error: --status-fd 77 is no open descriptor\n")


def test_a_signature_that_cannot_be_read(repository: Repository) -> None:
    ran = repository.call("--status-fd=1", "--verify", "/nonexistent", "-")
    assert ran.code == 2
    assert ran.out.startswith("[GNUPG:] FAILURE verify ")


def test_people_are_told_on_the_descriptor_for_logging(repository: Repository) -> None:
    ran = repository.call("--logger-fd=1", "--decrypt")
    assert ran.err.startswith("smime-agent: error: ")  # before it was read
    ran = repository.call("--logger-fd=1", "--verify", "/nonexistent", "-")
    assert ran.out.startswith("smime-agent: error: ")


def test_the_version_looks_like_that_of_gpgsm(repository: Repository) -> None:
    assert re.fullmatch(r"gpgsm \(smime-agent\) \d+\.\d+\.\d+\n", repository.call("--version").out)


def test_help_says_how_git_is_told(repository: Repository) -> None:
    assert "git config gpg.format x509" in repository.call("--help").out
