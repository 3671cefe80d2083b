"""Answering a question of the page: its place in the queue, then the answer as it is written."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

from geochat.assistant import AnswerStream, GeoChat
from geochat.engines import GenerationSettings
from geochat.errors import GeoChatError
from geochat.regions import Event, OrientedBox
from geochat_serve.queueing import FairQueue
from geochat_serve.scenes import resolution_notice
from geochat_serve.sessions import Session
from geochat_serve.tasks import CHOICES, words_for
from geochat_serve.turns import Turn

_REFRESH_S = 0.08  # the page is told of new words so often
_VARIED = GenerationSettings(temperature=0.7, top_p=0.9)
_FINISHES = {"stop": "done", "length": "done", "cancelled": "stopped"}

log = logging.getLogger(__name__)


class Answerer:
    """Computes answers for every session, so many at once.

    Args:
        chat: What answers.
        queue: Whose turn it is.
    """

    def __init__(self, chat: GeoChat, queue: FairQueue) -> None:
        self.chat = chat
        self.queue = queue
        self._threads = ThreadPoolExecutor(queue.slots, thread_name_prefix="geochat-answer")

    def close(self) -> None:
        """Take no more questions."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def begin(
        self,
        session: Session,
        question: str,
        task: str,
        regions: tuple[OrientedBox, ...],
        window: tuple[int, int, int, int] | None,
    ) -> Turn:
        """Add a turn to the conversation; it replaces the one whose question was being edited.

        Raises:
            GeoChatError: It cannot be asked: no scene, no words, a region outside the view.
        """
        if session.busy:
            raise GeoChatError("an answer is being written; wait for it or stop it")
        settings = self.chat.engine.settings
        words = words_for(task, question, settings)
        conversation = session.conversation(self.chat, window)
        conversation.prepare(words, regions=regions, task=CHOICES[task].task, alone=True)  # refuse what cannot be asked
        for replaced in [turn for turn in session.turns if turn.replaced]:
            session.take_back(replaced)
        scene = session.scene.id if session.scene else ""
        turn = Turn(session.next_number(), question.strip(), task, regions, window, scene, conversation)
        turn.notice = (
            resolution_notice(conversation.image, self.chat.engine.image_size, settings.ground_resolution) or ""
        )
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
        ticket = None
        try:
            yield
            ticket = session.ticket = self.queue.join(session.key)
            async for ahead in ticket.places():
                turn.ahead = ahead
                yield
                if session.stopped:
                    turn.status = "stopped"
                    return
            turn.status = "writing"
            async with aclosing(self._write(session, turn, varied=varied)) as pieces:
                async for _ in pieces:
                    yield
        except GeoChatError as error:
            turn.status, turn.note = "failed", f"{str(error)[:1].upper()}{str(error)[1:]}."
        except Exception:  # whatever the engine may raise, the page goes on
            log.exception("the answer to a question failed")
            turn.status = "failed"
            turn.note = "The model failed on this question. Try again; if it fails again, ask in other words."
        finally:
            if session.stream is not None:
                session.stream.cancel()
            session.stream, session.ticket, session.busy = None, None, False
            if turn.status in ("waiting", "writing"):  # the page went away
                turn.status = "stopped"
            if ticket is not None:
                ticket.leave()

    async def _write(self, session: Session, turn: Turn, *, varied: bool) -> AsyncGenerator[None, None]:
        run = asyncio.get_running_loop().run_in_executor
        generation = _VARIED if varied else None
        words = words_for(turn.task, turn.question, self.chat.engine.settings)

        def start() -> AnswerStream:
            return turn.conversation.stream(
                words, regions=turn.regions, task=CHOICES[turn.task].task, generation=generation
            )

        session.stream = stream = await run(self._threads, start)
        if session.stopped:
            stream.cancel()
        events = iter(stream)
        reading = run(self._threads, _read_for, events, _REFRESH_S)
        try:
            while piece := await asyncio.shield(reading):
                for event in piece:
                    turn.take(event, turn.conversation.image.frame, session.colours)
                yield
                reading = run(self._threads, _read_for, events, _REFRESH_S)
        finally:  # left early too: an engine ends, and gives up what it holds, when it is asked for one piece more
            stream.cancel()
            while await asyncio.shield(reading):
                reading = run(self._threads, _read_for, events, _REFRESH_S)
            turn.answer = stream.answer
            turn.reread(stream.answer, session.colours)
            turn.status = "stopped" if stream.answer.finish == "cancelled" else "done"
            turn.note = _note(turn)
        yield


def _read_for(events: Iterator[Event], seconds: float) -> list[Event]:
    """The events of so many seconds, at least one; none when they are through."""
    deadline = time.monotonic() + seconds
    read: list[Event] = []
    for event in events:
        read.append(event)
        if time.monotonic() >= deadline:
            break
    return read


def _note(turn: Turn) -> str:
    answer = turn.answer
    if answer is None:
        return ""
    if not answer.text:
        return "Stopped before the first word." if answer.finish == "cancelled" else "The model had nothing to say."
    if answer.finish == "length":
        return f"Cut off after {answer.usage.completion_tokens} tokens."
    if answer.problems:
        count = len(answer.problems)
        return f"{count} box{'es' * (count > 1)} could not be read; see the raw answer."
    return ""
