"""Whose turn it is: a queue in which each client has a line of its own, and the lines take turns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

_Client = TypeVar("_Client", bound=Hashable)
_Item = TypeVar("_Item")


class Turns(Generic[_Client, _Item]):
    """Items of clients. However many one of them has waiting, each other waits for one of them only."""

    def __init__(self) -> None:
        self._lines: dict[_Client, deque[_Item]] = {}
        self._order: deque[_Client] = deque()
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def put(self, client: _Client, item: _Item) -> None:
        """Queue an item."""
        if client not in self._lines:
            self._lines[client] = deque()
            self._order.append(client)
        self._lines[client].append(item)
        self._arrived.set()

    async def get(self) -> _Item:
        """The next item."""
        while not self._order:
            self._arrived.clear()
            await self._arrived.wait()
        client = self._order.popleft()
        line = self._lines[client]
        item = line.popleft()
        if line:
            self._order.append(client)
        else:
            del self._lines[client]
        return item

    def drain(self) -> list[_Item]:
        """All items, which are in the queue no longer."""
        items = [item for line in self._lines.values() for item in line]
        self._lines.clear()
        self._order.clear()
        return items
