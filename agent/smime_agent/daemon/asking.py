"""How a worker gets a PIN: from where the configuration says, from the token's pad, or from the person who asked."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from smime_agent.daemon.dialogue import Screen, one_line
from smime_agent.daemon.hardening import lock_memory
from smime_agent.errors import PinLastTryError, PinUnavailableError
from smime_agent.keys import Pin
from smime_agent.tokens.pins import PinSource, PinSourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smime_agent.daemon.dialogue import Dialogue
    from smime_agent.daemon.protocol import Fields
    from smime_agent.keys import PinRequest

_TITLE: Final = "smime-agent"
#: Where the PIN of an operation came from: nowhere, for somebody was logged in.
LOGIN: Final = "login"


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a person is asked, and where that person is.

    ``purpose`` says who wants what; ``good_for`` what a PIN will be good for; ``keep`` lets the PIN stay in memory.
    """

    screen: Screen
    purpose: str
    good_for: str = ""
    keep: bool = False

    @classmethod
    def read(cls, fields: Fields) -> Occasion:
        """Take it out of a message.

        Raises:
            ProtocolError: it is none.
        """
        screen = Screen(fields.optional_text("tty"), fields.mapping("environment"))
        occasion = cls(screen, fields.text("purpose"), fields.text("good_for"), fields.flag("keep"))
        fields.finish()
        return occasion

    def values(self) -> dict[str, Any]:
        """Its JSON."""
        rest = {name: value for name, value in asdict(self).items() if name != "screen"}
        return {"tty": self.screen.tty, "environment": dict(self.screen.environment), **rest}


class Asking:
    """A :class:`~smime_agent.keys.Prompter` that asks on the screen of whoever wants something now."""

    def __init__(
        self,
        source: PinSource,
        dialogue_on: Callable[[Screen], Dialogue],
        tell: Callable[..., None],
        relay: int | None = None,
    ) -> None:
        """Read PINs from ``source``, unless that is the prompt; ``tell`` sends an event to the agent.

        ``relay`` is a descriptor that another worker of the token hands its PIN on through, once it was tried.
        """
        is_asked = source.kind is PinSourceKind.PROMPT
        self._source = PinSource(PinSourceKind.DESCRIPTOR, str(relay)) if is_asked and relay is not None else source
        self._dialogue_on = dialogue_on
        self._tell = tell
        self._occasion: Occasion | None = None
        self._kept: Pin | None = None
        #: Where the last PIN came from, since :meth:`begin`.
        self.source = LOGIN

    def __repr__(self) -> str:
        """Never a PIN."""
        return "Asking(...)"

    def begin(self, occasion: Occasion) -> None:
        """From now on questions are for this."""
        self._occasion, self.source = occasion, LOGIN

    def pin(self, request: PinRequest) -> Pin:
        """The PIN, asked for once.

        Raises:
            PinUnavailableError: there is none.
        """
        if self._kept is not None and self._occasion is not None and self._occasion.keep:  # not each key may use it
            self.source = "kept"
            return Pin(self._kept.reveal())
        if self._source.kind is not PinSourceKind.PROMPT:
            self.source = "source"
            return self._keeping(self._source.read())
        occasion = self._now()
        dialogue = self._dialogue_on(occasion.screen)
        with self._asked():
            pin = dialogue.pin(_TITLE, _text(request, occasion))
        self.source = dialogue.source
        self._tell("typed", source=self.source)
        return self._keeping(pin)

    def _keeping(self, pin: Pin) -> Pin:
        if self._occasion is not None and self._occasion.keep:
            self._kept = Pin(pin.reveal())
            lock_memory(self._kept.reveal())
        return pin

    def forget(self) -> None:
        """Wipe what was kept: it was wrong, or it is no longer wanted."""
        if self._kept is not None:
            self._kept.wipe()
            self._kept = None

    def pad(self, token: str) -> None:
        """The PIN is wanted on the token's own pad: whoever asked is told."""
        self.source = "pad"
        self._tell("pad", token=token)

    def touch(self, token: str) -> None:
        """The token waits, perhaps for a finger: whoever asked is told."""
        self._tell("touch", token=token)

    def confirm(self, occasion: Occasion) -> bool:
        """Whether the person agrees to what the occasion is.

        Raises:
            PinUnavailableError: nobody can be asked.
        """
        with self._asked():
            return self._dialogue_on(occasion.screen).confirm(_TITLE, occasion.purpose, "Allow")

    def agree_to_last_try(self, error: PinLastTryError) -> None:
        """Ask whether the last try may be spent.

        Raises:
            PinLastTryError: no.
        """
        if self._source.kind is not PinSourceKind.PROMPT:
            raise error
        text = (
            f"{one_line(str(error))}.\nA wrong PIN now locks the token, and only its PUK or SO PIN unlocks it.\n"
            "Try the PIN all the same?"
        )
        try:
            with self._asked():
                agreed = self._dialogue_on(self._now().screen).confirm(_TITLE, text, "Use the last try")
        except PinUnavailableError:
            raise error from None
        if not agreed:
            raise error

    def _now(self) -> Occasion:
        if self._occasion is None:
            raise PinUnavailableError("nobody asked for anything")
        return self._occasion

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """The agent is patient meanwhile: a person is slower than any token."""
        self._tell("asking")
        try:
            yield
        finally:
            self._tell("answered")


def _text(request: PinRequest, occasion: Occasion) -> str:
    serial = f", serial {one_line(request.serial)}" if request.serial else ""
    lines = [occasion.purpose, f"Token '{one_line(request.token)}'{serial}"]
    if request.purpose:
        lines.append(request.purpose[:1].upper() + request.purpose[1:] + ".")
    if request.warning:
        lines.append(request.warning[:1].upper() + request.warning[1:] + ".")
    elif request.tries_left is not None:
        lines.append(f"Tries left: {request.tries_left}.")
    # With a purpose it is no login, but what the key wants for one operation.
    good_for = "for this once" if request.purpose and not occasion.keep else occasion.good_for
    if good_for:
        lines.append(f"The PIN is good {good_for}.")
    return "\n".join(lines)
