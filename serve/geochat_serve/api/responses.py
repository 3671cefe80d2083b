"""Responses of the HTTP API: streams of events, cancelled work, and the OpenAPI description of requests."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from geochat_serve.api.errors import problem_of
from geochat_serve.api.schema import EXAMPLES, body_schema

Result = TypeVar("Result")
ApiEvent = tuple[str, dict[str, Any]]
"""Name and data of an event."""

EVENT_STREAM = "text/event-stream"
_TOKEN = {"token": {"type": "http", "scheme": "bearer", "description": "needed if the server has API tokens"}}


def wants_events(request: Request) -> bool:
    """Return whether a client asks for a stream of events."""
    return EVENT_STREAM in request.headers.get("accept", "")


def event_stream(events: AsyncGenerator[ApiEvent, None]) -> StreamingResponse:
    """Return events as a stream of server-sent events; an error is the last one, as problem details."""

    async def lines() -> AsyncGenerator[str, None]:
        async with aclosing(events):
            try:
                async for name, data in events:
                    yield f"event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n"
            except Exception as error:  # the response has begun, so the stream tells it
                yield f"event: error\ndata: {bytes(problem_of(error).body).decode()}\n\n"

    return StreamingResponse(lines(), media_type=EVENT_STREAM, headers={"cache-control": "no-store"})


async def last_event(events: AsyncGenerator[ApiEvent, None]) -> dict[str, Any]:
    """Return the data of the last event."""
    last: dict[str, Any] = {}
    async with aclosing(events):
        async for _, data in events:
            last = data
    return last


async def while_connected(request: Request, work: Awaitable[Result]) -> Result | None:
    """Wait for work, which is cancelled when the client disconnects; None then."""
    computing, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({computing, gone}, return_when=asyncio.FIRST_COMPLETED)
        return computing.result() if computing.done() else None
    finally:
        computing.cancel()
        gone.cancel()


def request_body(fields: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI description of a request body: a form with a file, or JSON."""
    example = EXAMPLES[fields]
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in example.items()}
    form = {"schema": body_schema(fields, form=True), "example": {"image": "scene.tif"} | texts}
    image = "data:image/png;base64,iVBORw0KGgo..."
    in_json = {"schema": body_schema(fields, form=False), "example": {"image": image} | example}
    return {"required": True, "content": {"multipart/form-data": form, "application/json": in_json}}


def complete_schema(api: FastAPI) -> None:
    """Add to the OpenAPI schema how tokens are sent, and the definitions that request bodies refer to."""
    build = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = build()
            for path in schema["paths"].values():
                for body in path.get("post", {}).get("requestBody", {}).get("content", {}).values():
                    schema["components"]["schemas"] |= body["schema"].pop("$defs", {})
            schema["components"]["securitySchemes"] = _TOKEN
            schema["security"] = [{}, {"token": []}]
        return api.openapi_schema or {}

    api.openapi = openapi  # type: ignore[method-assign]


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
