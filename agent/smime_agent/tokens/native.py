"""The few Cryptoki calls that python-pkcs11 lacks, or makes in a way that we cannot use, through ctypes.

A login here takes the PIN from a buffer that can be wiped and leaves no session behind when it fails; a token can be
initialised. The module must have been loaded and initialised by python-pkcs11: the dynamic linker then hands out the
same copy. Source: PKCS#11 v2.40, sections 3.6, 5.4, 5.5 and 5.6; pkcs11t.h and pkcs11f.h.
"""

from __future__ import annotations

import ctypes

import pkcs11

from smime_agent.errors import ModuleLoadError

CKU_SO, CKU_USER = 0, 1

#: The place of each call in CK_FUNCTION_LIST, counted in pointers, of which its version fills the first.
_PLACES = {"C_InitToken": 10, "C_InitPIN": 11, "C_SetPIN": 12, "C_Login": 19, "C_Logout": 20}
_ULONG = ctypes.c_ulong
_LABEL_OCTETS = 32


#: The return values of these calls that tell something, as python-pkcs11 would raise them.
_EXCEPTIONS: dict[int, type[pkcs11.PKCS11Error]] = {
    0x30: pkcs11.DeviceError,
    0x32: pkcs11.DeviceRemoved,
    0x50: pkcs11.FunctionCancelled,
    0x54: pkcs11.FunctionNotSupported,
    0xA0: pkcs11.PinIncorrect,
    0xA1: pkcs11.PinInvalid,
    0xA2: pkcs11.PinLenRange,
    0xA3: pkcs11.PinExpired,
    0xA4: pkcs11.PinLocked,
    0xB3: pkcs11.SessionHandleInvalid,
    0xB6: pkcs11.SessionExists,
    0xE0: pkcs11.TokenNotPresent,
    0xE2: pkcs11.TokenWriteProtected,
    0x100: pkcs11.UserAlreadyLoggedIn,
    0x102: pkcs11.UserPinNotInitialized,
}


class FunctionList:
    """The functions of one module. A call raises what python-pkcs11 raises for the same return value."""

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
        if get_function_list(ctypes.byref(pointer)):
            msg = f"{path} does not give its functions"
            raise ModuleLoadError(msg)
        self._library = library  # keeps it loaded
        self._functions = pointer

    def login(self, session: int, user: int, pin: bytearray | None) -> None:
        """C_Login; a ``pin`` of ``None`` is typed on the token's own pad."""
        self._call("C_Login", _ULONG(session), _ULONG(user), *_buffer(pin))

    def logout(self, session: int) -> None:
        """C_Logout, of all sessions of this process with that token."""
        self._call("C_Logout", _ULONG(session))

    def init_pin(self, session: int, pin: bytearray) -> None:
        """C_InitPIN: the security officer, who is logged in, sets the user's PIN."""
        self._call("C_InitPIN", _ULONG(session), *_buffer(pin))

    def set_pin(self, session: int, old: bytearray, new: bytearray) -> None:
        """C_SetPIN: whoever is logged in, else the user, changes the PIN."""
        self._call("C_SetPIN", _ULONG(session), *_buffer(old), *_buffer(new))

    def init_token(self, slot_id: int, so_pin: bytearray, label: str) -> None:
        """C_InitToken: everything on the token is destroyed. ``label`` has at most 32 octets of UTF-8."""
        padded = label.encode().ljust(_LABEL_OCTETS)
        self._call("C_InitToken", _ULONG(slot_id), *_buffer(so_pin), padded)

    def _call(self, name: str, *arguments: object) -> None:
        function = ctypes.CFUNCTYPE(_ULONG)(self._functions[_PLACES[name]] or 0)
        code: int = function(*arguments)
        if code in _EXCEPTIONS:
            raise _EXCEPTIONS[code]
        if code:
            raise pkcs11.PKCS11Error(f"{name} returned CKR 0x{code:X}")


def _buffer(pin: bytearray | None) -> tuple[object, object]:
    """A PIN where it lies, not a copy, and its length."""
    if pin is None:
        return None, _ULONG(0)
    return (ctypes.c_char * len(pin)).from_buffer(pin), _ULONG(len(pin))
