"""asn1crypto, with faults mended that a stranger's certificate can reach.

It is done once, when certificates are first read. What asn1crypto could do before, it does in the same way.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, Final

_LONGEST_IDENTIFIER: Final = 128  # octets; the longest in use has about 30
_LONGEST_TEXT: Final = 1_000  # characters of a name


@lru_cache(maxsize=1)
def mend_asn1crypto() -> None:
    """Bound what takes quadratic time, and let all names be compared."""
    from asn1crypto import core, x509

    core.ObjectIdentifier.dotted = property(_bounded(core.ObjectIdentifier.dotted.fget))
    x509.NameTypeAndValue._ldap_string_prep = _comparing(x509.NameTypeAndValue._ldap_string_prep)  # noqa: SLF001 - there is no other place for it


def _bounded(dotted: Any) -> Any:  # noqa: ANN401 - asn1crypto has no types
    """An arc of 200,000 octets would take six seconds."""

    def bounded(self: Any) -> str:  # noqa: ANN401 - the same
        if len(self.contents or b"") > _LONGEST_IDENTIFIER:
            raise ValueError("an object identifier of more than 128 octets")
        return str(dotted(self))

    return bounded


def _comparing(prepared: Any) -> Any:  # noqa: ANN401 - asn1crypto has no types
    """Compare names that it refuses: a Hebrew word with a number, an emoji.

    RFC 4518, 2.4 and 2.5: what Unicode 3.2 had not assigned is a letter today, and characters that only order text are
    ignored. The CRL of a CA with such a name would not be found else, and a revoked certificate would pass.
    """

    def prepare(self: object, text: str) -> str:
        if len(text) > _LONGEST_TEXT:  # to normalise it takes quadratic time
            return f" {text.casefold()} "
        try:
            return str(prepared(self, text))
        except (ValueError, IndexError):
            return f" {unicodedata.normalize('NFKC', text.casefold())} "

    return prepare
