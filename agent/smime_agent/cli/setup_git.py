"""``smime-agent setup git``: git signs with a key on a token, and verifies what others signed so."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from smime_agent.cli import ui
from smime_agent.cli.access import Access
from smime_agent.cli.options import ModuleOption, TokenOption
from smime_agent.errors import AmbiguousError, NoKeyError, TokenError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smime_agent.tokens.objects import TokenObjects
    from smime_agent.tokens.token import TokenInfo
    from smime_agent.x509 import Certificate

_PROGRAM: Final = "smime-agent-gpgsm"
_SEVERAL: Final = 2  # what 'git config --get' returns where a setting has several values
_OLDEST: Final = (2, 19)  # the first that knows gpg.format x509
_SIGNING_KEY: Final = "user.signingKey"


def git(
    everywhere: Annotated[
        bool,
        typer.Option("--global/--local", help="Set it up for all repositories, or for the one that you are in."),
    ] = True,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="KEY",
            help="A fingerprint, pkcs11: URI, id, label or mail address; left out, the committer's address.",
        ),
    ] = None,
    sign_all: Annotated[bool, typer.Option("--sign-all", help="Sign each commit and tag, also without -S.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--print", help="Print the commands and change nothing.")
    ] = False,
    token: TokenOption = None,
    module: ModuleOption = None,
) -> None:
    """Let git sign commits and tags with a key on a token, and verify those that others signed with S/MIME.

    It runs 'git config', shows each command, and how to take it back. Nothing is set that is set already.
    """
    scope = Scope.found(everywhere=everywhere)
    wanted = {"gpg.format": "x509", "gpg.x509.program": str(_program())}
    if key:
        wanted[_SIGNING_KEY] = key
    if sign_all:
        wanted |= {"commit.gpgSign": "true", "tag.gpgSign": "true"}
    _check_key(key or scope.effective(_SIGNING_KEY) or scope.effective("user.email"), token, module)
    changes = [(name, value, scope.get(name)) for name, value in wanted.items()]
    changes = [change for change in changes if change[1] != change[2]]
    for name, value, _ in changes:
        if not dry_run:
            scope.set(name, value)
        ui.out(scope.command(name, value))
    if not changes:
        ui.note("all of it is set already")
    elif not dry_run:
        ui.note("to take it back:", *(f"  {scope.undoing(name, before)}" for name, _, before in changes))
    if not dry_run and not sign_all:
        ui.note("'git commit -S' and 'git tag -s' sign now; --sign-all lets git sign all of them")


@dataclass(frozen=True, slots=True)
class Scope:
    """One of git's configuration files, which git itself reads and writes; ``option`` chooses it."""

    option: str

    @classmethod
    def found(cls, *, everywhere: bool) -> Scope:
        """The person's own file, or that of the repository.

        Raises:
            UsageError: there is no git, it is too old, or this is no repository.
        """
        words = _git("version").stdout.split()
        numbers = words[2].split(".")[:2] if len(words) > 2 else []  # noqa: PLR2004 - git version 2.39.5
        if all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) < _OLDEST:
            msg = f"this git is {words[2]}, and signs with X.509 from 2.19 on"
            raise UsageError(msg)
        if not everywhere and _git("rev-parse", "--git-dir").returncode:
            msg = "--local is for the repository that you are in, and this is none"
            raise UsageError(msg, hint="go there, or leave --local out")
        return cls("--global" if everywhere else "--local")

    def get(self, name: str) -> str | None:
        """The value in this file, the last where there are several, none where there is none."""
        return _value("config", self.option, "--get", name)

    @staticmethod
    def effective(name: str) -> str | None:
        """The value that git uses here, from whichever file."""
        return _value("config", "--get", name)

    def set(self, name: str, value: str) -> None:
        """Give a setting its one value.

        Raises:
            UsageError: git cannot write it.
        """
        done = _git("config", self.option, "--replace-all", name, value)
        if done.returncode:
            msg = f"git cannot set {name}: {done.stderr.strip()}"
            raise UsageError(msg)

    def command(self, name: str, value: str) -> str:
        """The same for a shell."""
        return shlex.join(("git", "config", self.option, name, value))

    def undoing(self, name: str, before: str | None) -> str:
        """What takes it back."""
        if before is None:
            return shlex.join(("git", "config", self.option, "--unset", name))
        return self.command(name, before)


def _value(*arguments: str) -> str | None:
    """What git answers, without the line end.

    Raises:
        UsageError: the file cannot be read.
    """
    done = _git(*arguments)
    if done.returncode > _SEVERAL:
        msg = f"git cannot read its configuration: {done.stderr.strip()}"
        raise UsageError(msg)
    return done.stdout.removesuffix("\n") if done.stdout else None


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git.

    Raises:
        UsageError: there is none.
    """
    found = shutil.which("git")
    if found is None:
        msg = "git is not installed, or not on the PATH"
        raise UsageError(msg)
    try:
        return subprocess.run(  # noqa: S603 - git, and arguments that it takes for names and values
            (found, *arguments), capture_output=True, encoding="utf-8", errors="surrogateescape", check=False
        )
    except (OSError, ValueError) as error:
        msg = f"git cannot be run: {error}"
        raise UsageError(msg) from error


def _program() -> Path:
    """Where ``smime-agent-gpgsm`` is: beside this program, as it was called, else on the PATH.

    Raises:
        UsageError: it is in neither place.
    """
    for folder in _folders():
        candidate = folder / _PROGRAM
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which(_PROGRAM)
    if found is None:
        msg = f"{_PROGRAM} is not installed beside smime-agent"
        raise UsageError(msg, hint="install smime-agent anew")
    return Path(found).absolute()


def _folders() -> Iterator[Path]:
    called = Path(sys.argv[0])
    if called.name == "smime-agent":  # a link to it is kept: it stays where it is when a new version comes
        found = shutil.which(called.name) if called.parent == Path() else str(called)
        yield Path(found or called).absolute().parent
    yield Path(sys.executable).absolute().parent


def _check_key(name: str | None, token: str | None, module: str | None) -> None:
    """Say whether there is such a key, as far as can be seen without a PIN.

    Raises:
        NoKeyError: there is none.
    """
    from smime_agent.cli.gpgsm.identity import key_name
    from smime_agent.tokens.objects import read_objects

    if name is None:
        ui.warning("git has no user.email and --key names no key, so none will be found")
        return
    wanted = key_name(name)
    try:
        with Access.of(token, module, key=wanted).session() as session:
            objects, info, where = read_objects(session), session.token.info, session.name
    except (TokenError, AmbiguousError) as error:
        ui.warning(f"whether there is a key '{wanted}' was not checked: {error}")
        return
    certificates = [one for one in objects.keys if objects.certificates_of(one)]
    if not certificates:
        ui.warning(f"whether there is a key '{wanted}' was not checked: none can be seen on {where} without a PIN")
    elif not _is_there(wanted, objects, info):
        msg = f"no key on {where} has a certificate, and is called or is for '{wanted}'"
        raise NoKeyError(msg, hint="choose one with --key; 'smime-agent cert list' shows the certificates")


def _is_there(name: str, objects: TokenObjects, token: TokenInfo) -> bool:
    from smime_agent.keyring.naming import has_fingerprint, is_address, is_named

    for key in objects.keys:
        certificates: Sequence[Certificate] = [one.certificate for one in objects.certificates_of(key)]
        if not key.can_sign or not certificates:
            continue
        if is_address(name):
            if any(certificate.covers(name) for certificate in certificates):
                return True
        elif is_named(key, name, token) or any(has_fingerprint(certificate, name) for certificate in certificates):
            return True
    return False
