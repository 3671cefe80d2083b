"""What happens on the page: every event of a user, from what the browser sent to what it shows next.

Whatever goes wrong is told the user in a line, and the page goes on as it was.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from geochat.errors import GeoChatError, RegionError
from geochat.imagery import Stretch
from geochat_serve import saved
from geochat_serve.answering import Answerer
from geochat_serve.classifying import SceneClassifier
from geochat_serve.downloads import KINDS, make_download
from geochat_serve.kept import editable
from geochat_serve.placing import read_boxes, read_places, read_window
from geochat_serve.scenes import Scene, data_url, open_sample
from geochat_serve.sessions import Session, Sessions
from geochat_serve.tasks import words_for
from geochat_serve.telling import attempt, serial, to_page, warn
from geochat_serve.turns import Turn
from geochat_serve.workspace import Workspace

Update = Any  # what Gradio takes for a component: a value, or a component with what has changed

STRETCHES = {
    "Automatic": Stretch(),
    "As stored": Stretch("none"),
    "Percentiles 0.5 - 99.5": Stretch("percentile", (0.5, 99.5)),
    "Percentiles 2 - 98": Stretch("percentile", (2.0, 98.0)),
    "Percentiles 5 - 95": Stretch("percentile", (5.0, 95.0)),
    "Least to greatest": Stretch("percentile", (0.0, 100.0)),
}

Window = tuple[int, int, int, int]
_ENDING_S = 20.0  # an answer that is stopped ends at its next token, which may take as long as reading an image


@dataclass(frozen=True)
class Handlers:
    """The events; `page` says which component each belongs to."""

    answerer: Answerer
    sessions: Sessions
    workspace: Workspace
    classifier: SceneClassifier = field(default_factory=SceneClassifier)

    async def enter(self, key: str, request: gr.Request) -> tuple[Update, ...]:
        """The page was opened, perhaps again: its key, scene and conversation.

        An answer that was being written for the page before is ended: its words went there, and nobody else gets them.
        """
        session = attempt(lambda: self.sessions.enter(str(request.session_hash), request.username, key))
        if session is None:
            return "", *[gr.skip()] * 3
        if session.busy:
            session.stop()
            await session.idle(_ENDING_S)
        return session.key, gr.HTML(scene=_scene(session)), _turns(session), gr.HTML(count=len(session.kept.pairs))

    def leave(self, request: gr.Request) -> None:
        """The page was closed: nothing more is computed for it."""
        self.sessions.leave(request.session_hash)

    def opened(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """An image was uploaded."""
        return self._show(request, lambda: self._open_upload(event._data))

    def sample(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """A bundled scene was chosen."""
        return self._show(request, lambda: open_sample(str(event._data.get("file"))))

    def refused(self, event: gr.EventData) -> Update:
        """The browser did not upload an image; it says why."""
        warn(str(event._data.get("message"))[:300])
        return gr.HTML(problem=serial())

    def show_bands(self, bands: str, stretch: str, request: gr.Request) -> tuple[Update, ...]:
        """Other bands or another stretch were chosen."""

        def look() -> Session:
            session = self._session(request)
            if session.scene is None:
                raise GeoChatError("no image is open; open one first")
            session.scene = session.scene.shown_with(_bands(bands), STRETCHES[stretch])
            return session

        session = attempt(look)
        return _nothing(3) if session is None else (gr.HTML(scene=_scene(session)), _turns(session), _unclassified())

    def detail(self, event: gr.EventData, request: gr.Request) -> Update:
        """The view was zoomed beyond the overview: the part in view with every pixel there is."""

        def look() -> str:
            scene = self._session(request).scene
            window = None if scene is None else read_window(event._data.get("window"), scene.image)
            if scene is None or window is None or event._data.get("scene") != scene.id:
                return ""
            view = scene.view(window)
            return to_page({"scene": scene.id, "window": list(view.window), "source": data_url(view.pil())})

        detail = attempt(look)
        return gr.HTML(detail=detail) if detail else gr.skip()

    async def classify(self, classes: str, look: bool, state: str, request: gr.Request) -> AsyncIterator[Update]:
        """The open image, or the part in view, is to be classified, in the bands and stretch it is shown with."""

        def begin() -> tuple[Session, Scene, Window | None]:
            session = self._session(request)
            if session.scene is None:
                raise GeoChatError("no image is open; open one first")
            return session, session.scene, _looked_at(state, session, look=look)[1]

        begun = attempt(begin)
        ticket = None if begun is None else attempt(lambda: self.answerer.queue.join(begun[0].key))
        if begun is None or ticket is None:
            yield gr.skip()
            return
        session, scene, window = begun
        try:
            async for ahead in ticket.places():
                yield gr.Label(label=f"Waiting, {ahead} ahead" if ahead else "Waiting, next in line")
            yield gr.Label(label="Looking …")
            found = await asyncio.to_thread(attempt, lambda: self.classifier.classify(scene.view(window), classes))
        finally:
            ticket.leave()
        if found is None or session.scene is not scene:  # of another image, or other bands, it says nothing
            yield _unclassified()
        else:
            yield gr.Label(found, label=f"Probabilities, {'whole image' if window is None else 'this view'}")

    def place(self, text: str, request: gr.Request) -> tuple[Update, Update]:
        """A region was pasted."""

        def read() -> str:
            scene = self._session(request).scene
            if scene is None:
                raise RegionError("no image is open; open one first")
            boxes = [[box.x1, box.y1, box.x2, box.y2, box.angle] for box in read_places(text, scene.image)]
            return to_page({"scene": scene.id, "regions": boxes, "serial": serial()})

        placed = attempt(read)
        return (gr.skip(), gr.skip()) if placed is None else (gr.HTML(placed=placed), "")

    async def asked(
        self, question: str, task: str, look: bool, state: str, request: gr.Request
    ) -> AsyncIterator[tuple[Update, ...]]:
        """A question was asked; the answer streams."""
        session = attempt(lambda: self._session(request))
        if session is None:
            yield _nothing(3)
            return

        def begin() -> Turn:
            regions, window = _looked_at(state, session, look=look)
            return self.answerer.begin(session, question[:8000], task, regions, window)

        turn = await asyncio.to_thread(attempt, begin)
        if turn is None:
            yield _nothing(3)
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
            old = session.turn(event._data.get("turn"))
            session.take_back(old)
            turn = self.answerer.begin(session, old.question, old.task, old.regions, old.window)
            return session, turn, old.status == "done"

        begun = await asyncio.to_thread(attempt, begin)
        if begun is None:
            yield _nothing(2)
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
                yield _turns(session), gr.Button(interactive=True)
        yield _turns(session), gr.Button(interactive=False)

    def stop(self, request: gr.Request) -> None:
        """The answer in hand is not wanted any more."""
        attempt(lambda: self._session(request).stop())

    def edit(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """The last question goes back to the question box; asking replaces the turn."""

        def edited() -> tuple[Session, Turn]:
            session = self._idle(request)
            turn = session.turn(event._data.get("turn"))
            turn.replaced = not turn.replaced
            return session, turn

        found = attempt(edited)
        if found is None:
            return gr.skip(), gr.skip(), gr.skip()
        session, turn = found
        return _turns(session), turn.question if turn.replaced else "", turn.task

    def clear(self, request: gr.Request) -> Update:
        """The conversation begins anew."""
        session = attempt(lambda: self._session(request))
        if session is None:
            return gr.skip()
        session.clear()
        return _turns(session)

    def keep(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """An answer was corrected; the pair is kept."""

        def kept() -> tuple[Session, int]:
            session, data = self._idle(request), event._data
            turn = session.turn(data.get("turn"))
            words = words_for(turn.task, turn.question, self.answerer.chat.engine.settings)
            parsed = session.kept.keep(turn, words, str(data.get("text")), read_boxes(data.get("boxes")))
            turn.correct(parsed.text, session.colours)
            return session, turn.id

        done = attempt(kept)
        if done is None:
            return gr.skip(), gr.skip()
        session, number = done
        shown = gr.HTML(value=_turns(session), kept=to_page({"turn": number, "serial": serial()}))
        return shown, gr.HTML(count=len(session.kept.pairs))

    def clear_kept(self, request: gr.Request) -> Update:
        """The collection begins anew."""
        session = self._session(request)
        session.kept.clear()
        return gr.HTML(count=0)

    def take(self, event: gr.EventData, request: gr.Request) -> Update:
        """A file was asked for."""

        def made() -> str:
            kind, hidden = str(event._data.get("kind")), event._data.get("hidden")
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
            saved.load(session, str(event._data.get("text")), self.answerer.chat)
            return session

        session = attempt(loaded)
        return gr.skip() if session is None else _turns(session)

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.of(request.session_hash, request.username)

    def _idle(self, request: gr.Request) -> Session:
        session = self._session(request)
        if session.busy:
            raise GeoChatError("an answer is being written; wait for it or stop it")
        return session

    def _open_upload(self, data: Any) -> Scene:  # noqa: ANN401 - decoded JSON
        path = self.workspace.claim(data.get("upload"))
        try:
            return Scene.open(path, str(data.get("name") or "image")[:120])
        except BaseException:
            self.workspace.remove(path)
            raise

    def _show(self, request: gr.Request, opening: Callable[[], Scene]) -> tuple[Update, ...]:
        """Look at another scene: viewer, conversation, classes found, band and stretch choice."""

        def shown() -> Session:
            session = self._session(request)
            session.open(opening(), self.workspace)
            return session

        session = attempt(shown)
        if session is None:
            return gr.HTML(problem=serial()), *_nothing(4)
        return gr.HTML(scene=_scene(session), placed=""), _turns(session), _unclassified(), "auto", "Automatic"


def _scene(session: Session) -> str:
    return "" if session.scene is None else to_page(session.scene.payload)


def _nothing(count: int) -> tuple[Update, ...]:
    return (gr.skip(),) * count


def _unclassified() -> Update:
    return gr.Label(None, label="Probabilities")


def _turns(session: Session) -> str:
    turns = []
    for turn in session.turns:
        parsed = turn.parsed
        turns.append({**turn.to_dict(), "editable": "" if parsed is None else editable(parsed)})
    return to_page({"turns": turns, "busy": session.busy})


def _looked_at(state: str, session: Session, *, look: bool) -> tuple[Any, Any]:
    """The regions and the window of the viewer's value; of another scene they count for nothing."""
    try:
        value = json.loads(state) if state else {}
    except ValueError as error:
        raise GeoChatError("the page sent what cannot be read; reload it") from error
    if session.scene is None or not isinstance(value, dict) or value.get("scene") != session.scene.id:
        return (), None
    window = read_window(value.get("window"), session.scene.image) if look else None
    return read_boxes(value.get("regions", [])), window


def _bands(text: str) -> Any:  # noqa: ANN401 - BandChoice
    text = (text or "auto").strip()
    if not text[:1].isdecimal():
        return text
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise GeoChatError(f"bands {text!r} are no numbers; give one or three, such as 4,3,2") from None
