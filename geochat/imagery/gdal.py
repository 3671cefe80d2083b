"""Opening files by GDAL: under which settings, without warnings, and what is refused.

A TIFF can name another file as its overview in its own metadata; such a file is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from geochat.errors import ImageError
from geochat.imagery.files import ImageFile

_CACHE_BYTES = 64 * 2**20  # GDAL's own default is 5 % of the machine's memory
_WHOLE_PIXELS = 2**27  # for formats that GDAL can only decode whole


@contextmanager
def gdal_session() -> Iterator[None]:
    """Settings for every use of GDAL: a small cache, no network, an error where a JPEG breaks off.

    One thread, because the JPEG 2000 driver's workers write their complaints to standard error.
    """
    with rasterio.Env(
        GDAL_CACHEMAX=_CACHE_BYTES,
        GDAL_NUM_THREADS=1,
        CPL_VSIL_CURL_ALLOWED_EXTENSIONS="none",
        GDAL_ERROR_ON_LIBJPEG_WARNING="YES",
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
    """Open a file by the one driver of its format, within a `gdal_session`.

    Raises:
        ImageError: It is damaged, holds no band or complex samples, names another file as its overview, or can only be
            decoded whole and is too large for that.
    """
    with file.decoding():
        dataset = QuietReader(str(file.path), driver=file.kind.driver, sharing=False)
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
    if any(np.issubdtype(np.dtype(dtype), np.complexfloating) for dtype in dataset.dtypes):
        raise ImageError(f"{file.name} holds complex samples; convert them to magnitudes first")
