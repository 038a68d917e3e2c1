"""Who is at the other end of a socket: the user, as the kernel knows it, and the program, as `/proc` shows it.

The user decides who may speak with the agent. The program does not: whoever can run programs as this user can run any,
under any name. It is for the person who is asked, and for the audit log.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import select
import shlex
import socket
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from smime_agent.daemon.runtime import credentials

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket
    from collections.abc import Iterator, Sequence

_PROC = Path("/proc")
_SO_PEERPIDFD = 77  # Linux 6.5, asm-generic/socket.h

_MOST_PARENTS = 8
_SHOWN_PARENTS = 3
_MOST_ARGUMENTS = 32
_LONGEST_ARGUMENT = 256
_LONGEST_PATH = 4096
_LONGEST_COMMAND = 16384
_STARTED = 19  # field 22 of proc_pid_stat(5), counted from the state, which is field 3 and follows the name
_NO_SYSTEM = frozenset({"systemd", "init", "launchd"})  # everything is in it: it says nothing

#: What the command line of this package is started as: a script of that name, or ``python -m`` with a module.
_OURS = re.compile(
    r"(?:.*/)?smime-agent(?:-gpgsm)?|smime_agent(?:\.[a-z_.]+)?|.*/smime_agent/(?:cli/[a-z_]+|__main__)\.py"
)


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """How the arguments of an interpreter name what it runs: by options of one letter, else the first that is none."""

    code: str  # the program is in the argument
    module: str = ""  # its name is
    valued: str = ""  # takes another argument
    long_valued: frozenset[str] = frozenset()


_INTERPRETERS = (
    (re.compile(r"python[0-9.]*|pypy[0-9.]*"), _Interpreter("c", "m", "WX", frozenset({"--check-hash-based-pycs"}))),
    (
        re.compile(r"sh|dash|bash|zsh|ksh[0-9]*|mksh|ash|busybox"),
        _Interpreter("c", valued="oO", long_valued=frozenset({"--rcfile", "--init-file"})),
    ),
    (re.compile(r"perl[0-9.]*|ruby[0-9.]*"), _Interpreter("eE", valued="IrC")),
    (re.compile(r"node|nodejs"), _Interpreter("ep", valued="r", long_valued=frozenset({"--require", "--import"}))),
)


@dataclass(frozen=True, slots=True)
class Program:
    """A process: what it runs, and in what it runs. Nothing here is escaped: it may hold control characters.

    ``name`` is what a person calls it (that of the script, for an interpreter); ``command`` its first arguments, cut;
    ``script`` what an interpreter runs: an absolute path, the name of a module, or ``-c`` and a digest of the code.
    The command line is what the process says of itself, the executable what the kernel says.
    ``started`` counts the clock ticks since boot; with ``pid`` it names a process for ever.
    """

    name: str
    executable: str | None = None
    command: tuple[str, ...] = ()
    parents: tuple[Program, ...] = ()
    script: str | None = None
    pid: int = 0
    started: int | None = None

    @classmethod
    def of(cls, pid: int) -> Program:
        """The process with that number, and up to eight in which it runs: as much of it as can be read."""
        program, parent = _read(pid)
        parents: list[Program] = []
        younger = program
        while len(parents) < _MOST_PARENTS and parent > 1 and younger.started is not None:
            above, parent = _read(parent)
            if above.started is None or above.started > younger.started:
                break  # the parent ended, and its number is another's
            parents.append(above)
            younger = above
        return replace(program, parents=tuple(parents))

    @property
    def asking(self) -> Program:
        """The program that a person would name: the one that called a command of ours, by a shell or without."""
        line = (self, *self.parents)
        if not self.is_ours:
            return self
        above = next((place for place, program in enumerate(line) if not program.is_ours), None)
        if above is None:
            return self
        caller = next((place for place in range(above, len(line)) if not line[place].runs_code), above)
        return replace(line[caller], parents=line[caller + 1 :])

    @property
    def description(self) -> str:
        """For a dialogue: ``git (in bash, in tmux)``, of the program that is asking."""
        asking = self.asking
        names: list[str] = [asking.name]
        for parent in asking.parents:
            if parent.name != names[-1] and parent.name not in _NO_SYSTEM:
                names.append(parent.name)
        inside = ", ".join(f"in {name}" for name in names[1 : 1 + _SHOWN_PARENTS])
        return f"{names[0]} ({inside})" if inside else names[0]

    @property
    def identity(self) -> str:
        """What stays the same from one run of the asking program to the next: the executable, and its script."""
        asking = self.asking
        return shlex.join([asking.executable or asking.name, *([asking.script] if asking.script else [])])

    def still_there(self) -> bool:
        """It runs: the number has not become another process's."""
        return self.started is not None and _started(self.pid) == self.started

    @property
    def is_ours(self) -> bool:
        """It is a command of this package, which somebody called."""
        return _OURS.fullmatch(self.script or self.executable or "") is not None

    @property
    def runs_code(self) -> bool:
        """A shell that only stands between: ``sh -c COMMAND``."""
        return (self.script or "").startswith("-c ") and Path(self.executable or "").name.endswith(("sh", "busybox"))


@dataclass(frozen=True, slots=True)
class Peer:
    """Who connected. ``uid`` and ``pid`` are the kernel's word about the moment of the connection."""

    pid: int
    uid: int
    program: Program = field(repr=False)

    @classmethod
    def of(cls, connection: socket.socket | TransportSocket) -> Peer:
        """The process that connected; a socket that it handed on speaks in its name.

        Whether ``uid`` is welcome is for the caller to say.

        Raises:
            AgentError: this system does not say who it is.
        """
        pid, uid = credentials(connection)
        program = Program.of(pid) if pid > 0 else Program("unknown")  # 0: of a PID namespace that we do not see
        if _has_ended(connection):  # the number may have been another's while we read
            program = Program("unknown", pid=pid)
        return cls(pid, uid, program)

    def still_there(self) -> bool:
        """The process that connected runs, and its number is not another's."""
        return self.program.still_there()


def own_processes() -> Iterator[int]:
    """The numbers of this user's processes, those that are not dumpable too, whose folders are root's."""
    for folder in _entries(_PROC):
        if folder.isascii() and folder.isdigit():
            status = _head(_PROC / folder / "status", _LONGEST_PATH)
            found = re.search(rb"^Uid:\s+(\d+)", status, re.MULTILINE)
            if found and int(found[1]) == os.getuid():
                yield int(folder)


def descriptors(pid: int) -> Iterator[str]:
    """What the descriptors of a process point at: ``socket:[4711]``; nothing of one that may not be looked into."""
    folder = _PROC / str(pid) / "fd"
    for name in _entries(folder):
        if target := _link(folder / name):
            yield target


def _entries(folder: Path) -> Sequence[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are enough, thousands of paths are not wanted
    except OSError:
        return ()


def _read(pid: int) -> tuple[Program, int]:
    """A process without parents, and the number of its parent, 0 where there is none."""
    name, fields = _stat(pid)
    if not fields:
        return Program("unknown", pid=pid), 0
    folder = _PROC / str(pid)
    executable = _without_deleted(_link(folder / "exe"))
    octets = _head(folder / "cmdline", _LONGEST_COMMAND)
    arguments = [_text(argument) for argument in octets.removesuffix(b"\0").split(b"\0")]
    script = _script(executable or "", arguments, folder)
    if script is not None and not script.startswith("-c "):
        name = script.rsplit("/", 1)[-1]
    elif executable is not None:
        name = executable.rsplit("/", 1)[-1]
    command = tuple(argument[:_LONGEST_ARGUMENT] for argument in arguments[:_MOST_ARGUMENTS])
    name = name[:_LONGEST_ARGUMENT] or "unknown"
    return Program(name, executable, command, (), script, pid, int(fields[_STARTED])), int(fields[1])


def _stat(pid: int) -> tuple[str, list[bytes]]:
    """The name of a process, and the fields of its stat from the state on; none where it ended."""
    octets = _head(_PROC / str(pid) / "stat", _LONGEST_PATH)
    begin, end = octets.find(b"("), octets.rfind(b")")  # the name may hold both, and spaces
    fields = octets[end + 1 :].split()
    if not 0 < begin < end or len(fields) <= _STARTED:
        return "unknown", []
    return _text(octets[begin + 1 : end]), fields


def _started(pid: int) -> int | None:
    _name, fields = _stat(pid)
    return int(fields[_STARTED]) if fields and fields[0] not in (b"Z", b"X") else None


def _script(executable: str, arguments: list[str], folder: Path) -> str | None:
    """What an interpreter runs; ``None`` of what is no interpreter, or reads its standard input."""
    name = executable.rsplit("/", 1)[-1]
    how = next((interpreter for pattern, interpreter in _INTERPRETERS if pattern.fullmatch(name)), None)
    if how is None:
        return None
    rest = iter(arguments[1:])
    for argument in rest:
        if argument in how.long_valued:
            next(rest, None)
        elif argument == "--":
            return _absolute(next(rest, None), folder)
        elif argument in ("", "-"):
            return None
        elif not argument.startswith(("-", "+")):
            return _absolute(argument, folder)
        elif not argument.startswith("--") and (found := _cluster(how, argument[1:], rest)):
            return found
    return None


def _cluster(how: _Interpreter, letters: str, rest: Iterator[str]) -> str | None:
    """What ``-Im package`` or ``-ec CODE`` names: a module, or code."""
    for place, letter in enumerate(letters):
        after = letters[place + 1 :]
        if letter in how.code:
            code = next(rest, "")
            return f"-c {hashlib.sha256(code.encode('utf-8', 'replace')).hexdigest()[:16]}"
        if letter in how.module:
            return after or next(rest, None)
        if letter in how.valued:
            if not after:
                next(rest, None)
            return None
    return None


def _absolute(script: str | None, folder: Path) -> str | None:
    if not script or script.startswith(("/dev/", "/proc/")):  # a descriptor: of no name
        return None
    if script.startswith("/"):
        return script[:_LONGEST_PATH]
    where = _link(folder / "cwd")
    return os.path.normpath(f"{where}/{script}"[:_LONGEST_PATH]) if where else script[:_LONGEST_PATH]


def _without_deleted(executable: str | None) -> str | None:
    """The path of an executable that was replaced while it ran, as an upgrade does."""
    if executable is None or not executable.endswith(" (deleted)"):
        return executable
    return executable if os.path.lexists(executable) else executable.removesuffix(" (deleted)")


def _link(path: Path) -> str | None:
    try:
        return _text(os.fsencode(path.readlink()))
    except OSError:
        return None


def _head(path: Path, size: int) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(size) or b""
    except OSError:
        return b""


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def _has_ended(connection: socket.socket | TransportSocket) -> bool:
    """The process that connected has ended; ``False`` where the kernel is too old to say."""
    # Before 6.16 there is no descriptor of a process that was waited for: unix_get_peer_pidfd gives an error.
    try:
        descriptor = struct.unpack("=i", connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD, 4))[0]
    except OSError as error:
        return error.errno in (errno.ESRCH, errno.EINVAL, errno.ENODATA)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)  # readable once it has ended: pidfd_open(2)
        return bool(poll.poll(0))
    finally:
        os.close(descriptor)
