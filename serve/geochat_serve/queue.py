"""The fair queue: decides whose question is computed next.

A fixed number of questions is computed at a time; the others wait. The next one comes from the client that was served
longest ago and, among its pages, from the page served longest ago, so that neither one page's many questions nor one
client's many pages delay others. A client is a login or an address.

Background work, such as the windows of a whole scene, waits in lines of its own with the same fairness. It holds at
most an eighth of the slots, and questions go before it; while both wait, one turn in eight is its own, so that it
advances however busy the server is. All methods run on the server's event loop unless stated otherwise.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import chain, count, zip_longest

from geochat.errors import GeoChatError

_CLIENT_FACTOR = 4  # a client may have this many times the waiting questions of one page
_HEARTBEAT_S = 2.0  # interval at which a waiting question reports, so that a closed page is noticed
_BACKGROUND_SLOTS = 8  # one slot in so many, at least one, may hold background work
_BACKGROUND_TURNS = 8  # one turn in so many is for background work while questions wait


class QueueFullError(GeoChatError):
    """A page or a client has the most questions waiting that it may have."""


class Ticket:
    """A place in the queue. Call `leave` when done, whether served or not.

    Attributes:
        page: Who asks.
        client: Login or address of the page.
        background: Whether questions go before it.
        served: Whether it is this ticket's turn.
    """

    def __init__(self, queue: "FairQueue", page: str, client: str, *, background: bool) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self.page = page
        self.client = client
        self.background = background
        self.served = False

    async def positions(self) -> AsyncIterator[int]:
        """Yield the number of tickets ahead, at once and whenever it may have changed; end when served."""
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
        background_slots: How many of the slots may hold background work.
    """

    def __init__(self, slots: int, max_waiting: int) -> None:
        self.slots = slots
        self.max_waiting = max_waiting
        self.background_slots = max(1, slots // _BACKGROUND_SLOTS)
        self._served: set[Ticket] = set()
        self._questions, self._background = _Lines(), _Lines()
        self._overtaken = 0  # questions served since background work that waits was last served

    @property
    def length(self) -> int:
        """Number of waiting questions, without background work."""
        return self._questions.length

    @property
    def computing(self) -> int:
        """Number of questions and pieces of background work being computed."""
        return len(self._served)

    @property
    def clients(self) -> tuple[str, ...]:
        """Clients with a ticket waiting or being computed."""
        return tuple(dict.fromkeys(chain(self._questions.clients, self._background.clients)))

    def join(self, page: str, client: str | None = None, *, background: bool = False) -> Ticket:
        """Join the queue.

        Args:
            page: Who asks.
            client: Login or address of the page; None if the page is a client by itself.
            background: Whether questions go before it.

        Raises:
            QueueFullError: The page or the client has the most questions waiting that it may have.
        """
        client = page if client is None else client
        lines = self._lines(background=background)
        if (waiting := lines.waiting(client, page)) >= self.max_waiting:
            raise QueueFullError(f"{waiting} of your questions are waiting already; wait for one to be answered")
        if (waiting := lines.waiting(client)) >= self.max_waiting * _CLIENT_FACTOR:
            raise QueueFullError(
                f"{waiting} questions from your login or address are waiting already; wait for one to be answered"
            )
        ticket = Ticket(self, page, client, background=background)
        lines.add(ticket)
        self._serve()
        return ticket

    @asynccontextmanager
    async def slot(self, page: str, client: str | None = None, *, background: bool = False) -> AsyncIterator[None]:
        """Wait for a slot and hold it; see `join`."""
        ticket = self.join(page, client, background=background)
        try:
            async for _ in ticket.positions():
                pass
            yield
        finally:
            ticket.leave()

    def ahead(self, ticket: Ticket) -> int:
        """Return the number of waiting tickets that go before this one; all questions go before background work."""
        order = chain(self._questions.order(), self._background.order() if ticket.background else ())
        return next((place for place, other in enumerate(order) if other is ticket), 0)

    def leave(self, ticket: Ticket) -> None:
        """Remove a ticket, served or waiting. Idempotent."""
        self._served.discard(ticket)
        self._lines(background=ticket.background).remove(ticket)
        self._serve()

    def _lines(self, *, background: bool) -> "_Lines":
        return self._background if background else self._questions

    def _serve(self) -> None:
        while len(self._served) < self.slots and (ticket := self._next()):
            lines = self._lines(background=ticket.background)
            lines.serve(ticket)
            self._overtaken = 0 if ticket.background or not self._background.length else self._overtaken + 1
            ticket.served = True
            self._served.add(ticket)
            ticket.notify()
        for lines in (self._questions, self._background):
            lines.forget_absent(self._served)
            for ticket in lines.order():
                ticket.notify()

    def _next(self) -> Ticket | None:
        """Return the ticket whose turn it is, None if nobody may be served."""
        question = next(self._questions.order(), None)
        work = next(self._background.order(), None)
        if work is None or sum(ticket.background for ticket in self._served) >= self.background_slots:
            return question
        return work if question is None or self._overtaken >= _BACKGROUND_TURNS - 1 else question


class _Lines:
    """Waiting tickets by client and page, and who was served when."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[str, deque[Ticket]]] = {}
        self._last_served: dict[str | tuple[str, str], int] = {}  # by client, and by client and page
        self._counter = count(1)

    @property
    def length(self) -> int:
        return sum(map(self.waiting, self._lines))

    @property
    def clients(self) -> Iterable[str]:
        """Clients with a ticket waiting or being computed."""
        return self._lines

    def waiting(self, client: str, page: str | None = None) -> int:
        """Return how many tickets of a client, or of one of its pages, wait."""
        pages = self._lines.get(client, {})
        return sum(map(len, pages.values())) if page is None else len(pages.get(page, ()))

    def add(self, ticket: Ticket) -> None:
        self._lines.setdefault(ticket.client, {}).setdefault(ticket.page, deque()).append(ticket)

    def remove(self, ticket: Ticket) -> None:
        """Remove a ticket that waits; others are ignored."""
        line = self._lines.get(ticket.client, {}).get(ticket.page, deque())
        if ticket in line:
            line.remove(ticket)

    def serve(self, ticket: Ticket) -> None:
        """Remove a ticket because it is its turn."""
        self.remove(ticket)
        now = next(self._counter)
        self._last_served[ticket.client] = self._last_served[ticket.client, ticket.page] = now

    def order(self) -> Iterator[Ticket]:
        """Yield the tickets in the order in which they will be served if nobody else joins."""
        clients = sorted(self._lines, key=lambda client: self._last_served.get(client, 0))
        yield from _round_robin(self._order_of(client) for client in clients)

    def _order_of(self, client: str) -> Iterator[Ticket]:
        lines = self._lines[client]
        pages = sorted(lines, key=lambda page: self._last_served.get((client, page), 0))
        return _round_robin(lines[page] for page in pages)

    def forget_absent(self, served: Iterable[Ticket]) -> None:
        """Forget pages without a ticket, and clients without a page."""
        present = {(ticket.client, ticket.page) for ticket in served}
        for client, lines in list(self._lines.items()):
            for page in [page for page, line in lines.items() if not line and (client, page) not in present]:
                del lines[page]
                self._last_served.pop((client, page), None)
            if not lines:
                del self._lines[client]
                self._last_served.pop(client, None)


def _round_robin(lines: Iterable[Iterable[Ticket]]) -> Iterator[Ticket]:
    """Yield the first ticket of each line, then the second of each, and so on."""
    for tickets in zip_longest(*lines):
        yield from (ticket for ticket in tickets if ticket is not None)
