"""``pkcs11:`` URIs (RFC 7512): how a token, an object on it, its module and the source of its PIN are named."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, unquote_to_bytes

from smime_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEME = "pkcs11:"

_TYPES = ("public", "private", "cert", "secret-key", "data")
#: Octets that the fixed fields of PKCS#11 hold; a longer value can match nothing and is refused (RFC 7512, 2.3).
_WIDTHS = {
    "token": 32,
    "manufacturer": 32,
    "serial": 16,
    "model": 16,
    "library_manufacturer": 32,
    "library_description": 32,
    "slot_manufacturer": 32,
    "slot_description": 64,
}
_GRAMMAR_HINT = "RFC 7512 has the grammar; 'smime-agent token list' prints URIs"
_PATH_SAFE, _QUERY_SAFE = ":[]@!$'()*+,=&", ":[]@!$'()*+,=/?|"
_QUERY = {"pin-source", "module-name", "module-path"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Uri:
    """The attributes of a URI; ``None`` matches everything (RFC 7512, 2.5)."""

    token: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    library_manufacturer: str | None = None
    library_description: str | None = None
    library_version: tuple[int, int] | None = None
    slot_manufacturer: str | None = None
    slot_description: str | None = None
    slot_id: int | None = None
    object: str | None = None
    type: str | None = None
    id: bytes | None = None
    pin_source: str | None = None
    module_name: str | None = None
    module_path: str | None = None

    @classmethod
    def parse(cls, text: str) -> Pkcs11Uri:
        """Read a URI.

        Raises:
            UsageError: it is not one, or holds what nothing can match.
        """
        if not text.lower().startswith(SCHEME):
            raise _refused(text, "it does not begin with pkcs11:")
        if any(not "!" <= character <= "~" or character == "#" for character in text):
            raise _refused(text, "spaces, '#' and letters outside ASCII must be percent-encoded")
        path, _, query = text[len(SCHEME) :].partition("?")
        if "/" in path:
            raise _refused(text, "'/' must be percent-encoded before the '?'")
        values: dict[str, Any] = {}
        for name, value in _attributes(text, path, ";"):
            if name in _QUERY or "_" in name or name.replace("-", "_") not in cls.__slots__:
                # An unknown attribute would match nothing (RFC 7512, 2.5): better to say so.
                raise _refused(text, f"there is no path attribute '{name}'")
            _put(text, values, name, value)
        for name, value in _attributes(text, query, "&"):
            if name == "pin-value":
                reason = "pin-value would put the PIN where others can read it"
                raise _refused(text, reason, "use pin-source, or --pin-source")
            if name in _QUERY:  # an unknown one is to be ignored (RFC 7512, 2.5)
                _put(text, values, name, value)
        return cls(**values)

    def __str__(self) -> str:
        """The URI, in the order of the fields; ``id`` is percent-encoded whole."""
        path, query = [], []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            name = field.name.replace("_", "-")
            if isinstance(value, bytes):
                path.append(f"{name}=" + "".join(f"%{octet:02X}" for octet in value))
            elif isinstance(value, tuple):
                path.append(f"{name}={value[0]}.{value[1]}")
            elif name in _QUERY:
                query.append(f"{name}={quote(str(value), safe=_QUERY_SAFE)}")
            else:
                path.append(f"{name}={quote(str(value), safe=_PATH_SAFE)}")
        return SCHEME + ";".join(path) + ("?" + "&".join(query) if query else "")

    def matches(self, facts: Mapping[str, Any]) -> bool:
        """Every attribute of the URI that ``facts`` knows has the value it has there.

        ``facts`` maps field names, such as ``slot_id``, to values of this class's types.
        """
        return all(
            wanted is None or _normal(wanted) == _normal(fact)
            for wanted, fact in ((getattr(self, name), fact) for name, fact in facts.items())
        )


def _attributes(text: str, component: str, delimiter: str) -> list[tuple[str, bytes]]:
    """The attributes of one component, percent-decoded."""
    pairs = []
    for part in component.split(delimiter) if component else ():
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise _refused(text, f"'{part}' is not of the form name=value")
        _check_percent(text, value)
        pairs.append((name, unquote_to_bytes(value)))
    return pairs


def _check_percent(text: str, value: str) -> None:
    for piece in value.split("%")[1:]:
        if len(piece) < 2 or any(digit not in "0123456789abcdefABCDEF" for digit in piece[:2]):  # noqa: PLR2004
            raise _refused(text, "'%' must be followed by two hexadecimal digits")


def _put(text: str, values: dict[str, Any], name: str, value: bytes) -> None:
    field = name.replace("-", "_")
    if field in values:  # RFC 7512, 2.3 and 2.4
        raise _refused(text, f"'{name}' is given twice")
    values[field] = _convert(text, field, value)


def _convert(text: str, field: str, value: bytes) -> object:
    """The value of an attribute as its field holds it."""
    if field == "id":
        return value
    try:
        string = value.decode()
    except UnicodeDecodeError:
        raise _refused(text, f"the value of '{field}' is not UTF-8") from None
    if len(value) > _WIDTHS.get(field, len(value)):
        raise _refused(text, f"the value of '{field}' is longer than a token can have")
    if field == "type" and string not in _TYPES:
        raise _refused(text, f"type is one of {', '.join(_TYPES)}")
    if field == "module_path" and not string.startswith("/"):  # RFC 7512, 2.4
        raise _refused(text, "module-path must be absolute")
    if field == "slot_id":
        return int(_digits(text, field, string))
    if field == "library_version":
        major, dot, minor = string.partition(".")
        return int(_digits(text, field, major)), int(_digits(text, field, minor if dot else "0"))
    return string


def _digits(text: str, field: str, value: str) -> str:
    if not (value.isascii() and value.isdigit() and len(value) <= 20):  # noqa: PLR2004 - a CK_ULONG has no more
        raise _refused(text, f"the value of '{field}' is a number")
    return value


def _normal(value: object) -> object:
    """Strings compare in a normal form (RFC 7512, 2.5)."""
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def _refused(text: str, reason: str, hint: str = _GRAMMAR_HINT) -> UsageError:
    """The error; a URI that may hold a PIN is not repeated, whatever is wrong with it."""
    if "pin-value" in unquote(text).lower():
        text, reason = f"{SCHEME}...", reason if "would put" in reason else "it is damaged, and holds a pin-value"
    return UsageError(f"not a usable PKCS#11 URI: {text}: {reason}", hint=hint)
