"""Visitors: a browser that loaded the page is recognised by a cookie, and its pages are its own.

Gradio names a page by a hash that the browser makes up, and whoever sends a hash acts for its page: reads its answers,
ends its questions, displaces it. Here the hash is completed by whose it is, before Gradio sees it: the same hash from
another browser, login or address names another page. Only a browser that loaded the page has sessions; what programs
send belongs to no page.
"""

import hashlib
import hmac
import json
import re
import secrets
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geochat_serve.bodies import BODY, SIZE
from geochat_serve.clients import LOOPBACK, USER, scope_client
from geochat_serve.paths import API, cookie, route
from geochat_serve.replies import refuse

HASH = "geochat.hash"  # in a request's scope: the completed hash it names
_HASH = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEARTBEAT = f"{API}/heartbeat/"
_PAGE, _PROGRAM = "page", "program"


def is_page(session_hash: str | None) -> bool:
    """Whether a completed hash is that of a page, and not made up by a program."""
    return (session_hash or "").startswith(f"{_PAGE}-")


class Visitors:
    """Middleware that gives out the cookie and completes hashes.

    Args:
        app: What stands behind it.
        cookie: The cookie's name.
        root_path: Where a proxy puts the application.
    """

    def __init__(self, app: ASGIApp, cookie: str, root_path: str | None = None) -> None:
        self._app = app
        self._cookie = cookie
        self._root = root_path
        self._secret = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Complete the hash a request names, in its path, its query or its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = cookie(Headers(scope=scope), self._cookie)
        known = token is not None and self._is_ours(token)
        path = route(scope, self._root)
        if path == "/" and not known:
            await self._app(scope, receive, self._with_cookie(scope, send))
            return
        owner = self._owner(scope, token if known else None)
        try:
            completed = _complete_path(scope, path, owner)
            completed, receive = _complete_body(_complete_query(completed, owner), receive, owner)
        except ValueError:
            await refuse(scope, receive, send, 400, "A session hash has up to 64 letters, digits and hyphens.")
            return
        await self._app(completed, receive, send)

    def _owner(self, scope: Scope, token: str | None) -> str:
        """Whose a request's page is."""
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


def _complete(session_hash: object, owner: str) -> str:
    """A hash with whose it is.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(session_hash, str) or not _HASH.fullmatch(session_hash):
        raise ValueError
    return f"{owner}-{session_hash}"


def _complete_path(scope: Scope, path: str, owner: str) -> Scope:
    if not path.startswith(_HEARTBEAT):
        return scope
    session_hash = path.removeprefix(_HEARTBEAT)
    prefix = scope["path"].rstrip("/").removesuffix(session_hash)
    completed = f"{prefix}{_complete(session_hash, owner)}"
    return {**scope, "path": completed, "raw_path": completed.encode()}


def _complete_query(scope: Scope, owner: str) -> Scope:
    if b"session_hash" not in scope["query_string"]:
        return scope
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=50)
    completed = [(name, _complete(value, owner) if name == "session_hash" else value) for name, value in pairs]
    named = dict(completed).get("session_hash")
    return {**scope, HASH: named, "query_string": urlencode(completed).encode()}


def _complete_body(scope: Scope, receive: Receive, owner: str) -> tuple[Scope, Receive]:
    body: bytes = scope.pop(BODY, b"")
    if not any(sign in body for sign in (b"session_hash", b"\\u", b"\0")):  # as it is, escaped, in UTF-16
        return scope, receive
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # Gradio says what is wrong with it
        return scope, receive
    if not isinstance(value, dict) or value.get("session_hash") is None:
        return scope, receive
    value["session_hash"] = _complete(value["session_hash"], owner)
    content = json.dumps(value).encode()
    headers = [(name, line) for name, line in scope["headers"] if name not in (b"content-length", b"transfer-encoding")]
    headers.append((b"content-length", str(len(content)).encode()))
    given = False

    async def completed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        await receive()  # the body as it came
        return {"type": "http.request", "body": content, "more_body": False}

    return {**scope, "headers": headers, SIZE: len(content), HASH: value["session_hash"]}, completed
