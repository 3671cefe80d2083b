"""Session binding: each page belongs to the browser that loaded it, which a cookie identifies.

Gradio identifies a page by a hash that the browser chooses, and whoever sends a hash acts for its page: reads its
answers, cancels its questions, replaces it. This middleware binds the hash to its owner before Gradio sees it, so that
the same hash sent by another browser, login or address names another page. Only a browser that loaded the page has
sessions; a program's hash names no page.
"""

import hashlib
import hmac
import json
import re
import secrets
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geochat_serve.middleware.http import (
    API,
    BODY,
    BODY_SIZE,
    LOOPBACK,
    SESSION_HASH,
    USER,
    cookie,
    refuse,
    route,
    scope_client,
)

_HASH = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEARTBEAT = f"{API}/heartbeat/"
_PAGE, _PROGRAM = "page", "program"


def is_page(session_hash: str | None) -> bool:
    """Return whether a bound hash belongs to a page rather than to a program."""
    return (session_hash or "").startswith(f"{_PAGE}-")


class SessionBinding:
    """Middleware that issues the cookie and binds session hashes.

    Args:
        app: The application behind it.
        cookie: Name of the cookie.
        root_path: The prefix under which a proxy serves the application.
    """

    def __init__(self, app: ASGIApp, cookie: str, root_path: str | None = None) -> None:
        self._app = app
        self._cookie = cookie
        self._root_path = root_path
        self._secret = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind the hash in the path, the query or the body of a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = cookie(Headers(scope=scope), self._cookie)
        known = token is not None and self._is_ours(token)
        path = route(scope, self._root_path)
        if path == "/" and not known:
            await self._app(scope, receive, self._with_cookie(scope, send))
            return
        owner = self._owner(scope, token if known else None)
        try:
            bound = _bind_path(scope, path, owner)
            bound, receive = _bind_body(_bind_query(bound, owner), receive, owner)
        except ValueError:
            text = "A session hash consists of 1 to 64 letters, digits and hyphens."
            await refuse(scope, receive, send, 400, text)
            return
        await self._app(bound, receive, send)

    def _owner(self, scope: Scope, token: str | None) -> str:
        """Return the prefix of the hashes that belong to the sender of a request."""
        kind = _PAGE
        if scope.get(LOOPBACK):
            kind, token = _PROGRAM, "the server itself"
        elif token is None:
            kind, token = _PROGRAM, scope_client(scope)
        name = f"{kind} {token} {scope.get(USER) or ''}"
        return f"{kind}-{hmac.new(self._secret, name.encode('utf-8', 'replace'), hashlib.sha256).hexdigest()[:16]}"

    def _with_cookie(self, scope: Scope, send: Send) -> Send:
        nonce = secrets.token_urlsafe(18)
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        line = f"{self._cookie}={nonce}.{self._sign(nonce)}; Path=/; HttpOnly; SameSite=Lax{secure}"

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", line)
            await send(message)

        return send_with_cookie

    def _is_ours(self, token: str) -> bool:
        nonce, _, signature = token.partition(".")
        return hmac.compare_digest(self._sign(nonce).encode(), signature.encode("utf-8", "replace"))

    def _sign(self, nonce: str) -> str:
        return hmac.new(self._secret, nonce.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]


def _bind(session_hash: object, owner: str) -> str:
    """Bind a hash to its owner.

    Raises:
        ValueError: It is malformed.
    """
    if not isinstance(session_hash, str) or not _HASH.fullmatch(session_hash):
        raise ValueError
    return f"{owner}-{session_hash}"


def _bind_path(scope: Scope, path: str, owner: str) -> Scope:
    if not path.startswith(_HEARTBEAT):
        return scope
    session_hash = path.removeprefix(_HEARTBEAT)
    prefix = scope["path"].rstrip("/").removesuffix(session_hash)
    bound = f"{prefix}{_bind(session_hash, owner)}"
    return {**scope, "path": bound, "raw_path": bound.encode()}


def _bind_query(scope: Scope, owner: str) -> Scope:
    if b"session_hash" not in scope["query_string"]:
        return scope
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=50)
    bound = [(name, _bind(value, owner) if name == "session_hash" else value) for name, value in pairs]
    return {**scope, SESSION_HASH: dict(bound).get("session_hash"), "query_string": urlencode(bound).encode()}


def _bind_body(scope: Scope, receive: Receive, owner: str) -> tuple[Scope, Receive]:
    body: bytes = scope.pop(BODY, b"")
    if not any(sign in body for sign in (b"session_hash", b"\\u", b"\0")):  # plain, escaped, UTF-16
        return scope, receive
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # Gradio reports the error
        return scope, receive
    if not isinstance(value, dict) or value.get("session_hash") is None:
        return scope, receive
    value["session_hash"] = _bind(value["session_hash"], owner)
    content = json.dumps(value).encode()
    headers = [(name, line) for name, line in scope["headers"] if name not in (b"content-length", b"transfer-encoding")]
    headers.append((b"content-length", str(len(content)).encode()))
    bound = {**scope, "headers": headers, BODY_SIZE: len(content), SESSION_HASH: value["session_hash"]}

    async def receive_bound() -> Message:
        message = await receive()  # `BodyLimits` passes the body on in one message
        return {**message, "body": content} if message["type"] == "http.request" else message

    return bound, receive_bound
