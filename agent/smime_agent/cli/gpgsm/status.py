"""The status lines of GnuPG, which programs read (GnuPG, doc/DETAILS): none of them can be forged from outside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from smime_agent.errors import (
    AmbiguousError,
    CertificateNotUsableError,
    FileError,
    MechanismError,
    NoKeyError,
    PinError,
    PinUnavailableError,
    PolicyError,
    TokenAbsentError,
    TokenError,
    TokenRemovedError,
    UsageError,
)

if TYPE_CHECKING:
    from smime_agent.errors import SmimeAgentError

_PREFIX: Final = "[GNUPG:]"
_GPGSM: Final = 3 << 24  # the source of an error, as libgpg-error counts them
_GENERAL_ERROR: Final = 1
CANCELLED: Final = 99
CERTIFICATE_REVOKED: Final = 94
NOT_TRUSTED: Final = 98


class _Translation(NamedTuple):
    """What an error is called in GnuPG: its code, and why there is no signer (INV_SGNR), 0 being no reason."""

    error: type[SmimeAgentError]
    code: int
    signer: int | None = None


#: The first that fits, in this order.
_TRANSLATIONS: Final = (
    _Translation(NoKeyError, 17, 9),
    _Translation(AmbiguousError, 107, 2),
    _Translation(CertificateNotUsableError, 103, 0),
    _Translation(TokenAbsentError, 112, 9),
    _Translation(TokenRemovedError, 110),
    _Translation(MechanismError, 84, 3),
    _Translation(TokenError, 108),
    _Translation(PinUnavailableError, CANCELLED),
    _Translation(PinError, 87),
    _Translation(PolicyError, 116, 8),
    _Translation(FileError, 32768 + 49),  # EIO
    _Translation(UsageError, 55),
)


def escaped(text: str, also: str = "") -> str:
    """``text`` with whatever is not printable, the percent sign and ``also`` written as ``%0A``, octet by octet."""
    if text.isprintable() and "%" not in text and not set(also) & set(text):
        return text
    return "".join(
        c if c.isprintable() and c != "%" and c not in also else "".join(map("%{:02X}".format, _octets(c)))
        for c in text
    )


def _octets(character: str) -> bytes:
    return character.encode("utf-8", "surrogatepass")


class StatusLines:
    """Where status lines go; nowhere if nobody asked for them."""

    def __init__(self, descriptor: int | None) -> None:
        """Write to this descriptor.

        Raises:
            UsageError: it is not open.
        """
        self._descriptor = descriptor
        if descriptor is not None:
            try:
                os.fstat(descriptor)
            except OSError as error:
                msg = f"--status-fd {descriptor} is no open descriptor"
                raise UsageError(msg) from error

    def write(self, keyword: str, *values: str | int) -> None:
        """One line. The last value may have spaces in it; no value can end the line.

        Raises:
            FileError: nobody reads it any more.
        """
        if self._descriptor is None:
            return
        line = " ".join((_PREFIX, keyword, *(_as_it_is(str(value)) for value in values))) + "\n"
        octets = line.encode("utf-8", "backslashreplace")
        try:
            while octets:
                octets = octets[os.write(self._descriptor, octets) :]
        except OSError as error:
            msg = f"cannot write the status: {error.strerror}"
            raise FileError(msg) from error

    def fail(self, where: str, code: int) -> None:
        """That it failed, by the code of an error in GnuPG."""
        self.write("FAILURE", where, _GPGSM | code)


def _as_it_is(value: str) -> str:
    """A value that was escaped already is left alone, and any other is as good as escaped: it keeps to its line."""
    return value if value.isprintable() else escaped(value)


def code_of(error: SmimeAgentError) -> int:
    """The code in GnuPG that says what this error says."""
    return next((one.code for one in _TRANSLATIONS if isinstance(error, one.error)), _GENERAL_ERROR)


def signer_reason(error: SmimeAgentError) -> int | None:
    """Why the one who was to sign cannot (INV_SGNR), none where that is not the reason."""
    return next((one.signer for one in _TRANSLATIONS if isinstance(error, one.error)), None)
