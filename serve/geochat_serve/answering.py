"""Answering a question of the page: its place in the queue, then the answer as it is written."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing, contextmanager

from geochat.assistant import GeoChat, Question
from geochat.dialects import Event
from geochat.engines import GenerationSettings
from geochat.errors import GeoChatError
from geochat.geometry import OrientedBox
from geochat.imagery import Window
from geochat_serve.metrics import Metrics
from geochat_serve.queueing import FairQueue
from geochat_serve.sessions import Session
from geochat_serve.tasks import CHOICES, require_words
from geochat_serve.turns import Turn

_REFRESH_S = 0.08  # the page is told of new words so often
_VARIED = GenerationSettings(temperature=0.7, top_p=0.9)

log = logging.getLogger(__name__)


class Answerer:
    """Computes answers for every session, so many at once.

    Args:
        chat: What answers.
        queue: Whose turn it is.
        metrics: Counts answers.
    """

    def __init__(self, chat: GeoChat, queue: FairQueue, metrics: Metrics | None = None) -> None:
        self.chat = chat
        self.queue = queue
        self.metrics = metrics or Metrics()
        self._asked: set[str] = set()
        self._closed = False
        self._threads = ThreadPoolExecutor(queue.slots, thread_name_prefix="geochat-answer")

    def close(self) -> None:
        """Take no more questions, and compute those in hand no further. Idempotent."""
        self._closed = True
        for question_id in tuple(self._asked):
            self.chat.cancel(question_id)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def begin(
        self,
        session: Session,
        question: str,
        task: str,
        regions: tuple[OrientedBox, ...],
        window: Window | None,
    ) -> Turn:
        """Add a turn to the conversation; it replaces the one whose question was being edited.

        Raises:
            GeoChatError: It cannot be asked: no scene, no words, a region outside the view.
        """
        if session.busy:
            raise GeoChatError("an answer is being written; wait for it or stop it")
        scene = session.require_scene()
        require_words(task, question)
        conversation = session.conversation(self.chat, window)
        turn = Turn(session.next_number(), question.strip(), task, regions, window, scene.id, conversation)
        turn.notices = conversation.prepare(_question(turn)).notices  # refuses what cannot be asked
        for replaced in [turn for turn in session.turns if turn.replaced]:
            session.take_back(replaced)
        session.turns.append(turn)
        session.stopped, session.busy = False, True
        return turn

    async def answer(self, session: Session, turn: Turn, *, varied: bool = False) -> AsyncGenerator[None, None]:
        """Answer a turn that was begun; yields whenever there is more to show. Closing it ends the computation.

        Args:
            session: Whose turn it is.
            turn: What `begin` made.
            varied: Draw the words, so that a second try differs from the first.
        """
        ticket, counted = None, ExitStack()
        ended = counted.enter_context(self.metrics.answer("page"))
        try:
            yield
            ticket = session.ticket = self.queue.join(session.key, session.client or None)
            async for ahead in ticket.places():
                turn.ahead = ahead
                yield
                if session.stopped:
                    break
            if session.stopped:
                turn.status = "stopped"
                return
            turn.status = "writing"
            question = _question(turn, _VARIED if varied else None)
            with self.computing(question):
                async with aclosing(self._write(session, turn, question)) as pieces:
                    async for _ in pieces:
                        yield
        except GeoChatError as error:
            turn.status, turn.failure = "failed", f"{str(error)[:1].upper()}{str(error)[1:]}."
        except Exception:  # whatever the engine may raise, the page goes on
            log.exception("the answer to a question failed")
            turn.status = "failed"
            turn.failure = "The model failed on this question. Try again; if it fails again, ask in other words."
        finally:
            session.stream, session.ticket, session.busy = None, None, False
            if turn.status in ("waiting", "writing"):  # the page went away
                turn.status = "stopped"
            ended(turn.status)
            counted.close()
            if ticket is not None:
                ticket.leave()

    @contextmanager
    def computing(self, question: Question) -> Iterator[None]:
        """Have a question computed no further when the server ends.

        Raises:
            GeoChatError: It has ended: one whose turn comes when others are stopped is not begun.
        """
        self._asked.add(question.id)  # before looking, or `close` might see neither
        try:
            if self._closed:
                raise GeoChatError("the server is ending")
            yield
        finally:
            self._asked.discard(question.id)

    async def _write(self, session: Session, turn: Turn, question: Question) -> AsyncGenerator[None, None]:
        run = asyncio.get_running_loop().run_in_executor
        try:
            stream = await run(self._threads, turn.conversation.stream, question)
        except asyncio.CancelledError:  # the thread goes on: what it begins ends at once
            self.chat.cancel(question.id)
            raise
        session.stream, turn.notices = stream, stream.notices
        if session.stopped:
            stream.cancel()
        events = iter(stream)
        reading = run(self._threads, _read_for, events, _REFRESH_S)
        ended = False
        try:
            while piece := await asyncio.shield(reading):
                for event in piece:
                    turn.take(event, stream.image, session.colours)
                yield
                reading = run(self._threads, _read_for, events, _REFRESH_S)
            ended = True
        finally:  # left early too: an engine ends, and gives up what it holds, when it is asked for one piece more
            if not ended:
                stream.cancel()
            while await asyncio.shield(reading):
                reading = run(self._threads, _read_for, events, _REFRESH_S)
            turn.finish(stream.answer, session.colours)
            turn.status = "stopped" if stream.answer.finish == "cancelled" else "done"
        yield


def _question(turn: Turn, generation: GenerationSettings | None = None) -> Question:
    return Question(turn.question, regions=turn.regions, task=CHOICES[turn.task].task, generation=generation)


def _read_for(events: Iterator[Event], seconds: float) -> list[Event]:
    """The events of so many seconds, at least one; none when they are through."""
    deadline = time.monotonic() + seconds
    read: list[Event] = []
    for event in events:
        read.append(event)
        if time.monotonic() >= deadline:
            break
    return read
