"""Request bodies: read up to the limit of their route, or, for uploads, streamed to disk.

Gradio reads JSON bodies without a limit. `BodyLimits` reads a body first and refuses it as soon as its stated or its
received size exceeds the limit. `UploadRoute` replaces Gradio's upload route, which names a file by its content (so
that equal files of two users are one), answers with its path on the server, and leaves partial files behind.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from anyio.to_thread import run_sync
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from geochat_serve.middleware.http import (
    API,
    BODY,
    BODY_SIZE,
    BodyTooLargeError,
    read_body,
    refuse,
    replay_body,
    route,
    scope_client,
)
from geochat_serve.storage import UNCLAIMED_S, StorageFullError, UploadStorage

_MAX_BODY = 2**20
_MAX_LARGE_BODY = 16 * 2**20  # a saved conversation; an image sent to an MCP tool
_LARGE_ROUTES = (f"{API}/queue/join", f"{API}/mcp")
_MAX_PER_CLIENT = 32 * 2**20  # bytes of bodies held for one client at a time
_MAX_TOTAL = 128 * 2**20

_FORM_OVERHEAD = 2**16  # bytes of an upload's form besides its files
_MAX_FILES = 8
_UPLOAD_SILENCE_S = 30.0
_MIN_UPLOAD_RATE = 32 * 2**10  # bytes per second


class _TooManyBodiesError(Exception):
    """The bodies being read take up all the memory set aside for them."""


class UploadError(Exception):
    """An upload form is malformed or holds too much."""


class BodyLimits:
    """Middleware that reads request bodies, or refuses them.

    Args:
        app: The application behind it, which gets each body in one message.
        root_path: The prefix under which a proxy serves the application.
    """

    def __init__(self, app: ASGIApp, root_path: str | None = None) -> None:
        self._app = app
        self._root_path = root_path
        self._held: dict[str, int] = {}  # bytes by client

    @property
    def held_bytes(self) -> int:
        """Bytes of the bodies held at the moment."""
        return sum(self._held.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        path, client = route(scope, self._root_path), scope_client(scope)
        limit = _MAX_LARGE_BODY if path.startswith(_LARGE_ROUTES) else _MAX_BODY
        size = 0

        def hold(count: int) -> None:
            nonlocal size
            self._hold(client, count)
            size += count

        try:
            body = await self._read(scope, receive, send, limit=limit, hold=hold)
            if body is not None:
                await self._app({**scope, BODY_SIZE: len(body), BODY: body}, replay_body(body, receive), send)
        finally:
            if size:
                self._held[client] -= size
            if not self._held.get(client, 1):
                del self._held[client]

    def _hold(self, client: str, count: int) -> None:
        """Count bytes held for a client.

        Raises:
            _TooManyBodiesError: The client, or all clients together, hold too many.
        """
        held = self._held.get(client, 0) + count
        if held > _MAX_PER_CLIENT or self.held_bytes + count > _MAX_TOTAL:
            raise _TooManyBodiesError
        self._held[client] = held

    async def _read(
        self, scope: Scope, receive: Receive, send: Send, *, limit: int, hold: Callable[[int], None]
    ) -> bytes | None:
        """Read a body; None if it was refused."""
        try:
            return await read_body(scope, receive, limit, hold)
        except _TooManyBodiesError:
            text = "The server is reading too many large requests; try again later."
            await refuse(scope, receive, send, 503, text, headers={"retry-after": "5"})
        except BodyTooLargeError:
            await refuse(scope, receive, send, 413, f"The request body exceeds {limit // 2**20} MB.")
        except TimeoutError:
            await refuse(scope, receive, send, 408, "The request body did not arrive in time.")
        return None


class UploadRoute:
    """Middleware that answers `/upload`.

    Args:
        app: The application behind it.
        storage: Where files go.
        max_bytes: Largest size of an upload.
        root_path: The prefix under which a proxy serves the application.
    """

    def __init__(self, app: ASGIApp, storage: UploadStorage, max_bytes: int, root_path: str | None = None) -> None:
        self._app = app
        self._storage = storage
        self._max_bytes = max_bytes
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store an upload, or pass the request on."""
        if scope["type"] != "http" or scope["method"] != "POST" or route(scope, self._root_path) != f"{API}/upload":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        kind, options = parse_options_header(headers.get("content-type"))
        if not length.isdecimal():
            await refuse(scope, receive, send, 411, "An upload needs a Content-Length header.")
        elif int(length) > self._max_bytes + _FORM_OVERHEAD:
            await refuse(scope, receive, send, 413, f"The upload exceeds {self._max_bytes // 2**20} MB.")
        elif kind != b"multipart/form-data" or not options.get(b"boundary"):
            await refuse(scope, receive, send, 400, "An upload must be multipart/form-data.")
        else:
            await self._store(scope, receive, send, int(length), options[b"boundary"])

    async def _store(self, scope: Scope, receive: Receive, send: Send, length: int, boundary: bytes) -> None:
        client = scope_client(scope)
        form = _UploadForm(lambda name: self._storage.new_path(name, client))
        complete, status, text = False, 200, ""
        try:
            with self._storage.reserve(length, client):
                async with asyncio.timeout(60 + length / _MIN_UPLOAD_RATE):
                    await _read_form(form, boundary, receive, self._max_bytes + _FORM_OVERHEAD)
            complete = True
        except StorageFullError as error:
            status, text = 507, f"{str(error)[:1].upper()}{str(error)[1:]}."
        except TimeoutError:
            status, text = 408, "The upload did not arrive in time."
        except (UploadError, FormParserError) as error:
            status, text = 400, f"Invalid upload form: {error}."
        finally:
            form.close()
            for path in () if complete else form.paths:
                self._storage.discard(path)
        if not complete:
            await refuse(scope, receive, send, status, text)
            return
        asyncio.get_running_loop().call_later(UNCLAIMED_S + 1, self._storage.remove_expired)
        await JSONResponse([self._storage.public_name(path) for path in form.paths])(scope, receive, send)


@dataclass
class _UploadForm:
    """A multipart form being read: its files go to disk, its other fields are ignored.

    Attributes:
        new_path: Returns the path for a file, given its name.
        paths: Files of the form.
    """

    new_path: Callable[[str], Path]
    paths: list[Path] = field(default_factory=list)
    _pending: list[tuple[BinaryIO, bytes]] = field(default_factory=list)
    _open: BinaryIO | None = None
    _header: tuple[bytes, bytes] = (b"", b"")
    _disposition: bytes = b""

    def parser(self, boundary: bytes) -> MultipartParser:
        """Return a parser that feeds this form."""
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, end: self._add_header(data[start:end], b""),
                "on_header_value": lambda data, start, end: self._add_header(b"", data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_file,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
            },
            max_header_count=16,
            max_header_size=8192,
        )

    def write(self) -> None:
        """Write the data parsed so far to disk."""
        pending, self._pending = self._pending, []
        for file, data in pending:
            file.write(data)
        if pending:
            os.utime(self.paths[-1].parent)  # an upload is not stale while it grows

    def close(self) -> None:
        """Close the file being written."""
        self._end_part()

    def _begin_part(self) -> None:
        self._header, self._disposition = (b"", b""), b""

    def _add_header(self, name: bytes, value: bytes) -> None:
        self._header = (self._header[0] + name, self._header[1] + value)

    def _end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = value
        self._header = (b"", b"")

    def _begin_file(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" not in options or options.get(b"name") != b"files":
            return
        if len(self.paths) >= _MAX_FILES:
            raise UploadError(f"it has more than {_MAX_FILES} files")
        path = self.new_path(options[b"filename"].decode("utf-8", "replace"))
        self.paths.append(path)
        self._open = path.open("wb", buffering=0)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._pending.append((self._open, data[start:end]))

    def _end_part(self) -> None:
        if self._open is not None:
            self.write()
            self._open.close()
            self._open = None


async def _read_form(form: _UploadForm, boundary: bytes, receive: Receive, limit: int) -> None:
    """Read a form from a request.

    Raises:
        UploadError: It ends early, has no file or exceeds its stated size.
        FormParserError: It is malformed.
        TimeoutError: The client stopped sending.
    """
    parser, size, more = form.parser(boundary), 0, True
    while more:
        async with asyncio.timeout(_UPLOAD_SILENCE_S):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise UploadError("the connection was closed")
        size += len(message.get("body", b""))
        if size > limit:
            raise UploadError("it is larger than stated")
        parser.write(message.get("body", b""))
        await run_sync(form.write)
        more = message.get("more_body", False)
    parser.finalize()
    if not form.paths:
        raise UploadError("it has no file")
