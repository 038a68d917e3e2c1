"""``smime-agent setup neomutt``: neomutt signs, encrypts, decrypts and verifies with this program.

The settings go to a file of their own. A person's own file is changed only on request, by one line.
"""

from __future__ import annotations

import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from smime_agent.cli import ui
from smime_agent.cli.neomutt_keys import refresh
from smime_agent.cli.output import check_output
from smime_agent.cli.trust import OfflineOption
from smime_agent.config import config_path, data_directory
from smime_agent.errors import FileError, UsageError
from smime_agent.files import write_file

_MARK: Final = "# Written by 'smime-agent setup neomutt'."
#: Where neomutt looks for a person's file, first to last, below XDG_CONFIG_HOME (~) and the home directory.
_CONFIG_PLACES: Final = ("neomutt/neomuttrc", "neomutt/muttrc", "mutt/neomuttrc", "mutt/muttrc")
_HOME_PLACES: Final = (
    ".neomutt/neomuttrc",
    ".neomutt/muttrc",
    ".mutt/neomuttrc",
    ".mutt/muttrc",
    ".neomuttrc",
    ".muttrc",
)
_LARGEST: Final = 1024 * 1024
#: What neomutt puts into a command without quotes.
_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+@%,:=")

PrintOption = Annotated[bool, typer.Option("--print", help="Print the settings, and write nothing.")]
OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write the settings here; not into your neomuttrc."),
]
InstallOption = Annotated[
    bool, typer.Option("--install", help="Add the one line to your neomuttrc too; a copy of it is kept.")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="KEY", help="The key to sign with: an address, a hexadecimal id or a pkcs11: URI."),
]


def neomutt(
    key: KeyOption = None,
    show: PrintOption = False,
    output: OutputOption = None,
    install: InstallOption = False,
    offline: OfflineOption = False,
) -> None:
    """Let neomutt sign, encrypt, decrypt and verify with this program.

    The settings go to a file of their own, and one line in your neomuttrc has neomutt read it. The keys are those that
    were seen on your tokens; the one that signs is that of the From.
    """
    if show and (output is not None or install):
        msg = f"--print and {'-o' if output is not None else '--install'} exclude each other"
        raise UsageError(msg)
    text = settings_file(_program(), key, offline=offline)
    if show:
        ui.out(*text.splitlines())
        return
    signs = _signs_for(key)
    path = (output or config_path().parent / "neomutt.rc").absolute()
    _write(path, text)
    refresh()
    ui.note(f"wrote {path}", *(f"neomutt signs for {one}" for one in signs))
    if not signs:
        ui.warning("no key was seen on a token yet: neomutt encrypts and verifies, and does not sign")
        ui.note("hint: plug the token in and use it once, such as by 'smime-agent cert list': it is remembered")
    line = f'source "{_quoted(str(path))}"'
    rc = neomuttrc()
    if not install:
        ui.note(f"add this line at the end of {rc}, or have it added with --install:")
        ui.out(line)
    elif (copy := add_line(rc, line)) is None:
        ui.note(f"{rc} reads it already")
    else:
        ui.note(f"added to {rc}: {line}", *([f"what it was before is in {copy}"] if copy != rc else []))


def settings_file(program: str, key: str | None, *, offline: bool) -> str:
    """The settings, as neomutt reads them; ``program`` is a shell command.

    Raises:
        UsageError: the folder of the data has a name that neomutt cannot put into a command.
    """
    folder = data_directory() / "neomutt"
    if not set(str(folder)) <= _PLAIN:
        msg = f"neomutt cannot put {folder} into a command: it does not quote blanks and the like"
        raise UsageError(msg, hint="set XDG_DATA_HOME to a folder without them, for smime-agent and neomutt")
    commands = _commands(program, offline=offline)
    wanted = f" --key {shlex.quote(key)}" if key is not None else ""
    lines = [
        _MARK,
        "# It may be written anew at any time: your own settings belong into your neomuttrc, below the line that reads",
        "# this file.",
        "",
        "# Not GPGME, which would ask gpgsm. This holds for OpenPGP too: neomutt calls gpg then.",
        "set crypt_use_gpgme=no",
        "set smime_is_default=yes",
        "",
        f'set smime_certificates="{_quoted(str(folder / "certificates"))}"',
        f'set smime_keys="{_quoted(str(folder / "keys"))}"',
        *(f'set smime_{name}_command="{_quoted(command)}"' for name, command in commands.items()),
        "",
        "# The same digest for whatever key: neomutt writes it into the mail.",
        'set smime_sign_digest_alg="sha256"',
        "# What the recipients can decrypt is known, and decides.",
        "unset smime_encrypt_with",
        "# The token knows for which key a mail is.",
        "set smime_decrypt_use_default_key=yes",
        "unset smime_ask_cert_label",
        "# neomutt asks for a passphrase before it calls anybody. It is not used: press Enter. It asks again after",
        "# so many seconds.",
        "set smime_timeout=32767",
        '# "From " at the beginning of a line is changed on its way, and the signature would break.',
        "set encode_from=yes",
        "# In the list of mails a verified signature looks like any: neomutt shows it there although it is",
        "# not the sender's.",
        'set crypt_chars="sPsK "',
        "",
        "# The keys, and the certificates of your contacts, as of now.",
        f'source "{_quoted(f"{program} neomutt settings{wanted}")} |"',
    ]
    return "\n".join(lines) + "\n"


def _commands(program: str, *, offline: bool) -> dict[str, str]:
    """What neomutt runs, by the names of its settings."""
    net = " --offline" if offline else ""
    call = f"{program} neomutt".replace("%", "%%")
    return {
        "sign": f"{call} sign --digest %d --key %k -- %f",
        "encrypt": f"{call} encrypt{net} -- %f %c",
        "decrypt": f"{call} decrypt -- %f",
        "verify": f"{call} verify{net} --content %f -- %s",
        "verify_opaque": f"{call} verify{net} -- %s",
        "get_signer_cert": f"{call} signer{net} -- %f > %c",
        "get_cert_email": f"{call} addresses -- %f",
        # Three steps to keep a certificate: the first two hand the mail on, since all of it says whose it is.
        "pk7out": "cat -- %f",
        "get_cert": "cat -- %f",
        "import_cert": f"{call} remember{net} -- %f",
    }


def neomuttrc() -> Path:
    """The person's file: the one that neomutt reads, or where it would look first."""
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    places = [*(config / name for name in _CONFIG_PLACES), *(home / name for name in _HOME_PLACES)]
    return next((place for place in places if place.is_file()), places[0])


def add_line(rc: Path, line: str) -> Path | None:
    """Add a line to a person's file, once: where its copy is, the file itself if it is new, nothing if it is there.

    A link stays one: what it points to is changed.

    Raises:
        FileError: it cannot be read or written, or there is a copy of something else already.
    """
    target = rc.resolve()
    try:
        before = target.read_bytes() if target.exists() else None
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot use {target}: {error.strerror}"
        raise FileError(msg) from error
    encoded = line.encode(errors="surrogateescape")
    if before is None:
        write_file(target, [encoded + b"\n"])
        return target
    if encoded in before.splitlines():
        return None
    copy = target.with_name(target.name + ".before-smime-agent")
    mode = target.stat().st_mode & 0o777
    if not copy.exists():
        write_file(copy, [before], mode=mode)
    ending = b"" if before.endswith(b"\n") or not before else b"\n"
    write_file(target, [before, ending, encoded, b"\n"], mode=mode)
    return copy


def _write(path: Path, text: str) -> None:
    """Write the settings, over no file but one of ours.

    Raises:
        FileError: it cannot be written, or is somebody else's.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("rb") as file:
            is_ours = file.read(len(_MARK)) == _MARK.encode()
    except FileNotFoundError:
        is_ours = True
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise FileError(msg) from error
    if not is_ours:
        msg = f"{path} was not written by this command, and would be lost"
        raise FileError(msg, hint="choose another name with -o; --install adds a line to your neomuttrc")
    check_output(path)
    write_file(path, [text.encode(errors="surrogateescape")])


def _signs_for(key: str | None) -> list[str]:
    """The addresses that neomutt can sign for, the default first.

    Raises:
        NoKeyError: ``key`` is none that is known.
    """
    from smime_agent.certificates.history import History, history_path
    from smime_agent.cli.neomutt_keys import chosen, identities, own_keys

    keys = own_keys(History(history_path(data_directory())))
    people = identities(keys, datetime.now(UTC))
    if not people and key is None:
        return []
    first = chosen(people, keys, key)
    return [first.address, *(one.address for one in people if one != first)]


def _program() -> str:
    """This program, as the shell finds it from anywhere."""
    beside = Path(sys.executable).with_name("smime-agent")
    words = [str(beside)] if os.access(beside, os.X_OK) else [sys.executable, "-m", "smime_agent"]
    return shlex.join(words)


def _quoted(text: str) -> str:
    """A text between double quotes in a file of neomutt."""
    return "".join(f"\\{character}" if character in '"\\$`' else character for character in text)
