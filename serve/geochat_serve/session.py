"""The session of a page: its open scene, its conversation and its corrections."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from geochat import GeoChat
from geochat.assistant import AnswerStream, Conversation
from geochat.errors import GeoChatError, ImageError
from geochat.imagery import BandChoice, Stretch, Window
from geochat_serve.corrections import CorrectionSet
from geochat_serve.exchanges import Exchange, PhraseColours
from geochat_serve.image_layers import MAX_LAYERS
from geochat_serve.open_scene import OpenScene
from geochat_serve.queue import Ticket
from geochat_serve.storage import UploadStorage

AUTOMATIC = ("auto", "Automatic")  # bands and stretch of a scene that was just opened
MAX_OVERLAYS = 16
_CLEARED = 3  # conversations that can be brought back


@dataclass(eq=False)
class Session:
    """The scene, conversation and corrections of one page. Handles one event at a time.

    Attributes:
        key: Secret by which the tab finds the session again.
        username: Login of its owner, None without a login.
        corrections: Corrected answers.
        client: Login or address from which it was started.
        scene: The open scene, which questions are about.
        layers: Images laid over it, by id, the lowest first. They stay when another scene is opened.
        overlays: Folders of the vector layers laid on it, by id, the lowest first. They go when another one is opened.
        exchanges: The conversation on the page, over all views of the scene.
        colours: Colours of the phrases.
        bands: Bands of the scene, as the user chose them.
        stretch: Stretch of the scene, as the user chose it.
        ticket: Place of the current question in the queue.
        stream: The answer being written.
        stopped: Whether the user has stopped the current question.
        busy: Whether there is a current question.
        hashes: Gradio's session hashes of the pages that show it.
        active_at: Time of its last event.
    """

    key: str
    username: str | None
    corrections: CorrectionSet
    client: str = ""
    scene: OpenScene | None = None
    layers: dict[str, OpenScene] = field(default_factory=dict)
    overlays: dict[str, Path] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    colours: PhraseColours = field(default_factory=PhraseColours)
    bands: str = AUTOMATIC[0]
    stretch: str = AUTOMATIC[1]
    ticket: Ticket | None = None
    stream: AnswerStream | None = None
    stopped: bool = False
    busy: bool = False
    hashes: set[str] = field(default_factory=set)
    active_at: float = field(default_factory=time.monotonic)
    _closed: bool = field(default=False, repr=False)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))
    _cleared: list[tuple[list[Exchange], PhraseColours]] = field(default_factory=list, repr=False)

    def open_scene(self, scene: OpenScene, storage: UploadStorage) -> None:
        """Show another scene, or another page of the same file; the conversation starts anew."""
        self.stop()
        self._close_scene(storage, keep_file=self.scene is not None and self.scene.path == scene.path)
        self._remove_overlays(storage)
        self.scene = scene
        self.bands, self.stretch = AUTOMATIC
        self.clear()
        self._cleared.clear()

    def render(self, bands: BandChoice, stretch: Stretch) -> None:
        """Show the scene with other bands or another stretch.

        Raises:
            ImageError: No scene is open, or it has no such bands.
            SettingsError: The stretch is impossible.
        """
        scene = self.require_scene()
        rendered = scene.rendered(bands, stretch)
        if self.scene is scene:  # unless another one was opened in the meantime
            self.scene = rendered

    def add_layer(self, layer: OpenScene) -> None:
        """Lay an image over the open scene, on top of the layers there are. The session closes it in the end.

        Raises:
            ImageError: There are too many, or the session has ended.
        """
        self.require_room()
        self.layers[layer.id] = layer

    def require_room(self, *, vector: bool = False) -> None:
        """Check that another image layer, or vector layer, may be added.

        Raises:
            ImageError: There are too many, or the session has ended.
        """
        if self._closed:
            raise ImageError("the session has ended; reload the page")
        kept, most, kind = (self.overlays, MAX_OVERLAYS, "vector") if vector else (self.layers, MAX_LAYERS, "image")
        if len(kept) >= most:
            raise ImageError(f"there are {most} {kind} layers; remove one first")

    def require_layer(self, layer_id: object) -> OpenScene:
        """Return an image layer.

        Raises:
            ImageError: There is none with that id.
        """
        layer = self.layers.get(str(layer_id))
        if layer is None:
            raise ImageError("that image layer is gone; add the image again")
        return layer

    def remove_layer(self, layer_id: object, storage: UploadStorage) -> None:
        """Remove an image layer and delete its file. Idempotent."""
        if (layer := self.layers.pop(str(layer_id), None)) is not None:
            discard(layer, storage)

    def add_overlay(self, overlay_id: str, folder: Path, scene: OpenScene) -> None:
        """Keep the folder of a vector layer laid on a scene. The session removes it in the end.

        Raises:
            ImageError: There are too many, the scene is no longer open, or the session has ended.
        """
        self.require_room(vector=True)
        if self.require_scene().image_id != scene.image_id:
            raise ImageError("another image was opened; add the layer again")
        self.overlays[overlay_id] = folder

    def require_overlay(self, overlay_id: object) -> Path:
        """Return the folder of a vector layer.

        Raises:
            ImageError: There is none with that id.
        """
        if (folder := self.overlays.get(str(overlay_id))) is None:
            raise ImageError("that layer is gone; add the file again")
        return folder

    def remove_overlay(self, overlay_id: object, storage: UploadStorage) -> None:
        """Remove a vector layer. Idempotent."""
        if (folder := self.overlays.pop(str(overlay_id), None)) is not None:
            storage.remove(folder)

    def _remove_overlays(self, storage: UploadStorage) -> None:
        for overlay_id in tuple(self.overlays):
            self.remove_overlay(overlay_id, storage)

    def require_scene(self) -> OpenScene:
        """Return the open scene.

        Raises:
            ImageError: No scene is open.
        """
        if self.scene is None:
            raise ImageError("no image is open; open one first")
        return self.scene

    def require_idle(self) -> None:
        """Check that no question is being answered.

        Raises:
            GeoChatError: One is being answered.
        """
        if self.busy:
            raise GeoChatError("an answer is being written; wait for it or stop it")

    def clear(self) -> None:
        """Start the conversation anew; `restore` brings the one before back."""
        self.stop()
        if self.exchanges:
            self._cleared = [*self._cleared, (self.exchanges, self.colours)][-_CLEARED:]
        self.exchanges, self.colours = [], PhraseColours()

    def restore(self) -> None:
        """Bring the conversation back that was cleared last, before what has been asked since.

        Raises:
            GeoChatError: None was cleared.
        """
        if not self._cleared:
            raise GeoChatError("that conversation is gone; load it from a file if it was exported")
        exchanges, self.colours = self._cleared.pop()
        self.exchanges = [*exchanges, *self.exchanges]

    def stop(self) -> None:
        """Stop the current question. Idempotent."""
        self.stopped = True
        if self.ticket is not None:
            self.ticket.wake()
        if self.stream is not None:
            self.stream.cancel()

    async def wait_until_idle(self, timeout_s: float) -> None:
        """Wait until the current question has ended, or the time is up."""
        deadline = time.monotonic() + timeout_s
        while self.busy and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    def conversation(self, chat: GeoChat, window: Window | None) -> Conversation:
        """Return the model's conversation for a question: the last exchange's if it is about the same view.

        Raises:
            ImageError: No scene is open, or the window cannot be read.
        """
        scene = self.require_scene()
        last = self._last_exchange
        if last is not None and last.window == window and last.scene == scene.id:
            return last.conversation
        return chat.start(scene.view(window))

    def remembered(self) -> list[int]:
        """Return the ids of the exchanges that the model sees with the next question about the last view."""
        last = self._last_exchange
        seen = [] if last is None else [id(answer) for answer in last.conversation.remembered]
        return [exchange.id for exchange in self.exchanges if id(exchange.answer) in seen]

    def next_id(self) -> int:
        """Return the id of a new exchange."""
        return next(self._ids)

    def exchange(self, exchange_id: object) -> Exchange:
        """Return an exchange of the conversation.

        Raises:
            GeoChatError: There is none with that id.
        """
        found = next((exchange for exchange in self.exchanges if exchange.id == exchange_id), None)
        if found is None:
            raise GeoChatError("that answer is no longer part of the conversation")
        return found

    def remove(self, exchange: Exchange) -> None:
        """Remove an exchange from the page and from the model's conversation."""
        if exchange.answer is not None:
            exchange.conversation.take_back(exchange.answer)
        self.exchanges = [other for other in self.exchanges if other is not exchange]

    @property
    def _last_exchange(self) -> Exchange | None:
        return next((exchange for exchange in reversed(self.exchanges) if not exchange.being_edited), None)

    def close(self, storage: UploadStorage) -> None:
        """Stop the current question and delete the session's files."""
        self._closed = True
        self.stop()
        self._close_scene(storage)
        for layer_id in tuple(self.layers):
            self.remove_layer(layer_id, storage)
        self._remove_overlays(storage)

    def _close_scene(self, storage: UploadStorage, *, keep_file: bool = False) -> None:
        scene, self.scene = self.scene, None
        if scene is not None:
            discard(scene, storage, keep_file=keep_file)


def discard(scene: OpenScene, storage: UploadStorage, *, keep_file: bool = False) -> None:
    """Close a scene and, unless it is to be kept or not the scene's own, delete its file."""
    scene.close()
    if scene.owned and scene.path is not None and not keep_file:
        storage.remove(scene.path)
