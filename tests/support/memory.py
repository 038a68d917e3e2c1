"""Looking for a secret in the memory of another process."""

from __future__ import annotations

import re
from pathlib import Path

_AT_ONCE = 1 << 20
_MAPPING = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (.)(.)")


def occurrences(pid: int, needle: bytes) -> int:
    """How often ``needle`` stands in what process ``pid`` can write to: heap, stacks, data, and anonymous memory.

    The process must be ours and let us (ptrace(2), PTRACE_MODE_ATTACH); to root, all do. It should not run meanwhile:
    what it moves can be missed. Pages on swap are read too.
    """
    assert needle
    mappings = [m for line in Path(f"/proc/{pid}/maps").read_bytes().splitlines() if (m := _MAPPING.match(line))]
    writable = [(int(m[1], 16), int(m[2], 16)) for m in mappings if m[3] == b"r" and m[4] == b"w"]
    assert writable, f"process {pid} has no memory"
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        return sum(_count(memory.fileno(), begin, end, needle) for begin, end in writable)


def _count(descriptor: int, begin: int, end: int, needle: bytes) -> int:
    import os

    found, tail, position = 0, b"", begin
    while position < end:
        try:
            read = os.pread(descriptor, min(_AT_ONCE, end - position), position)
        except OSError:  # memory of a device, or nothing behind it
            position, tail = position + _AT_ONCE, b""
            continue
        if not read:
            break
        found += (tail + read).count(needle)
        tail = (tail + read)[-(len(needle) - 1) :] if len(needle) > 1 else b""
        position += len(read)
    return found
