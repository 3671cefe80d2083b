"""Opening files by GDAL: under which settings, without warnings, and what is refused.

GDAL is shown an image alone: neighbours, which may make it read other files or the network, are left to `companions`.
A TIFF can name another file as its overview in its own metadata; such a file is refused.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from geochat.errors import ImageError
from geochat.imagery.files import ImageFile

_CACHE_BYTES = 64 * 2**20  # GDAL's own default is 5 % of the machine's memory
_WHOLE_PIXELS = 2**27  # for formats that GDAL can only decode whole

os.environ.setdefault("OPJ_NUM_THREADS", "0")  # "one" of GDAL's would be a worker still


@contextmanager
def gdal_session() -> Iterator[None]:
    """Settings for every use of GDAL: a small cache, no side files, no network, an error where a JPEG breaks off.

    A GeoTIFF's own datum shift is read even if its CRS has a code.

    One thread, for what the JPEG 2000 driver's workers have to complain of reaches standard error.
    """
    with rasterio.Env(
        GDAL_CACHEMAX=_CACHE_BYTES,
        GDAL_NUM_THREADS=1,
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
        GDAL_PAM_ENABLED=False,
        CPL_VSIL_CURL_ALLOWED_EXTENSIONS="none",
        GDAL_ERROR_ON_LIBJPEG_WARNING="YES",
        OSR_STRIP_TOWGS84="NO",
    ):
        yield


class QuietReader(DatasetReader):  # type: ignore[misc]  # rasterio has no types
    """A dataset that warns of nothing: it may lie nowhere on the ground, and may have alpha beside nodata.

    rasterio reports both by Python's warnings, whose filters belong to the whole process, so no thread can silence
    them for itself. Each override answers the question that rasterio asks before it warns.
    """

    def _has_gcps_or_rpcs(self) -> bool:
        return True

    @property
    def colorinterp(self) -> tuple[ColorInterp, ...]:
        """Nothing; see `colours`."""
        return (ColorInterp.undefined,) * int(self.count)

    @property
    def colours(self) -> tuple[ColorInterp, ...]:
        """What each band shows, as the file says."""
        return tuple(super().colorinterp)


def open_dataset(file: ImageFile) -> QuietReader:
    """Open a file, or one page of it, by the one driver of its format, within a `gdal_session`.

    Raises:
        ImageError: It is damaged, has no such page, holds no band or complex samples, names another file as its
            overview, or can only be decoded whole and is too large for that.
    """
    with file.decoding():
        if file.page == 1:
            return _open(str(file.path), file)
        pages = page_directories(file)
        if file.page > len(pages):
            there = f"pages 1 to {len(pages)}" if len(pages) > 1 else "one page"
            raise ImageError(f"{file.name} has {there}; page {file.page} is not there")
        return _open(f"GTIFF_DIR:{pages[file.page - 1]}:{file.path}", file)


def open_side_file(path: Path) -> QuietReader:
    """Open an overview or a mask beside an image, which must be a TIFF that stands alone.

    Raises:
        ImageError: It names another file.
        RasterioError: It is damaged.
    """
    dataset = QuietReader(str(path), driver="GTiff", sharing=False)
    if "OVERVIEW_FILE" in dataset.tags(ns="OVERVIEWS"):
        dataset.close()
        raise ImageError("it names another file as its overview")
    return dataset


def page_directories(file: ImageFile) -> tuple[int, ...]:
    """The number of the directory of each page of a file; overviews and masks are no pages.

    Raises:
        RasterioError: It is damaged.
    """
    with QuietReader(str(file.path), driver=file.kind.driver, sharing=False) as first:
        names = [name for name in first.subdatasets if name.startswith("GTIFF_DIR:")]
    return tuple(int(name.split(":", 2)[1]) for name in names) or (1,)


def _open(name: str, file: ImageFile) -> QuietReader:
    dataset = QuietReader(name, driver=file.kind.driver, sharing=False)
    try:
        _require_plain(dataset, file)
    except BaseException:
        dataset.close()
        raise
    return dataset


def _require_plain(dataset: QuietReader, file: ImageFile) -> None:
    """Refuse what cannot be shown, or not safely."""
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
