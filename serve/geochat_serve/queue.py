"""The fair queue: decides whose question is computed next.

A fixed number of questions is computed at a time; the others wait. The next one comes from the client that was served
longest ago and, among its pages, from the page served longest ago, so that neither one page's many questions nor one
client's many pages delay others. A client is a login or an address. All methods run on the server's event loop unless
stated otherwise.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import count, zip_longest

from geochat.errors import GeoChatError

_CLIENT_FACTOR = 4  # a client may have this many times the waiting questions of one page
_HEARTBEAT_S = 2.0  # interval at which a waiting question reports, so that a closed page is noticed


class QueueFullError(GeoChatError):
    """A page or a client has the most questions waiting that it may have."""


class Ticket:
    """A place in the queue. Call `leave` when done, whether served or not.

    Attributes:
        page: Who asks.
        client: Login or address of the page.
        served: Whether it is this ticket's turn.
    """

    def __init__(self, queue: "FairQueue", page: str, client: str) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self.page = page
        self.client = client
        self.served = False

    async def positions(self) -> AsyncIterator[int]:
        """Yield the number of questions ahead, at once and whenever it may have changed; end when served."""
        while not self.served:
            self._changed.clear()
            yield self._queue.ahead(self)
            try:
                await asyncio.wait_for(self._changed.wait(), _HEARTBEAT_S)
            except TimeoutError:
                continue

    def notify(self) -> None:
        """Make `positions` yield again."""
        self._changed.set()

    def wake(self) -> None:
        """Make `positions` yield again; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._changed.set)

    def leave(self) -> None:
        """Give up the place. Idempotent."""
        self._queue.leave(self)


class FairQueue:
    """A queue with round-robin scheduling over clients, and over the pages of each client.

    Attributes:
        slots: Questions computed at a time.
        max_waiting: Questions one page may have waiting.
    """

    def __init__(self, slots: int, max_waiting: int) -> None:
        self.slots = slots
        self.max_waiting = max_waiting
        self._served: set[Ticket] = set()
        self._lines: dict[str, dict[str, deque[Ticket]]] = {}  # by client and page
        self._last_served: dict[str | tuple[str, str], int] = {}  # by client, and by client and page
        self._counter = count(1)

    @property
    def length(self) -> int:
        """Number of waiting questions."""
        return sum(len(line) for lines in self._lines.values() for line in lines.values())

    @property
    def computing(self) -> int:
        """Number of questions being computed."""
        return len(self._served)

    @property
    def clients(self) -> tuple[str, ...]:
        """Clients with a question waiting or being computed."""
        return tuple(self._lines)

    def join(self, page: str, client: str | None = None) -> Ticket:
        """Join the queue.

        Args:
            page: Who asks.
            client: Login or address of the page; None if the page is a client by itself.

        Raises:
            QueueFullError: The page or the client has the most questions waiting that it may have.
        """
        client = page if client is None else client
        lines = self._lines.get(client, {})
        line = lines.get(page, deque())
        if len(line) >= self.max_waiting:
            raise QueueFullError(f"{len(line)} of your questions are waiting already; wait for one to be answered")
        if (waiting := sum(map(len, lines.values()))) >= self.max_waiting * _CLIENT_FACTOR:
            raise QueueFullError(
                f"{waiting} questions from your login or address are waiting already; wait for one to be answered"
            )
        ticket = Ticket(self, page, client)
        line.append(ticket)
        self._lines.setdefault(client, {})[page] = line
        self._serve()
        return ticket

    @asynccontextmanager
    async def slot(self, page: str, client: str | None = None) -> AsyncIterator[None]:
        """Wait for a slot and hold it."""
        ticket = self.join(page, client)
        try:
            async for _ in ticket.positions():
                pass
            yield
        finally:
            ticket.leave()

    def ahead(self, ticket: Ticket) -> int:
        """Return the number of waiting questions that will be served before this one."""
        return next((place for place, other in enumerate(self._order()) if other is ticket), 0)

    def leave(self, ticket: Ticket) -> None:
        """Remove a ticket, served or waiting. Idempotent."""
        self._served.discard(ticket)
        line = self._lines.get(ticket.client, {}).get(ticket.page, deque())
        if ticket in line:
            line.remove(ticket)
        self._serve()

    def _order(self) -> Iterator[Ticket]:
        """Yield the waiting tickets in the order in which they will be served if nobody else joins."""
        clients = sorted(self._lines, key=lambda client: self._last_served.get(client, 0))
        yield from _round_robin(self._order_of(client) for client in clients)

    def _order_of(self, client: str) -> Iterator[Ticket]:
        lines = self._lines[client]
        pages = sorted(lines, key=lambda page: self._last_served.get((client, page), 0))
        return _round_robin(lines[page] for page in pages)

    def _serve(self) -> None:
        while len(self._served) < self.slots and (ticket := next(self._order(), None)):
            self._lines[ticket.client][ticket.page].popleft()
            now = next(self._counter)
            self._last_served[ticket.client] = self._last_served[ticket.client, ticket.page] = now
            ticket.served = True
            self._served.add(ticket)
            ticket.notify()
        self._forget_absent()
        for ticket in self._order():
            ticket.notify()

    def _forget_absent(self) -> None:
        """Forget pages without a ticket, and clients without a page."""
        served = {(ticket.client, ticket.page) for ticket in self._served}
        for client, lines in list(self._lines.items()):
            for page in [page for page, line in lines.items() if not line and (client, page) not in served]:
                del lines[page]
                self._last_served.pop((client, page), None)
            if not lines:
                del self._lines[client]
                self._last_served.pop(client, None)


def _round_robin(lines: Iterable[Iterable[Ticket]]) -> Iterator[Ticket]:
    """Yield the first ticket of each line, then the second of each, and so on."""
    for tickets in zip_longest(*lines):
        yield from (ticket for ticket in tickets if ticket is not None)
