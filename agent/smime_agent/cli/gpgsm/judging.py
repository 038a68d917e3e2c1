"""What one signature is worth, in the words of GnuPG: each gives git the letter that ``%G?`` shows.

====================  ===========  ======  ==========================================================================
                      status       letter  trust
====================  ===========  ======  ==========================================================================
trusted               GOODSIG      G       TRUST_FULLY
not trusted           GOODSIG      U       TRUST_UNDEFINED, or TRUST_NEVER where something is wrong and not just unknown
expired since         EXPKEYSIG    Y       TRUST_FULLY: nothing else stands against it
revoked               REVKEYSIG    R       TRUST_NEVER
over something else   BADSIG       B
cannot be checked     ERRSIG       E
====================  ===========  ======  ==========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent.cli.gpgsm.status import CERTIFICATE_REVOKED, NOT_TRUSTED
from smime_agent.verdict import Code

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.smime.verification import Signer

UNSUPPORTED: Final = 4
NO_CERTIFICATE: Final = 9
_EXPIRY: Final = frozenset({Code.EXPIRED, Code.ISSUER_EXPIRED})
#: Nothing is wrong, as far as is known: nobody vouches for it.
_UNKNOWN: Final = frozenset({Code.UNKNOWN_ISSUER, Code.SELF_SIGNED, Code.REVOCATION_UNKNOWN, *_EXPIRY})


@dataclass(frozen=True, slots=True)
class Judgement:
    """A status, its trust, and a sentence for people; ``error`` is why it cannot be checked (ERRSIG)."""

    status: str
    text: str
    trust: tuple[str, ...] = ()
    error: int = 0

    @property
    def is_trusted(self) -> bool:
        """It is a good signature by somebody who is trusted now."""
        return self.status == "GOODSIG" and self.trust[:1] == ("TRUST_FULLY",)


def judge(signer: Signer, was_trusted: Callable[[], bool]) -> Judgement:
    """The judgement on a signer; ``was_trusted`` tells, if it matters, whether the path was good until it expired."""
    why = "; ".join(reason.text for reason in signer.reasons)
    codes = {reason.code for reason in signer.reasons}
    if signer.certificate is None:
        return Judgement("ERRSIG", f"the signature cannot be checked: {why}", error=NO_CERTIFICATE)
    if not signer.is_valid and codes == {Code.UNSUPPORTED_ALGORITHM}:
        return Judgement("ERRSIG", f"the signature cannot be checked: {why}", error=UNSUPPORTED)
    if not signer.is_valid:
        return Judgement("BADSIG", f"BAD signature: {why}")
    return _good(codes, why, was_trusted)


def _good(codes: set[Code], why: str, was_trusted: Callable[[], bool]) -> Judgement:
    """The judgement on a signature that the key did make, by what stands against its certificate."""
    if not codes:
        return Judgement("GOODSIG", "good signature", ("TRUST_FULLY", "0", "shell"))
    if Code.REVOKED in codes:
        text = f"good signature by a certificate that was revoked: {why}"
        return Judgement("REVKEYSIG", text, ("TRUST_NEVER", str(CERTIFICATE_REVOKED)))
    if codes <= _EXPIRY and was_trusted():
        text = f"good signature by a certificate that expired since: {why}; nobody vouches for when it was made"
        return Judgement("EXPKEYSIG", text, ("TRUST_FULLY", "0", "shell"))
    trust = "TRUST_UNDEFINED" if codes <= _UNKNOWN else "TRUST_NEVER"
    return Judgement("GOODSIG", f"good signature by somebody who is not trusted: {why}", (trust, str(NOT_TRUSTED)))
