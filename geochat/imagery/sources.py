"""Sources of a scene's samples: memory, a picture decoded once, or a file read window by window.

A string is a name typed by a user: it may be an address, and a file may be in any raster format of GDAL. A `Path` is a
file found by a program, in a data set, a folder or an upload: it is local, and in one of the formats that refer to no
other file.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geochat.errors import ImageError
from geochat.imagery.files import ImageFile, RasterFile
from geochat.imagery.handles import Handles
from geochat.imagery.pillow import decode, from_array, from_pillow, read_header, read_orientation
from geochat.imagery.placing import Place, place_picture
from geochat.imagery.rasters import ArrayRaster, Facts, Raster, array_facts
from geochat.imagery.remarks import Remark
from geochat.imagery.remote import RemoteFile, is_address, require_address
from geochat.imagery.side_files import find_companions, mask_names
from geochat.imagery.stac import find_asset, is_item

ImageSource = str | Path | Image.Image | NDArray[Any]

_PILLOW_PIXELS = 2**25  # decoded whole, 100 MB as RGB


class Source(Protocol):
    """An image as stored. Thread-safe."""

    @property
    def file(self) -> RasterFile | None:
        """The file; None for an image in memory."""
        ...

    @property
    def facts(self) -> Facts:
        """Facts that are known without reading samples."""
        ...

    @property
    def place(self) -> Place:
        """The georeference of the stored pixels.

        Raises:
            ImageError: It cannot be read.
        """
        ...

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """Remarks on opening and georeference."""
        ...

    @contextmanager
    def raster(self, max_pixels: int) -> Iterator[Raster]:
        """The samples, for one thread at a time.

        Raises:
            ImageError: They cannot be read, or the source is closed.
        """
        ...

    def close(self) -> None:
        """Close files and release decoded samples; idempotent."""
        ...


def open_source(source: ImageSource, name: str | None = None, page: int = 1, asset: str | None = None) -> Source:
    """Open the source of a user's image; for a file, only the header is read.

    Args:
        source: A path, an address, a PIL image or an array.
        name: Name of the file in messages; its path or address by default.
        page: Number of the image in a file, from 1.
        asset: Asset of a STAC item.

    Raises:
        ImageError: It is no image, or not one that can be opened.
    """
    if asset is not None and (isinstance(source, Image.Image | np.ndarray) or not is_item(source)):
        raise ImageError(f"asset {asset!r} is one of a STAC item, which ends in .json; leave it out for an image")
    if page != 1 and isinstance(source, Image.Image | np.ndarray):
        raise ImageError(f"an image in memory has one page; page {page} is not there")
    if isinstance(source, Image.Image):
        return MemorySource(*from_pillow(source))
    if isinstance(source, np.ndarray):
        return MemorySource(from_array(source))
    if isinstance(source, str) and is_item(source):
        source = find_asset(source, asset)
    if is_address(source):
        return open_file(RemoteFile.find(source, name, page))
    if isinstance(source, str | Path):
        return open_file(ImageFile.find(source, name, page, any_format=isinstance(source, str)))
    raise ImageError(f"{type(source).__name__} is no image; give a path, a PIL image or a NumPy array")


def check_source(source: str | Path) -> None:
    """Check the name of an image or a STAC item, without opening it or contacting a server.

    Raises:
        ImageError: It is missing, no image, or an address that is not opened.
    """
    if is_address(source):
        require_address(source)
    else:
        ImageFile.find(source, any_format=isinstance(source, str))


def open_file(file: RasterFile) -> Source:
    """Open the source of a file's samples; the header is read.

    A picture does without GDAL, in which opening it costs more than decoding it.
    """
    header = read_header(file) if isinstance(file, ImageFile) else None
    if header is None or not isinstance(file, ImageFile):
        return FileSource(file)
    pixels = header.size[0] * header.size[1]
    if file.kind.driver == "JP2OpenJPEG":  # GDAL reads it wrongly, if at all, but may know its place
        if pixels > _PILLOW_PIXELS:
            raise ImageError(
                f"{file.name} has {pixels:,} pixels that can only be decoded at once; convert it to a tiled GeoTIFF"
            )
        with suppress(ImageError):
            return PictureSource(file, header, FileSource(file).place)
    elif pixels > _PILLOW_PIXELS or any(map(os.path.isfile, mask_names(file.path))):
        return FileSource(file)
    return PictureSource(file, header)


class MemorySource:
    """Samples in memory; they belong to the caller, so closing frees nothing."""

    file = None
    place = Place()
    remarks: tuple[Remark, ...] = ()

    def __init__(self, raster: ArrayRaster, orientation: int = 1) -> None:
        self._raster = raster
        self.facts = array_facts(raster, orientation)

    @contextmanager
    def raster(self, max_pixels: int) -> Iterator[Raster]:
        """The samples."""
        yield self._raster

    def close(self) -> None:
        """Do nothing."""


class FileSource:
    """A file that GDAL reads window by window; one handle per thread."""

    def __init__(self, file: RasterFile) -> None:
        self.file = file
        self._handles = Handles(file)
        with self._handles.lease() as raster, file.decoding():
            self.facts = Facts(
                raster.size,
                read_orientation(file, raster.directory) if isinstance(file, ImageFile) else 1,
                raster.labels.names,
                raster.descriptions,
                raster.dtype,
                raster.full_scale,
                raster.overviews,
                raster.pages,
            )
            self.place = raster.place
            said = (_page_remark(file.page, raster.pages),) if raster.pages > 1 else ()
            self.remarks = (*said, *raster.remarks, *self.place.remarks)

    @contextmanager
    def raster(self, max_pixels: int) -> Iterator[Raster]:
        """A handle of this thread."""
        with self._handles.lease() as raster:
            yield raster

    def close(self) -> None:
        """Close all handles."""
        self._handles.close()


class PictureSource:
    """A picture that Pillow decodes once, on first read.

    GDAL is asked to read parts of it where all of it is more than may be decoded.
    """

    def __init__(self, file: ImageFile, header: Facts, place: Place | None = None) -> None:
        self.file = file
        self.facts = header
        self._lock = threading.Lock()  # so that threads wait for one decoding, opening or placing of this picture
        self._decoded: ArrayRaster | None = None
        self._by_gdal: FileSource | None = None
        self._closed = False
        self._known_place = place
        self._found: tuple[Place, tuple[Remark, ...]] | None = None

    @property
    def place(self) -> Place:
        """As `Source.place`."""
        return self._placed[0]

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """As `Source.remarks`."""
        return self._placed[1]

    @property
    def _placed(self) -> tuple[Place, tuple[Remark, ...]]:
        """The georeference and the remarks; the side files are searched once."""
        with self._lock:
            if self._found is None:
                beside = find_companions(self.file.path)
                place = self._known_place or place_picture(beside, self.facts.size)
                self._found = place, (*self.facts.remarks, *beside.remarks, *place.remarks)
            return self._found

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
        """Release the pixels and GDAL's handles."""
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


def _page_remark(page: int, pages: int) -> Remark:
    others = "choose another with page (--page)" if page == 1 else "page 1 is the first"
    return Remark("page", f"The file holds {pages} images; this is page {page}; {others}.")
