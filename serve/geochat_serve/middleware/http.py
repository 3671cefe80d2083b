"""Requests as the middleware sees them: path, cookies, client, body, and the answer to a refused request."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

API = "/gradio_api"
HTTP_API = "/api/v1"
PAGE_API = "/page"  # what the page asks for beside Gradio's events

# Keys that the middleware adds to a request's scope
USER = "geochat.user"  # name of the logged-in user
LOOPBACK = "geochat.loopback"  # True if the server calls itself, as the MCP tools do
BODY = "geochat.body"  # the whole body
BODY_SIZE = "geochat.body_size"  # bytes of the body
FORM = "geochat.form"  # the form of a call of the HTTP API, its file on disk
SESSION_HASH = "geochat.session_hash"  # the session hash, bound to its browser

_READ_TIMEOUT_S = 60.0
_LINGER_S = 1.0  # time for a client that is still sending to read the refusal
_LINGER_BYTES = 16 * 2**20


class BodyTooLargeError(Exception):
    """A request body exceeds the limit of its route."""


def route(scope: Scope, root_path: str | None = None) -> str:
    """Return the path within the application, without a trailing slash.

    Args:
        scope: The request.
        root_path: The prefix under which a proxy serves the application; removed if the proxy left it in.
    """
    path: str = scope["path"]
    prefix = urlsplit(root_path).path.rstrip("/") if root_path else ""
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        path = path[len(prefix) :]
    return path.rstrip("/") or "/"


def cookie(headers: Headers, name: str) -> str | None:
    """Return the value of a cookie."""
    for line in headers.getlist("cookie"):
        for part in line.split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
    return None


def client_name(host: str | None, username: str | None = None) -> str:
    """Return the name under which the use of a client is counted: its login or, without one, its address.

    Args:
        host: Network address. An IPv6 address counts as its /64, which belongs to one subscriber.
        username: Login.
    """
    if username is not None:
        return f"user {username}"
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return f"address {host or 'unknown'}"
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if isinstance(address, IPv6Address):
        return f"address {IPv6Address(int(address) >> 64 << 64)}/64"
    return f"address {address}"


def scope_client(scope: Scope) -> str:
    """Return the name of the client that sent a request."""
    return client_name((scope.get("client") or (None,))[0], scope.get(USER))


def scope_address(scope: Scope) -> str:
    """Return the name of the address that sent a request, regardless of the login."""
    return client_name((scope.get("client") or (None,))[0])


async def read_body(scope: Scope, receive: Receive, limit: int, on_bytes: Callable[[int], None] | None = None) -> bytes:
    """Read a request body.

    Args:
        scope: The request.
        receive: Source of its parts.
        limit: Largest size in bytes.
        on_bytes: Called with the size of each part.

    Raises:
        BodyTooLargeError: The stated or the received size exceeds the limit; the rest is not read.
        TimeoutError: The body did not arrive in time, or the client disconnected.
    """
    stated = Headers(scope=scope).get("content-length", "")
    if stated.isdecimal() and int(stated) > limit:
        raise BodyTooLargeError
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(_READ_TIMEOUT_S):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise TimeoutError
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise BodyTooLargeError
            if on_bytes is not None:
                on_bytes(len(part))
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields a body already read, then whatever else the client sends."""
    replayed = False

    async def replay() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    text: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with an error. If the request has an unread body, the connection is closed."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": text[:100]})
        return
    in_api = f"{HTTP_API}/" in scope["path"]
    response = problem(status, text, headers=headers) if in_api else PlainTextResponse(text, status, headers=headers)
    await respond_unread(scope, receive, send, response)


def problem(status: int, text: str, *, code: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error of the HTTP API, in the format of RFC 9457.

    Args:
        status: HTTP status.
        text: The error's text.
        code: Name of the class in `geochat.errors`, by which clients know the kind of error.
        headers: Headers of the response.
    """
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": text}
    content |= {"error": code} if code else {}
    return JSONResponse(content, status, headers, "application/problem+json")


async def respond_unread(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """Send a response to a request whose body has not been read, and close the connection if there is a body."""
    if not _has_body(scope):
        await response(scope, receive, send)
        return
    response.headers["connection"] = "close"

    async def send_then_linger(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            await send({**message, "more_body": True})
            await _discard(receive)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(message)

    await response(scope, receive, send_then_linger)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _discard(receive: Receive) -> None:
    """Discard input for a moment: closing at once would reset the connection, and the client would lose the answer."""
    read = 0
    try:
        async with asyncio.timeout(_LINGER_S):
            while read < _LINGER_BYTES:
                message = await receive()
                read += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
