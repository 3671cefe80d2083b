"""Local image files: which may be opened, and detection of changes.

Files found by a program must be in one of `FORMATS`, identified by their first bytes and opened with that one driver:
GDAL would otherwise follow URLs, archives and formats such as VRT that name other files. A name typed by a user may be
in any raster format of GDAL.
"""

import os
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from rasterio._err import CPLE_BaseError  # GDAL's errors that rasterio passes on unwrapped have no public name
from rasterio.errors import RasterioError

from geochat.errors import ImageError

# What GDAL and Pillow raise for damaged files; a warning where the process turns warnings into errors.
DECODING_ERRORS = (
    *(RasterioError, CPLE_BaseError, OSError, EOFError, SyntaxError, ValueError, Warning),
    *(TypeError, IndexError, KeyError, OverflowError, MemoryError, struct.error, zlib.error),
)


@dataclass(frozen=True)
class Format:
    """A raster format: the name of GDAL's driver, and the bytes its files begin with.

    `ANY` stands for all formats but `FORMATS`; GDAL finds the driver.
    """

    driver: str
    signatures: tuple[bytes, ...]
    decoded_whole: bool = False


FORMATS = (
    Format("GTiff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    Format("PNG", (b"\x89PNG\r\n\x1a\n",)),
    Format("JPEG", (b"\xff\xd8\xff",)),
    Format("WEBP", (b"RIFF",), decoded_whole=True),
    Format("BMP", (b"BM",)),
    Format("JP2OpenJPEG", (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")),
)
ANY = Format("", ())


class RasterFile(Protocol):
    """An image that GDAL opens: a local file, or one on a server.

    Attributes:
        name: Name in messages.
        kind: Its format.
        page: Number of the image in the file, from 1.
        path: Its path; None on a server.
        dataset: GDAL's name of it.
        options: GDAL's settings for it, beside those of `gdal_session`.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def kind(self) -> Format: ...  # noqa: D102

    @property
    def page(self) -> int: ...  # noqa: D102

    @property
    def path(self) -> Path | None: ...  # noqa: D102

    @property
    def dataset(self) -> str: ...  # noqa: D102

    @property
    def options(self) -> Mapping[str, Any]: ...  # noqa: D102

    def require_unchanged(self) -> None:
        """Raise if a file has changed since it was opened, as far as this can be detected.

        Raises:
            ImageError: It has gone, or was written to or replaced.
        """
        ...

    def decoding(self) -> AbstractContextManager[None]:
        """Turn GDAL's read errors into an `ImageError` that names the image."""
        ...


@dataclass(frozen=True)
class ImageFile:
    """An image file that existed when it was found.

    Attributes:
        path: Its absolute path.
        kind: Its format, by its first bytes.
        name: Name in messages.
        head: Its first bytes.
        page: Number of the image in it, from 1; only a TIFF holds several.
    """

    path: Path
    kind: Format
    name: str
    head: bytes = field(repr=False)
    _stamp: tuple[int, ...] = field(repr=False)
    page: int = 1

    @classmethod
    def find(cls, source: str | Path, name: str | None = None, page: int = 1, *, any_format: bool = False) -> Self:
        """Find an existing local file.

        Args:
            source: Its path.
            name: Name in messages; its path by default.
            page: Number of the image in the file, from 1.
            any_format: Whether it may be in any raster format of GDAL's, in place of `FORMATS` alone; such a file is
                trusted, for it may name others.

        Raises:
            ImageError: It is a URL, a GDAL virtual path, a folder, missing, empty, no ordinary file, not readable, of
                no known format, or of one that holds no such page.
        """
        path, status = _local_file(os.fspath(source), name)
        called = name or str(path)
        head = _read_head(path, called)
        kind = _identify(head, called, any_format=any_format)
        if page < 1 or (page > 1 and kind.driver != "GTiff"):
            raise ImageError(f"{called} has no page {page}; pages count from 1, and only a TIFF holds several")
        return cls(path, kind, called, head, _stamp(status), page)

    @property
    def dataset(self) -> str:
        """GDAL's name of the file."""
        return str(self.path)

    @property
    def options(self) -> Mapping[str, Any]:
        """GDAL's settings for the file: formats with several files need access to the other files."""
        return {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"} if self.kind is ANY else {}

    def require_unchanged(self) -> None:
        """As `RasterFile.require_unchanged`."""
        try:
            now = _stamp(self.path.stat())
        except OSError as error:
            raise ImageError(f"{self.name} can no longer be read ({error.strerror}); open it again") from error
        if now != self._stamp:
            raise ImageError(f"{self.name} has changed since it was opened; open it again")

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """As `decoding`, with the file's name in place of its path."""
        with decoding(self.name, self.path):
            yield


@contextmanager
def decoding(name: str, path: Path | None = None) -> Iterator[None]:
    """Turn errors of GDAL and Pillow for damaged files into an `ImageError` that names the image."""
    try:
        yield
    except DECODING_ERRORS as error:
        reason = str(error.__cause__ or error) or type(error).__name__
        if path is not None:
            reason = reason.replace(str(path), name)
        raise ImageError(
            f"{name} cannot be decoded ({reason}); it may be damaged or cut short: fetch or export it again"
        ) from error


def _local_file(text: str, name: str | None) -> tuple[Path, os.stat_result]:
    called = repr(text) if name is None else name
    if not text or "\0" in text:
        raise ImageError(f"{text!r} is not a file name; give the path of an image")
    if text.startswith("/vsi") or "://" in text:
        raise ImageError(f"{text!r} is not a local file; download the image and give its path")
    path = Path(text).absolute()
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(
            f"{called} does not exist; check the path (URLs and GDAL dataset names are not opened)"
        ) from None
    except OSError as error:
        raise ImageError(f"{called} cannot be read ({error.strerror}); check the path and its permissions") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{called} is a folder; give one image file in it")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{called} is not an ordinary file; save the image to one")
    return path, status


def _read_head(path: Path, name: str) -> bytes:
    try:
        with path.open("rb", buffering=0) as stream:
            return stream.read(32)
    except OSError as error:
        raise ImageError(f"{name} cannot be read ({error.strerror}); check its permissions") from error


def _identify(head: bytes, name: str, *, any_format: bool) -> Format:
    """Identify the format of a file by its first bytes."""
    if not head:
        raise ImageError(f"{name} is empty; fetch or export it again")
    for kind in FORMATS:
        if head.startswith(kind.signatures) and _is_meant(kind, head):
            return kind
    if any_format:
        return ANY
    raise ImageError(f"{name} is not a TIFF, PNG, JPEG, WebP, BMP or JPEG 2000 image; convert it to one of these")


def _is_meant(kind: Format, head: bytes) -> bool:
    """Return whether the bytes after a short signature also match that format."""
    if kind.driver == "WEBP":
        return head[8:12] == b"WEBP"
    return kind.driver != "BMP" or head[6:10] == bytes(4)  # reserved


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
