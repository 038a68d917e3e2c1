"""S/MIME with a private key that never leaves its PKCS#11 token.

What is named here is the public library; everything else may change. See ``docs/library.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from smime_agent.algorithms import ContentEncryption, Digest, Padding
    from smime_agent.api.decrypting import Decryption, Decryptor, open_keys
    from smime_agent.api.encrypting import (
        Addressing,
        Certificates,
        Encrypted,
        EncryptOptions,
        Encryptor,
        read_certificates,
    )
    from smime_agent.api.remembering import Remembered, remember
    from smime_agent.api.signing import Format, OpenToken, Signed, SignOptions, open_token, sign, sign_all
    from smime_agent.api.verifying import Verifier, VerifyOptions
    from smime_agent.certificates.contacts import Contacts
    from smime_agent.cms.recipient_name import RecipientName
    from smime_agent.errors import (
        AmbiguousError,
        FileError,
        InvalidMessageError,
        NoKeyError,
        NotEncryptedError,
        PinError,
        PinUnavailableError,
        PolicyError,
        RecipientRefusedError,
        SmimeAgentError,
        TokenError,
        UsageError,
    )
    from smime_agent.keys import Pin, PinRequest, Prompter
    from smime_agent.smime.negotiation import RsaPadding
    from smime_agent.smime.recipients import Recipient, RecipientDirectory
    from smime_agent.smime.verification import Verification
    from smime_agent.trust.evidence import RevocationMode
    from smime_agent.verdict import Code, Reason, Verdict
    from smime_agent.x509 import Certificate, load_certificates

_HOMES = {
    "smime_agent.algorithms": ("ContentEncryption", "Digest", "Padding"),
    "smime_agent.api.decrypting": ("Decryption", "Decryptor", "open_keys"),
    "smime_agent.api.encrypting": (
        "Addressing",
        "Certificates",
        "EncryptOptions",
        "Encrypted",
        "Encryptor",
        "read_certificates",
    ),
    "smime_agent.api.remembering": ("Remembered", "remember"),
    "smime_agent.api.signing": ("Format", "OpenToken", "SignOptions", "Signed", "open_token", "sign", "sign_all"),
    "smime_agent.api.verifying": ("Verifier", "VerifyOptions"),
    "smime_agent.certificates.contacts": ("Contacts",),
    "smime_agent.cms.recipient_name": ("RecipientName",),
    "smime_agent.errors": (
        "AmbiguousError",
        "FileError",
        "InvalidMessageError",
        "NoKeyError",
        "NotEncryptedError",
        "PinError",
        "PinUnavailableError",
        "PolicyError",
        "RecipientRefusedError",
        "SmimeAgentError",
        "TokenError",
        "UsageError",
    ),
    "smime_agent.keys": ("Pin", "PinRequest", "Prompter"),
    "smime_agent.smime.negotiation": ("RsaPadding",),
    "smime_agent.smime.recipients": ("Recipient", "RecipientDirectory"),
    "smime_agent.smime.verification": ("Verification",),
    "smime_agent.trust.evidence": ("RevocationMode",),
    "smime_agent.verdict": ("Code", "Reason", "Verdict"),
    "smime_agent.x509": ("Certificate", "load_certificates"),
}

__all__ = [
    "Addressing",
    "AmbiguousError",
    "Certificate",
    "Certificates",
    "Code",
    "Contacts",
    "ContentEncryption",
    "Decryption",
    "Decryptor",
    "Digest",
    "EncryptOptions",
    "Encrypted",
    "Encryptor",
    "FileError",
    "Format",
    "InvalidMessageError",
    "NoKeyError",
    "NotEncryptedError",
    "OpenToken",
    "Padding",
    "Pin",
    "PinError",
    "PinRequest",
    "PinUnavailableError",
    "PolicyError",
    "Prompter",
    "Reason",
    "Recipient",
    "RecipientDirectory",
    "RecipientName",
    "RecipientRefusedError",
    "Remembered",
    "RevocationMode",
    "RsaPadding",
    "SignOptions",
    "Signed",
    "SmimeAgentError",
    "TokenError",
    "UsageError",
    "Verdict",
    "Verification",
    "Verifier",
    "VerifyOptions",
    "load_certificates",
    "open_keys",
    "open_token",
    "read_certificates",
    "remember",
    "sign",
    "sign_all",
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
