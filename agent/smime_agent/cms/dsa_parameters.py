"""DSA keys whose parameters stand in a certificate above (RFC 3279, 2.3.2), as in mail of the last century."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent import accepted, der
from smime_agent.cms.normal import value, values
from smime_agent.cms.signer_info import algorithm_of

if TYPE_CHECKING:
    from collections.abc import Iterable


def inherits_parameters(public_key_info: bytes) -> bool:
    """Whether a DER SubjectPublicKeyInfo is that of a DSA key without parameters.

    Raises:
        UntrustworthyError: it is damaged.
    """
    identifier = algorithm_of(values(value(public_key_info, der.SEQUENCE))[0].encoded)
    return identifier.oid == accepted.DSA_OID and identifier.effective_parameters is None


def with_inherited_parameters(public_key_info: bytes, above: Iterable[bytes]) -> bytes:
    """The SubjectPublicKeyInfo with the parameters of the first of those ``above`` that has some; else as it is.

    Only keys of a path that was validated may stand above: who chooses the parameters can make any signature fit.

    Raises:
        UntrustworthyError: one is damaged.
    """
    key = values(value(public_key_info, der.SEQUENCE))[1].encoded
    for info in above:
        identifier = values(value(info, der.SEQUENCE))[0].encoded
        if algorithm_of(identifier).oid != accepted.DSA_OID:
            break
        if not inherits_parameters(info):
            return der.sequence(identifier, key)
    return public_key_info
