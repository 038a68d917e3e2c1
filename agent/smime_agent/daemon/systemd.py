"""What systemd gives to the agent and is told by it, without its library: sockets, and how far the agent is.

The variables are those of sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import re
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from smime_agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
WATCHDOG: Final = "WATCHDOG=1"

#: What a program that the agent starts must not inherit: it would speak for the agent, or take its sockets.
VARIABLES: Final = (
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)

_FIRST: Final = 3  # SD_LISTEN_FDS_START
_MOST: Final = 16  # our unit has one; whoever adds some stays below this
_PATIENCE_SECONDS: Final = 1.0
_LONGEST_STATUS: Final = 200


def listening_sockets() -> list[socket.socket]:
    """The sockets that systemd opened for this process, none where it did not start it through a socket.

    Each listens, is a stream of the family AF_UNIX with a path, and is not inherited by programs that are started
    later. The variables that tell of them are taken out of the environment. They are for this process alone: what was
    said to another one that started it is not heard.

    Raises:
        ConfigError: the variables are not what sd_listen_fds(3) describes, or a descriptor is something else.
    """
    said = {name: os.environ.pop(name, None) for name in VARIABLES if name.startswith("LISTEN_")}
    if said["LISTEN_PID"] is None and said["LISTEN_FDS"] is None:
        return []
    if _number("LISTEN_PID", said["LISTEN_PID"]) != os.getpid():
        return []
    count = _number("LISTEN_FDS", said["LISTEN_FDS"])
    if count > _MOST:
        msg = f"LISTEN_FDS={count}: at most {_MOST} sockets are taken from systemd"
        raise ConfigError(msg)
    names = said["LISTEN_FDNAMES"]
    if names is not None and len(names.split(":")) != count:
        msg = f"LISTEN_FDNAMES does not name {count} sockets, which LISTEN_FDS says there are"
        raise ConfigError(msg)
    return list(_taken(range(_FIRST, _FIRST + count)))


def _number(name: str, value: str | None) -> int:
    if value is None or not re.fullmatch("[0-9]{1,10}", value):
        msg = f"{name} is {'missing' if value is None else 'not a number'}: systemd does not start programs so"
        raise ConfigError(msg, hint="unset LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES")
    return int(value)


def _taken(descriptors: range) -> Iterator[socket.socket]:
    """All of them or none: until each was looked at, nothing says that they are ours to close."""
    problems = [problem for one in descriptors if (problem := _problem(one)) is not None]
    if problems:
        raise ConfigError(problems[0], hint="the socket unit is to have ListenStream= with a path, and Accept=no")
    for one in descriptors:
        yield socket.socket(fileno=one)


def _problem(descriptor: int) -> str | None:
    """Why this is no socket for the agent; it is closed by exec from here on."""
    named = f"descriptor {descriptor} from systemd"
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no name
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return f"{named} is not a socket"
    except OSError as error:
        return f"{named} cannot be used: {error.strerror}"
    seen = socket.socket(fileno=descriptor)
    try:
        if (seen.family, seen.type) != (socket.AF_UNIX, socket.SOCK_STREAM):
            return f"{named} is not a stream socket of this machine"
        if not seen.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return f"{named} does not listen"
        name = seen.getsockname()
        # An abstract name has no permissions: every user of the machine reaches it.
        return None if isinstance(name, str) and name.startswith("/") else f"{named} has no path"
    except OSError as error:
        return f"{named} cannot be used: {error.strerror}"
    finally:
        seen.detach()


def notify(state: str) -> None:
    """Tell systemd about this process: :data:`READY`, :func:`status` or both, each in a line of its own.

    It is silent where systemd did not ask, and never fails: an agent that works is not ended for a message.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return
    with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(_PATIENCE_SECONDS)
        sender.sendto(os.fsencode(state), "\0" + address[1:] if address.startswith("@") else address)


def status(text: str) -> str:
    """A line for ``systemctl status``. It cannot say more than that, whatever a token's label may hold."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return f"STATUS={shown[:_LONGEST_STATUS]}"


def reloading(monotonic_nanoseconds: int) -> str:
    """That the agent begins to lock after SIGHUP; :data:`READY` says that it has. The time is CLOCK_MONOTONIC's."""
    return f"RELOADING=1\nMONOTONIC_USEC={monotonic_nanoseconds // 1000}"


def watchdog_seconds() -> float | None:
    """How often to send :data:`WATCHDOG`, twice in the time after which systemd ends a process that is silent.

    ``None`` where the unit has no ``WatchdogSec=``, or where it is another process that is watched.
    """
    period, watched = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if watched != str(os.getpid()) or not re.fullmatch("[0-9]{1,18}", period) or not int(period):
        return None
    return int(period) / 2_000_000


async def keep_watchdog() -> None:
    """Send :data:`WATCHDOG` for ever, where systemd asked for it; else return at once.

    It is a task of the event loop: a loop that hangs sends none, and the agent is ended, and so locked.
    """
    import asyncio

    seconds = watchdog_seconds()
    while seconds is not None:
        notify(WATCHDOG)
        await asyncio.sleep(seconds)
