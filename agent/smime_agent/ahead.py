"""Work done ahead: an iterator runs in a thread of its own while what it gave before is used.

It pays where time goes by outside of the interpreter, as in ciphers and in writing to a disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

#: Pieces that may wait: enough to even out, few enough to be small.
_WAITING: Final = 8


def ahead(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same pieces in the same order, and then the same exception if there is one.

    An iterator that is given up is not asked for more, and nothing of it goes on when this is closed.
    """
    from queue import SimpleQueue  # a small mail needs none of this
    from threading import Semaphore, Thread

    made: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
    room = Semaphore(_WAITING)
    abandoned = False

    def work() -> None:
        last: BaseException | None = None
        try:
            for chunk in chunks:
                made.put(chunk)
                room.acquire()
                if abandoned:
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised where the pieces are used
            last = error
        made.put(last)

    thread = Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while isinstance(item := made.get(), bytes):
            room.release()
            yield item
        if item is not None:
            raise item
    finally:
        abandoned = True
        room.release()
        thread.join()
