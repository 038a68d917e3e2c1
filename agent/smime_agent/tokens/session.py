"""A login to a token, and the session that its operations run in."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, cast

import pkcs11

from smime_agent.errors import (
    NoKeyError,
    PinIncorrectError,
    PinLastTryError,
    PinLockedError,
    PinNotSetError,
    SmimeAgentError,
    TokenError,
    TokenRemovedError,
)
from smime_agent.keys import PinRequest
from smime_agent.tokens.native import CKU_SO, CKU_USER
from smime_agent.tokens.patience import Patience

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from smime_agent.keys import Pin, Prompter
    from smime_agent.tokens.token import Token


class TokenSession:
    """One login to one token, held by a session that does nothing else.

    Operations run in a second session. An operation that fails can leave its session unusable on some modules (OpenSC
    and tpm2-pkcs11 answer ``OperationActive`` for ever after), so the one that saw a failure is replaced.
    """

    def __init__(
        self, token: Token, prompter: Prompter, *, use_last_pin_try: bool = False, writable: bool = False
    ) -> None:
        """Open a session without logging in."""
        self.token = token
        self.prompter = prompter
        self._use_last_pin_try = use_last_pin_try
        self._writable = writable
        self._user: int | None = None  # who is logged in by this session
        self._pin: Pin | None = None
        self._calling = token.module.calling(self.name)
        with self._calling:
            self.holder = self._open()
        self._working: pkcs11.Session | None = None
        self.patience = Patience(lambda: prompter.touch(self.name))

    def __enter__(self) -> Self:
        """The session itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Log out and close."""
        self.close()

    @property
    def name(self) -> str:
        """The token's name for people."""
        return self.token.info.name

    def calling(self) -> AbstractContextManager[None]:
        """Hold the module's lock while calling it; see :meth:`.Module.calling`."""
        return self._calling

    def working(self) -> pkcs11.Session:
        """The session for the next operation. The caller holds the lock."""
        if self._working is None:
            self._working = self._open()
        return self._working

    def discard(self) -> None:
        """Give up the working session, after an operation in it failed."""
        with self.token.module.lock:
            working, self._working = self._working, None
            if working is not None:
                _close(working)

    def login(self, purpose: str, *, use_last_pin_try: bool = False) -> None:
        """Log in as the user, unless that is done or not needed. One PIN is asked for, and one try is spent on it.

        ``use_last_pin_try`` permits the last one for this once.

        Raises:
            PinError: locked, on its last try, wrong, not set, or not given.
        """
        if self._user is not None or not self.token.info.flags & pkcs11.TokenFlag.LOGIN_REQUIRED:
            return
        if self._logins[self._slot]:  # another session of this process has logged in, and that holds for all of them
            self._join(CKU_USER)
            return
        self.token = token = self.token.refreshed()
        before, self._use_last_pin_try = self._use_last_pin_try, self._use_last_pin_try or use_last_pin_try
        try:
            pin = None if token.info.has_pin_pad else self.ask(purpose)
            if pin is None:
                self.check_tries()
                self.prompter.pad(self.name)
        finally:
            self._use_last_pin_try = before
        self._login(CKU_USER, pin)
        self._pin = pin

    def relay_pin(self, descriptors: Iterable[int]) -> None:
        """Write the PIN of the login, as a line, to processes that are to log in too; the descriptors are closed."""
        for descriptor in descriptors:
            with suppress(OSError):  # that process has gone
                if self._pin is not None:
                    os.write(descriptor, self._pin.reveal())
                    os.write(descriptor, b"\n")
            os.close(descriptor)

    def forget_pin(self) -> None:
        """Wipe the PIN of the login, which is kept for a key that wants it once more."""
        if self._pin is not None:
            self._pin.wipe()
            self._pin = None

    def login_security_officer(self, pin: Pin) -> None:
        """Log in as the security officer; the session must be writable."""
        self._login(CKU_SO, pin)
        pin.wipe()

    def set_pin(self, pin: Pin) -> None:
        """Set the user PIN, as the security officer."""
        with self.calling():
            self.token.module.functions.init_pin(self._handle, pin.reveal())

    def change_pin(self, old: Pin, new: Pin) -> None:
        """Change the user PIN."""
        try:
            with self.calling():
                self.token.module.functions.set_pin(self._handle, old.reveal(), new.reveal())
        except PinIncorrectError as error:
            if isinstance(error.__cause__, (pkcs11.PinInvalid, pkcs11.PinLenRange)):
                msg = f"{self.name} takes no such new PIN; the old one still holds"
                raise PinIncorrectError(msg, hint="SoftHSM wants 4 to 255 characters, PIV cards 6 to 8") from error
            raise self.wrong_pin() from error

    def ask(self, purpose: str) -> Pin:
        """A PIN from the person, who is told how many tries are left; none is spent by asking."""
        self.check_tries()
        info = self.token.info
        warning = None
        if info.pin_last_try:
            warning = "this is the last try: a wrong PIN locks the token"
        elif info.pin_count_low:
            warning = "a wrong PIN was entered before"
        tries = 1 if info.pin_last_try else None
        return self.prompter.pin(PinRequest(info.label, info.serial, purpose, tries, warning))

    def check_tries(self) -> None:
        """Refuse to go on where a try would be the last one, or is not to be had."""
        info = self.token.info
        if info.pin_locked:
            msg = f"the PIN of {self.name} is locked"
            raise PinLockedError(msg, hint="it must be unblocked with the PUK or SO PIN")
        if not info.pin_initialized and not info.has_pin_pad:
            msg = f"{self.name} has no user PIN yet"
            raise PinNotSetError(msg, hint="'smime-agent token pin' sets it")
        if info.pin_last_try and not self._use_last_pin_try:
            msg = f"{self.name} has one PIN try left, and it was not spent"
            raise PinLastTryError(msg, hint="if you are sure of the PIN, repeat the command with --use-last-pin-try")

    def context_pin(self, purpose: str = "this key wants the PIN for every signature") -> Pin:
        """The PIN that a key wants before one operation: that of the login the first time, then asked for again."""
        pin, self._pin = self._pin, None
        self.token = self.token.refreshed()  # tries may have been spent since the login, by others too
        self.check_tries()
        return pin or self.ask(purpose)

    def wrong_pin(self) -> PinIncorrectError | PinLockedError:
        """The error for a PIN that the token refused, with what it says now about the tries left."""
        try:
            self.token = self.token.refreshed()
        except TokenError:
            return PinIncorrectError(f"wrong PIN for {self.name}")
        info = self.token.info
        if info.pin_locked:
            return PinLockedError(
                f"wrong PIN for {self.name}, which is locked now", hint="it must be unblocked with the PUK or SO PIN"
            )
        if info.pin_last_try:
            left = "one try is left; it will not be spent without --use-last-pin-try"
        elif info.pin_count_low:
            left = "fewer tries are left"
        else:
            left = "one try was spent; this token does not say how many are left"
        return PinIncorrectError(f"wrong PIN for {self.name}", hint=left)

    def explained(self, error: SmimeAgentError, key: str) -> SmimeAgentError:
        """What the module's error means after an operation with that key."""
        match error.__cause__:
            case pkcs11.PinIncorrect() | pkcs11.PinInvalid() | pkcs11.PinLenRange():
                return self.wrong_pin()
            case pkcs11.NoSuchKey():
                return NoKeyError(f"{key} is no longer on {self.name}")
            case _:
                return self.gone() or error

    def gone(self) -> TokenRemovedError | None:
        """The error for a token that is no longer there: some modules answer anything but that."""
        try:
            self.token.refreshed()
        except TokenRemovedError as error:
            self._logins.pop(self._slot, None)
            return error
        except TokenError:
            return None
        return None

    def objects(self, object_class: pkcs11.ObjectClass) -> Iterator[pkcs11.Object]:
        """All objects of a class that can be seen now, in the working session. The caller holds the lock."""
        # Half consumed, the search would leave the session with an active operation.
        yield from list(self.working().get_objects({pkcs11.Attribute.CLASS: object_class}))

    def close(self) -> None:
        """Log out, close both sessions, wipe the PIN. Harmless on a token that is gone."""
        self.forget_pin()
        self.patience.close()
        with self.token.module.lock:
            self.discard()
            if self._user is not None:
                self._leave()
            _close(self.holder)

    @property
    def _logins(self) -> Counter[int]:
        return self.token.module.logins

    @property
    def _slot(self) -> int:
        return self.token.info.slot_id

    def _join(self, user: int) -> None:
        self._user = user
        if user == CKU_USER:
            self._logins[self._slot] += 1

    def _leave(self) -> None:
        """Log out, where no other session of this process needs the login."""
        user, self._user = self._user, None
        if user == CKU_USER:
            if not self._logins[self._slot]:  # the token was removed in between, and the login with it
                return
            self._logins[self._slot] -= 1
            if self._logins[self._slot]:
                return
        with suppress(pkcs11.PKCS11Error):  # closing the sessions ends the login too
            self.token.module.functions.logout(self._handle)

    @property
    def _handle(self) -> int:
        """The session as the module numbers it; python-pkcs11 has it, and does not declare it."""
        handle: int = cast("Any", self.holder).handle
        return handle

    def _open(self) -> pkcs11.Session:
        return self.token.slot.get_token().open(rw=self._writable)  # without a PIN: the login is ours

    def _login(self, user: int, pin: Pin | None) -> None:
        try:
            with self.calling():
                self.token.module.functions.login(self._handle, user, pin.reveal() if pin else None)
        except SmimeAgentError as error:
            if pin is not None:
                pin.wipe()
            if not isinstance(error, PinIncorrectError):
                raise
            if user == CKU_USER:
                raise self.wrong_pin() from error
            msg = f"wrong SO PIN for {self.name}"
            raise PinIncorrectError(msg) from error
        self._join(user)


def _close(session: pkcs11.Session) -> None:
    with suppress(pkcs11.PKCS11Error):  # the token may be gone, and the session with it
        session.close()
