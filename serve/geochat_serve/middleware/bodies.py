"""Request bodies: read up to the limit of their route, or, for uploads, streamed to disk.

Gradio reads JSON bodies without a limit. `BodyLimits` reads a body first and refuses it as soon as its stated or its
received size exceeds the limit. `UploadRoute` replaces Gradio's upload route, which names a file by its content (so
that equal files of two users are one), answers with its path on the server, and leaves partial files behind.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from geochat_serve.middleware.forms import MAX_FIELD_BYTES, UploadError, UploadForm, read_form
from geochat_serve.middleware.http import (
    API,
    BODY,
    BODY_SIZE,
    FORM,
    HTTP_API,
    BodyTooLargeError,
    read_body,
    refuse,
    replay_body,
    route,
    scope_client,
)
from geochat_serve.storage import UNCLAIMED_S, StorageFullError, UploadStorage

_MAX_BODY = 2**20
_MAX_LARGE_BODY = 16 * 2**20  # a saved conversation; an image in JSON
_LARGE_ROUTES = (f"{API}/queue/join", f"{API}/mcp", f"{HTTP_API}/")
_MAX_PER_CLIENT = 32 * 2**20  # bytes of bodies held for one client at a time
_MAX_TOTAL = 128 * 2**20

_FORM_OVERHEAD = 2**16 + MAX_FIELD_BYTES  # bytes of an upload's form besides its files
_MIN_UPLOAD_RATE = 32 * 2**10  # bytes per second


class _TooManyBodiesError(Exception):
    """The bodies being read take up all the memory set aside for them."""


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
    """Middleware that answers `/upload`, and stores the file of a form sent to the HTTP API before passing it on.

    Args:
        app: The application behind it, which gets a form of the HTTP API as `scope[FORM]`, and no body.
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
        path = route(scope, self._root_path) if scope["type"] == "http" and scope["method"] == "POST" else ""
        headers = Headers(scope=scope) if path else Headers()
        kind, options = parse_options_header(headers.get("content-type"))
        is_form = kind == b"multipart/form-data"
        length = headers.get("content-length", "")
        if path != f"{API}/upload" and not (is_form and path.startswith(f"{HTTP_API}/")):
            await self._app(scope, receive, send)
        elif not length.isdecimal():
            await refuse(scope, receive, send, 411, "An upload needs a Content-Length header.")
        elif int(length) > self._max_bytes + _FORM_OVERHEAD:
            await refuse(scope, receive, send, 413, f"The upload exceeds {self._max_bytes // 2**20} MB.")
        elif not is_form or not options.get(b"boundary"):
            await refuse(scope, receive, send, 400, "An upload must be multipart/form-data.")
        elif path == f"{API}/upload":
            await self._answer_upload(scope, receive, send, int(length), options[b"boundary"])
        else:
            await self._pass_form(scope, receive, send, int(length), options[b"boundary"])

    async def _answer_upload(self, scope: Scope, receive: Receive, send: Send, length: int, boundary: bytes) -> None:
        form = UploadForm(boundary, self._new_path(scope), b"files", max_files=8)
        if await self._store(form, scope, receive, send, length):
            asyncio.get_running_loop().call_later(UNCLAIMED_S + 1, self._storage.remove_expired)
            await JSONResponse([self._storage.public_name(path) for path in form.paths])(scope, receive, send)

    async def _pass_form(self, scope: Scope, receive: Receive, send: Send, length: int, boundary: bytes) -> None:
        form = UploadForm(boundary, self._new_path(scope), b"image", max_files=1, max_fields=32)
        if not await self._store(form, scope, receive, send, length):
            return
        headers = [(name, b"0" if name == b"content-length" else value) for name, value in scope["headers"]]
        try:
            await self._app({**scope, "headers": headers, FORM: form}, replay_body(b"", receive), send)
        finally:  # what the application did not claim
            for path in form.paths:
                self._storage.discard(path)

    def _new_path(self, scope: Scope) -> Callable[[str], Path]:
        client = scope_client(scope)
        return lambda name: self._storage.new_path(name, client)

    async def _store(self, form: UploadForm, scope: Scope, receive: Receive, send: Send, length: int) -> bool:
        """Store the files of a form; False if the request was refused, and nothing is stored."""
        complete, status, text = False, 200, ""
        try:
            with self._storage.reserve(length, scope_client(scope)):
                async with asyncio.timeout(60 + length / _MIN_UPLOAD_RATE):
                    await read_form(form, receive, self._max_bytes + _FORM_OVERHEAD)
            complete = True
        except StorageFullError as error:
            status, text = 507, f"{str(error)[:1].upper()}{str(error)[1:]}."
        except TimeoutError:
            status, text = 408, "The upload did not arrive in time."
        except OSError as error:  # the disk
            status, text = 507, f"The server cannot store the file: {error.strerror}."
        except (UploadError, FormParserError) as error:
            status, text = 400, f"Invalid upload form: {error}."
        finally:
            form.close()
            for path in () if complete else form.paths:
                self._storage.discard(path)
        if not complete:
            await refuse(scope, receive, send, status, text)
        return complete
