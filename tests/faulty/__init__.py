"""A PKCS#11 module that fails on request, for the faults SoftHSM cannot make.

``build()`` compiles ``faulty.c``, whose first comment explains each fault; a ``FaultScript`` writes what the module
reads at every call, so the faults of a running process can change::

    script = FaultScript(tmp_path / "faults")
    script.write(tries=3, fail=[failure("C_Sign", CKR.DEVICE_ERROR, nth=2, times=1)])
    subprocess.run(command, env={**os.environ, **script.environment, "SOFTHSM2_CONF": ...})
    assert script.calls().count("C_Login") == 1

python-pkcs11 calls ``C_Sign`` and ``C_Decrypt`` twice for one operation, first for the length: the log has both, and
the ``nth`` call counts both. ``C_SignInit`` and ``C_DecryptInit`` are called once. A ``TokenDecrypter`` calls
``C_Decrypt`` once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import TypedDict, Unpack

__all__ = ["CKR", "FaultScript", "Faults", "build", "failure"]

SOURCE = Path(__file__).with_name("faulty.c")


class CKR(IntEnum):
    """The return values most worth injecting (PKCS#11 v2.40, ``pkcs11t.h``); any other number will do too."""

    HOST_MEMORY = 0x02
    GENERAL_ERROR = 0x05
    FUNCTION_FAILED = 0x06
    ARGUMENTS_BAD = 0x07
    DATA_INVALID = 0x20
    DATA_LEN_RANGE = 0x21
    DEVICE_ERROR = 0x30
    DEVICE_MEMORY = 0x31
    DEVICE_REMOVED = 0x32
    ENCRYPTED_DATA_INVALID = 0x40
    ENCRYPTED_DATA_LEN_RANGE = 0x41
    FUNCTION_CANCELED = 0x50
    FUNCTION_NOT_SUPPORTED = 0x54
    KEY_TYPE_INCONSISTENT = 0x63
    KEY_FUNCTION_NOT_PERMITTED = 0x68
    MECHANISM_INVALID = 0x70
    MECHANISM_PARAM_INVALID = 0x71
    OPERATION_ACTIVE = 0x90
    OPERATION_NOT_INITIALIZED = 0x91
    PIN_INCORRECT = 0xA0
    PIN_EXPIRED = 0xA3
    PIN_LOCKED = 0xA4
    SESSION_COUNT = 0xB1
    SESSION_HANDLE_INVALID = 0xB3
    TOKEN_NOT_PRESENT = 0xE0
    USER_ALREADY_LOGGED_IN = 0x100
    USER_NOT_LOGGED_IN = 0x101
    USER_PIN_NOT_INITIALIZED = 0x102
    DOMAIN_PARAMS_INVALID = 0x130
    BUFFER_TOO_SMALL = 0x150
    VENDOR_DEFINED = 0x80000000


class Faults(TypedDict, total=False):
    """The keys of the script, as ``faulty.c`` describes them. A sequence becomes one line for each of its items."""

    fail: str | Sequence[str]
    slow: str | Sequence[str]
    hang: str | Sequence[str]
    crash: str | Sequence[str]
    remove_at: str
    removed: bool
    tries: int
    tries_max: int
    always_authenticate: str | bytes | Sequence[str | bytes]
    context_pin: str
    stuck_operations: bool
    protected_path: bool
    pinpad_delay_ms: int
    pinpad_pin: str
    no_mechanism: int | Sequence[int]
    attribute_fails: int | Sequence[int]


def build(directory: Path) -> Path:
    """Compile the module into ``directory`` and return its path; ``subprocess.CalledProcessError`` if that fails."""
    module = directory / "faulty.so"
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        message = "a C compiler is needed to build the fault-injecting PKCS#11 module"
        raise FileNotFoundError(message)
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", str(module), str(SOURCE), "-ldl"], check=True)
    return module


def failure(function: str, rv: int, *, nth: int = 1, times: int | None = None) -> str:
    """The ``fail`` item by which ``function`` returns ``rv`` from its ``nth`` call on, ``times`` times or for ever."""
    return f"{function}:{rv:#x}:{nth}" + ("" if times is None else f":{times}")


class FaultScript:
    """The script of one faulty module, its log of calls and its PIN counter; files beside each other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path.with_name(path.name + ".log")
        self.state = path.with_name(path.name + ".state")
        self.write()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the module finds this script."""
        return {"FAULTY_SCRIPT": str(self.path)}

    def write(self, **faults: Unpack[Faults]) -> None:
        """Replace all faults by these, atomically; the log goes on, and with the same ``tries`` the PIN counter too."""
        lines = [f"log = {self.log}"]
        for key, value in faults.items():
            items = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
            lines += [f"{key} = {_text(item)}" for item in items]
        draft = self.path.with_name(self.path.name + ".new")
        draft.write_text("".join(f"{line}\n" for line in lines))
        draft.replace(self.path)

    def calls(self) -> list[str]:
        """The names of the functions called so far, by any process."""
        return self.log.read_text().split() if self.log.exists() else []

    def forget_calls(self) -> None:
        """Start the log anew."""
        self.log.unlink(missing_ok=True)

    @property
    def tries_left(self) -> int:
        """The user PIN's tries left; ``FileNotFoundError`` before the module has looked at them."""
        return int(self.state.read_text().split()[0])

    def forget_tries(self) -> None:
        """Start the PIN counter anew, at ``tries``."""
        self.state.unlink(missing_ok=True)


def _text(value: object) -> str:
    match value:
        case bool():
            return str(int(value))
        case bytes():
            return value.hex()
        case _:
            return str(value)
