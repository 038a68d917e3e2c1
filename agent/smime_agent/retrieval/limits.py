"""How long is waited, how much is read and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

_MEBI = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a :class:`~smime_agent.retrieval.NetworkSource`. Times without a unit are seconds, sizes are octets."""

    #: One server, from the look-up of its name to the last octet, redirects included.
    each: float = 10.0
    #: Everything that one chain asks for.
    together: float = 15.0
    #: After this long a person is told whom we wait for.
    moment: float = 0.5
    ocsp_octets: int = 64 << 10
    crl_octets: int = 64 * _MEBI
    redirects: int = 3
    #: A server that failed is left alone for this long; so is one whose answer nobody can check.
    retry_after: timedelta = timedelta(minutes=5)
    #: Answers are kept to their nextUpdate, and never longer than this.
    crl_age: timedelta = timedelta(days=7)
    ocsp_age: timedelta = timedelta(days=1)
    age_without_next_update: timedelta = timedelta(minutes=25)
    #: An answer that names no nextUpdate says that there is always a newer one (RFC 6960, 4.2.2.1): this old it is a
    #: replay.
    oldest_without_next_update: timedelta = timedelta(days=1)
    #: How far another clock may be before ours.
    clock_skew: timedelta = timedelta(minutes=5)
    #: What is kept, on the disk and in memory.
    disk_octets: int = 256 * _MEBI
    memory_octets: int = 128 * _MEBI
