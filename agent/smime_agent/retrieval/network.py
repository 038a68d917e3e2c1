"""The source of evidence that asks the places which the certificates of a chain name."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from smime_agent.retrieval.cache import DiskCache
from smime_agent.retrieval.desk import Desk
from smime_agent.retrieval.inquiry import Inquiry
from smime_agent.retrieval.limits import Limits
from smime_agent.retrieval.memory import Memory
from smime_agent.trust.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from smime_agent.x509 import Certificate


def _now() -> datetime:
    return datetime.now(UTC)


class NetworkSource:
    """Evidence from OCSP responders and CRL distribution points, and from what was kept of them.

    One source serves one run, and one thread: it remembers what it got, and who did not answer. Give it only chains
    whose signatures are right, or strangers decide whom it asks.
    """

    def __init__(
        self,
        cache_directory: Path,
        *,
        offline: bool = False,
        limits: Limits | None = None,
        on_fetch: Callable[[str], None] | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """Keep answers in a directory, which need not be there yet.

        ``offline`` asks nobody. ``on_fetch`` is called with the host that we wait for, once a wait takes longer than
        a moment. ``clock`` gives the present time, which decides what is current.
        """
        self._limits = limits or Limits()
        self._offline = offline
        self._on_fetch = on_fetch
        self._clock = clock
        self._memory = Memory(self._limits.memory_octets)
        longest = max(self._limits.crl_age, self._limits.ocsp_age)
        self._disk = DiskCache(cache_directory, self._limits.disk_octets, longest)

    def gather(self, chain: Sequence[Certificate], at: datetime) -> Evidence:
        """What can be known about the certificates of a chain, leaf first, below its anchor, which comes last.

        It raises nothing, and takes no longer than ``Limits.together`` and a little.
        """
        now = self._clock()
        desk = Desk(self._memory, self._disk, self._limits, now, offline=self._offline)
        inquiries = [Inquiry(below, above, now, at, self._limits) for below, above in pairwise(chain)]
        courses = [inquiry.course(is_leaf=not index) for index, inquiry in enumerate(inquiries)]
        waiting = [(course, question) for course in courses if (question := desk.advance(course))]
        if waiting:
            from smime_agent.retrieval.fetching import fetch_all

            fetch_all(desk, waiting, self._limits, self._on_fetch)
        return Evidence(
            tuple(dict.fromkeys(crl for inquiry in inquiries for crl in inquiry.crls)),
            tuple(dict.fromkeys(response for inquiry in inquiries for response in inquiry.ocsp_responses)),
            tuple(problem for inquiry in inquiries for problem in inquiry.problems),
        )
