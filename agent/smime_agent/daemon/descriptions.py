"""Tokens and what lies on them, as JSON: the same values on both sides."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import pkcs11

from smime_agent.algorithms import Curve, KeyAlgorithm, KeyKind
from smime_agent.daemon.protocol import Fields, ProtocolError
from smime_agent.tokens.objects import TokenCertificate, TokenKey, TokenObjects
from smime_agent.tokens.token import TokenInfo
from smime_agent.x509 import InvalidCertificateError, certificate_of

_TEXTS = [one.name for one in fields(TokenInfo) if one.type == "str"]


def info_values(info: TokenInfo) -> dict[str, Any]:
    """What a token says of itself."""
    return {**asdict(info), "library_version": list(info.library_version), "flags": int(info.flags)}


def read_info(fields_: Fields) -> TokenInfo:
    """The same out of a message.

    Raises:
        ProtocolError: it is none.
    """
    texts = {name: fields_.text(name) for name in _TEXTS}
    version = fields_.items("library_version", most=2)
    if len(version) != 2 or not all(isinstance(part, int) for part in version):  # noqa: PLR2004 - major and minor
        raise ProtocolError("a version that is none")
    slot_id, flags = fields_.number("slot_id"), pkcs11.TokenFlag(fields_.number("flags"))
    fields_.finish()
    return TokenInfo(slot_id=slot_id, library_version=(version[0], version[1]), flags=flags, **texts)


def objects_values(objects: TokenObjects) -> dict[str, Any]:
    """What lies on a token."""
    return {
        "keys": [_key_values(key) for key in objects.keys],
        "certificates": [
            {"id": found.id, "label": found.label, "encoded": found.certificate.encoded}
            for found in objects.certificates
        ],
    }


def read_objects(fields_: Fields) -> TokenObjects:
    """The same out of a message.

    Raises:
        ProtocolError: it is none.
    """
    keys = [_read_key(Fields(one, "a key")) for one in fields_.items("keys")]
    certificates = [_read_certificate(Fields(one, "a certificate")) for one in fields_.items("certificates")]
    fields_.finish()
    return TokenObjects(tuple(keys), tuple(certificates))


def _key_values(key: TokenKey) -> dict[str, Any]:
    algorithm = key.algorithm
    return {
        "id": key.id,
        "label": key.label,
        "kind": algorithm.kind.value,
        "bits": algorithm.bits,
        "curve": algorithm.curve.value if algorithm.curve else None,
        "public_key_info": key.public_key_info,
        "can_sign": key.can_sign,
        "can_decrypt": key.can_decrypt,
        "always_authenticate": key.always_authenticate,
        "private_seen": key.private_seen,
    }


def _read_key(fields_: Fields) -> TokenKey:
    kind, bits = fields_.choice("kind", KeyKind), fields_.number("bits")
    key = TokenKey(
        fields_.octets("id"),
        fields_.text("label"),
        KeyAlgorithm(kind, bits, fields_.optional_choice("curve", Curve)),
        fields_.optional_octets("public_key_info"),
        *(fields_.flag(name) for name in ("can_sign", "can_decrypt", "always_authenticate", "private_seen")),
    )
    fields_.finish()
    return key


def _read_certificate(fields_: Fields) -> TokenCertificate:
    key_id, label, encoded = fields_.octets("id"), fields_.text("label"), fields_.octets("encoded")
    fields_.finish()
    try:
        return TokenCertificate(key_id, label, certificate_of(encoded))
    except InvalidCertificateError:
        raise ProtocolError("a certificate that is none") from None
