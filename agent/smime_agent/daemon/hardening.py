"""What a process that sees a PIN, or speaks for a key, takes from others of the same user and gives up itself.

All of it is undone by exec, but for the limits, the umask and what was given up: each process of the agent hardens
itself, first thing. What it does not do is in docs/threat-model.md.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smime_agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_GET_DUMPABLE, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 3, 4, 38
# sys/mman.h; ONFAULT: lock what is used, and not all that is mapped (Linux 4.4)
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14
_ENV_START, _ENV_END = 47, 48  # fields 50 and 51 of proc_pid_stat(5), counted from the state
_BYTES_HEADER = bytes.__basicsize__ - 1  # of CPython: where the octets of a bytes object begin
_MOST_DESCRIPTORS = 1 << 20

_CORE, _DUMPABLE = "no core dumps", "not readable by other processes"
_MEMORY, _UMASK, _PRIVILEGES = "all memory locked", "new files for the user alone", "no new privileges"

#: Not for the agent's children. What a vendor's module reads is not here, and so LD_LIBRARY_PATH is not: such modules
#: are told by it where their libraries are. PYTHONPATH and PYTHONHOME are how this interpreter found this package;
#: without them a worker may not start, and they cannot bring in code that does not run here already.
_UNWANTED = re.compile(
    r"LD_(?!LIBRARY_PATH$)[A-Z_]+"  # LD_PRELOAD, LD_AUDIT, LD_DEBUG: code and output that nobody asked of a worker
    r"|DYLD_(?!LIBRARY_PATH$)[A-Z_]+"
    r"|PYTHON(?!PATH$|HOME$|DONTWRITEBYTECODE$)[A-Z0-9_]+"
    r"|GCONV_PATH|GLIBC_TUNABLES|MALLOC_[A-Z_]+|NLSPATH|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS"
    r"|BASH_ENV|ENV|BASH_FUNC_.*|IFS|PERL5[A-Z]+|RUBYOPT|NODE_OPTIONS"
    r"|SSLKEYLOGFILE"
    r"|PKCS11SPY(?:_OUTPUT)?"  # writes the PIN of each login into a file
)
_SECRET = re.compile(r"(?i:(?:.*_)?(?:pin|puk|password|passwd|passphrase))")


@dataclass(frozen=True, slots=True)
class Hardening:
    """What was achieved, in words for ``status``; ``removed`` are names of variables, never what they held."""

    achieved: tuple[str, ...]
    missing: tuple[str, ...]
    removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line."""
        missing = f" (missing: {', '.join(self.missing)})" if self.missing else ""
        return ", ".join(self.achieved) + missing


def harden(*, descriptors: Collection[int] | None = None, variables: Collection[str] = ()) -> Hardening:
    """Take what can be taken; what this system does not have is in ``missing`` and no error.

    ``descriptors`` are those to keep besides standard input, output and error; with ``None`` all stay open. It is for
    the first thing a process does: what Python opened by then would be closed too. ``variables`` are those to keep in
    the environment although their name says that they hold a PIN.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    _open_standard_descriptors()
    if descriptors is not None:
        _close_all_but(descriptors)
    done = {
        _CORE: True,
        _UMASK: True,
        _DUMPABLE: _prctl(_PR_SET_DUMPABLE, 0) and _prctl(_PR_GET_DUMPABLE, 0),
        _MEMORY: _lock_all_memory(),
        # pinentry does without: it asks for no privileges but to lock memory, and says nothing where it may not.
        _PRIVILEGES: _prctl(_PR_SET_NO_NEW_PRIVS, 1),
    }
    removed = tuple(sorted(name for name in os.environ if name not in variables and _is_unwanted(name)))
    for name in removed:
        _remove_variable(name)
    return Hardening(
        tuple(what for what, yes in done.items() if yes), tuple(what for what, yes in done.items() if not yes), removed
    )


def cleaned(environment: Mapping[str, str], keep: Collection[str] = ()) -> dict[str, str]:
    """What a child of the agent may inherit: no PIN, and nothing that changes which code it runs or what it prints."""
    return {name: value for name, value in environment.items() if name in keep or not _is_unwanted(name)}


def die_with_parent(parent: int | None = None) -> None:
    """From now on the kernel ends this process when the *thread* that started it ends.

    ``parent`` is the process that should be the parent, as it said itself when it started this one: without it, one
    that ended before this call is only noticed where orphans go to process 1.

    Raises:
        AgentError: it has ended already.
    """
    before = os.getppid() if parent is None else parent
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != before or (parent is None and before == 1):
        msg = "the agent that started this process has ended"
        raise AgentError(msg)


def lock_memory(buffer: bytearray) -> bool:
    """Keep the pages of a buffer out of swap, until the process ends; ``False`` where the limit is used up.

    Some 2,000 buffers fit into the usual limit. A buffer that is resized may move: fill it first.
    """
    if not buffer:
        return True
    view = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    return _libc_call("mlock", ctypes.c_void_p(ctypes.addressof(view)), ctypes.c_size_t(len(buffer)))


def wipe(buffer: bytearray | memoryview) -> None:
    """Overwrite a buffer with zeros, in place. Copies of it, made by whoever, are not found by this."""
    octets = memoryview(buffer).cast("B")
    octets[:] = bytes(len(octets))


def _libc_call(function: str, *arguments: object) -> bool:
    """Whether the call was there and returned 0."""
    try:
        return bool(getattr(ctypes.CDLL(None), function)(*arguments) == 0)
    except (AttributeError, OSError):  # another system
        return False


def _prctl(option: int, value: int) -> bool:
    return _libc_call("prctl", ctypes.c_int(option), *map(ctypes.c_ulong, (value, 0, 0, 0)))


def _lock_all_memory() -> bool:
    """Lock what there is and what will be, where no limit counts.

    With a limit MCL_FUTURE makes later calls fail: under the usual 8 MiB the next thread cannot start and the next
    library cannot be loaded, for stacks and code count in full, with MCL_ONFAULT too.
    """
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY if _is_linux() else False
    if not unlimited and not _has_capability(_CAP_IPC_LOCK):
        return False
    return _libc_call("mlockall", ctypes.c_int(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT))


def _is_linux() -> bool:
    return sys.platform.startswith("linux")


def _has_capability(capability: int) -> bool:
    found = re.search(r"^CapEff:\s*([0-9a-f]{1,16})$", _own("status").decode("ascii", "replace"), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> capability & 1)


def _own(name: str) -> bytes:
    try:
        return Path(f"/proc/self/{name}").read_bytes()
    except OSError:
        return b""


def _open_standard_descriptors() -> None:
    """The next file that is opened must not become standard error, and take tracebacks."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - as the other two are
    os.close(descriptor)


def _close_all_but(descriptors: Collection[int]) -> None:
    begin = 3
    for descriptor in sorted(descriptor for descriptor in descriptors if descriptor >= begin):
        os.closerange(begin, descriptor)
        begin = descriptor + 1
    os.closerange(begin, _last_descriptor() + 1)


def _last_descriptor() -> int:
    """The highest one that is open; a limit can be a thousand million."""
    with suppress(OSError):
        return max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _MOST_DESCRIPTORS)


def _is_unwanted(name: str) -> bool:
    return (_UNWANTED.fullmatch(name) or _SECRET.fullmatch(name)) is not None


def _remove_variable(name: str) -> None:
    """Take a variable away, and overwrite what held it: the block the process was started with, and Python's copy.

    No copy of the value is made on the way, such as the text of it.
    """
    value = os.environb.pop(os.fsencode(name), b"")
    fields = _own("stat").rpartition(b")")[2].split()
    if len(value) <= 1 or len(fields) <= _ENV_END or sys.implementation.name != "cpython":  # one octet: shared by all
        return
    begin, size = int(fields[_ENV_START]), int(fields[_ENV_END]) - int(fields[_ENV_START])
    if begin and size:
        block = (ctypes.c_char * size).from_address(begin)
        if found := re.search(rb"(?:\A|\0)" + re.escape(os.fsencode(name)) + b"=", block):
            ctypes.memset(begin + found.end(), 0, min(len(value), size - found.end()))
    ctypes.memset(id(value) + _BYTES_HEADER, 0, len(value))
