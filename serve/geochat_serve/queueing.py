"""Whose turn it is to have a question computed.

So many are computed at once; the others wait. The next one is taken from the user who was served longest ago, so that
one user's many questions do not hold up another's one. All of it lives on the server's event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count, zip_longest

from geochat.errors import GeoChatError

_HEARTBEAT_S = 2.0  # a waiting question shows itself this often, so that one whose user has left is noticed


class QueueFullError(GeoChatError):
    """A user has as many questions waiting as one may have."""


class Ticket:
    """A place in the queue. Leave it when done, served or not."""

    def __init__(self, queue: "FairQueue", user: str) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self.user = user
        self.moved = asyncio.Event()
        self.served = False

    async def places(self) -> AsyncIterator[int]:
        """How many are ahead, at once and whenever that may have changed; ends when it is this one's turn."""
        while not self.served:
            self.moved.clear()
            yield self._queue.ahead(self)
            try:
                await asyncio.wait_for(self.moved.wait(), _HEARTBEAT_S)
            except TimeoutError:
                continue

    def wake(self) -> None:
        """Have `places` give a place at once; may be called from any thread."""
        self._loop.call_soon_threadsafe(self.moved.set)

    def leave(self) -> None:
        """Give the place to the next one."""
        self._queue.leave(self)


class FairQueue:
    """Hands out turns, user by user.

    Attributes:
        slots: How many have their turn at once.
        waiting: Questions one user may have waiting.
    """

    def __init__(self, slots: int, waiting: int) -> None:
        self.slots = slots
        self.waiting = waiting
        self._served: set[Ticket] = set()
        self._lines: dict[str, deque[Ticket]] = {}
        self._last: dict[str, int] = {}  # when a user who is here was last served
        self._turns = count(1)

    def join(self, user: str) -> Ticket:
        """Stand in the queue.

        Raises:
            QueueFullError: The user has as many questions waiting as one may have.
        """
        line = self._lines.setdefault(user, deque())
        if len(line) >= self.waiting:
            raise QueueFullError(f"{len(line)} of your questions are waiting already; wait for one to be answered")
        ticket = Ticket(self, user)
        line.append(ticket)
        self._serve()
        return ticket

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Wait for a turn and hold it."""
        ticket = self.join(user)
        try:
            async for _ in ticket.places():
                pass
            yield
        finally:
            ticket.leave()

    def ahead(self, ticket: Ticket) -> int:
        """How many will have their turn before this one, those computed now not counted."""
        return next((place for place, other in enumerate(self._order()) if other is ticket), 0)

    def leave(self, ticket: Ticket) -> None:
        """Take a ticket out, served or waiting; one that has left already is none."""
        self._served.discard(ticket)
        line = self._lines.get(ticket.user, deque())
        if ticket in line:
            line.remove(ticket)
        self._serve()

    def _order(self) -> Iterator[Ticket]:
        """Those who wait in the order they will be served, if nobody else comes."""
        longest_ago_first = sorted(self._lines, key=lambda user: self._last.get(user, 0))
        for round_of in zip_longest(*(self._lines[user] for user in longest_ago_first)):
            yield from (ticket for ticket in round_of if ticket is not None)

    def _serve(self) -> None:
        while len(self._served) < self.slots and (ticket := next(self._order(), None)):
            self._lines[ticket.user].popleft()
            self._last[ticket.user] = next(self._turns)
            ticket.served = True
            self._served.add(ticket)
            ticket.moved.set()
        for user in [user for user, line in self._lines.items() if not line]:
            if not any(ticket.user == user for ticket in self._served):
                del self._lines[user]
                self._last.pop(user, None)
        for ticket in self._order():
            ticket.moved.set()
