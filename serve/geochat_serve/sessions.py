"""Sessions: the open scene and the conversation of each page.

A session belongs to the user who started it by loading the page; nothing else creates one. Its key is a secret made by
the server and kept by the browser tab, by which a reloaded page finds its session again. Gradio's session hashes,
bound to their browsers by the middleware, are only looked up.
"""

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from geochat import GeoChat
from geochat.assistant import AnswerStream, Conversation
from geochat.errors import GeoChatError, ImageError
from geochat.imagery import BandChoice, Stretch, Window
from geochat_serve.corrections import CorrectionSet
from geochat_serve.exchanges import Exchange, PhraseColours
from geochat_serve.open_scene import OpenScene
from geochat_serve.queue import Ticket
from geochat_serve.storage import UploadStorage

_IDLE_S = 1800.0  # if the server is full, a page that was idle for so long makes room
_UNUSED_S = 60.0  # as does a page that has shown no image for so long


@dataclass(eq=False)
class Session:
    """The scene, conversation and corrections of one page. Handles one event at a time.

    Attributes:
        key: Secret by which the tab finds the session again.
        username: Login of its owner, None without a login.
        corrections: Corrected answers.
        client: Login or address from which it was started.
        scene: The open scene.
        exchanges: The conversation on the page, over all views of the scene.
        colours: Colours of the phrases.
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
    exchanges: list[Exchange] = field(default_factory=list)
    colours: PhraseColours = field(default_factory=PhraseColours)
    ticket: Ticket | None = None
    stream: AnswerStream | None = None
    stopped: bool = False
    busy: bool = False
    hashes: set[str] = field(default_factory=set)
    active_at: float = field(default_factory=time.monotonic)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    def open_scene(self, scene: OpenScene, storage: UploadStorage) -> None:
        """Show another scene, or another page of the same file; the conversation starts anew."""
        self.stop()
        self._close_scene(storage, keep_file=self.scene is not None and self.scene.path == scene.path)
        self.scene = scene
        self.clear()

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
        """Start the conversation anew."""
        self.stop()
        self.exchanges, self.colours = [], PhraseColours()

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
        """Stop the current question and delete the session's file."""
        self.stop()
        self._close_scene(storage)

    def _close_scene(self, storage: UploadStorage, *, keep_file: bool = False) -> None:
        scene, self.scene = self.scene, None
        if scene is not None:
            scene.close()
            if scene.owned and scene.path is not None and not keep_file:
                storage.remove(scene.path)


class SessionStore:
    """All sessions, limited in number. The arguments are those of `ServeSettings`."""

    def __init__(self, storage: UploadStorage, max_sessions: int, timeout_s: float, max_corrections: int) -> None:
        self._storage = storage
        self._max_sessions = max_sessions
        self._timeout_s = timeout_s
        self._max_corrections = max_corrections
        self._by_key: dict[str, Session] = {}
        self._by_hash: dict[str, Session] = {}
        self._lock = threading.RLock()
        self._attached = threading.Condition(self._lock)
        self._closed = False

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._by_key.values()))

    def attach(self, session_hash: str, username: str | None, key: str | None, client: str = "") -> Session:
        """Start the session of a page that was loaded, or resume it.

        Args:
            session_hash: Gradio's hash of the page.
            username: Login.
            key: Key of an earlier session, if the tab has one; another user's key is ignored.
            client: Login or address of the page.

        Raises:
            GeoChatError: The server is full.
        """
        with self._lock:
            expired_at = time.monotonic() - self._timeout_s
            for other in self:
                if not other.hashes and other.active_at < expired_at:
                    self._end(other)
            found = self._by_key.get(key or "")
            session = found if found is not None and found.username == username else self._start(username, client)
            before = self._by_hash.get(session_hash)
            if before is not None and before is not session:
                before.hashes.discard(session_hash)
            self._by_hash[session_hash] = session
            session.hashes.add(session_hash)
            session.active_at = time.monotonic()
            self._attached.notify_all()
            return session

    def get(self, session_hash: str | None, username: str | None, wait_s: float = 0.0) -> Session:
        """Return the session of a page.

        Args:
            session_hash: Gradio's hash of the page.
            username: Login.
            wait_s: Seconds to wait for a page that is being loaded; blocks, so not on the event loop.

        Raises:
            GeoChatError: The page has no session, or the session is another user's.
        """
        with self._lock:
            self._attached.wait_for(lambda: session_hash in self._by_hash or self._closed, wait_s)
            session = self._by_hash.get(session_hash or "")
            if session is None:
                raise GeoChatError("this page has no session, or was idle for too long; reload it")
            if session.username != username:
                raise GeoChatError("this page is another user's; reload it")
            session.active_at = time.monotonic()
            return session

    def detach(self, session_hash: str | None) -> None:
        """Note that a page was closed or reloaded; its current question is stopped."""
        with self._lock:
            if session := self._by_hash.pop(session_hash or "", None):
                session.hashes.discard(session_hash or "")
                if not session.hashes:
                    session.stop()
                    session.active_at = time.monotonic()

    def close(self) -> None:
        """End all sessions."""
        with self._lock:
            self._closed = True
            self._attached.notify_all()
            for session in self:
                self._end(session)

    def _start(self, username: str | None, client: str) -> Session:
        while len(self._by_key) >= self._max_sessions:
            dispensable = self._dispensable(client)
            if dispensable is None:
                raise GeoChatError(f"the server is full with {len(self._by_key)} sessions; try again later")
            self._end(dispensable)
        session = Session(secrets.token_urlsafe(24), username, CorrectionSet(self._max_corrections), client)
        self._by_key[session.key] = session
        return session

    def _dispensable(self, client: str) -> Session | None:
        """Return the session to end in favour of a new one of `client`.

        It is the longest idle session of the first kind present: the page was closed; no image was ever opened; idle
        for long; of the client with the most sessions, if it has at least two more than `client`.
        """
        now, counts = time.monotonic(), Counter(session.client for session in self)
        largest, most = max(counts.items(), key=lambda item: item[1])
        kinds: tuple[Callable[[Session], bool], ...] = (
            lambda session: not session.hashes,
            lambda session: session.scene is None and session.active_at < now - _UNUSED_S,
            lambda session: session.active_at < now - _IDLE_S,
            lambda session: session.client == largest and most > counts[client] + 1,
        )
        for is_of_kind in kinds:
            if found := list(filter(is_of_kind, self)):
                return min(found, key=lambda session: (session.busy, session.active_at))
        return None

    def _end(self, session: Session) -> None:
        session.close(self._storage)
        del self._by_key[session.key]
        for session_hash in session.hashes:
            self._by_hash.pop(session_hash, None)
