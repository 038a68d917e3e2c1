"""Addresses that a person cannot tell apart."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from functools import lru_cache
from typing import Final

# Letters of other scripts that are drawn like Latin ones in common fonts, from Unicode's confusables (UTS 39): the
# subset that can stand in an address. Each pair is the lookalike and the Latin letter.
_PAIRS: Final = (
    "аa ӓa еe ѐe оo ӧo рp сc уy ўy хx ѕs іi їi јj ԛq ԝw һh ԁd ɡg ӏl кk мm нh тt вb гr пn ьb зz "  # noqa: RUF001
    "αa βb γy εe ηn ιi κk νv οo ρp τt υu χx ωw ϲc ϳj "  # noqa: RUF001
    "աw օo հh ոn սu ցg քf "  # noqa: RUF001
    "ıi ȷj ɑa ʟl ᴠv ꜱs ɩi "  # noqa: RUF001
)
_LONGEST: Final = 320  # characters, RFC 5321, 4.5.3.1
_SKELETON: Final = str.maketrans({pair[0]: pair[1] for pair in _PAIRS.split()} | {"0": "o", "1": "l", "I": "l"})


@lru_cache(maxsize=256)
def skeleton(address: str) -> str:
    """What is left of an address when letters that look alike are made one: equal for two that a person confuses."""
    if len(address) > _LONGEST:  # to normalise it takes quadratic time
        return address
    local, _, domain = address.rpartition("@")
    with suppress(UnicodeError):  # an A-label is shown as its letters; what is no IDN stays as it stands
        domain = domain.encode("ascii").decode("idna")
    decomposed = unicodedata.normalize("NFKD", f"{local}@{domain}".translate(_SKELETON))
    shown = "".join(c for c in decomposed if unicodedata.category(c) not in {"Mn", "Cf"})
    return shown.casefold().translate(_SKELETON).replace("rn", "m").replace("vv", "w")
