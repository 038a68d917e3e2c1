"""neomutt at the desk of somebody whose key is on a token: her home, her mailbox, and what she sends."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.program import Result, run
from tests.support.screen import Screen
from tests.support.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from pathlib import Path

_RC = """\
set from="alice@example.org" real_name="Alice Example" use_from=yes hostname="example.org"
set sendmail="{folder}/sendmail" editor="{folder}/editor" tmpdir="{folder}/tmp"
set folder="{folder}" spool_file="{folder}/inbox" record="{folder}/sent" mbox_type=mbox move=no
set mail_check=0 sleep_time=0 read_inc=0 write_inc=0 net_inc=0 confirm_append=no markers=no header_cache=""
set quit=yes delete=yes fast_reply=yes include=no abort_nosubject=no abort_unmodified=no
set crypt_timestamp=no crypt_reply_sign=no
"""
_SENDMAIL = '#!/bin/sh\ncat > "{folder}/sending" && mv "{folder}/sending" "{folder}/outbox"\n'
_EDITOR = '#!/bin/sh\nprintf "%s\\n" "Dear Bob," "From here on \u00fc is no ASCII. " "." >> "$1"\n'


@dataclass(frozen=True)
class Desk:
    """The desk; ``env`` is what her programs run in."""

    folder: Path
    env: dict[str, str]

    @classmethod
    def furnished(cls, folder: Path, token: str, ca: bytes) -> Desk:
        """A home with a configuration, an empty mailbox, and a program that takes what is sent."""
        for name in ("tmp", ".config/smime-agent", ".config/neomutt"):
            (folder / name).mkdir(parents=True)
        (folder / "inbox").touch()
        (folder / "ca.pem").write_bytes(ca)
        config = f'token = "{token}"\npin_source = "env:PIN"\nca_files = ["{folder}/ca.pem"]\n'
        (folder / ".config/smime-agent/config.toml").write_text(config)
        (folder / ".config/neomutt/neomuttrc").write_text(_RC.format(folder=folder))
        for name, text in (("sendmail", _SENDMAIL), ("editor", _EDITOR)):
            (folder / name).write_text(text.replace("{folder}", str(folder)))
            (folder / name).chmod(stat.S_IRWXU)
        env = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "LANG": "C.UTF-8",
            "PIN": PIN,
            "SMIME_AGENT_MODULE": MODULE,
            "SOFTHSM2_CONF": os.environ["SOFTHSM2_CONF"],
        }
        return cls(folder, env)

    @property
    def rc(self) -> Path:
        """Her neomuttrc."""
        return self.folder / ".config/neomutt/neomuttrc"

    @property
    def certificates(self) -> Path:
        """Where neomutt looks certificates up."""
        return self.folder / ".local/share/smime-agent/neomutt/certificates"

    def certificate(self, address: str = "alice@example.org") -> Path:
        """The certificate that neomutt would encrypt to."""
        lines = (self.certificates / ".index").read_text().splitlines()
        return self.certificates / next(line.split()[1] for line in lines if line.split()[0] == address)

    def ask_for_pin(self) -> None:
        """Have the PIN asked for from now on."""
        config = self.folder / ".config/smime-agent/config.toml"
        config.write_text(config.read_text().replace("env:PIN", "prompt"))

    def agent(self, *arguments: str | Path, stdin: bytes = b"") -> Result:
        """Run ``smime-agent`` there."""
        return run(*arguments, stdin=stdin, env=self.env, cwd=self.folder)

    def receive(self, message: bytes) -> None:
        """Deliver a mail: LF line ends, as mailboxes have them."""
        lines = message.replace(b"\r\n", b"\n")
        quoted = lines.replace(b"\nFrom ", b"\n>From ")
        with (self.folder / "inbox").open("ab") as inbox:
            inbox.write(b"From somebody@example.org Tue Jan  6 10:00:00 2026\n" + quoted.rstrip(b"\n") + b"\n\n")

    def neomutt(self, *settings: str) -> Screen:
        """Start neomutt, with these settings after those of its files."""
        return Screen(["neomutt", "-n", *(word for one in settings for word in ("-e", one))], self.env, self.folder)

    @property
    def outbox(self) -> Path:
        """The last mail that was sent, if there is one."""
        return self.folder / "outbox"
