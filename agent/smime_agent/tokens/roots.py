"""The roots that mail programs trust: NSS's list, read as the PKCS#11 module that it is.

The list says of each root what it is trusted for. The bundles of an operating system and of Python do not: they are for
web servers, and must not be taken for mail. Nothing here is a token: the module has no PIN and no keys, and is not one
of those that keys are looked for in. Source: PKCS#11 v2.40, section 5; NSS, pkcs11n.h.
"""

from __future__ import annotations

import ctypes
import sys
import sysconfig
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from smime_agent.errors import ModuleLoadError
from smime_agent.trust.anchors import Anchor, UnreadCertificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAME = {"darwin": "libnssckbi.dylib", "win32": "nssckbi.dll"}
#: Where distributions put it: Debian, Fedora, Arch, openSUSE, Homebrew, MacPorts; then the mail program's own copy.
_FOLDERS = (
    "/usr/lib/{multiarch}",
    "/usr/lib/{multiarch}/nss",
    "/usr/lib64",
    "/usr/lib64/nss",
    "/usr/lib",
    "/usr/lib/nss",
    "/usr/local/lib",
    "/usr/local/lib/nss",
    "/opt/homebrew/lib",
    "/opt/homebrew/opt/nss/lib",
    "/usr/local/opt/nss/lib",
    "/opt/local/lib/nss",
    "/usr/lib/thunderbird",
    "/usr/lib64/thunderbird",
    "/usr/lib/firefox-esr",
    "/usr/lib/firefox",
    "/usr/lib64/firefox",
    "/Applications/Thunderbird.app/Contents/MacOS",
    "/Applications/Firefox.app/Contents/MacOS",
)
_ULONG = ctypes.c_ulong

# The places of calls in CK_FUNCTION_LIST, counted in pointers, of which its version fills the first.
_INITIALIZE, _GET_SLOT_LIST, _OPEN_SESSION, _CLOSE_SESSION = 1, 5, 13, 14
_GET_ATTRIBUTE_VALUE, _FIND_OBJECTS_INIT, _FIND_OBJECTS, _FIND_OBJECTS_FINAL = 25, 27, 28, 29
_ALREADY_INITIALIZED, _SERIAL_SESSION = 0x191, 4
_MAXIMUM_OBJECTS, _MAXIMUM_OCTETS = 10_000, 1 << 16

_CLASS, _VALUE, _ISSUER, _SERIAL_NUMBER = 0x0, 0x11, 0x81, 0x82  # CKA_...
_CERTIFICATE, _TRUST = 0x1, 0xB  # CKO_...; trust objects of PKCS#11 v3.2
_NSS_TRUST = 0xCE534353  # CKO_NSS_TRUST, which is older
_EMAIL_DISTRUST_AFTER = 0xCE534374  # CKA_NSS_EMAIL_DISTRUST_AFTER
#: For each class of trust objects: its attribute for mail, and the value that makes a root (``..._TRUSTED_DELEGATOR``
#: of NSS, ``CKT_TRUST_ANCHOR`` of v3.2).
_FOR_MAIL = {_NSS_TRUST: (0xCE53635B, 0xCE534352), _TRUST: (0x62F, 2)}


class _Attribute(ctypes.Structure):
    """CK_ATTRIBUTE."""

    _fields_ = (("type", _ULONG), ("value", ctypes.c_void_p), ("length", _ULONG))


def find_root_module() -> Path | None:
    """NSS's list of roots, where it is usually installed; ``None`` where it is not."""
    name = _NAME.get(sys.platform, "libnssckbi.so")
    multiarch = sysconfig.get_config_var("MULTIARCH") or "."
    candidates = (Path(folder.format(multiarch=multiarch)) / name for folder in _FOLDERS)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def mail_roots(path: Path | None = None) -> tuple[Anchor, ...]:
    """The roots of the list at ``path``, else of the one found, that are trusted to vouch for mail.

    They are read once in a process, and each certificate only when something of it is asked for. Where there is no
    list, there are no roots: a person can name CA files, and is told that nothing else is trusted.

    Raises:
        ModuleLoadError: the file is no such list.
    """
    path = path or find_root_module()
    return _roots(str(path)) if path else ()


@lru_cache(maxsize=4)
def _roots(path: str) -> tuple[Anchor, ...]:
    with _opened(path) as module:
        trusted = {
            (module.read(found, _ISSUER), module.read(found, _SERIAL_NUMBER))
            for kind, (attribute, root) in _FOR_MAIL.items()
            for found in module.objects(kind)
            if module.read(found, attribute) == root.to_bytes(ctypes.sizeof(_ULONG), sys.byteorder)
        }
        return tuple(
            Anchor(UnreadCertificate(value), "the list of NSS", _time(module.read(found, _EMAIL_DISTRUST_AFTER)))
            for found in module.objects(_CERTIFICATE)
            if (module.read(found, _ISSUER), module.read(found, _SERIAL_NUMBER)) in trusted
            and (value := module.read(found, _VALUE))
        )


class _List:
    """A session with the module."""

    def __init__(self, functions: ctypes._Pointer[ctypes.c_void_p], session: int) -> None:
        self._functions = functions
        self._session = _ULONG(session)
        self._calls: dict[int, Callable[..., int]] = {}
        self._buffer = ctypes.create_string_buffer(_MAXIMUM_OCTETS)

    def call(self, place: int, *arguments: object) -> int:
        """One call; its return value."""
        if place not in self._calls:
            self._calls[place] = ctypes.CFUNCTYPE(_ULONG)(self._functions[place] or 0)
        return self._calls[place](*arguments)

    def objects(self, kind: int) -> list[int]:
        """The handles of all objects of a class."""
        wanted = _ULONG(kind)
        template = _Attribute(_CLASS, ctypes.addressof(wanted), ctypes.sizeof(wanted))
        if self.call(_FIND_OBJECTS_INIT, self._session, ctypes.byref(template), _ULONG(1)):
            return []
        handles, count = (_ULONG * _MAXIMUM_OBJECTS)(), _ULONG(0)
        code = self.call(_FIND_OBJECTS, self._session, handles, _ULONG(_MAXIMUM_OBJECTS), ctypes.byref(count))
        self.call(_FIND_OBJECTS_FINAL, self._session)
        return [] if code else list(handles[: count.value])

    def read(self, handle: int, attribute: int) -> bytes:
        """The octets of an attribute; none where it has none."""
        wanted = _Attribute(attribute, ctypes.addressof(self._buffer), _MAXIMUM_OCTETS)
        if self.call(_GET_ATTRIBUTE_VALUE, self._session, _ULONG(handle), ctypes.byref(wanted), _ULONG(1)):
            return b""
        return ctypes.string_at(self._buffer, wanted.length) if wanted.length <= _MAXIMUM_OCTETS else b""


@contextmanager
def _opened(path: str) -> Iterator[_List]:
    """The module, with a session in its first slot."""
    try:
        get_function_list = ctypes.CDLL(path).C_GetFunctionList
    except (OSError, AttributeError) as error:
        msg = f"{path} is not NSS's list of roots"
        raise ModuleLoadError(msg) from error
    functions = ctypes.POINTER(ctypes.c_void_p)()
    get_function_list.argtypes = [ctypes.c_void_p]
    get_function_list.restype = _ULONG
    session = _ULONG(0)
    slots, count = (_ULONG * 8)(), _ULONG(8)
    if get_function_list(ctypes.byref(functions)):
        msg = f"{path} does not give its functions"
        raise ModuleLoadError(msg)
    module = _List(functions, 0)
    if (
        module.call(_INITIALIZE, None) not in (0, _ALREADY_INITIALIZED)
        or module.call(_GET_SLOT_LIST, ctypes.c_ubyte(1), slots, ctypes.byref(count))
        or not count.value
        or module.call(_OPEN_SESSION, slots[0], _ULONG(_SERIAL_SESSION), None, None, ctypes.byref(session))
    ):
        msg = f"the list of roots {path} does not open"
        raise ModuleLoadError(msg)
    try:
        yield _List(functions, session.value)
    finally:
        module.call(_CLOSE_SESSION, session)


def _time(octets: bytes) -> datetime | None:
    """``YYMMDDhhmmssZ``; a boolean says that there is no such time."""
    try:
        return datetime.strptime(octets.decode("ascii"), "%y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
