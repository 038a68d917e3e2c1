"""S/MIME with a private key that never leaves its PKCS#11 token.

What is named here is the public library; everything else may change. See ``docs/library.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from smime_agent.algorithms import Digest, Padding
    from smime_agent.api import Format, OpenToken, Signed, SignOptions, open_token, sign
    from smime_agent.errors import (
        AmbiguousError,
        InvalidMessageError,
        NoKeyError,
        PinError,
        PolicyError,
        SmimeAgentError,
        TokenError,
        UsageError,
    )
    from smime_agent.keys import Pin, PinRequest, Prompter

_HOMES = {
    "smime_agent.algorithms": ("Digest", "Padding"),
    "smime_agent.api": ("Format", "OpenToken", "SignOptions", "Signed", "open_token", "sign"),
    "smime_agent.errors": (
        "AmbiguousError",
        "InvalidMessageError",
        "NoKeyError",
        "PinError",
        "PolicyError",
        "SmimeAgentError",
        "TokenError",
        "UsageError",
    ),
    "smime_agent.keys": ("Pin", "PinRequest", "Prompter"),
}

__all__ = [
    "AmbiguousError",
    "Digest",
    "Format",
    "InvalidMessageError",
    "NoKeyError",
    "OpenToken",
    "Padding",
    "Pin",
    "PinError",
    "PinRequest",
    "PolicyError",
    "Prompter",
    "SignOptions",
    "Signed",
    "SmimeAgentError",
    "TokenError",
    "UsageError",
    "open_token",
    "sign",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attributes are of any type
    """Load what is asked for when it is asked for: ``smime-agent --version`` needs none of it."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(home), name)
            return value
    msg = f"module 'smime_agent' has no attribute '{name}'"
    raise AttributeError(msg)
