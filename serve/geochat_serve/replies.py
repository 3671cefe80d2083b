"""Refusals sent by middleware, before the application sees a request."""

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

_LINGER_S = 1.0  # a client that still sends gets so long to read why nobody listens
_LINGER_BYTES = 16 * 2**20


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    text: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with an error; the connection is closed where a body was announced, of which nothing is kept."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": text[:100]})
        return
    await reply(scope, receive, send, PlainTextResponse(text, status, headers=headers))


async def reply(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """Send a response to a request whose body nobody reads."""
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
    """Read and forget for a moment: closing at once would reset the connection, and the answer might be lost."""
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
