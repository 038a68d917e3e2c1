"""Names, times and algorithms of CMS in words. What is damaged is said to be; nothing is raised."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms import distinguished_name as names
from smime_agent.cms.ber import integer, object_identifier
from smime_agent.cms.content_info import OBJECT_IDENTIFIER
from smime_agent.cms.distinguished_name import UNREADABLE
from smime_agent.cms.normal import value, values
from smime_agent.cms.signer_info import AlgorithmIdentifier, algorithm_of
from smime_agent.names import name_of
from smime_agent.smime.inspect.tree import cut, hexadecimal
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.cms.normal import Value

#: What reading a small value can raise: a field that is missing, or that is something else.
_DAMAGED: Final = (UntrustworthyError, IndexError, ValueError)
_TIME: Final = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:[.,]\d{1,9})?(Z|[+-]\d{4})?")
_CONTEXT: Final = 0xA0
_BIT_STRING: Final = 0x03
#: RFC 2268, 6: the effective key bits behind the version numbers that are in use.
_RC2_BITS: Final = {160: 40, 120: 64, 58: 128}


def distinguished_name(encoded: bytes) -> str:
    """A Name in DER or BER, the most specific part first, as in RFC 4514."""
    return cut(names.distinguished_name(encoded))


def time(tag: int, contents: bytes) -> str:
    """A UTCTime or GeneralizedTime as ``2026-05-17T12:30:01Z``; what is none, as it stands."""
    digits = contents
    if tag == der.UTC_TIME:
        digits = (b"20" if contents < b"50" else b"19") + contents  # RFC 5652, 11.3
    match = _TIME.fullmatch(digits)
    if match is None:
        return contents.decode("ascii", "backslashreplace")
    year, month, day, hour, minute, second, zone = (b"" if group is None else group for group in match.groups())
    text = b"%b-%b-%bT%b:%b:%b%b" % (year, month, day, hour, minute, second or b"00", zone)
    return text.decode("ascii")


def issuer_serial(names: bytes) -> str:
    """The directory name in the contents of GeneralNames (RFC 2634, 5.4.1)."""
    for name in values(names):
        if name.tag == _CONTEXT | 4:
            return distinguished_name(name.contents)
    return UNREADABLE


def algorithm(identifier: AlgorithmIdentifier) -> str:
    """An algorithm with its parameters: ``RSASSA-PSS with SHA-256, MGF1 with SHA-256, salt of 32 octets``."""
    name = name_of(identifier.oid)
    parameters = identifier.effective_parameters
    if parameters is None and identifier.oid not in _WITH_DEFAULTS:
        return name
    try:
        return cut(name + _PARAMETERS.get(identifier.oid, _unknown)(parameters or b"\x30\x00"))
    except _DAMAGED:
        return f"{name}, parameters {UNREADABLE}"


# Parameters, each from its DER


def _unknown(parameters: bytes) -> str:
    return f", parameters {hexadecimal(parameters)}"


def _length(parameters: bytes) -> str:
    return f", parameters of {len(parameters)} octets"


def _curve(parameters: bytes) -> str:
    if parameters[0] == OBJECT_IDENTIFIER:
        return f" {name_of(object_identifier(value(parameters, OBJECT_IDENTIFIER)))}"
    return _length(parameters)


def _initialization_vector(parameters: bytes) -> str:
    return f", IV {hexadecimal(value(parameters, der.OCTET_STRING))}"


def _nonce(parameters: bytes) -> str:
    return f", nonce {hexadecimal(value(parameters, der.OCTET_STRING))}"


def _nonce_and_tag(parameters: bytes) -> str:
    """GCMParameters and CCMParameters (RFC 5084, 3.1, 3.2)."""
    fields = values(value(parameters, der.SEQUENCE))
    size = integer(fields[1].contents) if len(fields) > 1 else 12
    return f", nonce {hexadecimal(fields[0].contents)}, ICV of {size} octets"


def _rc2(parameters: bytes) -> str:
    """RC2CBCParameter (RFC 3370, 5.2): the IV alone, or with a number that stands for the size of the key."""
    if parameters[0] == der.OCTET_STRING:
        return f", 32 bits{_initialization_vector(parameters)}"
    if parameters[0] == der.INTEGER:  # in SMIMECapabilities: the bits themselves
        return f", {integer(value(parameters, der.INTEGER))} bits"
    version, vector = values(value(parameters, der.SEQUENCE))[:2]
    number = integer(version.contents)
    return f", {_RC2_BITS.get(number, number)} bits, IV {hexadecimal(vector.contents)}"


def _rc2_wrap(parameters: bytes) -> str:
    """RC2wrapParameter (RFC 3370, 4.3.2)."""
    number = integer(value(parameters, der.INTEGER))
    return f", {_RC2_BITS.get(number, number)} bits"


def _within(parameters: bytes) -> str:
    """The parameters are another algorithm: that which wraps the key, or encrypts."""
    return f", {algorithm(algorithm_of(parameters))}"


def _tagged(parameters: bytes) -> dict[int, Value]:
    return {field.tag - _CONTEXT: field for field in values(value(parameters, der.SEQUENCE))}


def _hash_and_mask(fields: dict[int, Value]) -> str:
    digest = algorithm(algorithm_of(fields[0].contents)) if 0 in fields else "SHA-1"
    mask = "MGF1, SHA-1"
    if 1 in fields:
        mask = algorithm(algorithm_of(fields[1].contents))
    return f" with {digest}, {mask.replace('MGF1, ', 'MGF1 with ')}"


def _pss(parameters: bytes) -> str:
    """RSASSA-PSS-params (RFC 4055, 3.1)."""
    fields = _tagged(parameters)
    salt = integer(value(fields[2].contents, der.INTEGER)) if 2 in fields else 20  # noqa: PLR2004 - [2]
    return f"{_hash_and_mask(fields)}, salt of {salt} octets"


def _oaep(parameters: bytes) -> str:
    """RSAES-OAEP-params (RFC 4055, 4.1)."""
    fields = _tagged(parameters)
    label = b""
    if 2 in fields:  # noqa: PLR2004 - [2]
        source = algorithm_of(fields[2].contents)
        label = value(source.parameters or b"\x04\x00", der.OCTET_STRING)
    return f"{_hash_and_mask(fields)}" + (f", label {hexadecimal(label)}" if label else "")


def _pbkdf2(parameters: bytes) -> str:
    """PBKDF2-params (RFC 8018, A.2); the PRF is HMAC-SHA-1 where none is named."""
    salt, iterations, *rest = values(value(parameters, der.SEQUENCE))
    function = "HMAC-SHA-1"
    length = ""
    for field in rest:
        if field.tag == der.INTEGER:
            length = f", key of {integer(field.contents)} octets"
        else:
            function = algorithm(algorithm_of(field.encoded))
    return f" with {function}, {integer(iterations.contents)} iterations, salt {hexadecimal(salt.contents)}{length}"


def _scrypt(parameters: bytes) -> str:
    """Scrypt-params (RFC 7914, 7)."""
    salt, *numbers = values(value(parameters, der.SEQUENCE))
    cost = ", ".join(f"{name} {integer(one.contents)}" for name, one in zip("Nrp", numbers, strict=False))
    return f", {cost}, salt {hexadecimal(salt.contents)}"


def _pbes2(parameters: bytes) -> str:
    derivation, cipher = values(value(parameters, der.SEQUENCE))[:2]
    return f", {algorithm(algorithm_of(derivation.encoded))}, {algorithm(algorithm_of(cipher.encoded))}"


_NIST_AES: Final = "2.16.840.1.101.3.4.1"
_SMIME_ALGORITHM: Final = "1.2.840.113549.1.9.16.3"
_PSS, _OAEP = "1.2.840.113549.1.1.10", "1.2.840.113549.1.1.7"
_WITH_DEFAULTS: Final = frozenset({_PSS, _OAEP})
_PARAMETERS: Final[dict[str, Callable[[bytes], str]]] = {
    _PSS: _pss,
    _OAEP: _oaep,
    "1.2.840.113549.1.1.8": _within,
    **{f"{_NIST_AES}.{key + mode}": _initialization_vector for key in (0, 20, 40) for mode in (2, 3, 4)},
    **{f"{_NIST_AES}.{key + mode}": _nonce_and_tag for key in (0, 20, 40) for mode in (6, 7)},
    **{f"1.2.392.200011.61.1.1.1.{number}": _initialization_vector for number in (2, 3, 4)},
    "1.2.840.113549.3.7": _initialization_vector,
    "1.3.14.3.2.7": _initialization_vector,
    "1.2.840.113549.3.2": _rc2,
    f"{_SMIME_ALGORITHM}.7": _rc2_wrap,
    f"{_SMIME_ALGORITHM}.18": _nonce,
    **{f"{_SMIME_ALGORITHM}.{number}": _within for number in (5, 9, 10, 19, 20, 21, 31)},
    **{f"1.3.132.1.{scheme}.{digest}": _within for scheme in (11, 14, 15) for digest in range(4)},
    **{f"1.3.133.16.840.63.0.{scheme}": _within for scheme in (2, 3, 16)},
    "1.2.840.10045.2.1": _curve,
    "1.2.840.10040.4.1": _length,
    "1.2.840.10046.2.1": _length,
    "1.2.840.113549.1.3.1": _length,
    "1.2.840.113549.1.5.12": _pbkdf2,
    "1.2.840.113549.1.5.13": _pbes2,
    "1.3.6.1.4.1.11591.4.11": _scrypt,
}
