"""Whose turn it is to have a question computed.

So many are computed at once; the others wait. The next one is taken from the client that was served longest ago, and of
a client's users from the one served longest ago, so that neither one user's many questions nor one client's many users
hold up another's one. A user is a page; a client is a login or an address. All of it lives on the server's event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import count, zip_longest

from geochat.errors import GeoChatError

_CLIENT_LINES = 4  # questions a client may have waiting, in shares of what a user may
_HEARTBEAT_S = 2.0  # a waiting question shows itself this often, so that one whose user has left is noticed


class QueueFullError(GeoChatError):
    """A user or a client has as many questions waiting as one may have."""


class Ticket:
    """A place in the queue. Leave it when done, served or not."""

    def __init__(self, queue: "FairQueue", user: str, client: str) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self.user = user
        self.client = client
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
    """Hands out turns, client by client, and user by user.

    Attributes:
        slots: How many have their turn at once.
        waiting: Questions one user may have waiting.
    """

    def __init__(self, slots: int, waiting: int) -> None:
        self.slots = slots
        self.waiting = waiting
        self._served: set[Ticket] = set()
        self._lines: dict[str, dict[str, deque[Ticket]]] = {}  # of the users of each client
        self._last: dict[str | tuple[str, str], int] = {}  # when a client or a user who is here was last served
        self._turns = count(1)

    @property
    def length(self) -> int:
        """Questions that wait."""
        return sum(len(line) for lines in self._lines.values() for line in lines.values())

    @property
    def computing(self) -> int:
        """Questions that have their turn."""
        return len(self._served)

    def join(self, user: str, client: str | None = None) -> Ticket:
        """Stand in the queue.

        Args:
            user: Who asks.
            client: Where from; None for a client that is this user alone.

        Raises:
            QueueFullError: The user or the client has as many questions waiting as one may have.
        """
        client = user if client is None else client
        lines = self._lines.get(client, {})
        line = lines.get(user, deque())
        if len(line) >= self.waiting:
            raise QueueFullError(f"{len(line)} of your questions are waiting already; wait for one to be answered")
        if (waiting := sum(map(len, lines.values()))) >= self.waiting * _CLIENT_LINES:
            raise QueueFullError(f"{waiting} questions from where you are wait already; wait for one to be answered")
        ticket = Ticket(self, user, client)
        line.append(ticket)
        self._lines.setdefault(client, {})[user] = line
        self._serve()
        return ticket

    @asynccontextmanager
    async def turn(self, user: str, client: str | None = None) -> AsyncIterator[None]:
        """Wait for a turn and hold it."""
        ticket = self.join(user, client)
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
        """Take a ticket out, served or waiting. Idempotent."""
        self._served.discard(ticket)
        line = self._lines.get(ticket.client, {}).get(ticket.user, deque())
        if ticket in line:
            line.remove(ticket)
        self._serve()

    def _order(self) -> Iterator[Ticket]:
        """Those who wait in the order they will be served, if nobody else comes."""
        clients = sorted(self._lines, key=lambda client: self._last.get(client, 0))
        yield from _in_turns(self._order_of(client) for client in clients)

    def _order_of(self, client: str) -> Iterator[Ticket]:
        lines = self._lines[client]
        users = sorted(lines, key=lambda user: self._last.get((client, user), 0))
        return _in_turns(lines[user] for user in users)

    def _serve(self) -> None:
        while len(self._served) < self.slots and (ticket := next(self._order(), None)):
            self._lines[ticket.client][ticket.user].popleft()
            self._last[ticket.client] = self._last[ticket.client, ticket.user] = next(self._turns)
            ticket.served = True
            self._served.add(ticket)
            ticket.moved.set()
        self._forget()
        for ticket in self._order():
            ticket.moved.set()

    def _forget(self) -> None:
        """Forget the users who are not here, and the clients that have none here."""
        served = {(ticket.client, ticket.user) for ticket in self._served}
        for client, lines in list(self._lines.items()):
            for user in [user for user, line in lines.items() if not line and (client, user) not in served]:
                del lines[user]
                self._last.pop((client, user), None)
            if not lines:
                del self._lines[client]
                self._last.pop(client, None)


def _in_turns(lines: Iterable[Iterable[Ticket]]) -> Iterator[Ticket]:
    """The first of each line, then the second of each, and so on."""
    for round_of in zip_longest(*lines):
        yield from (ticket for ticket in round_of if ticket is not None)
