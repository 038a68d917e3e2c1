"""Which key a person means by a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent.errors import UsageError
from smime_agent.tokens.uri import SCHEME, Pkcs11Uri

if TYPE_CHECKING:
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.token import TokenInfo
    from smime_agent.x509 import Certificate


def is_named(key: TokenKey, name: str, token: TokenInfo) -> bool:
    """Whether ``name``, a ``pkcs11:`` URI, a label or a hexadecimal id, means this key on that token.

    Raises:
        UsageError: it is the URI of something else, or of nothing.
    """
    if name.lower().startswith(SCHEME):
        uri = Pkcs11Uri.parse(name)
        if uri.type not in (None, "private", "public", "cert"):
            msg = f"{name} is not the URI of a key"
            raise UsageError(msg)
        return token.matches(uri) and uri.matches({"id": key.id, "object": key.label})
    return key.label == name or key.id.hex() == name.lower().replace(":", "").removeprefix("0x")


def is_address(name: str) -> bool:
    """Whether a name means the keys whose certificates cover a mail address."""
    return "@" in name and not name.lower().startswith(SCHEME)


def has_fingerprint(certificate: Certificate, name: str) -> bool:
    """Whether ``name`` is the SHA-1 or SHA-256 fingerprint of a certificate, as people and GnuPG write it."""
    digits = name.replace(":", "").replace(" ", "").removesuffix("!").lower().removeprefix("0x")
    return digits in {certificate.sha1_fingerprint.hex(), certificate.fingerprint.hex()}
