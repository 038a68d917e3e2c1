"""The few Cryptoki calls that python-pkcs11 lacks, or makes in a way that we cannot use, through ctypes.

A login here takes the PIN from a buffer that can be wiped and leaves no session behind when it fails; a token can be
initialised. The module must have been loaded and initialised by python-pkcs11: the dynamic linker then hands out the
same copy. Source: PKCS#11 v2.40, sections 3.6, 5.4, 5.5 and 5.6; pkcs11t.h and pkcs11f.h.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum

from smime_agent.errors import ModuleLoadError

CKU_SO, CKU_USER, CKU_CONTEXT_SPECIFIC = 0, 1, 2

#: The place of each call in CK_FUNCTION_LIST, counted in pointers, of which its version fills the first.
_PLACES = {"C_InitToken": 10, "C_Login": 19, "C_Logout": 20}
_ULONG = ctypes.c_ulong
_LABEL_OCTETS = 32


class ReturnValue(IntEnum):
    """The CKR codes that the calls of this module are told apart by."""

    OK = 0x0
    ARGUMENTS_BAD = 0x7
    DEVICE_ERROR = 0x30
    DEVICE_REMOVED = 0x32
    PIN_INCORRECT = 0xA0
    PIN_INVALID = 0xA1
    PIN_LEN_RANGE = 0xA2
    PIN_EXPIRED = 0xA3
    PIN_LOCKED = 0xA4
    SESSION_HANDLE_INVALID = 0xB3
    SESSION_EXISTS = 0xB6
    TOKEN_NOT_PRESENT = 0xE0
    TOKEN_WRITE_PROTECTED = 0xE2
    USER_ALREADY_LOGGED_IN = 0x100
    USER_NOT_LOGGED_IN = 0x101
    USER_PIN_NOT_INITIALIZED = 0x102


class FunctionList:
    """The functions of one module. Every call returns its CKR code and raises nothing."""

    def __init__(self, path: str) -> None:
        """Find the functions of the module loaded from ``path``."""
        try:
            library = ctypes.CDLL(path)
            get_function_list = library.C_GetFunctionList
        except (OSError, AttributeError) as error:
            msg = f"{path} is not a PKCS#11 module"
            raise ModuleLoadError(msg) from error
        pointer = ctypes.POINTER(ctypes.c_void_p)()
        get_function_list.argtypes = [ctypes.POINTER(type(pointer))]
        get_function_list.restype = ctypes.c_ulong
        if get_function_list(ctypes.byref(pointer)) != ReturnValue.OK:
            msg = f"{path} does not give its functions"
            raise ModuleLoadError(msg)
        self._library = library  # keeps it loaded
        self._functions = pointer

    def login(self, session: int, user: int, pin: bytearray | None) -> int:
        """C_Login; a ``pin`` of ``None`` is typed on the token's own pad."""
        octets = None if pin is None else (ctypes.c_char * len(pin)).from_buffer(pin)
        return self._call("C_Login", _ULONG(session), _ULONG(user), octets, _ULONG(len(pin or b"")))

    def logout(self, session: int) -> int:
        """C_Logout, of all sessions of this process with that token."""
        return self._call("C_Logout", _ULONG(session))

    def init_token(self, slot_id: int, so_pin: bytearray, label: str) -> int:
        """C_InitToken: everything on the token is destroyed. ``label`` has at most 32 octets of UTF-8."""
        octets = (ctypes.c_char * len(so_pin)).from_buffer(so_pin)
        padded = label.encode().ljust(_LABEL_OCTETS)
        return self._call("C_InitToken", _ULONG(slot_id), octets, _ULONG(len(so_pin)), padded)

    def _call(self, name: str, *arguments: object) -> int:
        prototype = ctypes.CFUNCTYPE(_ULONG)
        function = prototype(self._functions[_PLACES[name]] or 0)
        code: int = function(*arguments)
        return code
