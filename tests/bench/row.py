"""What a comparison is, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MIB = 1 << 20


class Better(Enum):
    """Which side of the target is the right one. The value is how the target is written."""

    MORE = "at least"
    LESS = "at most"


@dataclass(frozen=True)
class Size:
    """How much is measured, and how often."""

    mails: int
    many_mails: int
    large_octets: int
    rounds: int
    rounds_of_workers: int
    rounds_of_starts: int
    verified_mails: int
    streamed_octets: int
    crl_entries: int


@dataclass(frozen=True)
class Row:
    """One comparison: ``ours`` and ``peer`` for people, their ``ratio``, and the target where one was set."""

    what: str
    ours: str
    peer: str
    ratio: float
    target: float | None = None
    better: Better = Better.MORE
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """The target is met; ``None`` where there is none."""
        if self.target is None:
            return None
        return self.ratio >= self.target if self.better is Better.MORE else self.ratio <= self.target

    @property
    def ratio_text(self) -> str:
        """The ratio as it is printed."""
        return f"{self.ratio:.{0 if self.unit and self.ratio >= 10 else 2}f}{self.unit}"

    @property
    def target_text(self) -> str:
        """The target as it is printed."""
        return "" if self.target is None else f"{self.better.value} {self.target:g}{self.unit}"

    @property
    def verdict(self) -> str:
        """``OK`` or ``miss``."""
        return {True: "OK", False: "miss", None: ""}[self.met]
