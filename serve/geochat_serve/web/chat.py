"""Chat events: asking, retrying, editing, correcting, loading.

If an event fails, the user is notified and the page stays as it was. `image` handles the events of the image.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import gradio as gr

from geochat.errors import GeoChatError
from geochat_serve import transcripts
from geochat_serve.answering import AnswerService
from geochat_serve.exchanges import Exchange
from geochat_serve.middleware.binding import is_page
from geochat_serve.middleware.http import client_name
from geochat_serve.session import Session
from geochat_serve.sessions import SessionStore
from geochat_serve.validation import event_data, read_boxes, read_question, read_viewer
from geochat_serve.web.image import band_choice, page_choice
from geochat_serve.web.notifications import (
    Update,
    attempt,
    conversation_update,
    page_json,
    scene_update,
    serial,
    unchanged,
)

_STOP_TIMEOUT_S = 20.0  # a stopped answer ends at its next token, which may take as long as reading an image


@dataclass(frozen=True)
class ChatHandlers:
    """Handlers of the chat's events; `page` connects them to components."""

    answers: AnswerService
    sessions: SessionStore

    async def load_page(self, key: str, request: gr.Request) -> tuple[Update, ...]:
        """Start or resume the session of a page that was loaded.

        If an answer is being written, it is stopped: its words went to the page before.

        Returns:
            Updates of key, scene, bands, stretch, pages, conversation, corrections.
        """
        session = attempt(lambda: self._attach(key, request))
        if session is None:
            return "", *unchanged(6)
        if session.busy:
            session.stop()
            await session.wait_until_idle(_STOP_TIMEOUT_S)
        return (
            session.key,
            gr.HTML(scene=scene_update(session)),
            band_choice(session),
            session.stretch,
            page_choice(session.scene),
            self._conversation(session),
            gr.HTML(count=len(session.corrections.pairs)),
        )

    def unload_page(self, request: gr.Request) -> None:
        """Detach a page that was closed."""
        self.sessions.detach(request.session_hash)

    async def ask(
        self, question: str, task: str, visible_only: bool, state: str, request: gr.Request
    ) -> AsyncIterator[tuple[Update, ...]]:
        """Ask a question and stream the answer: conversation, stop button, question box."""
        session = attempt(lambda: self._session(request))
        if session is None:
            yield unchanged(3)
            return

        def start() -> Exchange:
            regions, window = read_viewer(state, session.scene, visible_only=visible_only)
            return self.answers.start(session, read_question(question), task, regions, window)

        exchange = await asyncio.to_thread(attempt, start)
        if exchange is None:
            yield unchanged(3)
            return
        question_box: Update = ""
        async with aclosing(self._answer(session, exchange, sampled=False)) as updates:
            async for conversation, stop in updates:
                yield conversation, stop, question_box
                question_box = gr.skip()

    async def retry(self, event: gr.EventData, request: gr.Request) -> AsyncIterator[tuple[Update, ...]]:
        """Ask the last question again, sampling the answer if there was one: conversation, stop button."""

        def start() -> tuple[Session, Exchange, bool]:
            session = self._idle_session(request)
            old = session.exchange(event_data(event).get("exchange"))
            session.remove(old)
            exchange = self.answers.start(session, old.question, old.task, old.regions, old.window)
            return session, exchange, old.status == "done"

        started = await asyncio.to_thread(attempt, start)
        if started is None:
            yield unchanged(2)
            return
        session, exchange, sampled = started
        async with aclosing(self._answer(session, exchange, sampled=sampled)) as updates:
            async for update in updates:
                yield update

    async def _answer(
        self, session: Session, exchange: Exchange, *, sampled: bool
    ) -> AsyncGenerator[tuple[Update, Update], None]:
        """Stream an answer: conversation and stop button."""
        async with aclosing(self.answers.answer(session, exchange, sampled=sampled)) as updates:
            async for _ in updates:
                yield self._conversation(session), gr.Button(interactive=True)
        yield self._conversation(session), gr.Button(interactive=False)

    def stop(self, request: gr.Request) -> None:
        """Stop the current answer."""
        attempt(lambda: self._session(request).stop())

    def edit(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """Start or cancel editing the last question: conversation, question box, task."""

        def toggle() -> tuple[Session, Exchange]:
            session = self._idle_session(request)
            exchange = session.exchange(event_data(event).get("exchange"))
            exchange.being_edited = not exchange.being_edited
            return session, exchange

        toggled = attempt(toggle)
        if toggled is None:
            return unchanged(3)
        session, exchange = toggled
        return self._conversation(session), exchange.question if exchange.being_edited else "", exchange.task

    def clear(self, request: gr.Request) -> tuple[Update, ...]:
        """Clear the conversation and the drawn regions: conversation, viewer."""
        session = attempt(lambda: self._session(request))
        if session is None:
            return unchanged(2)
        session.clear()
        return self._conversation(session), gr.HTML(cleared=serial())

    async def restore(self, event: gr.EventData, request: gr.Request) -> Update:
        """Undo or redo clearing the conversation, which the page also does with the regions."""
        session = attempt(lambda: self._session(request))
        if session is None:
            return gr.skip()
        await session.wait_until_idle(_STOP_TIMEOUT_S)  # an answer that was cleared ends at its next token

        def swap() -> bool:
            if event_data(event).get("back"):
                session.restore()
            else:
                session.clear()
            return True

        return gr.skip() if attempt(swap) is None else self._conversation(session)

    def correct(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """Save a corrected answer: conversation, number of corrections."""

        def save() -> tuple[Session, int]:
            session, data = self._idle_session(request), event_data(event)
            exchange = session.exchange(data.get("exchange"))
            correction = session.corrections.add(exchange, str(data.get("text")), read_boxes(data.get("boxes")))
            exchange.correct(correction, session.colours)
            return session, exchange.id

        saved = attempt(save)
        if saved is None:
            return unchanged(2)
        session, exchange_id = saved
        corrected = page_json({"exchange": exchange_id, "serial": serial()})
        conversation = gr.HTML(value=self._conversation(session), corrected=corrected)
        return conversation, gr.HTML(count=len(session.corrections.pairs))

    def withdraw_correction(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """Show an answer as the model wrote it again: conversation, number of corrections."""

        def withdraw() -> Session:
            session = self._idle_session(request)
            exchange = session.exchange(event_data(event).get("exchange"))
            session.corrections.withdraw(exchange)
            exchange.withdraw_correction(session.colours)
            return session

        session = attempt(withdraw)
        if session is None:
            return unchanged(2)
        return self._conversation(session), gr.HTML(count=len(session.corrections.pairs))

    def discard_corrections(self, request: gr.Request) -> Update:
        """Discard all corrections."""
        session = attempt(lambda: self._session(request))
        if session is None:
            return gr.skip()
        session.corrections.clear()
        return gr.HTML(count=0)

    def load_conversation(self, event: gr.EventData, request: gr.Request) -> Update:
        """Load a saved conversation."""

        def load() -> Session:
            session = self._idle_session(request)
            transcripts.load(session, str(event_data(event).get("text")), self.answers.chat)
            return session

        session = attempt(load)
        return gr.skip() if session is None else self._conversation(session)

    def _conversation(self, session: Session) -> str:
        return conversation_update(session, self.answers.chat)

    def _attach(self, key: str, request: gr.Request) -> Session:
        if not is_page(request.session_hash):
            raise GeoChatError("the page was not loaded here, or this browser blocks cookies; allow them and reload")
        client = client_name(request.client.host if request.client else None, request.username)
        return self.sessions.attach(str(request.session_hash), request.username, key, client)

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.get(request.session_hash, request.username)

    def _idle_session(self, request: gr.Request) -> Session:
        session = self._session(request)
        session.require_idle()
        return session
