"""Sessions: the open scene and the conversation of each page.

A session belongs to the user who started it by loading the page; nothing else creates one. Its key is a secret made by
the server and kept by the browser tab, by which a reloaded page finds its session again. Gradio's session hashes,
bound to their browsers by the middleware, are only looked up.
"""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from geochat.errors import GeoChatError
from geochat_serve.corrections import CorrectionSet
from geochat_serve.session import Session
from geochat_serve.storage import UploadStorage

_IDLE_S = 1800.0  # if the server is full, a page that was idle for so long makes room
_UNUSED_S = 60.0  # as does a page that has shown no image for so long


class SessionStore:
    """All sessions, limited in number. The arguments are those of `ServeSettings`.

    Attributes:
        on_end: Called with a session that ends, from any thread.
    """

    on_end: Callable[[Session], None] | None = None

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

    def with_key(self, key: str | None, username: str | None) -> Session:
        """Return the session with a key.

        Args:
            key: Secret of the tab.
            username: Login.

        Raises:
            GeoChatError: There is none, or it is another user's.
        """
        with self._lock:
            session = self._by_key.get(key or "")
            if session is None or session.username != username:
                raise GeoChatError("this page has no session, or was idle for too long; reload it")
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
        if self.on_end is not None:
            self.on_end(session)
        del self._by_key[session.key]
        for session_hash in session.hashes:
            self._by_hash.pop(session_hash, None)
