"""PKCS#11 modules: which there are, how one is loaded, and what its errors mean.

A module is told by python-pkcs11 that nobody locks (``C_Initialize(NULL)``), so every call into it is made under the
one lock of that module. Two threads inside SoftHSM at once crash it.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pkcs11

from smime_agent.errors import (
    MechanismError,
    ModuleLoadError,
    PinError,
    PinIncorrectError,
    PinLockedError,
    PinNotSetError,
    PinUnavailableError,
    SmimeAgentError,
    TokenError,
    TokenRemovedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.tokens.native import FunctionList

SOFTHSM_PATHS = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)

#: What python-pkcs11 raises, what we raise for it, and how a person is told.
_MEANINGS: tuple[tuple[tuple[type[pkcs11.PKCS11Error], ...], type[SmimeAgentError], str, str | None], ...] = (
    (
        (pkcs11.DeviceRemoved, pkcs11.TokenNotPresent, pkcs11.SlotIDInvalid, pkcs11.SessionHandleInvalid),
        TokenRemovedError,
        "{token} was removed",
        "plug it in again and repeat the command",
    ),
    (
        (pkcs11.PinLocked,),
        PinLockedError,
        "the PIN of {token} is locked",
        "it must be unblocked with the PUK or SO PIN",
    ),
    (
        (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange),
        PinIncorrectError,
        "{token} does not accept this PIN",
        None,
    ),
    (
        (pkcs11.UserPinNotInitialized,),
        PinNotSetError,
        "{token} has no user PIN yet",
        "'smime-agent token pin' sets it",
    ),
    (
        (pkcs11.FunctionCancelled,),
        PinUnavailableError,
        "the PIN for {token} was cancelled on its pad",
        None,
    ),
    (
        (pkcs11.UserAlreadyLoggedIn,),
        TokenError,
        "something else in this process is logged in to {token}",
        None,
    ),
    (
        (pkcs11.SessionExists,),
        TokenError,
        "{token} is in use",
        "close the other programs that use it",
    ),
    ((pkcs11.PinExpired,), PinError, "the PIN of {token} has expired", "'smime-agent token pin' changes it"),
    (
        (pkcs11.UserNotLoggedIn,),
        TokenError,
        "{token} is no longer logged in",
        "it was reset by another program: repeat the command",
    ),
    (
        (
            pkcs11.MechanismInvalid,
            pkcs11.MechanismParamInvalid,
            pkcs11.KeyTypeInconsistent,
            pkcs11.KeySizeRange,
            pkcs11.FunctionNotSupported,
        ),
        MechanismError,
        "{token} cannot do this ({name})",
        "'smime-agent doctor' shows what it can do",
    ),
    ((pkcs11.TokenWriteProtected,), TokenError, "{token} is write-protected", None),
    (
        (pkcs11.DeviceMemory, pkcs11.HostMemory),
        TokenError,
        "{token} has no room left",
        "delete objects that are no longer needed",
    ),
    (
        (pkcs11.SessionCount,),
        TokenError,
        "{token} allows no more sessions",
        "close other programs that use it",
    ),
)


class Calling:
    """A context for calls into a module: its lock, and its errors in our words. It can be entered again and again."""

    __slots__ = ("_lock", "_token")

    def __init__(self, lock: threading.RLock, token: str) -> None:
        """Lock ``lock``; ``token`` is what people are told about."""
        self._lock = lock
        self._token = token

    def __enter__(self) -> None:
        """Wait for the lock."""
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Let go of it."""
        self._lock.release()
        if isinstance(error, pkcs11.PKCS11Error):
            raise explain(error, self._token) from error


class Module:
    """One loaded module. Get it with :func:`load`, which loads each only once in a process."""

    def __init__(self, path: str) -> None:
        """Load and initialise the shared object at ``path``."""
        self.path = path
        self.lock = threading.RLock()
        #: How many sessions of ours rely on the login to the token in a slot: it is the process's, not a session's.
        self.logins: Counter[int] = Counter()
        try:
            self.library = pkcs11.lib(path)
        except pkcs11.PKCS11Error as error:
            raise _cannot_load(path, error) from error

    @cached_property
    def functions(self) -> FunctionList:
        """The calls that python-pkcs11 lacks."""
        from smime_agent.tokens.native import FunctionList

        return FunctionList(self.path)

    def calling(self, token: str) -> Calling:
        """Hold the lock, and turn what goes wrong inside into our errors, ``token`` being its name for people."""
        return Calling(self.lock, token)

    def slots(self) -> list[pkcs11.Slot]:
        """The slots that hold a token now, initialised or not."""
        with self.calling(f"the module {self.path}"):
            return self.library.get_slots(token_present=True)


_loaded: dict[str, Module] = {}
_loading = threading.Lock()


def load(path: str, before_load: Callable[[str], None] = lambda _: None) -> Module:
    """The module at ``path``, loaded now or before; ``before_load`` is told just before foreign code first runs.

    Raises:
        ModuleLoadError: it is no PKCS#11 module, or does not start.
    """
    real = str(Path(path).resolve())
    with _loading:
        if real not in _loaded:
            if not Path(real).is_file():
                msg = f"there is no PKCS#11 module {path}"
                raise ModuleLoadError(msg, hint="give the path of a shared object, such as " + SOFTHSM_PATHS[0])
            before_load(real)
            _loaded[real] = Module(real)
        return _loaded[real]


def default_paths() -> list[str]:
    """The modules registered with p11-kit, else SoftHSM where it is usually installed."""
    from smime_agent.tokens.registry import registered_modules

    registered = [module.path for module in registered_modules()]
    return registered or [path for path in SOFTHSM_PATHS if Path(path).is_file()][:1]


def explain(error: pkcs11.PKCS11Error, token: str) -> SmimeAgentError:
    """What an error of a module means, in words and with a hint."""
    for kinds, ours, sentence, hint in _MEANINGS:
        if isinstance(error, kinds):
            return ours(sentence.format(token=token, name=type(error).__name__), hint=hint)
    detail = f" ({error})" if str(error) else ""
    return TokenError(
        f"{token} failed: {type(error).__name__}{detail}",
        hint="'smime-agent doctor' shows what is plugged in and usable",
    )


def _cannot_load(path: str, error: pkcs11.PKCS11Error) -> ModuleLoadError:
    if "while loading" in str(error):  # dlopen or the look-up of C_GetFunctionList failed
        reason = str(error).rpartition(f"{path}: ")[2]
        return ModuleLoadError(
            f"{path} is not a usable PKCS#11 module: {reason}", hint="choose another one with --module"
        )
    hint = "its configuration may be missing or unreadable"
    if "softhsm" in path:
        hint += f": SOFTHSM2_CONF is {os.environ.get('SOFTHSM2_CONF', 'not set')}"
    return ModuleLoadError(f"the PKCS#11 module {path} does not start: {type(error).__name__}", hint=hint)
