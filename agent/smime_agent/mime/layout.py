"""What a canonical entity is made of: literal octets and spans of the source, small whatever the size of the mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.mime.transfer import Coder
    from smime_agent.source import Source


@dataclass(frozen=True, slots=True)
class Span:
    """Octets of the source, and the coder they go through."""

    start: int
    end: int
    coder: Coder


@dataclass(frozen=True, slots=True)
class Layout:
    """Literal octets and spans that make up a canonical entity; what a person should know; whether it is robust.

    ``size`` is the number of its octets, where that is known without having them all made.
    """

    pieces: tuple[bytes | Span, ...]
    notes: tuple[str, ...] = ()
    robust: bool = True
    size: int | None = None


def render(layout: Layout, source: Source) -> Iterator[bytes]:
    """The octets of a layout, in blocks that stay small; short pieces are joined."""
    waiting: list[bytes] = []
    size = 0
    for piece in layout.pieces:
        octets = (piece,) if isinstance(piece, bytes) else piece.coder(source.chunks(piece.start, piece.end))
        for block in octets:
            waiting.append(block)
            size += len(block)
            if size >= source.CHUNK:
                yield b"".join(waiting) if len(waiting) > 1 else block
                waiting.clear()
                size = 0
    if waiting:
        yield b"".join(waiting)
