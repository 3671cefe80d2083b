"""Scenes: images that are open but not read.

Opening reads only a header; samples are read on demand, window by window, except that an ordinary picture is decoded
once. All methods are thread-safe: each thread reads through its own handle, and threads wait for each other only during
the decoding of a picture.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from affine import Affine

from geochat.errors import ImageError, SettingsError
from geochat.geometry import Frame, ImagePlace, ground_sample_distance
from geochat.imagery.bands import BandChoice
from geochat.imagery.image import GeoImage
from geochat.imagery.orientation import Orientation
from geochat.imagery.remarks import Remark
from geochat.imagery.remote import RemoteFile
from geochat.imagery.rendering import Rendering, render
from geochat.imagery.sources import ImageSource, Source, open_file, open_source
from geochat.imagery.stretch import Method, Stretch
from geochat.imagery.windows import Window

MAX_SIDE = 2048
MAX_PIXELS = 2**30


class Scene:
    """An image that is open but not read; close it, or use it in a `with` statement.

    Its facts remain available after closing. A file is not copied: reading a changed or removed file is an error. An
    array is not copied either, so changes to it appear in later reads.
    """

    def __init__(self, source: Source) -> None:
        """Make a scene of a source; users call `open`."""
        self._source = source
        self._orientation = Orientation(source.facts.orientation, source.facts.size)
        self._closed = False

    @classmethod
    def open(cls, source: ImageSource, *, name: str | None = None, page: int = 1, asset: str | None = None) -> Self:
        """Open an image.

        Args:
            source: A string, as a user typed it: a file in any raster format of GDAL's, the https://, s3:// or gs://
                address of a GeoTIFF, or a STAC item. A `Path`, as a program found it: a local TIFF, GeoTIFF, COG, PNG,
                JPEG, WebP, BMP or JPEG 2000 file, nothing else. A PIL image, or an array (height, width) or (height,
                width, bands).
            name: Name of the file in messages; its path or address by default.
            page: Number of the image in a TIFF with several, from 1.
            asset: Asset of a STAC item; by default its only image, or "visual".

        Raises:
            ImageError: The source is missing, not an image, has no such page or asset, cannot be reached, or its
                header is damaged.
        """
        return cls(open_source(source, name, page, asset))

    def __enter__(self) -> Self:
        """The scene."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """The scene's name and size."""
        return f"<Scene {self.name}: {self.width} x {self.height}{', closed' if self.closed else ''}>"

    def close(self) -> None:
        """Close all handles; running reads in other threads finish first and close their own. Idempotent."""
        self._closed = True
        self._source.close()

    @property
    def closed(self) -> bool:
        """Return whether it was closed."""
        return self._closed

    @property
    def name(self) -> str:
        """The name in messages."""
        return "the image" if self._source.file is None else self._source.file.name

    @property
    def path(self) -> Path | None:
        """The file, None for an image given in memory."""
        return None if self._source.file is None else self._source.file.path

    @property
    def url(self) -> str | None:
        """The address of an image on a server, without secrets; None for other images."""
        return self._source.file.url if isinstance(self._source.file, RemoteFile) else None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels after EXIF orientation, which applies to all coordinates here."""
        return self._orientation.size

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.size[0]

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.size[1]

    @property
    def window(self) -> Window:
        """The window of the whole image."""
        return Window.whole(self.size)

    @property
    def image_to_map(self) -> Affine | None:
        """The geotransform: pixels to map coordinates; None for an image that has no place on Earth."""
        stored_to_map = self._source.place.transform
        return None if stored_to_map is None else stored_to_map @ self._orientation.to_stored

    @property
    def crs(self) -> str | None:
        """The CRS of the map coordinates, as "EPSG:32614" or WKT; None when unknown."""
        return self._source.place.crs

    @property
    def place(self) -> ImagePlace:
        """The georeference of the whole image."""
        return ImagePlace(self.width, self.height, self.image_to_map, self.crs)

    def require_map(self) -> None:
        """Refuse an image whose georeference is not an affine map, for layers.

        Raises:
            ImageError: Its place is given by rational polynomial coefficients alone.
        """
        if self.image_to_map is None and (told := [each for each in self.remarks if each.code == "rpc-not-used"]):
            raise ImageError(f"{self.name} cannot be placed on a map. {told[0].text}")

    @property
    def gsd(self) -> float | None:
        """Ground sample distance: metres along the side of a full-resolution pixel at the image's centre, or None."""
        image_to_map, crs = self.image_to_map, self.crs
        if image_to_map is None or crs is None:
            return None
        return ground_sample_distance(image_to_map, crs, (self.width / 2, self.height / 2))

    @property
    def labels(self) -> tuple[str, ...]:
        """The content of each band, such as "red", "nir" or "alpha"; "" if unknown.

        A palette counts as three bands, or as four in a picture with transparency.
        """
        return self._source.facts.labels

    @property
    def band_count(self) -> int:
        """The number of selectable bands."""
        return len(self.labels)

    @property
    def descriptions(self) -> tuple[str, ...]:
        """The name of each band as in the file; "" if it has none."""
        return self._source.facts.descriptions

    @property
    def dtype(self) -> str:
        """The type of the samples, as NumPy names it."""
        return self._source.facts.dtype

    @property
    def full_scale(self) -> int | None:
        """The largest value of samples with at most 8 bits; None for other types, which need a stretch."""
        return self._source.facts.full_scale

    @property
    def pages(self) -> int:
        """The number of images in the file; this is one of them."""
        return self._source.facts.pages

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """Remarks on opening and georeference; a view adds those on its colours."""
        return self._source.remarks

    @property
    def overviews(self) -> tuple[int, ...]:
        """Reduction factors per side of the overviews in the file; a read uses the nearest finer one."""
        return self._source.facts.overviews

    def read(
        self,
        window: Sequence[int] | None = None,
        *,
        max_side: int | None = None,
        size: tuple[int, int] | None = None,
        bands: BandChoice = "auto",
        stretch: Stretch | Method = "auto",
        max_pixels: int = MAX_PIXELS,
        allow_blank: bool = False,
    ) -> GeoImage:
        """Read a view as 8-bit RGB, in bounded memory regardless of the image's size.

        Nodata and transparent pixels come out black. Half-transparent pixels of a picture are darkened in proportion;
        those of a TIFF, where alpha marks which pixels hold data, are shown in full.

        Args:
            window: (column, row, width, height) in pixels of the whole image; the whole image by default.
            max_side: The view's longer side at most, 2048 by default; larger windows are averaged down, from overviews
                where there are.
            size: The view's exact (width, height) instead, no larger than the window's.
            bands: Bands to show; see `choose_bands`. True colour by default.
            stretch: Mapping of samples to 8 bits; see `Stretch`. Percentiles are those of the view read.
            max_pixels: Maximum number of decoded pixels for this view, against decompression bombs.
            allow_blank: Whether a view without a valid pixel comes out black, its `blank` set, rather than as an error.

        Raises:
            ImageError: The scene is closed, its file is damaged, changed, removed or too large, or has no valid pixel;
                or the bands or the window are not in it.
            SettingsError: The stretch, `max_side` or `size` is impossible.
        """
        if self.closed:
            raise ImageError(f"{self.name} was closed; open it again")
        area = (self.window if window is None else Window.of(window, self.name)).require_within(self.size, self.name)
        view_size = _view_size(area, max_side, size)
        how = Stretch(stretch) if isinstance(stretch, str) else stretch
        with self._source.raster(max_pixels) as raster:
            wanted = Rendering(area, view_size, bands, how, max_pixels, allow_blank)
            rendered = render(raster, self._orientation, wanted, self.name)
        return GeoImage(
            pixels=rendered.pixels,
            frame=Frame(view_size, area.view_to_image(view_size), self.image_to_map, self.crs),
            width=self.width,
            height=self.height,
            window=area,
            bands=rendered.bands,
            stretch=rendered.stretch,
            path=self.path,
            url=self.url,
            blank=rendered.blank,
            remarks=(*self.remarks, *rendered.remarks),
            scene=self,
        )

    @contextmanager
    def reopened(self) -> Iterator["Scene"]:
        """Yield this scene if it is open; else another of the same image, closed at the end.

        Raises:
            ImageError: The file was changed or removed since this scene was opened.
        """
        if not self.closed:
            yield self
        elif (file := self._source.file) is None:
            yield Scene(self._source)
        else:
            file.require_unchanged()
            with Scene(open_file(file)) as scene:
                yield scene


def _view_size(window: Window, max_side: int | None, size: tuple[int, int] | None) -> tuple[int, int]:
    if size is None:
        side = MAX_SIDE if max_side is None else max_side
        if side < 1:
            raise SettingsError(f"max_side={max_side} leaves no pixel; give at least 1")
        return window.view_size(side)
    if max_side is not None:
        raise SettingsError(f"max_side={max_side} and size={size} both say how large the view is; give one")
    if not (1 <= size[0] <= window.width and 1 <= size[1] <= window.height):
        raise SettingsError(
            f"size={size} is empty or larger than the window of {window.width} x {window.height} pixels; views are"
            " shrunk, never enlarged"
        )
    return size
