"""Who is here, and what each of them has open.

A session belongs to the user who began it, by loading the page; nothing else makes one. Its key is a secret of the
server's own making, kept by the user's tab, so that a reloaded page finds its scene and conversation again; Gradio's
session hashes, which `visitors` has completed by whose they are, are only looked up in a table.
"""

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from geochat.assistant import AnswerStream, Conversation, GeoChat
from geochat.errors import GeoChatError, ImageError
from geochat.imagery import BandChoice, Stretch, Window
from geochat_serve.kept import Collection
from geochat_serve.open_scene import OpenScene
from geochat_serve.queueing import Ticket
from geochat_serve.turns import Colours, Turn
from geochat_serve.workspace import Workspace

_IDLE_S = 1800.0  # a page that has done nothing for so long makes room for a new one when the server is full
_UNUSED_S = 60.0  # so does one that has opened no image in this time


@dataclass(eq=False)
class Session:
    """One user's scene, conversation and collection. Used from one tab, one event at a time.

    Attributes:
        key: The secret by which a tab finds it again.
        username: Who logged in to begin it, None without a login.
        scene: What is open.
        turns: The conversation on the page, over all the views it was about.
        colours: The colours of its phrases.
        kept: Corrected pairs.
        ticket: The place in the queue of the question in hand.
        stream: The answer that is being written.
        stopped: Set when the user wants no more of the question in hand.
        busy: Whether there is a question in hand.
        hashes: The pages it is shown on, by Gradio's names for them.
        active_at: When it was last heard of.
        client: The login or the address it was begun from.
    """

    key: str
    username: str | None
    kept: Collection
    scene: OpenScene | None = None
    turns: list[Turn] = field(default_factory=list)
    colours: Colours = field(default_factory=Colours)
    ticket: Ticket | None = None
    stream: AnswerStream | None = None
    stopped: bool = False
    busy: bool = False
    hashes: set[str] = field(default_factory=set)
    active_at: float = field(default_factory=time.monotonic)
    client: str = ""
    _numbers: int = 0

    def open(self, scene: OpenScene, workspace: Workspace) -> None:
        """Look at another scene: the conversation begins anew."""
        self.stop()
        self._close_scene(workspace)
        self.scene = scene
        self.clear()

    def show_with(self, bands: BandChoice, stretch: Stretch) -> None:
        """Show the scene in other bands or with another stretch.

        Raises:
            ImageError: No scene is open, or it has no such bands.
            SettingsError: The stretch is impossible.
        """
        scene = self.require_scene()
        shown = scene.shown_with(bands, stretch)
        if self.scene is scene:  # and no other was opened meanwhile
            self.scene = shown

    def require_scene(self) -> OpenScene:
        """The scene.

        Raises:
            ImageError: None is open.
        """
        if self.scene is None:
            raise ImageError("no image is open; open one first")
        return self.scene

    def clear(self) -> None:
        """Begin the conversation anew."""
        self.stop()
        self.turns, self.colours = [], Colours()

    def stop(self) -> None:
        """Have the answer in hand computed no further."""
        self.stopped = True
        if self.ticket is not None:
            self.ticket.wake()
        if self.stream is not None:
            self.stream.cancel()

    async def idle(self, seconds: float) -> None:
        """Wait until no question is in hand, for so long at most."""
        deadline = time.monotonic() + seconds
        while self.busy and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    def conversation(self, chat: GeoChat, window: Window | None) -> Conversation:
        """What a question about a window is asked in: the last turn's, if that was about the same view.

        Raises:
            ImageError: No scene is open, or the window cannot be read.
        """
        scene = self.require_scene()
        last = next((turn for turn in reversed(self.turns) if not turn.replaced), None)
        if last is not None and last.window == window and last.scene == scene.id:
            return last.conversation
        return chat.start(scene.view(window))

    def next_number(self) -> int:
        """The number of a new turn."""
        self._numbers += 1
        return self._numbers

    def turn(self, number: object) -> Turn:
        """A turn of the conversation.

        Raises:
            GeoChatError: There is none of that number.
        """
        found = next((turn for turn in self.turns if turn.id == number), None)
        if found is None:
            raise GeoChatError("that answer is no longer part of the conversation")
        return found

    def take_back(self, turn: Turn) -> None:
        """Forget a turn, on the page and in what the model has in mind."""
        if turn.answer is not None:
            turn.conversation.take_back(turn.answer)
        self.turns = [kept for kept in self.turns if kept is not turn]

    def close(self, workspace: Workspace) -> None:
        """Stop, and delete what is on disk."""
        self.stop()
        self._close_scene(workspace)

    def _close_scene(self, workspace: Workspace) -> None:
        scene, self.scene = self.scene, None
        if scene is None:
            return
        scene.close()
        if scene.owned and scene.path is not None:
            workspace.remove(scene.path)


class Sessions:
    """Every session, bounded in number; those whose users left are kept for a while."""

    def __init__(self, workspace: Workspace, most: int, grace_s: float, kept: int) -> None:
        self._workspace = workspace
        self._most = most
        self._grace_s = grace_s
        self._kept = kept
        self._by_key: dict[str, Session] = {}
        self._by_hash: dict[str, Session] = {}
        self._lock = threading.RLock()
        self._entered = threading.Condition(self._lock)
        self._closed = False

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._by_key.values()))

    def enter(self, session_hash: str, username: str | None, key: str | None, client: str = "") -> Session:
        """Begin the session of a page that was loaded, or take it up again.

        Args:
            session_hash: What Gradio calls the page.
            username: Who logged in.
            key: What the tab kept of an earlier session; another user's is of no use.
            client: The login or the address it comes from.

        Raises:
            GeoChatError: The server is full.
        """
        with self._lock:
            self._sweep()
            found = self._by_key.get(key or "")
            session = found if found is not None and found.username == username else self._begin(username, client)
            self._let_go(session_hash, session)
            self._by_hash[session_hash] = session
            session.hashes.add(session_hash)
            session.active_at = time.monotonic()
            self._entered.notify_all()
            return session

    def of(self, session_hash: str | None, username: str | None, wait_s: float = 0.0) -> Session:
        """The session of a page.

        Args:
            session_hash: What Gradio calls the page.
            username: Who logged in.
            wait_s: Seconds to wait for a page that is just being entered; not for the event loop.

        Raises:
            GeoChatError: It was not entered, is another user's, or made room for others.
        """
        with self._lock:
            self._entered.wait_for(lambda: session_hash in self._by_hash or self._closed, wait_s)
            session = self._by_hash.get(session_hash or "")
            if session is None:
                raise GeoChatError("this page is not known here, or was idle for too long; reload it")
            if session.username != username:
                raise GeoChatError("this page is another user's; reload")
            session.active_at = time.monotonic()
            return session

    def leave(self, session_hash: str | None) -> None:
        """A page was closed or reloaded: what it was waiting for is computed no further."""
        with self._lock:
            session = self._by_hash.pop(session_hash or "", None)
            if session is None:
                return
            session.hashes.discard(session_hash or "")
            if not session.hashes:
                session.stop()
                session.active_at = time.monotonic()

    def close(self) -> None:
        """End every session."""
        with self._lock:
            self._closed = True
            self._entered.notify_all()
            for session in self:
                self._end(session)

    def _begin(self, username: str | None, client: str) -> Session:
        while len(self._by_key) >= self._most:
            idlest = self._to_make_room(client)
            if idlest is None:
                raise GeoChatError(f"{len(self._by_key)} people are here and the server takes no more; try again later")
            self._end(idlest)
        session = Session(secrets.token_urlsafe(24), username, Collection(self._kept), client=client)
        self._by_key[session.key] = session
        return session

    def _to_make_room(self, client: str) -> Session | None:
        """The session that ends for a new one of a client's: the one longest idle of the first kind there is.

        Those whose pages have gone; those that never opened an image; those that have done nothing for long; and those
        of the client that has most, if that has more than the new one's: many pages of one client keep no other out.
        """
        now, counts = time.monotonic(), Counter(session.client for session in self)
        most, count = max(counts.items(), key=lambda item: item[1])
        kinds: tuple[Callable[[Session], bool], ...] = (
            lambda session: not session.hashes,
            lambda session: session.scene is None and session.active_at < now - _UNUSED_S,
            lambda session: session.active_at < now - _IDLE_S,
            lambda session: session.client == most and count > counts[client] + 1,
        )
        for is_of_kind in kinds:
            found = sorted(filter(is_of_kind, self), key=lambda session: (session.busy, session.active_at))
            if found:
                return found[0]
        return None

    def _let_go(self, session_hash: str, entered: Session) -> None:
        """A page that enters again shows its earlier session no longer."""
        before = self._by_hash.get(session_hash)
        if before is not None and before is not entered:
            before.hashes.discard(session_hash)

    def _sweep(self) -> None:
        limit = time.monotonic() - self._grace_s
        for session in self:
            if not session.hashes and session.active_at < limit:
                self._end(session)

    def _end(self, session: Session) -> None:
        session.close(self._workspace)
        del self._by_key[session.key]
        for session_hash in session.hashes:
            self._by_hash.pop(session_hash, None)
