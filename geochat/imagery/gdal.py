"""Opening of files with GDAL: settings, suppressed warnings, and refused files.

GDAL sees only the image file: side files, which may make it read other files or the network, are left to `companions`.
A TIFF can name another file as its overview in its own metadata; such a file is refused.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.session import DummySession

from geochat.errors import ImageError
from geochat.imagery.files import ANY, RasterFile

_CACHE_BYTES = 64 * 2**20  # GDAL's own default is 5 % of the machine's memory
_WHOLE_PIXELS = 2**27  # for formats that GDAL can only decode whole
_NETWORK = frozenset(
    (
        *("DAAS", "DERIVED", "EEDA", "EEDAI", "GTI", "HTTP", "KMLSUPEROVERLAY", "OGCAPI", "PLMOSAIC"),
        *("STACIT", "STACTA", "WCS", "WMS", "WMTS"),
    )
)
"""Drivers that read from elsewhere than the file."""

os.environ.setdefault("OPJ_NUM_THREADS", "0")  # "one" of GDAL's would be a worker still


@contextmanager
def gdal_session(options: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Settings for every use of GDAL: a small cache, no side files, no network, an error for truncated JPEGs.

    A GeoTIFF's own datum shift is read even if its CRS has a code.

    One thread, for what the JPEG 2000 driver's workers have to complain of reaches standard error.

    Args:
        options: Those of a `RasterFile`, which add to these, replace some, and leave out some by None.
    """
    settings = {
        "GDAL_CACHEMAX": _CACHE_BYTES,
        "GDAL_NUM_THREADS": 1,
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_PAM_ENABLED": False,
        "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "none",
        "GDAL_VRT_ENABLE_PYTHON": "NO",
        "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",
        "OSR_STRIP_TOWGS84": "NO",
        **(options or {}),
    }
    # A session that does nothing: rasterio's own for AWS needs boto3, where GDAL reads AWS_* itself.
    with rasterio.Env(session=DummySession(), **{key: value for key, value in settings.items() if value is not None}):
        yield


class QuietReader(DatasetReader):  # type: ignore[misc]  # rasterio has no types
    """A dataset without warnings: it may have no georeference, and may have alpha besides nodata.

    rasterio reports both by Python's warnings, whose filters belong to the whole process, so no thread can silence
    them for itself. Each override answers the question that rasterio asks before it warns.
    """

    def _has_gcps_or_rpcs(self) -> bool:
        return True

    @property
    def colorinterp(self) -> tuple[ColorInterp, ...]:
        """None; see `colours`."""
        return (ColorInterp.undefined,) * int(self.count)

    @property
    def colours(self) -> tuple[ColorInterp, ...]:
        """Colour interpretation of each band, as the file says."""
        return tuple(super().colorinterp)


def open_dataset(file: RasterFile) -> QuietReader:
    """Open a file, or one page of it, with the driver of its format, within a `gdal_session`.

    Raises:
        ImageError: It is damaged, has no such page, holds no band or complex samples, names another file as its
            overview, or can only be decoded whole and is too large for that.
    """
    with file.decoding():
        if file.page == 1:
            return _open(file.dataset, file)
        pages = page_directories(file)
        if file.page > len(pages):
            there = f"pages 1 to {len(pages)}" if len(pages) > 1 else "one page"
            raise ImageError(f"{file.name} has {there}; page {file.page} is not there")
        return _open(f"GTIFF_DIR:{pages[file.page - 1]}:{file.dataset}", file)


def open_side_file(path: Path) -> QuietReader:
    """Open an overview or a mask next to an image, which must be a self-contained TIFF.

    Raises:
        ImageError: It names another file.
        RasterioError: It is damaged.
    """
    dataset = QuietReader(str(path), driver="GTiff", sharing=False)
    if "OVERVIEW_FILE" in dataset.tags(ns="OVERVIEWS"):
        dataset.close()
        raise ImageError("it names another file as its overview")
    return dataset


def page_directories(file: RasterFile) -> tuple[int, ...]:
    """Return the directory number of each page of a file; overviews and masks are no pages.

    Raises:
        RasterioError: It is damaged.
    """
    with QuietReader(file.dataset, driver=file.kind.driver, sharing=False) as first:
        names = [name for name in first.subdatasets if name.startswith("GTIFF_DIR:")]
    return tuple(int(name.split(":", 2)[1]) for name in names) or (1,)


def _open(name: str, file: RasterFile) -> QuietReader:
    try:
        dataset = QuietReader(name, driver=_drivers(file), sharing=False)
    except RasterioIOError as error:
        if file.kind is ANY and "not recognized" in str(error):
            raise ImageError(
                f"{file.name} is not a TIFF, PNG, JPEG, WebP, BMP or JPEG 2000 image, nor in another raster format of"
                " GDAL's; convert it to one of these"
            ) from error
        raise
    try:
        _require_plain(dataset, file)
    except BaseException:
        dataset.close()
        raise
    return dataset


def _drivers(file: RasterFile) -> str | list[str]:
    """Return the driver of a file's format; for `ANY`, all that read local files, VRT only with that suffix."""
    if file.kind is not ANY:
        return file.kind.driver
    passed = _NETWORK if file.path is not None and file.path.suffix.lower() == ".vrt" else _NETWORK | {"VRT"}
    return [name for name in rasterio.Env(session=DummySession()).drivers() if name not in passed]


def _require_plain(dataset: QuietReader, file: RasterFile) -> None:
    """Refuse files that cannot be shown, or not safely."""
    if dataset.count == 0:
        raise ImageError(f"{file.name} holds no bands; give the image file itself, not a container")
    if "OVERVIEW_FILE" in dataset.tags(ns="OVERVIEWS"):
        raise ImageError(
            f"{file.name} names another file as its overview, which is not opened; rewrite it with overviews inside"
        )
    pixels = dataset.width * dataset.height
    if file.kind.decoded_whole and pixels > _WHOLE_PIXELS:
        raise ImageError(
            f"{file.name} has {pixels:,} pixels that can only be decoded at once; convert it to a tiled GeoTIFF"
        )
    if any(str(dtype).startswith("complex") for dtype in dataset.dtypes):  # complex_int16 is no type of NumPy's
        raise ImageError(f"{file.name} holds complex samples; convert them to magnitudes first")
