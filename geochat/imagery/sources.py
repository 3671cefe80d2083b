"""Where a scene's samples come from: memory, a picture that is decoded once, or a file read window by window."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from PIL import Image

from geochat.errors import ImageError
from geochat.imagery.files import ImageFile
from geochat.imagery.handles import Handles
from geochat.imagery.pillow import decode, from_array, from_pillow, read_header, read_orientation
from geochat.imagery.rasters import ArrayRaster, Facts, Raster, array_facts

ImageSource = str | Path | Image.Image | NDArray[Any]
Place = tuple[Affine | None, str | None]

_PILLOW_PIXELS = 2**25  # decoded whole, 100 MB as RGB


class Source(Protocol):
    """An image as stored, of which several threads may read at once."""

    @property
    def file(self) -> ImageFile | None:
        """The file; None for an image in memory."""
        ...

    @property
    def facts(self) -> Facts:
        """What is known without reading."""
        ...

    @property
    def place(self) -> Place:
        """The geotransform of the pixels as stored and the CRS, None for want of one.

        Raises:
            ImageError: They cannot be read.
        """
        ...

    @contextmanager
    def raster(self, max_pixels: int) -> Iterator[Raster]:
        """The samples, for one thread at a time.

        Raises:
            ImageError: They cannot be read, or the source is closed.
        """
        ...

    def close(self) -> None:
        """Let go of files and of what was decoded; idempotent."""
        ...


def open_source(source: ImageSource, name: str | None = None) -> Source:
    """The source behind whatever a user calls an image; of a file, the header is read.

    Raises:
        ImageError: It is no image, or not one that can be opened.
    """
    if isinstance(source, Image.Image):
        return MemorySource(*from_pillow(source))
    if isinstance(source, np.ndarray):
        return MemorySource(from_array(source))
    if isinstance(source, str | Path):
        return open_file(ImageFile.find(source, name))
    raise ImageError(f"{type(source).__name__} is no image; give a path, a PIL image or a NumPy array")


def open_file(file: ImageFile) -> Source:
    """The source of a file's samples, its header read.

    A picture does without GDAL, in which opening it costs more than decoding it.
    """
    header = read_header(file)
    if header is None or header.size[0] * header.size[1] > _PILLOW_PIXELS:
        return FileSource(file)
    return PictureSource(file, header)


class MemorySource:
    """Samples in memory; they are the caller's, so closing frees nothing."""

    file = None

    def __init__(self, raster: ArrayRaster, orientation: int = 1) -> None:
        self._raster = raster
        self.facts = array_facts(raster, orientation)
        self.place: Place = (None, None)

    @contextmanager
    def raster(self, max_pixels: int) -> Iterator[Raster]:
        """The samples."""
        yield self._raster

    def close(self) -> None:
        """Nothing is open."""


class FileSource:
    """A file that GDAL reads window by window; one handle a thread."""

    def __init__(self, file: ImageFile) -> None:
        self.file = file
        self._handles = Handles(file)
        with self._handles.lease() as raster, file.decoding():
            self.facts = Facts(
                raster.size,
                read_orientation(file),
                raster.labels,
                raster.descriptions,
                raster.dtype,
                raster.full_scale,
                raster.overviews,
            )
            self.place = raster.place

    @contextmanager
    def raster(self, max_pixels: int) -> Iterator[Raster]:
        """A handle of this thread's own."""
        with self._handles.lease() as raster:
            yield raster

    def close(self) -> None:
        """Close all handles."""
        self._handles.close()


class PictureSource:
    """A picture that Pillow decodes once, when it is first read.

    GDAL is asked where it lies, if a file beside it may say so, and to read parts of it where all of it is more than
    may be decoded.
    """

    def __init__(self, file: ImageFile, header: Facts) -> None:
        self.file = file
        self.facts = header
        self._lock = threading.Lock()  # so that threads wait for one decoding, or opening, of this picture
        self._decoded: ArrayRaster | None = None
        self._place: Place | None = None
        self._by_gdal: FileSource | None = None
        self._closed = False

    @property
    def place(self) -> Place:
        """As `Source.place`."""
        with self._lock:
            if self._place is None:
                self._require_open()
                self._place = self._gdal().place if self.file.has_companion() else (None, None)
            return self._place

    @contextmanager
    def raster(self, max_pixels: int) -> Iterator[Raster]:
        """The decoded picture, or GDAL's view of it."""
        width, height = self.facts.size
        with self._lock:
            self._require_open()
            whole = self._decoded is not None or width * height <= max_pixels
            raster = self._decode() if whole else None
            by_gdal = None if whole else self._gdal()
        if raster is not None:
            yield raster
        elif by_gdal is not None:
            with by_gdal.raster(max_pixels) as part:
                yield part

    def close(self) -> None:
        """Let go of the pixels and of GDAL's handles."""
        with self._lock:
            self._closed = True
            self._decoded = None
            if self._by_gdal is not None:
                self._by_gdal.close()

    def _require_open(self) -> None:
        if self._closed:
            raise ImageError(f"{self.file.name} was closed; open it again")

    def _decode(self) -> ArrayRaster:
        if self._decoded is None:
            self.file.require_unchanged()
            self._decoded = decode(self.file)
        return self._decoded

    def _gdal(self) -> FileSource:
        if self._by_gdal is None:
            self._by_gdal = FileSource(self.file)
        return self._by_gdal
