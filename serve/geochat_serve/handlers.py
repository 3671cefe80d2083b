"""What happens in the conversation: every event of a user, from what the browser sent to what it shows next.

Whatever goes wrong is told the user in a line, and the page goes on as it was. `image_handlers` has the image's events.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import gradio as gr

from geochat.errors import GeoChatError
from geochat_serve import saved
from geochat_serve.answering import Answerer
from geochat_serve.clients import client_name
from geochat_serve.downloads import KINDS, make_download
from geochat_serve.image_handlers import looked_at
from geochat_serve.placing import read_boxes
from geochat_serve.sessions import Session, Sessions
from geochat_serve.telling import attempt, clean, sent, serial, to_page
from geochat_serve.turns import Turn
from geochat_serve.updates import Update, no_change, scene_update, turns_update
from geochat_serve.visitors import is_page

_ENDING_S = 20.0  # an answer that is stopped ends at its next token, which may take as long as reading an image


@dataclass(frozen=True)
class Handlers:
    """The events; `page` says which component each belongs to."""

    answerer: Answerer
    sessions: Sessions

    async def enter(self, key: str, request: gr.Request) -> tuple[Update, ...]:
        """The page was opened, perhaps again: its key, scene and conversation.

        An answer that was being written for the page before is ended: its words went there, and nobody else gets them.
        """
        session = attempt(lambda: self._enter(key, request))
        if session is None:
            return "", *[gr.skip()] * 3
        if session.busy:
            session.stop()
            await session.idle(_ENDING_S)
        return (
            session.key,
            gr.HTML(scene=scene_update(session)),
            turns_update(session),
            gr.HTML(count=len(session.kept.pairs)),
        )

    def leave(self, request: gr.Request) -> None:
        """The page was closed: nothing more is computed for it."""
        self.sessions.leave(request.session_hash)

    async def asked(
        self, question: str, task: str, look: bool, state: str, request: gr.Request
    ) -> AsyncIterator[tuple[Update, ...]]:
        """A question was asked; the answer streams."""
        session = attempt(lambda: self._session(request))
        if session is None:
            yield no_change(3)
            return

        def begin() -> Turn:
            regions, window = looked_at(state, session, look=look)
            return self.answerer.begin(session, clean(question[:8000]), task, regions, window)

        turn = await asyncio.to_thread(attempt, begin)
        if turn is None:
            yield no_change(3)
            return
        question_box: Update = ""
        async with aclosing(self._answer(session, turn, varied=False)) as shown:
            async for turns, stop in shown:
                yield turns, stop, question_box
                question_box = gr.skip()

    async def retry(self, event: gr.EventData, request: gr.Request) -> AsyncIterator[tuple[Update, ...]]:
        """The last question was asked again; where there was an answer, the new one is drawn to differ."""

        def begin() -> tuple[Session, Turn, bool]:
            session = self._idle(request)
            old = session.turn(sent(event).get("turn"))
            session.take_back(old)
            turn = self.answerer.begin(session, old.question, old.task, old.regions, old.window)
            return session, turn, old.status == "done"

        begun = await asyncio.to_thread(attempt, begin)
        if begun is None:
            yield no_change(2)
            return
        session, turn, varied = begun
        async with aclosing(self._answer(session, turn, varied=varied)) as shown:
            async for update in shown:
                yield update

    async def _answer(
        self, session: Session, turn: Turn, *, varied: bool
    ) -> AsyncGenerator[tuple[Update, Update], None]:
        """The conversation and the stop button, as the answer is written."""
        async with aclosing(self.answerer.answer(session, turn, varied=varied)) as pieces:
            async for _ in pieces:
                yield turns_update(session), gr.Button(interactive=True)
        yield turns_update(session), gr.Button(interactive=False)

    def stop(self, request: gr.Request) -> None:
        """The answer in hand is not wanted any more."""
        attempt(lambda: self._session(request).stop())

    def edit(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """The last question goes back to the question box; asking replaces the turn."""

        def edited() -> tuple[Session, Turn]:
            session = self._idle(request)
            turn = session.turn(sent(event).get("turn"))
            turn.replaced = not turn.replaced
            return session, turn

        found = attempt(edited)
        if found is None:
            return gr.skip(), gr.skip(), gr.skip()
        session, turn = found
        return turns_update(session), turn.question if turn.replaced else "", turn.task

    def clear(self, request: gr.Request) -> Update:
        """The conversation begins anew."""
        session = attempt(lambda: self._session(request))
        if session is None:
            return gr.skip()
        session.clear()
        return turns_update(session)

    def keep(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """An answer was corrected; the pair is kept."""

        def kept() -> tuple[Session, int]:
            session, data = self._idle(request), sent(event)
            turn = session.turn(data.get("turn"))
            correction = session.kept.keep(turn, str(data.get("text")), read_boxes(data.get("boxes")))
            turn.correct(correction, session.colours)
            return session, turn.id

        done = attempt(kept)
        if done is None:
            return gr.skip(), gr.skip()
        session, number = done
        shown = gr.HTML(value=turns_update(session), kept=to_page({"turn": number, "serial": serial()}))
        return shown, gr.HTML(count=len(session.kept.pairs))

    def clear_kept(self, request: gr.Request) -> Update:
        """The collection begins anew."""
        session = attempt(lambda: self._session(request))
        if session is None:
            return gr.skip()
        session.kept.clear()
        return gr.HTML(count=0)

    def take(self, event: gr.EventData, request: gr.Request) -> Update:
        """A file was asked for."""

        def made() -> str:
            kind, hidden = str(sent(event).get("kind")), sent(event).get("hidden")
            if kind not in (*KINDS, "training"):
                raise GeoChatError(f"nothing is exported as {kind!r}")
            download = make_download(kind, self._session(request), hidden if isinstance(hidden, list) else [])
            return to_page({**download.to_dict(), "serial": serial()})

        file = attempt(made)
        return gr.skip() if file is None else gr.HTML(file=file)

    def load(self, event: gr.EventData, request: gr.Request) -> Update:
        """A saved conversation was chosen."""

        def loaded() -> Session:
            session = self._idle(request)
            saved.load(session, str(sent(event).get("text")), self.answerer.chat)
            return session

        session = attempt(loaded)
        return gr.skip() if session is None else turns_update(session)

    def _enter(self, key: str, request: gr.Request) -> Session:
        if not is_page(request.session_hash):
            raise GeoChatError("the page was not loaded here, or this browser keeps no cookies; allow them and reload")
        client = client_name(request.client.host if request.client else None, request.username)
        return self.sessions.enter(str(request.session_hash), request.username, key, client)

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.of(request.session_hash, request.username)

    def _idle(self, request: gr.Request) -> Session:
        session = self._session(request)
        if session.busy:
            raise GeoChatError("an answer is being written; wait for it or stop it")
        return session
