"""On whose behalf the agent does something: one request of one client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from smime_agent.daemon.asking import Occasion
from smime_agent.daemon.dialogue import Screen, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from smime_agent.daemon.peers import Program
    from smime_agent.daemon.protocol import Fields


@dataclass(slots=True, eq=False)
class Requester:
    """``client`` tells those apart that wait for their turn; ``tell`` sends an event to that one.

    ``program`` is missing where the agent itself wants something.
    """

    client: Hashable
    program: Program | None = None
    screen: Screen = field(default_factory=Screen)
    tell: Callable[..., None] = lambda _event, **_facts: None
    #: A dialogue is on the person's screen now.
    is_asked: bool = False
    #: Nobody waits for it any more.
    is_gone: bool = False
    #: Where the last PIN came from that was typed for it.
    typed: str | None = None

    @property
    def name(self) -> str:
        """The program, for people."""
        return one_line(self.program.description) if self.program is not None else "the agent"

    @property
    def identity(self) -> str:
        """The program, the same in each run."""
        return self.program.identity if self.program is not None else ""

    @property
    def program_values(self) -> dict[str, Any]:
        """The program, for the audit log."""
        if self.program is None:
            return {"name": "smime-agent"}
        asking = self.program.asking
        parents = [parent.name for parent in asking.parents]
        return {"pid": asking.pid, "name": asking.name, "executable": asking.executable, "parents": parents}

    def occasion(self, purpose: str, good_for: str, *, keep: bool = False) -> dict[str, Any]:
        """Why a person would be asked now, as a worker is told it."""
        return Occasion(self.screen, f"{self.name} {purpose}", good_for, keep).values()

    def hears(self, event: str, facts: Fields) -> None:
        """What a worker tells while it works for this request."""
        match event:
            case "asking" | "answered":
                self.is_asked = event == "asking"
            case "typed":
                self.typed = facts.text("source")
            case "touch" | "pad":
                self.tell(event, token=facts.text("token"))
