"""Multipart forms: files go to disk while they arrive, fields to memory."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from anyio.to_thread import run_sync
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Receive

MAX_FIELD_BYTES = 2**19
_UPLOAD_SILENCE_S = 30.0


class UploadError(Exception):
    """An upload form is malformed or holds too much."""


@dataclass
class UploadForm:
    """A multipart form being read: its files go to disk; its other fields are kept, or ignored if none may be.

    Attributes:
        boundary: What separates its parts.
        new_path: Returns the path for a file, given its name.
        file_field: Name of the field of files; a file in another field is an error if fields are kept.
        max_files: Most files.
        max_fields: Most other fields; 0 ignores them.
        paths: Files of the form.
        fields: Names and values of the other fields.
    """

    boundary: bytes
    new_path: Callable[[str], Path]
    file_field: bytes
    max_files: int
    max_fields: int = 0
    paths: list[Path] = field(default_factory=list)
    fields: list[tuple[str, bytearray]] = field(default_factory=list)
    _pending: list[tuple[BinaryIO, bytes]] = field(default_factory=list)
    _open: BinaryIO | None = None
    _value: bytearray | None = None
    _header: tuple[bytes, bytes] = (b"", b"")
    _disposition: bytes = b""

    def parser(self) -> MultipartParser:
        """Return a parser that feeds this form."""
        return MultipartParser(
            self.boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, end: self._add_header(data[start:end], b""),
                "on_header_value": lambda data, start, end: self._add_header(b"", data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_content,
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

    def _begin_content(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"")
        if b"filename" in options and name == self.file_field:
            self._begin_file(options)
        elif self.max_fields:
            self._begin_field(name, is_file=b"filename" in options)

    def _begin_field(self, name: bytes, *, is_file: bool) -> None:
        known = name.decode("utf-8", "replace")
        if is_file:
            raise UploadError(f"the file field {known!r} is unknown; name it {self.file_field.decode()}")
        if len(self.fields) >= self.max_fields:
            raise UploadError(f"it has more than {self.max_fields} fields")
        self._value = bytearray()
        self.fields.append((known, self._value))

    def _begin_file(self, options: Mapping[bytes, bytes]) -> None:
        if len(self.paths) >= self.max_files:
            raise UploadError(f"it has more than {self.max_files} file{'s' if self.max_files > 1 else ''}")
        path = self.new_path(options[b"filename"].decode("utf-8", "replace"))
        self.paths.append(path)
        self._open = path.open("wb", buffering=0)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._pending.append((self._open, data[start:end]))
        elif self._value is not None:
            self._value += data[start:end]
            if sum(len(value) for _, value in self.fields) > MAX_FIELD_BYTES:
                raise UploadError(f"its fields exceed {MAX_FIELD_BYTES // 2**10} KB")

    def _end_part(self) -> None:
        if self._open is not None:
            self.write()
            self._open.close()
            self._open = None
        self._value = None


async def read_form(form: UploadForm, receive: Receive, limit: int) -> None:
    """Read a form from a request.

    Raises:
        UploadError: It ends early, has no file or exceeds its stated size.
        FormParserError: It is malformed.
        TimeoutError: The client stopped sending.
    """
    parser, size, more = form.parser(), 0, True
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
        raise UploadError(f"it has no file in the field {form.file_field.decode()!r}")
