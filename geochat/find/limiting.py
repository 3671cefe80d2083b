"""Limits on answers with too many boxes: more than wanted, or the same one repeatedly."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from geochat.dialects import Dialect, Region
from geochat.engines import BatchEvent, Chunk, Completion, Engine, Finish, Request, complete
from geochat.errors import GeoChatError
from geochat.models import ModelInfo

_COPIES = 3


class BoxLimit:
    """An engine that ends another one's answer at its `most`th box, or at the third copy of one box.

    Such an answer finishes as "length" or "repetition". An answer that its engine delivers in a single piece is not
    shortened, but finishes in the same way.

    Args:
        engine: The engine to use.
        most: Maximum number of boxes in an answer.
    """

    def __init__(self, engine: Engine, most: int) -> None:
        self.engine = engine
        self._most = most

    @property
    def info(self) -> ModelInfo:
        """The facts about the model, and what the engine can do."""
        return self.engine.info

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Stream an answer; see `Engine`."""
        watch = _Watch(self.info.dialect, self._most)
        for chunk in self.engine.stream(request):
            if watch.feed(chunk.text):
                self.engine.cancel(request.id)
            yield watch.ended(chunk)

    def generate(self, request: Request) -> Completion:
        """Return a complete answer."""
        return complete(self.stream(request))

    def stream_batch(self, requests: Iterable[Request]) -> Iterator[BatchEvent]:
        """Answer many requests as if each were alone; see `Engine`."""
        watched: dict[int, tuple[str, _Watch]] = {}

        def noted() -> Iterator[Request]:
            for number, request in enumerate(requests):
                watched[number] = request.id, _Watch(self.info.dialect, self._most)
                yield request

        for number, event in self.engine.stream_batch(noted()):
            request_id, watch = watched[number]
            if isinstance(event, GeoChatError) or event.finish is not None:
                del watched[number]
            if isinstance(event, GeoChatError):
                yield number, event
                continue
            if watch.feed(event.text) and event.finish is None:
                self.engine.cancel(request_id)
            yield number, watch.ended(event)

    def cancel(self, request_id: str) -> None:
        """Stop the computation of a request; see `Engine`."""
        self.engine.cancel(request_id)


class _Watch:
    """The boxes of one answer so far."""

    def __init__(self, dialect: Dialect, most: int) -> None:
        self._reader = dialect.reader()
        self._most = most
        self._counts: Counter[Region] = Counter()
        self._reason: Finish | None = None

    def feed(self, text: str) -> bool:
        """Add a piece of the answer; returns whether it has just reached a limit."""
        before = self._reason
        for event in self._reader.feed(text):
            if isinstance(event, Region) and self._reason is None:
                self._counts[event] += 1
                if self._counts[event] == _COPIES:
                    self._reason = "repetition"
                elif self._counts.total() > self._most:
                    self._reason = "length"
        return self._reason is not None and before is None

    def ended(self, chunk: Chunk) -> Chunk:
        """Return a chunk with the answer's finish reason."""
        return chunk if self._reason is None or chunk.finish is None else replace(chunk, finish=self._reason)
