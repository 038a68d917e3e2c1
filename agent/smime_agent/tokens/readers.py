"""Cards that come and go, as PC/SC tells it, in a process of its own: ``python -P -m smime_agent.tokens.readers``.

It prints a line of JSON with the present state, then one for each event, and ends when its standard input does. PC/SC
may block, and its client library may be any: so it is no part of another process.
Source: the PC/SC API of pcsc-lite, SCardGetStatusChange.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from smime_agent.errors import TokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: A reader that is none: its state changes when readers come and go.
_PLUG_AND_PLAY = r"\\?PnP?\Notification"
#: Readers that came while the list was read are seen after so long; so are all, where there is no plug and play.
_WAIT_MILLISECONDS = 2000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0
_MOST_READERS = 64
_LONGEST_NAME, _LONGEST_ATR = 256, 66  # MAX_READERNAME is 128, an ATR has at most 33 octets

#: How the process ends where PC/SC cannot be spoken with at all.
NO_PCSC = 3


class EventKind(StrEnum):
    """What happened. ``STATE`` is the first line, and not an event."""

    STATE = "state"
    INSERTED = "inserted"
    REMOVED = "removed"
    READER_ADDED = "reader-added"
    READER_REMOVED = "reader-removed"
    UNAVAILABLE = "unavailable"
    AVAILABLE = "available"


@dataclass(frozen=True, slots=True)
class ReaderEvent:
    """One line. ``atr`` is what the card says of itself, in hexadecimal; ``readers`` only a state has.

    A card that was in a reader, or whose daemon went away, is removed first, and inserted again when it is back.
    """

    event: EventKind
    reader: str | None = None
    atr: str | None = None
    readers: Mapping[str, str | None] = field(default_factory=dict)
    available: bool = True

    def line(self) -> str:
        """One line of JSON, in ASCII."""
        fields: dict[str, Any] = {"event": self.event}
        if self.event is EventKind.STATE:
            fields |= {"available": self.available, "readers": dict(self.readers)}
        if self.reader is not None:
            fields["reader"] = self.reader
        if self.atr is not None:
            fields["atr"] = self.atr
        return json.dumps(fields) + "\n"

    @classmethod
    def parse(cls, line: bytes) -> ReaderEvent:
        """The same from a line.

        Raises:
            TokenError: it is no such line.
        """
        try:
            fields = json.loads(line)
            event = EventKind(fields["event"])
            reader, atr = _text(fields.get("reader"), _LONGEST_NAME), _text(fields.get("atr"), _LONGEST_ATR)
            readers = {
                name[:_LONGEST_NAME]: _text(held, _LONGEST_ATR)
                for name, held in list(fields.get("readers", {}).items())[:_MOST_READERS]
            }
            return cls(event, reader, atr, readers, fields.get("available", True) is True)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            msg = "the process that watches the readers does not keep to its protocol"
            raise TokenError(msg) from None


def _text(value: object, longest: int) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= longest):
        return value
    raise ValueError


class _Lost(Exception):  # noqa: N818 - it is a state, told to nobody
    """PC/SC is not there, or went away."""


class _Watcher:
    """Compares what PC/SC says with what it said before."""

    def __init__(self, scard: Any, tell: Callable[[ReaderEvent], None]) -> None:  # noqa: ANN401 - pyscard has no types
        self._scard = scard
        self._tell = tell
        self._cards: dict[str, str | None] = {}  # the ATR of what is in each reader
        self._states: dict[str, int] = {}
        self._plug_and_play = 0
        self._said: bool | None = None  # of PC/SC: that it is there, that it is not, nothing yet

    def run(self) -> None:
        """Tell of everything, for ever."""
        pause = _FIRST_PAUSE
        while True:
            try:
                for _ in self._changes():
                    pause = _FIRST_PAUSE
            except _Lost:
                self._lose()
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _changes(self) -> Iterator[None]:
        """Each time that all is told."""
        result, context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_SYSTEM)
        if result != self._scard.SCARD_S_SUCCESS:
            raise _Lost
        try:
            while True:
                self._list(context)
                self._compare(context, 0)
                if self._said is None:
                    self._tell(ReaderEvent(EventKind.STATE, readers=dict(self._cards)))
                elif not self._said:
                    self._tell(ReaderEvent(EventKind.AVAILABLE))
                    self._tell_of_all()
                self._said = True
                yield
                self._compare(context, _WAIT_MILLISECONDS)
        finally:
            self._scard.SCardReleaseContext(context)

    def _list(self, context: int) -> None:
        result, names = self._scard.SCardListReaders(context, [])
        if result == self._scard.SCARD_E_NO_READERS_AVAILABLE:
            names = []
        elif result != self._scard.SCARD_S_SUCCESS:
            raise _Lost
        names = names[:_MOST_READERS]
        for gone in self._cards.keys() - set(names):
            self._set(gone, None)
            del self._cards[gone], self._states[gone]
            self._event(EventKind.READER_REMOVED, gone)
        for name in names:
            if name not in self._cards:
                self._cards[name], self._states[name] = None, self._scard.SCARD_STATE_UNAWARE
                self._event(EventKind.READER_ADDED, name)

    def _compare(self, context: int, milliseconds: int) -> None:
        """Wait until something is not as it was."""
        scard = self._scard
        asked = [*self._states.items(), (_PLUG_AND_PLAY, self._plug_and_play)]
        result, states = scard.SCardGetStatusChange(context, milliseconds, asked)
        if result in (scard.SCARD_E_TIMEOUT, scard.SCARD_E_UNKNOWN_READER):  # one went: the list is read next
            return
        if result != scard.SCARD_S_SUCCESS:
            raise _Lost
        for name, state, atr in states:
            if name == _PLUG_AND_PLAY:
                self._plug_and_play = state & ~scard.SCARD_STATE_CHANGED
            elif name in self._cards:
                # The upper half counts insertions and removals: two of them may have passed unseen.
                passed = (state ^ self._states[name]) >> 16 and self._states[name] != scard.SCARD_STATE_UNAWARE
                if passed and state & scard.SCARD_STATE_PRESENT:
                    self._set(name, None)
                self._states[name] = state & ~scard.SCARD_STATE_CHANGED
                is_there = state & scard.SCARD_STATE_PRESENT
                self._set(name, bytes(octet & 0xFF for octet in atr).hex()[:_LONGEST_ATR] if is_there else None)

    def _set(self, reader: str, atr: str | None) -> None:
        held = self._cards[reader]
        if held == atr:
            return
        if held is not None:
            self._event(EventKind.REMOVED, reader, held)
        self._cards[reader] = atr
        if atr is not None:
            self._event(EventKind.INSERTED, reader, atr)

    def _event(self, kind: EventKind, reader: str, atr: str | None = None) -> None:
        if self._said:  # else it is in the state that is told next
            self._tell(ReaderEvent(kind, reader, atr))

    def _tell_of_all(self) -> None:
        for reader, atr in self._cards.items():
            self._tell(ReaderEvent(EventKind.READER_ADDED, reader))
            if atr is not None:
                self._tell(ReaderEvent(EventKind.INSERTED, reader, atr))

    def _lose(self) -> None:
        """Nothing can be said of the cards: for whoever is logged in to one, it is as if they were taken out."""
        if self._said is None:
            self._tell(ReaderEvent(EventKind.STATE, available=False))
        elif self._said:
            for reader in tuple(self._cards):
                self._set(reader, None)
                self._event(EventKind.READER_REMOVED, reader)
            self._tell(ReaderEvent(EventKind.UNAVAILABLE))
        self._cards.clear()
        self._states.clear()
        self._plug_and_play, self._said = 0, False


def _tell(event: ReaderEvent) -> None:
    try:
        os.write(1, event.line().encode("ascii"))
    except OSError:  # nobody listens any more
        os._exit(0)


def _end_with_input() -> None:
    """Whoever started us ended, or says that it is enough. A call into PC/SC may never return: nothing waits for it."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    """Watch until standard input ends."""
    try:
        from smartcard import scard
    except ImportError:  # it, or the library of PC/SC that it is linked with
        sys.exit(NO_PCSC)
    threading.Thread(target=_end_with_input, daemon=True).start()
    _Watcher(scard, _tell).run()


if __name__ == "__main__":
    main()
