"""A pinentry that answers from a list: what a person would type, and what a pinentry can do wrong.

Run as a program it speaks Assuan; :class:`FakePinentry` writes it down, and reads what it was asked. Only what the
program needs is imported: it is started hundreds of times.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

SOURCE_PINENTRY = 5 << 24  # libgpg-error: the source stands in the upper bits of a code
CANCELED, NOT_CONFIRMED, TIMEOUT = SOURCE_PINENTRY | 99, SOURCE_PINENTRY | 114, SOURCE_PINENTRY | 62
MISBEHAVIOUR = ("hang", "die", "garbage", "endless", "timeout", "cancel", "closed", "locked-up")


class FakePinentry:
    """A pinentry for tests: ``program`` is its path, ``environment`` makes the agent use it.

    ``pins`` are answers to GETPIN and ``confirms`` to CONFIRM (``yes`` or ``no``), in order, shared by all runs. Any of
    them may be ``cancel``, ``timeout``, ``hang`` (no answer, ends when told to), ``locked-up`` (no answer, and deaf to
    all signals that it can be), ``die``, ``closed``, ``garbage``, ``endless`` (a line without an end),
    ``half ANSWER`` (it ends in the middle of it), or ``wait SECONDS ANSWER``.
    ``afterwards`` is the answer to all that come later.
    """

    def __init__(
        self,
        folder: Path,
        pins: Sequence[str] = (),
        confirms: Sequence[str] = (),
        *,
        afterwards: str = "cancel",
        greeting: str = "OK Pleased to meet you",
    ) -> None:
        """Write the program into ``folder``."""
        import shlex

        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.program = folder / "pinentry"
        (folder / "afterwards").write_text(afterwards)
        (folder / "greeting").write_text(greeting)
        for name in ("pins", "confirms", "log"):
            (folder / name).touch()
        self.answer(pins=pins, confirms=confirms)
        command = shlex.join([sys.executable, "-I", "-S", __file__, str(folder)])
        self.program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        self.program.chmod(0o700)

    @property
    def environment(self) -> dict[str, str]:
        """What makes the agent use it."""
        return {"PINENTRY_PROGRAM": str(self.program)}

    def answer(self, *, pins: Sequence[str] = (), confirms: Sequence[str] = ()) -> None:
        """Know more answers."""
        for name, answers in (("pins", pins), ("confirms", confirms)):
            with (self._folder / name).open("a") as file:
                file.writelines(f"{answer}\n" for answer in answers)

    def runs(self) -> list[dict[str, Any]]:
        """How it was started, oldest first: ``pid``, ``arguments``, ``environment``, ``descriptors``, ``session``."""
        return [entry for entry in self._log() if "environment" in entry]

    def lines(self, command: str = "") -> list[str]:
        """What it was sent, as it was sent; of one command, its arguments."""
        sent = [entry["line"] for entry in self._log() if "line" in entry]
        return [line.partition(" ")[2] for line in sent if line.split(" ")[0] == command] if command else sent

    def asked(self, command: str = "GETPIN") -> int:
        """How often it was asked for a PIN, or with ``CONFIRM`` for a yes."""
        return len(self.lines(command))

    def descriptions(self) -> list[str]:
        """The texts that the person was shown."""
        from urllib.parse import unquote

        return [unquote(line) for line in self.lines("SETDESC")]

    def _log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self._folder / "log").read_text().splitlines()]


def log(folder: str, **entry: object) -> None:
    """Add a line, whole, whoever else writes."""
    descriptor = os.open(f"{folder}/log", os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, json.dumps({"pid": os.getpid(), **entry}).encode() + b"\n")
    os.close(descriptor)


def take(folder: str, name: str) -> str:
    """The next answer, which no other run gets."""
    with open(f"{folder}/{name}", "r+") as file:  # noqa: PTH123 - pathlib would take longer to import than all else here
        fcntl.flock(file, fcntl.LOCK_EX)
        answer, newline, rest = file.read().partition("\n")
        if newline:
            file.seek(0)
            file.write(rest)
            file.truncate()
            return answer
    with open(f"{folder}/afterwards") as file:  # noqa: PTH123 - the same
        return file.read()


def say(text: str) -> None:
    """One line."""
    os.write(1, text.encode() + b"\n")


def misbehave(answer: str) -> None:
    """Do what a pinentry should not."""
    if answer == "die":
        os.kill(os.getpid(), 9)
    if answer == "closed":
        sys.exit(0)
    if answer == "locked-up":
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if answer in {"hang", "locked-up"}:
        time.sleep(3600)
    if answer == "garbage":
        os.write(1, b"\x00\xff what %zz\nD %\nOK\n")
    while answer == "endless":
        os.write(1, b"D " + b"1" * 4000)


def respond(folder: str, command: str) -> None:
    """Answer one command."""
    if command not in {"GETPIN", "CONFIRM"}:
        say("OK")
        return
    answer = take(folder, "pins" if command == "GETPIN" else "confirms")
    if answer.startswith("wait "):
        _, seconds, answer = answer.split(" ", 2)
        time.sleep(float(seconds))
    if answer == "cancel":
        say(f"ERR {CANCELED} Operation cancelled <Pinentry>")
    elif answer == "timeout":
        say(f"ERR {TIMEOUT} Timeout <Pinentry>")
    elif answer.startswith("half "):
        os.write(1, f"D {answer[5:]}".encode())
        sys.exit(0)
    elif answer in MISBEHAVIOUR:
        misbehave(answer)
    elif command == "GETPIN":
        for character in "%\r\n":
            answer = answer.replace(character, f"%{ord(character):02X}")
        say(f"D {answer}\nOK" if answer else "OK")
    else:
        say("OK" if answer == "yes" else f"ERR {NOT_CONFIRMED} Not confirmed <Pinentry>")


def main() -> None:
    """Greet, and answer line by line until BYE."""
    folder, *arguments = sys.argv[1:]
    descriptors = sorted(map(int, os.listdir("/proc/self/fd")))[:-1]  # noqa: PTH208 - as above; the last one is listdir's
    session = os.getsid(0)
    with open("/proc/self/environ") as file:  # noqa: PTH123 - as above; Python has changed its own copy (PEP 538)
        environment = dict(entry.split("=", 1) for entry in file.read().split("\0") if entry)
    log(folder, arguments=arguments, environment=environment, descriptors=descriptors, session=session)
    with open(f"{folder}/greeting") as file:  # noqa: PTH123 - as above
        greeting = file.read()
    if greeting in MISBEHAVIOUR:
        misbehave(greeting)
    say(greeting)
    for line in sys.stdin:
        log(folder, line=line.rstrip("\n"))
        if line.strip() == "BYE":
            say("OK closing connection")
            return
        respond(folder, line.split()[0] if line.split() else "")


if __name__ == "__main__":
    main()
