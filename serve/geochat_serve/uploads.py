"""Uploads, streamed to disk.

In place of Gradio's route, which names a file by its content, so that two users' equal files are one, answers with its
path on the server, and leaves behind what was cut off.
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

from geochat_serve.clients import scope_client
from geochat_serve.paths import API, route
from geochat_serve.replies import refuse
from geochat_serve.workspace import NoRoomError, Workspace

_OVERHEAD = 2**16  # of the form around a file
_MOST_FILES = 8
_SILENCE_S = 30.0  # a client that sends nothing for so long is gone
_SLOWEST = 32 * 2**10  # bytes a second


class UploadError(Exception):
    """A form cannot be read, or holds too much."""


class UploadRoute:
    """Middleware that answers `/upload`.

    Args:
        app: What stands behind it.
        workspace: Where files go.
        max_bytes: Bytes of an upload at most.
        root_path: Where a proxy puts the application.
    """

    def __init__(self, app: ASGIApp, workspace: Workspace, max_bytes: int, root_path: str | None = None) -> None:
        self._app = app
        self._workspace = workspace
        self._max_bytes = max_bytes
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take uploads, pass on the rest."""
        if scope["type"] != "http" or scope["method"] != "POST" or route(scope, self._root) != f"{API}/upload":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        kind, options = parse_options_header(headers.get("content-type"))
        if not length.isdecimal():
            await refuse(scope, receive, send, 411, "Say how long the request is.")
        elif int(length) > self._max_bytes + _OVERHEAD:
            await refuse(scope, receive, send, 413, f"That is larger than {self._max_bytes // 2**20} MB.")
        elif kind != b"multipart/form-data" or not options.get(b"boundary"):
            await refuse(scope, receive, send, 400, "An upload is a form with files.")
        else:
            await self._take(scope, receive, send, int(length), options[b"boundary"])

    async def _take(self, scope: Scope, receive: Receive, send: Send, length: int, boundary: bytes) -> None:
        client = scope_client(scope)
        form = _Form(lambda name: self._workspace.place(name, client))
        wanted, status, text = False, 200, ""
        try:
            with self._workspace.room(length, client):
                async with asyncio.timeout(60 + length / _SLOWEST):
                    await _read(form, boundary, receive, self._max_bytes + _OVERHEAD)
            wanted = True
        except NoRoomError as error:
            status, text = 507, f"{str(error)[:1].upper()}{str(error)[1:]}."
        except TimeoutError:
            status, text = 408, "The upload took too long to arrive."
        except (UploadError, FormParserError) as error:
            status, text = 400, f"That form cannot be read: {error}."
        finally:
            form.close()
            for place in () if wanted else form.places:
                self._workspace.discard(place)
        if not wanted:
            await refuse(scope, receive, send, status, text)
            return
        await JSONResponse([self._workspace.public_name(place) for place in form.places])(scope, receive, send)


@dataclass
class _Form:
    """A form as it is read: its files go to disk, its fields nowhere.

    Attributes:
        new_place: Gives a file its place by its name.
        places: Where its files are.
    """

    new_place: Callable[[str], Path]
    places: list[Path] = field(default_factory=list)
    _pieces: list[tuple[BinaryIO, bytes]] = field(default_factory=list)
    _open: BinaryIO | None = None
    _header: tuple[bytes, bytes] = (b"", b"")
    _disposition: bytes = b""

    def parser(self, boundary: bytes) -> MultipartParser:
        """A parser that reports to this form."""
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, end: self._add_header(data[start:end], b""),
                "on_header_value": lambda data, start, end: self._add_header(b"", data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_file,
                "on_part_data": self._add_piece,
                "on_part_end": self._end_part,
            },
            max_header_count=16,
            max_header_size=8192,
        )

    def write(self) -> None:
        """Write to disk what was read."""
        pieces, self._pieces = self._pieces, []
        for file, piece in pieces:
            file.write(piece)
        if pieces:
            os.utime(self.places[-1].parent)  # not stale as long as it grows

    def close(self) -> None:
        """Close the file that is being written."""
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
        if len(self.places) >= _MOST_FILES:
            raise UploadError(f"it has more than {_MOST_FILES} files")
        place = self.new_place(options[b"filename"].decode("utf-8", "replace"))
        self.places.append(place)
        self._open = place.open("wb", buffering=0)

    def _add_piece(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._pieces.append((self._open, data[start:end]))

    def _end_part(self) -> None:
        if self._open is not None:
            self.write()
            self._open.close()
            self._open = None


async def _read(form: _Form, boundary: bytes, receive: Receive, limit: int) -> None:
    """Read a form from a request.

    Raises:
        UploadError: It ends early, holds no file, or is too large.
        FormParserError: It is no such form.
        TimeoutError: It does not arrive.
    """
    parser, size, more = form.parser(boundary), 0, True
    while more:
        async with asyncio.timeout(_SILENCE_S):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise UploadError("it was cut off")
        size += len(message.get("body", b""))
        if size > limit:
            raise UploadError("it is larger than it said")
        parser.write(message.get("body", b""))
        await run_sync(form.write)
        more = message.get("more_body", False)
    parser.finalize()
    if not form.places:
        raise UploadError("it holds no file")
