"""Everything that can go wrong, each with an exit code and, where there is one, a way out.

The code below a class is the exit code of the command line (0 is done, 1 is a bug of ours)::

    SmimeAgentError
    ├── UsageError ................ 2   what was asked cannot be done as it was asked
    │   ├── ConfigError                 the configuration file says something else than it may
    │   ├── FileError                   a file cannot be read or written
    │   └── AmbiguousError              several tokens or keys fit
    ├── NotEncryptedError ......... 3   there is nothing to decrypt
    ├── InvalidMessageError ....... 6   not a mail, or one whose structure cannot be kept
    ├── NoKeyError ................ 7   no key of ours fits
    ├── TokenError ................ 8   the token, or its PKCS#11 module, does not do its part
    │   ├── TokenAbsentError            no such token is plugged in
    │   ├── TokenRemovedError           it was there when the operation began
    │   ├── ModuleLoadError             the file is not a PKCS#11 module, or does not start
    │   ├── MechanismError              this key on this token cannot do it, and why
    │   └── AgentError                  the agent cannot be reached, or does not keep to the protocol
    │       └── NotServedError          the agent does not use that module
    ├── PinError .................. 9   nobody is logged in
    │   ├── PinIncorrectError           one try was spent
    │   ├── PinLockedError              no try is left
    │   ├── PinLastTryError             one try is left, and it was not spent
    │   ├── PinNotSetError              the token has no user PIN yet
    │   ├── LoginEndedError             the agent ended the login while it was used
    │   └── PinUnavailableError         there is nobody to ask, or no answer
    └── PolicyError .............. 10   it could be done, and it should not
        ├── AlreadySignedError
        ├── RecipientRefusedError       nothing should be encrypted to this certificate
        ├── DeclinedError               the person was asked, and said no
        ├── AuditError                  the use of a key cannot be written down, so there is none
        └── CertificateNotUsableError   expired, not yet valid, or not for this use
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class SmimeAgentError(Exception):
    """The root of the tree: one sentence about what happened, and a hint about what to do.

    ``str(error)`` is that sentence, without a full stop, fit to follow ``smime-agent: error:``. ``details`` are
    lines that belong below it, such as the tokens that a person can choose from. ``code`` is a name for programs, as a
    rule that of the class: ``token-removed``, ``no-key``.
    """

    exit_code: ClassVar[int] = 1
    code: str = "error"
    hint: str | None
    details: tuple[str, ...]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" not in vars(cls):
            cls.code = re.sub(r"\B(?=[A-Z])", "-", cls.__name__.removesuffix("Error")).lower()

    def __init__(self, message: str, *, hint: str | None = None, details: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.hint = hint
        self.details = tuple(details)


class UsageError(SmimeAgentError):
    """What was asked cannot be done as it was asked."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration file, or a variable of the environment, says something it may not."""


class FileError(UsageError):
    """A file cannot be read or written."""


class AmbiguousError(UsageError):
    """Several tokens, keys or certificates fit, and guessing would be wrong."""


class NotEncryptedError(SmimeAgentError):
    """There is nothing to decrypt, or only in parts of the mail, whose numbers are ``parts``."""

    exit_code = 3
    parts: tuple[str, ...] = ()


class InvalidMessageError(SmimeAgentError):
    """Not a mail, or one whose structure cannot be kept while it is signed."""

    exit_code = 6


class NoKeyError(SmimeAgentError):
    """No key of ours fits what was asked."""

    exit_code = 7


class TokenError(SmimeAgentError):
    """The token, or its PKCS#11 module, does not do its part."""

    exit_code = 8


class TokenAbsentError(TokenError):
    """No such token is plugged in."""


class TokenRemovedError(TokenError):
    """The token was there when the operation began."""


class ModuleLoadError(TokenError):
    """The file is not a PKCS#11 module, or it does not start."""


class MechanismError(TokenError):
    """This key on this token cannot do what was asked."""


class AgentError(TokenError):
    """The agent cannot be reached, or does not keep to the protocol."""


class NotServedError(AgentError):
    """The agent does not use that module."""


class PinError(SmimeAgentError):
    """Nobody is logged in to the token."""

    exit_code = 9


class PinIncorrectError(PinError):
    """The PIN was wrong, and one try was spent."""


class PinLockedError(PinError):
    """No try is left."""


class PinLastTryError(PinError):
    """One try is left, and it was not spent."""


class PinNotSetError(PinError):
    """The token is initialised, its user PIN is not."""


class LoginEndedError(PinError):
    """The agent ended the login while it was used: it was locked, or the token is held no longer."""


class PinUnavailableError(PinError):
    """There is nobody to ask for a PIN, or the one who was asked said no."""


class PolicyError(SmimeAgentError):
    """It could be done, and it should not."""

    exit_code = 10


class AlreadySignedError(PolicyError):
    """The mail carries a signature, and nobody asked for a second one."""


class RecipientRefusedError(PolicyError):
    """Nothing should be encrypted to the certificate of a recipient."""


class DeclinedError(PolicyError):
    """The person was asked whether a program may use a key, and said no."""


class AuditError(PolicyError):
    """The use of a key cannot be written down, so there is none; or the log was changed."""


class CertificateNotUsableError(PolicyError):
    """The certificate is expired, not yet valid, or not for this use."""


def ends_the_run(error: SmimeAgentError) -> bool:
    """Of many messages, whether those after this one are not to be tried: the token or the PIN failed.

    Each try may cost one. That a key cannot do something says nothing of other messages.
    """
    return isinstance(error, (TokenError, PinError)) and not isinstance(error, MechanismError)


def not_tried(because: SmimeAgentError) -> SmimeAgentError:
    """What becomes of the messages after that."""
    return type(because)(f"not tried: {because}", hint=because.hint)
