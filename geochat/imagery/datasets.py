"""Files read window by window through GDAL, in bounded memory."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Interleaving, MaskFlags, Resampling

from geochat.errors import ImageError
from geochat.imagery.bands import read_label
from geochat.imagery.files import ImageFile
from geochat.imagery.gdal import QuietReader
from geochat.imagery.rasters import Coverage, Samples, asks_for_alpha
from geochat.imagery.windows import Window

_MAX_BLOCK_BYTES = 2**29
_PICTURES = ("PNG", "JPEG", "WEBP")  # every row before the last one asked for is decoded


class FileRaster:
    """An open file, read window by window through GDAL; a palette is expanded to red, green and blue."""

    def __init__(self, dataset: QuietReader, file: ImageFile) -> None:
        self._dataset = dataset
        self._file = file
        self._palette = _palette(dataset)
        # Read at once: GDAL may report damage to the file's metadata with whatever is asked first.
        self._labels = ("red", "green", "blue") if self._palette is not None else _labels(dataset)
        self._full_scale = 255 if self._palette is not None else _full_scale(dataset)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self._dataset.width, self._dataset.height

    @property
    def labels(self) -> tuple[str, ...]:
        """What each band shows, by its colour interpretation and description."""
        return self._labels

    @property
    def full_scale(self) -> int | None:
        """The largest value of samples of 8 bits or fewer, by the file's NBITS; None for any other kind."""
        return self._full_scale

    @property
    def descriptions(self) -> tuple[str, ...]:
        """What the file calls each band, "" where it does not."""
        if self._palette is not None:
            return ("",) * len(self._labels)
        return tuple(text or "" for text in self._dataset.descriptions)

    @property
    def dtype(self) -> str:
        """The kind of the samples."""
        return str(self._dataset.dtypes[0])

    @property
    def overviews(self) -> tuple[int, ...]:
        """By how many times smaller the stored copies are, per side."""
        return tuple(self._dataset.overviews(1))

    @property
    def place(self) -> tuple[Affine | None, str | None]:
        """The geotransform of the pixels as stored and the CRS, None for want of one.

        Raises:
            ImageError: The geotransform has no inverse.
        """
        transform, crs = self._dataset.transform, self._dataset.crs
        if transform.is_degenerate:
            raise ImageError(
                f"{self._file.name}: geotransform {tuple(transform)[:6]} has no inverse; set it with gdal_edit"
            )
        # The identity is what rasterio reports for want of a georeference.
        return None if transform.is_identity else transform, crs.to_string() if crs else None

    def close(self) -> None:
        """Close the file."""
        self._dataset.close()

    def read(
        self, bands: Sequence[int], window: Window, size: tuple[int, int], max_pixels: int
    ) -> tuple[Samples, Coverage]:
        """As `Raster.read`; GDAL takes the nearest finer overview."""
        with self._file.decoding():
            self._refuse_bomb(window, size, max_pixels)
            return self._read(bands, window, size)

    def _read(self, bands: Sequence[int], window: Window, size: tuple[int, int]) -> tuple[Samples, Coverage]:
        stored = [1] if self._palette is not None else list(bands)
        place: dict[str, Any] = {
            "indexes": stored,
            "window": rasterio.windows.Window(*window),
            "out_shape": (len(stored), size[1], size[0]),
        }
        # The indices of a palette cannot be averaged.
        how = Resampling.nearest if self._palette is not None else Resampling.average
        samples = self._dataset.read(resampling=how, **place)
        coverage = self._coverage(bands, place)
        if self._palette is None:
            return samples, coverage
        colours = self._palette[np.minimum(samples[0], len(self._palette) - 1)].transpose(2, 0, 1)  # (4, H, W)
        picked = colours[[band - 1 for band in bands]]
        return picked, np.broadcast_to(np.minimum(colours[3], coverage[0]), picked.shape)

    def _coverage(self, bands: Sequence[int], place: dict[str, Any]) -> Coverage:
        """255 where samples count; graded in pictures alone.

        In a raster of the ground alpha says where there is data. GDAL also labels the fourth of four 8-bit bands
        alpha when it is near infrared and the writer did not say so: graded, it would darken the other three.
        """
        flags = self._dataset.mask_flag_enums[place["indexes"][0] - 1]
        if MaskFlags.alpha in flags and ("alpha" not in self.labels or asks_for_alpha(self, bands)):
            return np.full(place["out_shape"], 255, np.uint8)
        coverage = self._dataset.read_masks(**place)
        if self._dataset.driver in _PICTURES:
            return cast(Coverage, coverage)
        return np.where(coverage > 0, np.uint8(255), np.uint8(0))

    def _refuse_bomb(self, window: Window, size: tuple[int, int], max_pixels: int) -> None:
        """Refuse to decode more pixels than allowed, or a single block too large for memory."""
        name, dataset = self._file.name, self._dataset
        rows, columns = dataset.block_shapes[0]
        together = dataset.count if dataset.interleaving == Interleaving.pixel else 1
        if rows * columns * together * np.dtype(dataset.dtypes[0]).itemsize > _MAX_BLOCK_BYTES:
            raise ImageError(
                f"{name} is stored in blocks of {columns} x {rows} pixels, which would fill the memory; rewrite it"
                " with smaller tiles (gdal_translate -of COG)"
            )
        if dataset.driver in _PICTURES:
            pixels = dataset.width * (window.row + window.height)
        else:
            wanted = min(window.width / size[0], window.height / size[1])
            factor = max((level for level in dataset.overviews(1) if level <= wanted), default=1)
            pixels = window.width * window.height // factor**2
        if pixels > max_pixels:
            raise ImageError(
                f"{name}: showing window {tuple(window)} would decode {pixels:,} pixels, more than max_pixels ="
                f" {max_pixels:,}; give a smaller window, add overviews (gdaladdo) or raise max_pixels"
            )


def _labels(dataset: QuietReader) -> tuple[str, ...]:
    pairs = zip(dataset.colours, dataset.descriptions, strict=True)
    return tuple(read_label(interpretation.name, description) for interpretation, description in pairs)


def _full_scale(dataset: QuietReader) -> int | None:
    if dataset.dtypes[0] != "uint8":
        return None
    bits = int(dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 8))
    return int(2**bits - 1)


def _palette(dataset: QuietReader) -> NDArray[np.uint8] | None:
    """RGBA (entries, 4) of a single band with a colour table, else None."""
    if dataset.count != 1:
        return None
    try:
        entries = dataset.colormap(1)
    except ValueError:  # how rasterio says that there is none
        return None
    table = np.zeros((max(entries) + 1, 4), np.uint8)
    for index, colour in entries.items():
        table[index] = colour
    return table
