"""The few Cryptoki calls that python-pkcs11 lacks, or makes in a way that we cannot use, through ctypes.

A login here takes the PIN from a buffer that can be wiped and leaves no session behind when it fails; a token can be
initialised; a decryption is one call, where python-pkcs11 makes a second one to learn the length, which costs a card a
private-key operation and a person a touch. The module must have been loaded and initialised by python-pkcs11: the
dynamic linker then hands out the same copy.
Source: PKCS#11 v2.40, sections 3.6, 5.4 to 5.7, 5.9 and 5.13, mechanisms 2.1.8 and 2.3.9; pkcs11t.h and pkcs11f.h.
"""

from __future__ import annotations

import ctypes
from typing import Any

import pkcs11

from smime_agent.errors import ModuleLoadError

CKU_SO, CKU_USER, CKU_CONTEXT_SPECIFIC = 0, 1, 2
CKR_OK, _CKR_FUNCTION_NOT_SUPPORTED = 0, 0x54

#: The place of each call in CK_FUNCTION_LIST, counted in pointers, of which its version fills the first.
_PLACES = {
    "C_GetSlotInfo": 6,
    "C_InitToken": 10,
    "C_InitPIN": 11,
    "C_SetPIN": 12,
    "C_Login": 19,
    "C_Logout": 20,
    "C_DestroyObject": 23,
    "C_GetAttributeValue": 25,
    "C_DecryptInit": 34,
    "C_Decrypt": 35,
    "C_DeriveKey": 63,
}
_ULONG = ctypes.c_ulong
_LABEL_OCTETS = 32


#: The return values that tell something, as python-pkcs11 would raise them.
_EXCEPTIONS: dict[int, type[pkcs11.PKCS11Error]] = {
    0x02: pkcs11.HostMemory,
    0x03: pkcs11.SlotIDInvalid,
    0x05: pkcs11.GeneralError,
    0x06: pkcs11.FunctionFailed,
    0x07: pkcs11.ArgumentsBad,
    0x11: pkcs11.AttributeSensitive,
    0x12: pkcs11.AttributeTypeInvalid,
    0x13: pkcs11.AttributeValueInvalid,
    0x20: pkcs11.DataInvalid,
    0x21: pkcs11.DataLenRange,
    0x30: pkcs11.DeviceError,
    0x31: pkcs11.DeviceMemory,
    0x32: pkcs11.DeviceRemoved,
    0x40: pkcs11.EncryptedDataInvalid,
    0x41: pkcs11.EncryptedDataLenRange,
    0x50: pkcs11.FunctionCancelled,
    0x54: pkcs11.FunctionNotSupported,
    0x60: pkcs11.KeyHandleInvalid,
    0x62: pkcs11.KeySizeRange,
    0x63: pkcs11.KeyTypeInconsistent,
    0x68: pkcs11.FunctionNotSupported,  # CKR_KEY_FUNCTION_NOT_PERMITTED, for which python-pkcs11 has nothing
    0x70: pkcs11.MechanismInvalid,
    0x71: pkcs11.MechanismParamInvalid,
    0x82: pkcs11.ObjectHandleInvalid,
    0x90: pkcs11.OperationActive,
    0x91: pkcs11.OperationNotInitialized,
    0xA0: pkcs11.PinIncorrect,
    0xA1: pkcs11.PinInvalid,
    0xA2: pkcs11.PinLenRange,
    0xA3: pkcs11.PinExpired,
    0xA4: pkcs11.PinLocked,
    0xB0: pkcs11.SessionClosed,
    0xB1: pkcs11.SessionCount,
    0xB3: pkcs11.SessionHandleInvalid,
    0xB6: pkcs11.SessionExists,
    0xD0: pkcs11.TemplateIncomplete,
    0xD1: pkcs11.TemplateInconsistent,
    0xE0: pkcs11.TokenNotPresent,
    0xE1: pkcs11.TokenNotRecognised,
    0xE2: pkcs11.TokenWriteProtected,
    0x100: pkcs11.UserAlreadyLoggedIn,
    0x101: pkcs11.UserNotLoggedIn,
    0x102: pkcs11.UserPinNotInitialized,
    0x130: pkcs11.DomainParamsInvalid,
}

_CKF_TOKEN_PRESENT = 1
_CKZ_DATA_SPECIFIED, _CKD_NULL = 1, 1
_CKO_SECRET_KEY, _CKK_GENERIC_SECRET = 4, 0x10
_CKA_CLASS, _CKA_TOKEN, _CKA_VALUE, _CKA_KEY_TYPE = 0x00, 0x01, 0x11, 0x100
_CKA_SENSITIVE, _CKA_VALUE_LEN, _CKA_EXTRACTABLE = 0x103, 0x161, 0x162


class _Mechanism(ctypes.Structure):
    """CK_MECHANISM."""

    _fields_ = (("mechanism", _ULONG), ("parameter", ctypes.c_void_p), ("length", _ULONG))


class _OaepParameters(ctypes.Structure):
    """CK_RSA_PKCS_OAEP_PARAMS."""

    _fields_ = (
        ("hash", _ULONG),
        ("mask", _ULONG),
        ("source", _ULONG),
        ("label", ctypes.c_char_p),
        ("label_length", _ULONG),
    )


class _EcdhParameters(ctypes.Structure):
    """CK_ECDH1_DERIVE_PARAMS."""

    _fields_ = (
        ("function", _ULONG),
        ("shared_length", _ULONG),
        ("shared", ctypes.c_char_p),
        ("public_length", _ULONG),
        ("public", ctypes.c_char_p),
    )


class _Attribute(ctypes.Structure):
    """CK_ATTRIBUTE."""

    _fields_ = (("type", _ULONG), ("value", ctypes.c_void_p), ("length", _ULONG))


class _SlotInfo(ctypes.Structure):
    """CK_SLOT_INFO."""

    _fields_ = (("names", ctypes.c_char * 96), ("flags", _ULONG), ("versions", ctypes.c_ubyte * 4))


class CryptokiMechanism:
    """A mechanism with its parameter, as C takes it: what the pointers point at lives as long as this."""

    __slots__ = ("_parameter", "structure")

    def __init__(self, mechanism: int, parameter: ctypes.Structure | None = None) -> None:
        """Point at ``parameter``."""
        self._parameter = parameter
        address = None if parameter is None else ctypes.addressof(parameter)
        self.structure = _Mechanism(mechanism, address, 0 if parameter is None else ctypes.sizeof(parameter))

    @classmethod
    def oaep(cls, mechanism: int, hash_mechanism: int, mask: int, label: bytes) -> CryptokiMechanism:
        """CKM_RSA_PKCS_OAEP with a hash, a CKG_MGF1 and a label, which may be empty."""
        parameters = _OaepParameters(hash_mechanism, mask, _CKZ_DATA_SPECIFIED, label or None, len(label))
        return cls(mechanism, parameters)

    @classmethod
    def ecdh(cls, mechanism: int, public: bytes) -> CryptokiMechanism:
        """CKM_ECDH1_DERIVE with the other's public key; the secret itself is derived (CKD_NULL)."""
        return cls(mechanism, _EcdhParameters(_CKD_NULL, 0, None, len(public), public))


def cryptoki_error(function: str, code: int) -> pkcs11.PKCS11Error:
    """What python-pkcs11 raises where ``function`` returns ``code``."""
    if code in _EXCEPTIONS:
        return _EXCEPTIONS[code]()
    return pkcs11.PKCS11Error(f"{function} returned CKR 0x{code:X}")


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
        call = ctypes.CFUNCTYPE(_ULONG)
        self._functions = {name: call(pointer[place]) for name, place in _PLACES.items() if pointer[place]}

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

    def token_is_present(self, slot_id: int) -> bool:
        """C_GetSlotInfo: there is a token in the slot, as far as the module knows."""
        info = _SlotInfo()
        code = self._code("C_GetSlotInfo", _ULONG(slot_id), ctypes.byref(info))
        return code == CKR_OK and bool(info.flags & _CKF_TOKEN_PRESENT)

    def decrypt_init(self, session: int, mechanism: CryptokiMechanism, key: int) -> None:
        """C_DecryptInit, which does not use the private key yet."""
        self._call("C_DecryptInit", _ULONG(session), ctypes.byref(mechanism.structure), _ULONG(key))

    def decrypt(self, session: int, ciphertext: bytes) -> tuple[int, bytes]:
        """The return value of one C_Decrypt, and what it decrypted: of any octets where it failed.

        A plaintext is never longer than an RSA ciphertext. Nothing is raised, so that a failure takes as long as a
        success.
        """
        room = ctypes.create_string_buffer(len(ciphertext))
        length = _ULONG(len(ciphertext))
        code = self._code("C_Decrypt", _ULONG(session), ciphertext, _ULONG(len(ciphertext)), room, ctypes.byref(length))
        return code, room.raw[: length.value]

    def derive(self, session: int, mechanism: CryptokiMechanism, key: int, size: int) -> bytes:
        """The secret of ``size`` octets that one C_DeriveKey gives; its object does not outlive this call."""
        secret = _ULONG()
        template = _template(
            (_CKA_CLASS, _ULONG(_CKO_SECRET_KEY)),
            (_CKA_KEY_TYPE, _ULONG(_CKK_GENERIC_SECRET)),
            (_CKA_TOKEN, ctypes.c_ubyte(0)),
            (_CKA_SENSITIVE, ctypes.c_ubyte(0)),
            (_CKA_EXTRACTABLE, ctypes.c_ubyte(1)),
            (_CKA_VALUE_LEN, _ULONG(size)),
        )
        self._call(
            "C_DeriveKey",
            _ULONG(session),
            ctypes.byref(mechanism.structure),
            _ULONG(key),
            template,
            _ULONG(len(template)),
            ctypes.byref(secret),
        )
        try:
            room = ctypes.create_string_buffer(size)
            value = _template((_CKA_VALUE, room))
            self._call("C_GetAttributeValue", _ULONG(session), secret, value, _ULONG(1))
            return room.raw[: min(value[0].length, size)]
        finally:
            self._code("C_DestroyObject", _ULONG(session), secret)

    def _call(self, name: str, *arguments: object) -> None:
        code = self._code(name, *arguments)
        if code:
            raise cryptoki_error(name, code)

    def _code(self, name: str, *arguments: object) -> int:
        function = self._functions.get(name)
        if function is None:
            return _CKR_FUNCTION_NOT_SUPPORTED
        code: int = function(*arguments)
        return code


def _buffer(pin: bytearray | None) -> tuple[object, object]:
    """A PIN where it lies, not a copy, and its length."""
    if pin is None:
        return None, _ULONG(0)
    return (ctypes.c_char * len(pin)).from_buffer(pin), _ULONG(len(pin))


def _template(*values: tuple[int, ctypes.c_ulong | ctypes.c_ubyte | ctypes.Array[ctypes.c_char]]) -> Any:  # noqa: ANN401 - an array
    """An array of CK_ATTRIBUTE; what it points at lives as long as the array."""
    template: Any = (_Attribute * len(values))()
    for attribute, (kind, value) in zip(template, values, strict=True):
        attribute.type, attribute.value, attribute.length = kind, ctypes.addressof(value), ctypes.sizeof(value)
    template.kept = values
    return template
