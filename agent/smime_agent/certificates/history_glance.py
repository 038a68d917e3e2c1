"""A glance into the history of keys: whether what was seen on a token is news, without all that reading it takes.

To sign a mail takes some hundred milliseconds, and to load, read and compare the history a tenth of that: mostly to
find out that the token was seen today already.
"""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from smime_agent.tokens.objects import TokenObjects
    from smime_agent.tokens.token import TokenInfo

_MOST = 1 << 20  # octets: a longer file is read as a whole, which takes as long


def is_known(path: Path, token: TokenInfo, objects: TokenObjects, today: date) -> bool:
    """All that lies on the token was seen there ``today``, as the file has it; false where that is not plain."""
    try:
        data = _read(path)
    except OSError:
        return False
    texts = (token.label, token.serial, token.manufacturer, token.model)
    if len(data) > _MOST or not all(
        text.isascii() and text.isprintable() and not set(text) & set('"\\') for text in texts
    ):
        return False
    entries = data.split(b'"certificate": "')[1:]
    wanted = [b'"last_seen": "%s"' % f"{today}".encode()]
    wanted += [
        b'"%s": "%s"' % (name.encode(), text.encode())
        for name, text in zip(("label", "serial", "manufacturer", "model"), texts, strict=True)
    ]
    for found in objects.certificates:
        if found.certificate.is_ca:
            continue
        start = b64encode(found.certificate.encoded) + b'"'
        key = [b'"has_key": true'] if objects.key_of(found.certificate) is not None else []
        if not any(one.startswith(start) and all(part in one for part in wanted + key) for one in entries):
            return False
    return True


def _read(path: Path) -> bytes:
    """As much as is read, and an octet more; nothing where it is no file. A FIFO is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_MOST + 1)
    finally:
        os.close(descriptor)
