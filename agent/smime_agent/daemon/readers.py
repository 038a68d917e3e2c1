"""What the agent hears of cards, from a process that speaks with PC/SC; and who else has a card open."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from smime_agent.daemon.hardening import cleaned
from smime_agent.daemon.peers import Program, descriptors, own_processes
from smime_agent.errors import TokenError
from smime_agent.tokens.readers import NO_PCSC, EventKind, ReaderEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

_COMMAND = (sys.executable, "-P", "-m", "smime_agent.tokens.readers")
_LONGEST_LINE = 65536
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
_END_SECONDS = 1

PCSCD_SOCKET = "/run/pcscd/pcscd.comm"

# linux/sock_diag.h, linux/unix_diag.h, linux/netlink.h
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, _NLM_F_DUMP = 4, 20, 1, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_UDIAG_SHOW_NAME, _UDIAG_SHOW_PEER, _UNIX_DIAG_NAME, _UNIX_DIAG_PEER = 1, 4, 0, 2
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_ANSWER_SIZE = 16
_ATTRIBUTE = struct.Struct("=HH")
_MOST_ANSWERS = 1024


class ReaderEvents:
    """Cards as they come and go. ``readers`` are those there are, with the ATR of the card in each.

    ``is_available`` is false while PC/SC cannot be asked: then cards are only seen by looking.
    """

    def __init__(self, *, environment: Mapping[str, str] | None = None) -> None:
        """Watch with this environment, by default that of this process."""
        self.readers: dict[str, str | None] = {}
        self.is_available = False
        self._environment = cleaned(os.environ if environment is None else environment)

    async def watch(self) -> AsyncIterator[ReaderEvent]:
        """Each event. Ends only where PC/SC cannot be spoken with at all; a process that dies is started again."""
        pause = _FIRST_PAUSE
        while True:
            process = await self._start()
            if process is not None:
                try:
                    async for event in _events(process):
                        pause = _FIRST_PAUSE
                        if self._learn(event):
                            yield event
                finally:
                    self.is_available = False
                    await _end(process)
                for event in self._lose():
                    yield event
                if process.returncode == NO_PCSC:
                    return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _start(self) -> asyncio.subprocess.Process | None:
        pipe = asyncio.subprocess.PIPE
        try:
            return await asyncio.create_subprocess_exec(
                *_COMMAND, stdin=pipe, stdout=pipe, env=self._environment, limit=_LONGEST_LINE
            )
        except OSError:  # no process, or no descriptor, is to be had now
            return None

    def _learn(self, event: ReaderEvent) -> bool:
        """Note it; ``False`` where it is no news."""
        match event.event:
            case EventKind.STATE:
                known, self.readers, self.is_available = self.readers, dict(event.readers), event.available
                return known != self.readers
            case EventKind.AVAILABLE | EventKind.UNAVAILABLE:
                self.is_available = event.event is EventKind.AVAILABLE
            case EventKind.READER_REMOVED if event.reader is not None:
                self.readers.pop(event.reader, None)
            case EventKind.REMOVED | EventKind.INSERTED | EventKind.READER_ADDED if event.reader is not None:
                self.readers[event.reader] = event.atr if event.event is EventKind.INSERTED else None
        return True

    def _lose(self) -> Iterator[ReaderEvent]:
        """Nobody watches: for whoever is logged in to a card, it is as if it were taken out."""
        for reader, atr in self.readers.items():
            if atr is not None:
                yield ReaderEvent(EventKind.REMOVED, reader, atr)
        self.readers.clear()


async def _events(process: asyncio.subprocess.Process) -> AsyncIterator[ReaderEvent]:
    """What the process prints, until it ends or prints something else."""
    output = process.stdout
    with suppress(TokenError, ValueError):  # asyncio raises ValueError for a line that is too long
        while output is not None and (line := await output.readline()):
            yield ReaderEvent.parse(line)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    waiting = asyncio.ensure_future(process.wait())
    # No asyncio.timeout: in a task that was cancelled it ends as a cancellation, before Python 3.12.
    await asyncio.wait({waiting}, timeout=_END_SECONDS)
    if not waiting.done():
        with suppress(ProcessLookupError):
            process.kill()
    await waiting


def holders_of_reader(path: str | None = None) -> list[Program]:
    """This user's programs that are connected to pcscd, and scdaemon, which takes cards for itself; none of ours.

    ``path`` is pcscd's socket. It is empty where the kernel does not say who is connected to whom.
    """
    path = path or os.environ.get("PCSCLITE_CSOCK_NAME") or PCSCD_SOCKET
    wanted = {f"socket:[{inode}]" for inode in _clients_of(path)}
    holders = []
    for pid in own_processes():
        program = Program.of(pid)
        if not program.is_ours and (program.name == "scdaemon" or not wanted.isdisjoint(descriptors(pid))):
            holders.append(program)
    return holders


def _clients_of(path: str) -> set[int]:
    """The inodes of the sockets that are connected to a path. Source: sock_diag(7), of UNIX sockets."""
    states, show = 0xFFFFFFFF, _UDIAG_SHOW_NAME | _UDIAG_SHOW_PEER
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, states, 0, show, 0, 0)
    size = _HEADER.size + len(request)
    header = _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0)
    clients: set[int] = set()
    with suppress(OSError, AttributeError, struct.error):  # another system, or a kernel without it
        for kind, answer in _diagnose(header + request):
            attributes = dict(_attributes(answer[_ANSWER_SIZE:]))
            if kind == _SOCK_DIAG_BY_FAMILY and attributes.get(_UNIX_DIAG_NAME, b"").rstrip(b"\0") == os.fsencode(path):
                clients.update(struct.unpack("=I", attributes.get(_UNIX_DIAG_PEER, bytes(4))))
    return clients - {0}


def _diagnose(request: bytes) -> Iterator[tuple[int, bytes]]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as diagnosis:
        diagnosis.settimeout(1)
        diagnosis.send(request)
        for _ in range(_MOST_ANSWERS):
            for kind, answer in _messages(diagnosis.recv(1 << 16)):
                if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                    return
                yield kind, answer


def _messages(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while len(octets) >= _HEADER.size:
        size, kind, _flags, _number, _port = _HEADER.unpack_from(octets)
        if size < _HEADER.size:
            return
        yield kind, octets[_HEADER.size : size]
        octets = octets[(size + 3) & ~3 :]


def _attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while len(octets) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(octets)
        if size < _ATTRIBUTE.size:
            return
        yield kind, octets[_ATTRIBUTE.size : size]
        octets = octets[(size + 3) & ~3 :]
