"""Where a PIN comes from when no person types it: a variable, a file, a descriptor or a program; never argv."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from smime_agent.errors import PinUnavailableError, UsageError
from smime_agent.keys import Pin

if TYPE_CHECKING:
    from smime_agent.keys import PinRequest, Prompter

_LONGEST = 256  # PKCS#11 tokens take less; more is not a PIN but the wrong file
_PROGRAM_SECONDS = 60


class PinSourceKind(Enum):
    """Where to look. The value begins a ``--pin-source``."""

    PROMPT = "prompt"
    ENVIRONMENT = "env"
    FILE = "file"
    DESCRIPTOR = "fd"
    PROGRAM = "|"


@dataclass(frozen=True, slots=True)
class PinSource:
    """A place that holds a PIN: ``prompt``, ``env:NAME``, ``file:PATH``, ``fd:N`` or ``|/path/to/program``."""

    kind: PinSourceKind
    argument: str = ""

    @classmethod
    def parse(cls, text: str) -> PinSource:
        """Read a source; a ``file:`` URI and a bare absolute path are files too (RFC 7512, 2.4).

        Raises:
            UsageError: it is none. The text is not repeated: it may be the PIN itself.
        """
        if text == PinSourceKind.PROMPT.value:
            return cls(PinSourceKind.PROMPT)
        if text.startswith("|/"):
            return cls(PinSourceKind.PROGRAM, text[1:])
        if text.startswith("/"):
            return cls(PinSourceKind.FILE, text)
        kind, colon, argument = text.partition(":")
        if colon and argument and kind in ("env", "file", "fd"):
            if kind == "file" and argument.startswith("//"):
                argument = unquote(argument.removeprefix("//localhost").removeprefix("//"))
            if kind != "fd" or (argument.isascii() and argument.isdigit()):
                return cls(PinSourceKind(kind), argument)
        msg = "this is no source of a PIN"
        raise UsageError(
            msg,
            hint="use prompt, env:NAME, file:PATH, fd:N or |/program; the PIN itself never goes on the command line",
        )

    def read(self) -> Pin:
        """The PIN: the first line of what the source holds. A variable is taken out of the environment.

        Raises:
            PinUnavailableError: there is none.
        """
        data = self._octets()
        line = data.split(b"\n", 1)[0].rstrip(b"\r")
        if not line or len(line) > _LONGEST:
            what = "is empty" if not line else f"begins with a line of more than {_LONGEST} octets"
            msg = f"the PIN source {self} {what}"
            raise PinUnavailableError(msg, hint="the PIN is the first line of it")
        try:
            line.decode()
        except UnicodeDecodeError:
            msg = f"what the PIN source {self} holds is not UTF-8, and so no PIN"
            raise PinUnavailableError(msg) from None
        return Pin(line)

    def __str__(self) -> str:
        """The source as it was given; it holds no secret."""
        return f"{self.kind.value}{'' if self.kind is PinSourceKind.PROGRAM else ':'}{self.argument}"

    def _octets(self) -> bytes:
        try:
            match self.kind:
                case PinSourceKind.ENVIRONMENT:
                    return os.environb.pop(os.fsencode(self.argument), b"")
                case PinSourceKind.FILE:
                    with Path(self.argument).open("rb") as file:
                        return file.read(_LONGEST + 2)
                case PinSourceKind.DESCRIPTOR:
                    return _read_line(int(self.argument))
                case PinSourceKind.PROGRAM:
                    done = subprocess.run(  # noqa: S603 - the person named this program, by its absolute path
                        [self.argument],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        timeout=_PROGRAM_SECONDS,
                        check=True,
                    )
                    return done.stdout
                case PinSourceKind.PROMPT:
                    return b""
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no such descriptor"
            msg = f"cannot read the PIN from {self}: {reason}"
            raise PinUnavailableError(msg) from error
        except subprocess.SubprocessError as error:
            msg = f"cannot read the PIN from {self}: the program failed"
            raise PinUnavailableError(msg) from error


def _read_line(descriptor: int) -> bytes:
    """One line, and not an octet more: what follows may be for another reader."""
    line = bytearray()
    while len(line) <= _LONGEST and (octet := os.read(descriptor, 1)) not in (b"", b"\n"):
        line += octet
    return bytes(line)


class SourcePrompter:
    """A :class:`~smime_agent.keys.Prompter` that reads the PIN from a source, and leaves touches to another one."""

    def __init__(self, source: PinSource, person: Prompter) -> None:
        """Read from ``source``; ``person`` hears of touches, and is asked where the source is the prompt."""
        self._source = source
        self._person = person
        self._octets: bytes | None = None

    def __repr__(self) -> str:
        """The source, and never the PIN."""
        return f"SourcePrompter({self._source})"

    def pin(self, request: PinRequest) -> Pin:
        """The PIN. A source is read once: a descriptor gives it only once, and a key may want it again."""
        if self._source.kind is PinSourceKind.PROMPT:
            return self._person.pin(request)
        if self._octets is None:
            self._octets = bytes(self._source.read().reveal())
        return Pin(self._octets)

    def pad(self, token: str) -> None:
        """Tell the person."""
        self._person.pad(token)

    def touch(self, token: str) -> None:
        """Tell the person."""
        self._person.touch(token)
