"""Engine for OpenAI-compatible servers."""

import queue
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NoReturn, Self

from geochat.engines.openai.asking import Asking, Give
from geochat.engines.openai.background import Background
from geochat.engines.openai.connection import Connection, RemoteLimits, checked_url, key_for
from geochat.engines.openai.discovery import Found, discover
from geochat.engines.openai.questions import Questions
from geochat.engines.protocol import BatchEvent, Chunk, Completion, Request, complete
from geochat.errors import GeoChatError


class OpenAIEngine:
    """Answers with a model behind an OpenAI-compatible server. May be used from several threads.

    Use `connect` to make one. Cancelling a request closes its connection, upon which servers stop computing.

    Attributes:
        info: The facts about the model, and what the server can do.
        url: The server's address.
        model: The model's name there.
        questions: Builder of request bodies.
        close: Ends every request and connection. Idempotent; called when the engine is forgotten.
    """

    def __init__(self, background: Background, connection: Connection, found: Found) -> None:
        self.info = found.info
        self.url = connection.where
        self.model = found.model
        self._concurrency = connection.limits.concurrency
        self._background = background
        self._asking = Asking(connection, found.info, set(found.refused))
        self.questions = Questions(found.model, found.info)
        self.close = weakref.finalize(self, _close, background, connection)

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        model: str | None = None,
        dialect: str | None = None,
        settings: str | Path | None = None,
        limits: RemoteLimits | None = None,
        key: str | None = None,
    ) -> Self:
        """Query a server for its model and features.

        Args:
            url: Such as "http://localhost:8000/v1".
            model: The model's name there; None takes the only one.
            dialect: Dialect of the model; None uses that of its settings.
            settings: Its `geochat.json`, or the folder that holds it. None takes the one in the folder from which a
                server on this machine says it has the model.
            limits: Settings of requests to the server.
            key: None takes GEOCHAT_API_KEY of the environment, or OPENAI_API_KEY.

        Raises:
            EngineError: The server cannot be reached, refuses, or has no such model.
            SettingsError: The address is none, or nothing says how the model writes regions.
            CheckpointError: The settings are damaged.
        """
        address = checked_url(url)
        connection = Connection(address, key or key_for(address), limits or RemoteLimits())
        background = Background()
        try:
            return cls(background, connection, background.run(discover(connection, model, dialect, settings)))
        except BaseException:
            _close(background, connection)
            raise

    def __repr__(self) -> str:
        return f"OpenAIEngine({self.url!r}, model={self.model!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an engine holds connections and a key; connect again in the other process")

    def cancel(self, request_id: str) -> None:
        """Close a request's connection; its last chunk says "cancelled". See `Engine`."""
        self._asking.cancelled.add(request_id)
        self._background.call(self._asking.stop, request_id)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Stream an answer; with choices, the most probable one as one piece.

        Raises:
            PromptError: There are too many images, an image and no user turn, or choices that are not a set. Raised by
                the call itself.
            ImageError: The image cannot be sent. Raised by the call itself.
            ContextLengthError: Prompt and answer budget exceed the model's context.
            EngineError: The server refuses, or fails again and again.
        """
        answer = self._pieces(request)
        next(answer)  # begun, so that closing it ends the request
        return answer

    def generate(self, request: Request) -> Completion:
        """Return a complete answer; errors as in `stream`."""
        return complete(self.stream(request))

    def stream_batch(self, requests: Iterable[Request]) -> Iterator[BatchEvent]:
        """Answer many requests concurrently; each answer is delivered complete. See `Engine`."""
        numbered = enumerate(requests)
        events: queue.SimpleQueue[tuple[int, Chunk | Exception]] = queue.SimpleQueue()
        asked: dict[int, _Asked] = {}
        try:
            while True:
                for number, request in islice(numbered, self._concurrency - len(asked)):
                    asked[number] = self._begin(request, partial(_numbered, events, number), whole=True)
                if not asked:
                    return
                number, event = events.get()
                self._end(asked.pop(number))
                if isinstance(event, Exception) and not isinstance(event, GeoChatError):
                    raise event
                yield number, event
        finally:
            for each in asked.values():
                self._end(each)

    def _pieces(self, request: Request) -> Iterator[Chunk]:
        events: queue.SimpleQueue[Chunk | Exception] = queue.SimpleQueue()
        asked = self._begin(request, events.put, whole=False)
        try:
            event = events.get() if asked.under_way is None else Chunk("")
            while True:
                if isinstance(event, Exception):
                    raise event
                yield event
                if event.finish is not None:
                    return
                event = events.get()
        finally:
            self._end(asked)

    def _begin(self, request: Request, give: Give, *, whole: bool) -> "_Asked":
        """Send a request without waiting; a request that cannot be sent is returned as an error."""
        try:
            body = self.questions.body(request)
        except GeoChatError as error:
            give(error)
            return _Asked(request, None)
        return _Asked(request, self._background.begin(self._asking.answer(request, body, give, whole=whole)))

    def _end(self, asked: "_Asked") -> None:
        """Forget a request and cancel its computation."""
        if asked.under_way is not None:
            asked.under_way.cancel()
        self._asking.cancelled.discard(asked.request.id)


@dataclass(frozen=True, eq=False, slots=True)
class _Asked:
    """A running request; several may have one id.

    Attributes:
        request: The request.
        under_way: The running request, None if it could not be sent.
    """

    request: Request
    under_way: "Future[None] | None"


def _numbered(
    events: "queue.SimpleQueue[tuple[int, Chunk | Exception]]", number: int, event: Chunk | Exception
) -> None:
    events.put((number, event))


def _close(background: Background, connection: Connection) -> None:
    if background.is_closed:
        return
    background.run(connection.close())
    background.close()
