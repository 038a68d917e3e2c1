"""Verify messages against anchors that were chosen once."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smime_agent.api.content import open_content
from smime_agent.api.trusting import trust_of
from smime_agent.smime.signers import SignerCheck
from smime_agent.smime.verify import verify
from smime_agent.trust.evidence import RevocationMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from smime_agent.api.content import Content
    from smime_agent.smime.verification import Verification


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How to verify; the defaults are right for mail that came just now.

    ``ca_files`` hold trust anchors, beside those of NSS unless ``system_roots`` is false. ``crl_files`` hold CRLs.
    ``at`` is the time as of which certificates are judged, now if left out. ``legacy`` lets certificates with MD5,
    SHA-1, DSA and short keys into the path, as archives hold them; such signers are never trusted. ``offline`` asks
    no server.
    """

    ca_files: tuple[Path, ...] = ()
    system_roots: bool = True
    crl_files: tuple[Path, ...] = ()
    revocation: RevocationMode = RevocationMode.PREFER
    offline: bool = False
    at: datetime | None = None
    legacy: bool = False


_DEFAULTS = VerifyOptions()


class Verifier:
    """Verifies any number of messages; what is found out about certificates is kept from one to the next.

    It judges as of the moment when it was made.
    """

    def __init__(self, options: VerifyOptions = _DEFAULTS, *, on_fetch: Callable[[str], None] | None = None) -> None:
        """Read anchors and CRLs; ``on_fetch`` is told the host when a server is asked.

        Raises:
            FileError, UsageError: a file cannot be read, or holds something else.
        """
        now = datetime.now(UTC)
        trust = trust_of(
            options,
            options.at or now,
            in_retrospect=options.at is not None,
            weak_digests=options.legacy,
            on_fetch=on_fetch,
        )
        self._check = SignerCheck(
            trust.validator,
            now=now,
            in_retrospect=options.at is not None,
            known=tuple(anchor.certificate for anchor in trust.given),
        )

    @property
    def check(self) -> SignerCheck:
        """How signers are checked: for other roads that judge by the same policy."""
        return self._check

    @property
    def trusts_anybody(self) -> bool:
        """There is a trust anchor at all: NSS's list is not installed everywhere."""
        return bool(self._check.validator.policy.anchors)

    def verify(
        self, message: Content, *, content: Content | None = None, expected_sender: str | None = None
    ) -> Verification:
        """What is to be said of one message, a mail or bare CMS, of any size.

        ``content`` is what a bare detached signature is over. ``expected_sender`` is an address that must have signed.

        Raises:
            FileError: it cannot be read. Whatever is wrong with the message itself is in the result.
        """
        with self.opened(message, content=content, expected_sender=expected_sender) as verification:
            return verification

    @contextmanager
    def opened(
        self, message: Content, *, content: Content | None = None, expected_sender: str | None = None
    ) -> Iterator[Verification]:
        """The same, while the signed content can still be read: see :meth:`.Verification.signed_content`."""
        with ExitStack() as resources:
            source = open_content(message)
            if source is not message:
                resources.enter_context(source)
            beside = open_content(content) if content is not None else None
            if beside is not None and beside is not content:
                resources.enter_context(beside)
            yield verify(source, self._check, resources, expected_sender=expected_sender, content=beside)
