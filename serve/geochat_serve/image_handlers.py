"""What happens to the image: opening, bands and stretch, detail, regions, classes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from geochat.errors import GeoChatError
from geochat.geometry import OrientedBox
from geochat.imagery import Stretch, Window
from geochat_serve.answering import Answerer
from geochat_serve.classifying import SceneClassifier
from geochat_serve.gallery import open_sample
from geochat_serve.open_scene import OpenScene, data_url
from geochat_serve.placing import read_boxes, read_places, read_window
from geochat_serve.sessions import Session, Sessions
from geochat_serve.telling import attempt, sent, serial, to_page, warn
from geochat_serve.updates import Update, no_change, scene_update, turns_update, unclassified
from geochat_serve.visitors import is_page
from geochat_serve.workspace import Workspace, safe_name

STRETCHES = {
    "Automatic": Stretch(),
    "As stored": Stretch("none"),
    "Percentiles 0.5 - 99.5": Stretch("percentile", (0.5, 99.5)),
    "Percentiles 2 - 98": Stretch("percentile", (2.0, 98.0)),
    "Percentiles 5 - 95": Stretch("percentile", (5.0, 95.0)),
    "Least to greatest": Stretch("percentile", (0.0, 100.0)),
}

_ENTERING_S = 5.0  # an image may be chosen on a page that has just appeared and is still being entered


@dataclass(frozen=True)
class ImageHandlers:
    """The viewer's events, and those of what concerns the image; `page` says which component each belongs to."""

    answerer: Answerer
    sessions: Sessions
    workspace: Workspace
    classifier: SceneClassifier = field(default_factory=SceneClassifier)

    def opened(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """An image was uploaded."""
        return self._show(request, lambda: self._open_upload(sent(event)))

    def sample(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """A bundled scene was chosen."""
        return self._show(request, lambda: open_sample(str(sent(event).get("file"))))

    def refused(self, event: gr.EventData) -> Update:
        """The browser did not upload an image; it says why."""
        attempt(lambda: warn(str(sent(event).get("message"))[:300]))
        return gr.HTML(problem=serial())

    def show_bands(self, bands: str, stretch: str, request: gr.Request) -> tuple[Update, ...]:
        """Other bands or another stretch were chosen."""

        def look() -> Session:
            session = self._session(request)
            session.show_with(_bands(bands), STRETCHES[stretch])
            return session

        session = attempt(look)
        if session is None:
            return no_change(3)
        return gr.HTML(scene=scene_update(session)), turns_update(session), unclassified()

    def detail(self, event: gr.EventData, request: gr.Request) -> Update:
        """The view was zoomed beyond the overview: the part in view with every pixel there is."""

        def look() -> str:
            scene = self._session(request).scene
            window = None if scene is None else read_window(sent(event).get("window"), scene.image)
            if scene is None or window is None or sent(event).get("scene") != scene.id:
                return ""
            view = scene.view(window)
            return to_page({"scene": scene.id, "window": list(view.window), "source": data_url(view.pil())})

        detail = attempt(look)
        return gr.HTML(detail=detail) if detail else gr.skip()

    async def classify(self, classes: str, look: bool, state: str, request: gr.Request) -> AsyncIterator[Update]:
        """The open image, or the part in view, is to be classified, in the bands and stretch it is shown with."""

        def begin() -> tuple[Session, OpenScene, Window | None]:
            session = self._session(request)
            return session, session.require_scene(), looked_at(state, session, look=look)[1]

        begun = attempt(begin)
        ticket = None if begun is None else attempt(lambda: self.answerer.queue.join(begun[0].key, begun[0].client))
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
            yield unclassified()
        else:
            yield gr.Label(found, label=f"Probabilities, {'whole image' if window is None else 'this view'}")

    def place(self, text: str, request: gr.Request) -> tuple[Update, Update]:
        """A region was pasted."""

        def read() -> str:
            scene = self._session(request).require_scene()
            boxes = [[box.x1, box.y1, box.x2, box.y2, box.angle] for box in read_places(text, scene.image)]
            return to_page({"scene": scene.id, "regions": boxes, "serial": serial()})

        placed = attempt(read)
        return (gr.skip(), gr.skip()) if placed is None else (gr.HTML(placed=placed), "")

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.of(request.session_hash, request.username)

    def _open_upload(self, data: dict[str, Any]) -> OpenScene:
        path = self.workspace.claim(data.get("upload"))
        try:
            return OpenScene.open(path, safe_name(str(data.get("name") or "")))
        except BaseException:
            self.workspace.remove(path)
            raise

    def _show(self, request: gr.Request, opening: Callable[[], OpenScene]) -> tuple[Update, ...]:
        """Look at another scene: viewer, conversation, classes found, band and stretch choice."""

        def shown() -> Session:
            wait_s = _ENTERING_S if is_page(request.session_hash) else 0.0
            session = self.sessions.of(request.session_hash, request.username, wait_s)
            session.open(opening(), self.workspace)
            return session

        session = attempt(shown)
        if session is None:
            return gr.HTML(problem=serial()), *no_change(4)
        return (
            gr.HTML(scene=scene_update(session), placed=""),
            turns_update(session),
            unclassified(),
            "auto",
            "Automatic",
        )


def looked_at(state: str, session: Session, *, look: bool) -> tuple[tuple[OrientedBox, ...], Window | None]:
    """The regions and the window of the viewer's value; of another scene they count for nothing.

    Raises:
        GeoChatError: The value cannot be read.
    """
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
