"""Opening an image: source -> raster -> window -> bands -> stretch -> view."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.io import DatasetReader

from geochat.errors import ImageError, SettingsError
from geochat.frames import Frame
from geochat.imagery.bands import BandChoice, choose_bands
from geochat.imagery.datasets import FileRaster
from geochat.imagery.files import Format, decoding, gdal_session, has_companion, identify, local_file, quiet
from geochat.imagery.grid import Orientation, Window
from geochat.imagery.image import GeoImage
from geochat.imagery.pillow import can_decode, decode, decode_plain, from_array, from_pillow, read_orientation
from geochat.imagery.rasters import Coverage, Raster, Samples
from geochat.imagery.stretch import Method, Stretch

ImageSource = str | Path | Image.Image | NDArray[Any]

_PILLOW_PIXELS = 2**25  # decoded whole, 100 MB as RGB
_WHOLE_PIXELS = 2**27  # for formats that GDAL, too, can only decode whole


@dataclass(frozen=True)
class _Opened:
    raster: Raster
    orientation: int = 1
    image_to_map: Affine | None = None
    crs: str | None = None
    path: Path | None = None

    @property
    def name(self) -> str:
        return "the image" if self.path is None else str(self.path)


def open_image(
    source: ImageSource,
    *,
    bands: BandChoice = "auto",
    stretch: Stretch | Method = "auto",
    window: Sequence[int] | None = None,
    max_side: int = 2048,
    max_pixels: int = 2**30,
) -> GeoImage:
    """Open an image as 8-bit RGB, in bounded memory whatever its size.

    Nodata and transparent pixels come out black. Half-transparent pixels of a picture are darkened in proportion;
    those of a TIFF, where alpha marks which pixels hold data, are shown in full.

    Args:
        source: A local TIFF, GeoTIFF, COG, PNG, JPEG, WebP or JPEG 2000 file; a PIL image; or an array
            (height, width) or (height, width, bands). Never a URL.
        bands: Which bands to show; see `choose_bands`. True colour by default.
        stretch: How samples become 8 bits; see `Stretch`. Percentiles are those of the view read.
        window: (column, row, width, height) in pixels of the whole image, after the turn EXIF asks for; the whole
            image by default.
        max_side: The view's longer side at most; larger windows are averaged down, from overviews where there are.
        max_pixels: How many pixels may be decoded for this view, against decompression bombs.

    Raises:
        ImageError: The source is missing, not a local image, damaged, too large, or has no valid pixel; or the bands
            or the window are not in it.
        SettingsError: The stretch or `max_side` has an impossible value.
    """
    if max_side < 1:
        raise SettingsError(f"max_side={max_side} leaves no pixel; give at least 1")
    how = Stretch(stretch) if isinstance(stretch, str) else stretch
    with _open(source, max_pixels) as opened:
        raster, name = opened.raster, opened.name
        orientation = Orientation(opened.orientation, raster.size)
        width, height = orientation.size
        area = Window(0, 0, width, height) if window is None else _window(window, name)
        area = area.require_within(width, height, name)
        view_size = area.view_size(max_side)
        chosen = choose_bands(bands, raster.labels, name)
        stored_area, stored_size = orientation.window_to_stored(area), orientation.swapped(view_size)
        with decoding(name):
            samples, coverage = raster.read(chosen, stored_area, stored_size)
        valid = _valid(samples, coverage)
        if valid is not None and not valid.any():
            raise ImageError(f"{name} has no valid pixel in window {tuple(area)}; choose another window or bands")
        how = how.resolve(samples, valid, raster.full_scale)
        shown = how.apply(samples)
        if valid is not None:
            shown = _lay_over_black(shown, coverage, valid)
        pixels = orientation.turn(np.broadcast_to(shown, (3, *shown.shape[1:]))).transpose(1, 2, 0)
    return GeoImage(
        pixels=_read_only(pixels),
        frame=Frame(
            view_size=view_size,
            view_to_image=area.view_to_image(view_size),
            image_to_map=None if opened.image_to_map is None else opened.image_to_map @ orientation.to_stored,
            crs=opened.crs,
        ),
        width=width,
        height=height,
        window=area,
        bands=chosen,
        stretch=how,
        path=opened.path,
    )


@contextmanager
def _open(source: ImageSource, max_pixels: int) -> Iterator[_Opened]:
    if isinstance(source, Image.Image):
        with decoding("the image"):
            raster, orientation = from_pillow(source)
        yield _Opened(raster, orientation)
    elif isinstance(source, np.ndarray):
        yield _Opened(from_array(source))
    elif isinstance(source, (str, Path)):
        path = local_file(source)
        kind = identify(path)
        if (picture := _open_picture(path, kind, max_pixels)) is not None:
            yield picture
            return
        with gdal_session(), _open_dataset(path, kind) as dataset:
            with decoding(str(path)):
                opened = _open_file(dataset, path, kind, max_pixels)
            yield opened
    else:
        raise ImageError(f"{type(source).__name__} is no image; give a path, a PIL image or a NumPy array")


def _open_picture(path: Path, kind: Format, max_pixels: int) -> _Opened | None:
    """A picture that nothing places on the ground, without GDAL, in which opening it costs more than decoding it.

    None for any other, and for one whose header Pillow does not understand: GDAL has the last word on those.
    """
    if not can_decode(kind.driver) or has_companion(path):
        return None
    with decoding(str(path)):
        found = decode_plain(path, kind.driver, min(_PILLOW_PIXELS, max_pixels))
    return None if found is None else _Opened(*found, path=path)


def _open_dataset(path: Path, kind: Format) -> DatasetReader:
    with decoding(str(path)), quiet():
        dataset = rasterio.open(path, driver=kind.driver)
        refers_outward = "OVERVIEW_FILE" in dataset.tags(ns="OVERVIEWS")
    if refers_outward:
        dataset.close()
        raise ImageError(
            f"{path} names another file as its overview, which is not opened; rewrite it with overviews inside"
        )
    return dataset


def _open_file(dataset: DatasetReader, path: Path, kind: Format, max_pixels: int) -> _Opened:
    if dataset.count == 0:
        raise ImageError(f"{path} holds no bands; give the image file itself, not a container")
    image_to_map, crs = _georeference(dataset, path)
    pixels = dataset.width * dataset.height
    if kind.decoded_whole and pixels > _WHOLE_PIXELS:
        raise ImageError(
            f"{path} has {pixels:,} pixels that can only be decoded at once; convert it to a tiled GeoTIFF"
        )
    if can_decode(kind.driver) and pixels <= min(_PILLOW_PIXELS, max_pixels) and dataset.dtypes[0] == "uint8":
        raster, orientation = decode(path, kind.driver)
        return _Opened(raster, orientation, image_to_map, crs, path)
    return _Opened(FileRaster(dataset, max_pixels), read_orientation(path, kind.driver), image_to_map, crs, path)


def _georeference(dataset: DatasetReader, path: Path) -> tuple[Affine | None, str | None]:
    crs = dataset.crs.to_string() if dataset.crs else None
    if dataset.transform.is_identity:  # what rasterio reports for want of a georeference
        return None, crs
    if dataset.transform.is_degenerate:
        raise ImageError(f"{path}: geotransform {tuple(dataset.transform)[:6]} has no inverse; set it with gdal_edit")
    return dataset.transform, crs


def _window(values: Sequence[int], name: str) -> Window:
    try:
        return Window(*(index(value) for value in values))
    except TypeError as error:
        raise ImageError(f"{name}: window {values!r} is not four whole numbers (column, row, width, height)") from error


def _valid(samples: Samples, coverage: Coverage | None) -> NDArray[np.bool_] | None:
    """Which samples count; None for all."""
    if coverage is None and samples.dtype.kind in "ui":
        return None
    finite = np.isfinite(samples)
    return finite if coverage is None else finite & (coverage > 0)


def _lay_over_black(shown: NDArray[np.uint8], coverage: Coverage | None, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A pixel is blank where no band counts: a single band may hold the nodata value by chance, as 0 in deep shadow."""
    opacity = np.where(valid, np.uint8(255) if coverage is None else coverage, np.uint8(0)).max(axis=0)
    if (opacity == 255).all():
        return shown
    return np.asarray(np.rint(shown * (opacity / np.float32(255))), np.uint8)


def _read_only(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    own = pixels.copy(order="C")
    own.setflags(write=False)
    return own
