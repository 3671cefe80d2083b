"""Answering questions: through the queue, then in a thread that reads the answer as it is written."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, contextmanager

from geochat import GeoChat
from geochat.assistant import Question
from geochat.dialects import Event
from geochat.engines import GenerationSettings
from geochat.errors import EngineError, GeoChatError
from geochat.geometry import OrientedBox
from geochat.imagery import Window
from geochat_serve.exchanges import Exchange
from geochat_serve.metrics import Metrics
from geochat_serve.queue import FairQueue
from geochat_serve.session import Session
from geochat_serve.tasks import TASKS, drop_unused_regions, require_words

_REFRESH_S = 0.08  # interval of updates to the page
_UPDATED_AT_ONCE = 4  # pages; with more answers being written each is updated less often, as updates cost the server
_SAMPLED = GenerationSettings(temperature=0.7, top_p=0.9)

log = logging.getLogger(__name__)


class ShuttingDownError(EngineError):
    """The server accepts no more work."""

    def __init__(self) -> None:
        super().__init__("the server is shutting down; try again when it has restarted")


class AnswerService:
    """Answers the questions of all sessions, a few at a time.

    Args:
        chat: Model that answers.
        queue: Order of the questions.
        metrics: Metrics of the answers.

    Attributes:
        threads: Where answers are computed, one for each slot of the queue; whoever holds a slot uses one. An engine
            that computes answers together needs as many callers.
    """

    def __init__(self, chat: GeoChat, queue: FairQueue, metrics: Metrics | None = None) -> None:
        self.chat = chat
        self.queue = queue
        self.metrics = metrics or Metrics()
        self._computing: set[str] = set()
        self._closed = False
        self.threads = ThreadPoolExecutor(queue.slots, thread_name_prefix="geochat-answer")

    def close(self) -> None:
        """Accept no more questions and cancel those being computed. Idempotent."""
        self._closed = True
        for question_id in tuple(self._computing):
            self.chat.cancel(question_id)
        self.threads.shutdown(wait=False, cancel_futures=True)

    def require_open(self) -> None:
        """Check that the service was not closed.

        Raises:
            ShuttingDownError: It was.
        """
        if self._closed:
            raise ShuttingDownError

    def start(
        self,
        session: Session,
        question: str,
        task: str,
        regions: tuple[OrientedBox, ...],
        window: Window | None,
    ) -> Exchange:
        """Add an exchange to the conversation; it replaces the one whose question was being edited.

        Raises:
            GeoChatError: The question cannot be asked.
        """
        session.require_idle()
        scene = session.require_scene()
        require_words(task, question)
        conversation = session.conversation(self.chat, window)
        words = question.strip()
        asked, notices = drop_unused_regions(conversation, Question(words, regions=regions, task=TASKS[task].task))
        kept = regions if asked.regions else ()
        exchange = Exchange(session.next_id(), words, task, kept, window, scene.id, conversation, notices=notices)
        for replaced in [other for other in session.exchanges if other.being_edited]:
            session.remove(replaced)
        session.exchanges.append(exchange)
        session.stopped, session.busy = False, True
        return exchange

    async def answer(
        self, session: Session, exchange: Exchange, *, sampled: bool = False
    ) -> AsyncGenerator[None, None]:
        """Answer an exchange; yields whenever there is more to show. Closing the generator ends the computation.

        Args:
            session: Session of the exchange.
            exchange: Result of `start`.
            sampled: Sample the answer, so that a second attempt differs from the first.
        """
        ticket, timing = None, ExitStack()
        set_outcome = timing.enter_context(self.metrics.time_answer("page"))
        try:
            yield
            ticket = session.ticket = self.queue.join(session.key, session.client or None)
            async for ahead in ticket.positions():
                exchange.ahead = ahead
                yield
                if session.stopped:
                    break
            if session.stopped:
                exchange.status = "stopped"
                return
            exchange.status = "writing"
            question = _question(exchange, _SAMPLED if sampled else None)
            with self.computing(question):
                async with aclosing(self._write(session, exchange, question)) as updates:
                    async for _ in updates:
                        yield
        except GeoChatError as error:
            exchange.status, exchange.failure = "failed", f"{str(error)[:1].upper()}{str(error)[1:]}."
        except Exception:  # whatever the engine raises, the page must go on
            log.exception("a question could not be answered")
            exchange.status = "failed"
            exchange.failure = "The model failed on this question. Try again, or rephrase the question."
        finally:
            session.stream, session.ticket, session.busy = None, None, False
            if exchange.status in ("waiting", "writing"):  # the page was closed
                exchange.status = "stopped"
            set_outcome(exchange.status)
            timing.close()
            if ticket is not None:
                ticket.leave()

    @contextmanager
    def computing(self, question: Question) -> Iterator[None]:
        """Register a question while it is computed, so that `close` cancels it.

        Raises:
            ShuttingDownError: The service was closed.
        """
        self._computing.add(question.id)  # before the check, so that `close` or the check sees the other
        try:
            self.require_open()
            yield
        finally:
            self._computing.discard(question.id)

    async def _write(self, session: Session, exchange: Exchange, question: Question) -> AsyncGenerator[None, None]:
        run = asyncio.get_running_loop().run_in_executor
        try:
            stream = await run(self.threads, exchange.conversation.stream, question)
        except asyncio.CancelledError:  # the thread goes on; what it starts is cancelled at once
            self.chat.cancel(question.id)
            raise
        session.stream = stream
        if session.stopped:
            stream.cancel()
        events = iter(stream)
        reading = run(self.threads, _read_for, events, _REFRESH_S)  # the first words soon, however many are written
        ended = False
        try:
            while batch := await asyncio.shield(reading):
                for event in batch:
                    exchange.add(event, stream.image, session.colours)
                yield
                interval = _REFRESH_S * max(1.0, self.queue.computing / _UPDATED_AT_ONCE)
                reading = run(self.threads, _read_for, events, interval)
            ended = True
        finally:  # even if the page was closed: an engine frees its memory only when asked for the next event
            if not ended:
                stream.cancel()
            while await asyncio.shield(reading):
                reading = run(self.threads, _read_for, events, _REFRESH_S)
            exchange.finish(stream.answer, session.colours)
            exchange.status = "stopped" if stream.answer.finish == "cancelled" else "done"
        yield


def _question(exchange: Exchange, generation: GenerationSettings | None) -> Question:
    return Question(exchange.question, regions=exchange.regions, task=TASKS[exchange.task].task, generation=generation)


def _read_for(events: Iterator[Event], seconds: float) -> list[Event]:
    """Read events for a while, at least one; empty at the end."""
    deadline = time.monotonic() + seconds
    read: list[Event] = []
    for event in events:
        read.append(event)
        if time.monotonic() >= deadline:
            break
    return read
