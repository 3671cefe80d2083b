"""Image events: opening, pages, bands and stretch, regions, classification."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr

from geochat.clip import Classifier, DualEncoder
from geochat.errors import SettingsError
from geochat.imagery import COMPOSITES, ORDERS, GeoImage, Stretch, Window
from geochat_serve.answering import AnswerService
from geochat_serve.middleware.binding import is_page
from geochat_serve.open_scene import OpenScene, open_sample, open_upload
from geochat_serve.session import AUTOMATIC, Session
from geochat_serve.sessions import SessionStore
from geochat_serve.storage import UploadStorage
from geochat_serve.validation import event_data, read_bands, read_places, read_viewer
from geochat_serve.web.notifications import (
    Update,
    attempt,
    conversation_update,
    page_json,
    scene_update,
    serial,
    unchanged,
    warn,
)

BANDS = ("auto", *COMPOSITES, *(f"{order}:{composite}" for order in ORDERS for composite in ("rgb", "nir")))
STRETCHES = {
    "Automatic": Stretch(),
    "As stored": Stretch("none"),
    "Percentiles 0.5–99.5": Stretch("percentile", (0.5, 99.5)),
    "Percentiles 2–98": Stretch("percentile", (2.0, 98.0)),
    "Percentiles 5–95": Stretch("percentile", (5.0, 95.0)),
    "Minimum to maximum": Stretch("percentile", (0.0, 100.0)),
}

_LOADING_S = 5.0  # an image may be chosen on a page whose session is still being started
_MAX_CLASSES = 200


class SceneClassifier:
    """The bundled dual encoder, shared by all sessions and loaded on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoder: DualEncoder | None = None

    def classify(self, image: GeoImage, text: str) -> dict[str, float]:
        """Classify an image.

        Args:
            image: The image.
            text: Class names, separated by commas or line breaks; duplicates count once.

        Returns:
            Probabilities by class, in the order given.

        Raises:
            SettingsError: There are fewer than two classes, or too many.
            CheckpointError: The bundled encoder is missing or damaged.
            PromptError: The name of a class is too long.
        """
        names = [name.strip() for name in text.replace("\n", ",").split(",")]
        classes = list(dict.fromkeys(name for name in names if name))
        if len(classes) < 2:
            raise SettingsError(f"there {'is one class' if classes else 'are no classes'}; list two or more")
        if len(classes) > _MAX_CLASSES:
            raise SettingsError(f"there are {len(classes)} classes; list up to {_MAX_CLASSES}")
        with self._lock:
            if self._encoder is None:
                self._encoder = DualEncoder.from_pretrained()
        return Classifier.zero_shot(self._encoder, classes).classify(image).probabilities


@dataclass(frozen=True)
class ImageHandlers:
    """Handlers of the viewer's and the image's events; `page` connects them to components."""

    answers: AnswerService
    sessions: SessionStore
    storage: UploadStorage
    images: tuple[Path, ...] = ()
    classifier: SceneClassifier = field(default_factory=SceneClassifier)

    def open_upload(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """Open an uploaded image."""
        return self._open(request, lambda _session: open_upload(event_data(event), self.storage))

    def open_sample(self, event: gr.EventData, request: gr.Request) -> tuple[Update, ...]:
        """Open an image of the gallery."""
        return self._open(request, lambda _session: open_sample(str(event_data(event).get("file")), self.images))

    def open_page(self, page: int | None, request: gr.Request) -> tuple[Update, ...]:
        """Open another page of the file; None, from a user who thought better of it, leaves the one that is shown."""
        if page is None:
            session = attempt(lambda: self._session(request))
            return *unchanged(5), gr.skip() if session is None else page_choice(session.scene)
        return self._open(request, lambda session: session.require_scene().open_page(int(page)))

    def upload_failed(self, event: gr.EventData) -> Update:
        """Show why the browser did not upload an image."""
        attempt(lambda: warn(str(event_data(event).get("message"))[:300]))
        return gr.HTML(problem=serial())

    def set_bands(self, bands: str, stretch: str, request: gr.Request) -> tuple[Update, ...]:
        """Show other bands or another stretch; a choice that is refused leaves the last good one.

        Returns:
            Updates of viewer, conversation, classification, bands, stretch.
        """
        session = attempt(lambda: self._session(request))
        if session is None or (bands, stretch) == (session.bands, session.stretch):
            return unchanged(5)

        def render() -> bool:
            session.render(read_bands(bands, session.require_scene().scene.descriptions), STRETCHES[stretch])
            session.bands, session.stretch = bands, stretch
            return True

        if attempt(render) is None:
            return *unchanged(3), session.bands, session.stretch
        return gr.HTML(scene=scene_update(session)), self._conversation(session), _unclassified(), *unchanged(2)

    def add_region(self, text: str, request: gr.Request) -> tuple[Update, ...]:
        """Add regions from text: viewer, text box."""

        def read() -> str:
            scene = self._session(request).require_scene()
            boxes = [[box.x1, box.y1, box.x2, box.y2, box.angle] for box in read_places(text, scene.overview)]
            return page_json({"scene": scene.id, "regions": boxes, "serial": serial()})

        added = attempt(read)
        return unchanged(2) if added is None else (gr.HTML(added=added), "")

    async def classify(
        self, classes: str, visible_only: bool, state: str, request: gr.Request
    ) -> AsyncIterator[Update]:
        """Classify the image, or its visible part, in the bands and the stretch it is shown in."""

        def start() -> tuple[Session, OpenScene, Window | None]:
            session = self._session(request)
            scene = session.require_scene()
            return session, scene, read_viewer(state, scene, visible_only=visible_only)[1]

        queue = self.answers.queue
        started = attempt(start)
        ticket = None if started is None else attempt(lambda: queue.join(started[0].key, started[0].client))
        if started is None or ticket is None:
            yield gr.skip()
            return
        session, scene, window = started
        try:
            async for ahead in ticket.positions():
                yield gr.Label(label=f"Waiting, {ahead} ahead" if ahead else "Waiting, next in line")
            yield gr.Label(label="Classifying …")
            found = await asyncio.to_thread(attempt, lambda: self.classifier.classify(scene.view(window), classes))
        finally:
            ticket.leave()
        if found is None or session.scene is not scene:  # it is about another image, or other bands
            yield _unclassified()
        else:
            yield gr.Label(found, label=f"Probabilities, {'whole image' if window is None else 'visible area'}")

    def _session(self, request: gr.Request) -> Session:
        return self.sessions.get(request.session_hash, request.username)

    def _conversation(self, session: Session) -> str:
        return conversation_update(session, self.answers.chat)

    def _open(self, request: gr.Request, opening: Callable[[Session], OpenScene]) -> tuple[Update, ...]:
        """Open a scene: viewer, conversation, classification, bands, stretch, page."""
        sessions: list[Session] = []

        def open_scene() -> Session:
            wait_s = _LOADING_S if is_page(request.session_hash) else 0.0
            session = self.sessions.get(request.session_hash, request.username, wait_s)
            sessions.append(session)
            session.open_scene(opening(session), self.storage)
            return session

        session = attempt(open_scene)
        if session is None:  # the page selector goes back to the page that is shown
            page = page_choice(sessions[0].scene) if sessions else gr.skip()
            return gr.HTML(problem=serial()), *unchanged(4), page
        return (
            gr.HTML(scene=scene_update(session), added=""),
            self._conversation(session),
            _unclassified(),
            band_choice(session),
            AUTOMATIC[1],
            page_choice(session.scene),
        )


def band_choice(session: Session) -> Update:
    """Return the update of the band menu: displays, then the bands of the image by number and name."""
    scene = session.scene
    names = [] if scene is None else zip(scene.scene.descriptions, scene.scene.labels, strict=True)
    named = [(told or label, str(number)) for number, (told, label) in enumerate(names, 1)]
    bands = [(f"{number}: {name}", number) for name, number in named if name]
    return gr.Dropdown([*((name, name) for name in BANDS), *bands], value=session.bands)


def page_choice(scene: OpenScene | None) -> Update:
    """Return the update of the page selector, which only files with several images show."""
    count = 1 if scene is None else scene.scene.pages
    return gr.Dropdown(list(range(1, count + 1)), value=1 if scene is None else scene.page, visible=count > 1)


def _unclassified() -> Update:
    """Return the classification panel without a result."""
    return gr.Label(None, label="Probabilities")
