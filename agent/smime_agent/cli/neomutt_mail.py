"""What neomutt hands over, made whole: it cuts mails into pieces, and joins them in its own way."""

from __future__ import annotations

import os
import re
import select
import signal
import termios
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from smime_agent.cli import ui
from smime_agent.cli.card import card
from smime_agent.source import Source
from smime_agent.verdict import Code, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from smime_agent.errors import SmimeAgentError
    from smime_agent.smime.verification import Verification

#: What neomutt looks for, in any letter case, alone in the first line.
_SUCCESS = "Verification successful"
#: How long an error stands on the screen, at most.
_PATIENCE_SECONDS = 60.0
_HEAD = 65_536
#: A header that has a MIME-Version.
_VERSION = re.compile(rb"(?:[^\r\n][^\n]*\n)*?mime-version[ \t]*:", re.IGNORECASE)
#: The fields before, and one that ends the first of two, all before the empty line.
_LEFT_OVER = re.compile(
    rb"((?:(?!content-)[^\n]+\n)*)content-disposition: attachment; filename=\"?smime\.p7m\"?\r?\n"
    rb"(?=(?:[^\r\n][^\n]*\n)*content-disposition:)",
    re.IGNORECASE,
)
_LINE_FEED = re.compile(rb"(?<!\r)\n")


def card_of_signature(found: Verification) -> Iterator[str]:
    """What is to be said of a signature without the mail that it came in: whose it is, and not who sent it."""
    told = tuple(note for note in found.notes if note.code is not Code.NO_SENDER)
    headline, *entries = card(replace(found, notes=told))
    if found.verdict is Verdict.TRUSTED:
        yield _SUCCESS
        yield "of the signature; whether the signer is who the mail says is told at the bottom of the screen"
    else:
        yield headline
    yield from entries


def whole_mail(path: Path) -> Source:
    """The mail. neomutt drops the MIME-Version of a copy that it decrypted, and keeps a Content-Disposition too many.

    That of what was encrypted stands before that of the content, and of two a verifier must not choose one. Both fields
    are outside of the signature in any case, and neomutt shows a mail without a MIME-Version as one that has it.
    """
    source = Source.from_path(path)
    head = source.read(0, _HEAD)
    if _VERSION.match(head):
        return source
    left = _LEFT_OVER.match(head)
    kept = head if left is None else head[: left.end(1)] + head[left.end() :]
    with source:
        return Source.from_blocks([b"MIME-Version: 1.0\r\n", kept, *source.chunks(len(head))])


def canonical(path: Path) -> Source:
    """The entity with CRLF line ends: neomutt writes LF, and sends and verifies CRLF (RFC 8551, 3.1.1)."""
    with Source.from_path(path) as source:
        return Source.from_blocks(_with_crlf(source.chunks()))


def _with_crlf(blocks: Iterable[bytes]) -> Iterator[bytes]:
    ends_in_cr = False
    for block in blocks:
        converted = _LINE_FEED.sub(b"\r\n", block)
        yield converted[1:] if ends_in_cr and converted.startswith(b"\r\n") and block.startswith(b"\n") else converted
        ends_in_cr = block.endswith(b"\r")


def tell_at_terminal(error: SmimeAgentError) -> None:
    """Tell why a mail was not decrypted, and wait until that was read: neomutt shows nothing of it."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return
    lines = [f"smime-agent: error: {error}", *error.details, *([f"hint: {error.hint}"] if error.hint else [])]
    text = "".join(f"\r\n{ui.printable(line)}\033[K" for line in (*lines, "Press Enter to continue"))
    with os.fdopen(terminal, "wb", buffering=0), suppress(OSError), ui.in_lines(terminal):
        os.write(terminal, text.encode(errors="backslashreplace"))
        select.select([terminal], [], [], _PATIENCE_SECONDS)
        termios.tcflush(terminal, termios.TCIFLUSH)
        os.killpg(os.tcgetpgrp(terminal), signal.SIGWINCH)  # neomutt draws its screen anew
