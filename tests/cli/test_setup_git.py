"""``smime-agent setup git``: what git's own configuration says afterwards."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.git import script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command
    from tests.support.softhsm import SoftHsm, SoftToken


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of somebody with git, and a program of ours beside the one that runs."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("smime-agent", "smime-agent-gpgsm"):
        script(tmp_path / "bin" / name, "#!/bin/sh\n")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin" / "smime-agent")])
    return tmp_path


@pytest.fixture
def setup(home: Path, alice: SoftToken, monkeypatch: pytest.MonkeyPatch, command: Command) -> Command:
    """The command, where Alice has the one token and commits with her address."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SMIME_AGENT_TOKEN", alice.label)
    config("user.email", "alice@example.org")
    return command


def config(*arguments: str, scope: str = "--global") -> str:
    """What git's configuration says; set with two arguments."""
    done = subprocess.run(["git", "config", scope, *arguments], capture_output=True, text=True, check=False)
    return done.stdout.rstrip("\n")


def test_git_signs_with_our_program_afterwards(setup: Command, home: Path) -> None:
    assert setup("setup", "git").code == 0
    assert config("gpg.format") == "x509"
    assert config("gpg.x509.program") == str(home / "bin" / "smime-agent-gpgsm")
    assert config("user.signingKey") == ""
    assert config("commit.gpgSign") == ""


def test_a_key_becomes_the_signing_key(setup: Command) -> None:
    assert setup("setup", "git", "--key", "alice@example.org").code == 0
    assert config("user.signingKey") == "alice@example.org"


def test_all_can_be_signed(setup: Command) -> None:
    assert setup("setup", "git", "--sign-all").code == 0
    assert (config("commit.gpgSign"), config("tag.gpgSign")) == ("true", "true")


def test_what_was_done_is_shown_as_commands(setup: Command, home: Path) -> None:
    lines = setup("setup", "git").out.decode().splitlines()
    program = shlex.quote(str(home / "bin" / "smime-agent-gpgsm"))
    assert lines == ["git config --global gpg.format x509", f"git config --global gpg.x509.program {program}"]


def test_nothing_is_done_twice(setup: Command, home: Path) -> None:
    setup("setup", "git")
    before = (home / "gitconfig").read_bytes()
    again = setup("setup", "git")
    assert (again.code, again.out) == (0, b"")
    assert "all of it is set already" in again.err
    assert (home / "gitconfig").read_bytes() == before


def test_a_dry_run_changes_nothing(setup: Command, home: Path) -> None:
    before = (home / "gitconfig").read_bytes()
    dry = setup("setup", "git", "--sign-all", "--dry-run")
    assert (home / "gitconfig").read_bytes() == before
    assert setup("setup", "git", "--sign-all").out == dry.out


def test_it_can_be_taken_back(setup: Command) -> None:
    config("gpg.format", "openpgp")
    before = subprocess.run(["git", "config", "--global", "--list"], capture_output=True, check=True).stdout
    told = setup("setup", "git", "--sign-all").err
    for line in told.splitlines():
        if line.startswith("  git "):
            subprocess.run(shlex.split(line), check=True)
    assert subprocess.run(["git", "config", "--global", "--list"], capture_output=True, check=True).stdout == before


def test_several_values_become_one(setup: Command) -> None:
    config("gpg.format", "openpgp")
    subprocess.run(["git", "config", "--global", "--add", "gpg.format", "ssh"], check=True)
    assert setup("setup", "git").code == 0
    assert config("--get-all", "gpg.format") == "x509"


def test_one_repository_alone(setup: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "--quiet", home / "tree"], check=True)
    monkeypatch.chdir(home / "tree")
    assert setup("setup", "git", "--local").code == 0
    assert config("gpg.format", scope="--local") == "x509"
    assert config("gpg.format") == ""


def test_local_is_refused_outside_of_a_repository(setup: Command) -> None:
    refused = setup("setup", "git", "--local")
    assert refused.code == 2
    assert "--local is for the repository that you are in" in refused.err


def test_a_key_that_is_not_there_is_refused_and_nothing_is_set(setup: Command) -> None:
    refused = setup("setup", "git", "--key", "nobody@example.org")
    assert refused.code == 7
    assert "'nobody@example.org'" in refused.err
    assert config("gpg.format") == ""


def test_a_signing_key_of_another_program_is_refused(setup: Command) -> None:
    config("user.signingKey", "0123456789ABCDEF")
    assert setup("setup", "git").code == 7


def test_a_committer_without_a_key_is_refused(setup: Command) -> None:
    config("user.email", "nobody@example.org")
    assert setup("setup", "git").code == 7


def test_a_token_that_is_not_plugged_in_is_a_warning(setup: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIME_AGENT_TOKEN", "in a drawer")
    done = setup("setup", "git")
    assert done.code == 0
    assert "warning: whether there is a key 'alice@example.org' was not checked" in done.err
    assert config("gpg.format") == "x509"


def test_an_empty_token_is_a_warning(setup: Command, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIME_AGENT_TOKEN", softhsm.new_token("git-empty").label)
    done = setup("setup", "git")
    assert done.code == 0
    assert "none can be seen on token 'git-empty' without a PIN" in done.err


def test_without_git_that_is_said(setup: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    refused = setup("setup", "git")
    assert refused.code == 2
    assert "git is not installed" in refused.err


def test_a_git_that_is_too_old_is_refused(setup: Command, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(home / "bin" / "git", "#!/bin/sh\necho git version 2.11.0\n")
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert "from 2.19 on" in setup("setup", "git").err


def test_a_configuration_that_git_cannot_write(setup: Command, home: Path) -> None:
    (home / "gitconfig.lock").write_bytes(b"")
    refused = setup("setup", "git")
    assert refused.code == 2
    assert "git cannot set gpg.format: " in refused.err
