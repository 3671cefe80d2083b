"""Files read window by window through GDAL, in bounded memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Interleaving, MaskFlags, Resampling

from geochat.errors import ImageError
from geochat.imagery import jpeg2000
from geochat.imagery.colours import read_colours, with_infrared
from geochat.imagery.files import RasterFile
from geochat.imagery.gdal import QuietReader, page_directories
from geochat.imagery.labels import Labels
from geochat.imagery.pam import PamBand
from geochat.imagery.placing import Place, place_dataset
from geochat.imagery.rasters import asks_for_alpha
from geochat.imagery.remarks import Remark
from geochat.imagery.samples import Coverage, Piece, Samples, average, counts
from geochat.imagery.side_files import Box, Companions, SideFiles, find_companions, whole_window
from geochat.imagery.windows import Window

_MAX_BLOCK_BYTES = 2**29
_PICTURES = ("PNG", "JPEG", "WEBP")  # every row before the last one asked for is decoded
_TRANSPARENT = 0.95  # of an alpha band's samples are 0 or full


class FileRaster:
    """An open file, or a page of it; palettes and inks are expanded to red, green and blue."""

    def __init__(self, dataset: QuietReader, file: RasterFile) -> None:
        self._dataset = dataset
        self._file = file
        beside = find_companions(file.path) if file.page == 1 and file.path is not None else Companions()
        self._is_jpeg2000 = file.kind.driver == "JP2OpenJPEG"
        header = jpeg2000.read_header(file.path) if self._is_jpeg2000 and file.path is not None else None
        # Read at once: GDAL may report damage to the file's metadata with whatever is asked first.
        self._colours = read_colours(dataset, beside.pam, header)
        self.place: Place = place_dataset(dataset, beside)
        self._nodata = tuple(beside.pam.bands.get(band, PamBand()).nodata for band in dataset.indexes)
        self._side = SideFiles(dataset, beside)
        self._is_hidden_alpha: bool | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self._dataset.width, self._dataset.height

    @property
    def labels(self) -> Labels:
        """Label of each band."""
        return self._colours.labels

    @property
    def full_scale(self) -> int | None:
        """The largest value of samples with at most 8 bits, by the file's NBITS; None for other types."""
        return self._colours.full_scale

    @property
    def is_colour(self) -> bool:
        """Return whether it is a colour picture with more than 8 bits."""
        return self._colours.is_colour

    @property
    def descriptions(self) -> tuple[str, ...]:
        """The file's name of each band, "" where it has none."""
        if self._colours.is_expanded:
            return ("",) * len(self.labels.names)
        return tuple(text or "" for text in self._dataset.descriptions)

    @property
    def dtype(self) -> str:
        """The type of the samples."""
        return str(self._dataset.dtypes[0])

    @property
    def overviews(self) -> tuple[int, ...]:
        """Reduction factors per side of the stored overviews."""
        return self._side.factors

    @property
    def directory(self) -> int:
        """The number of the page's directory in the TIFF."""
        name = str(self._dataset.name)
        return int(name.split(":", 2)[1]) if name.startswith("GTIFF_DIR:") else 1

    @property
    def pages(self) -> int:
        """Number of images in the file."""
        single = self._file.page == 1 and not self._dataset.subdatasets
        return 1 if single else len(page_directories(self._file))

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """Remarks about side files."""
        return self._side.remarks

    def close(self) -> None:
        """Close the file."""
        self._side.close()
        self._dataset.close()

    def relabelled(self) -> Labels:
        """As `Raster.relabelled`."""
        alpha = self._colours.alpha
        if alpha is None or self.labels.names.count("alpha") != 1 or self._is_transparency(alpha):
            return self.labels
        return with_infrared(self.labels)

    def read(
        self,
        bands: Sequence[int],
        window: Window,
        size: tuple[int, int],
        max_pixels: int,
        absent: Sequence[float] | None = None,
    ) -> Piece:
        """As `Raster.read`; uses the nearest finer overview."""
        with self._file.decoding():
            self._refuse_bomb(window, size, max_pixels)
            values = self._absent(bands, absent, by_overview=self._side.uses_overview(window.size, size))
            if values is None:
                return self._read(bands, _box(window), size, Resampling.average)
            if size == window.size:
                samples, coverage = self._read(bands, _box(window), size, Resampling.nearest)
                return samples, np.where(counts(samples, coverage, values), coverage, np.uint8(0))
            left, top = window[:2]

            def fetch(box: Box, cells: tuple[int, int]) -> Piece:
                moved = box[0] + left, box[1] + top, box[2] + left, box[3] + top
                return self._read(bands, moved, cells, Resampling.nearest)

            samples, coverage = average(fetch, window.size, size, values)
            return (np.rint(samples).astype(np.uint8) if self._colours.is_expanded else samples), coverage

    def patches(self, bands: Sequence[int], window: Window) -> list[Piece]:
        """As `Raster.patches`."""
        with self._file.decoding():
            return [self._read(bands, _box(part), part.size, Resampling.nearest) for part in window.patches()]

    def _absent(
        self, bands: Sequence[int], absent: Sequence[float] | None, *, by_overview: bool
    ) -> list[list[float]] | None:
        """Return the nodata values of a band that GDAL does not know; None if it may average."""
        if self._colours.is_expanded:  # the indices of a palette cannot be averaged, but its colours can
            return None if self._colours.palette is None else [[] for _ in bands]
        own = [[value] if (value := self._nodata[band - 1]) is not None else [] for band in bands]
        if by_overview:  # which may not say what the image does
            for values, band in zip(own, bands, strict=True):
                if (declared := self._dataset.nodatavals[band - 1]) is not None:
                    values.append(float(declared))
        if absent is None and not any(own):
            return None
        return [[*values, *(absent or ())] for values in own]

    def _read(self, bands: Sequence[int], box: Box, size: tuple[int, int], how: Resampling) -> tuple[Samples, Coverage]:
        """Samples of a box (left, top, right, bottom) in pixels of the image."""
        stored = self._colours.stored(tuple(bands))
        dataset, window = self._side.nearest(box, size)
        samples = dataset.read(stored, window=window, out_shape=(len(stored), size[1], size[0]), resampling=how)
        shown = self._colours.shown(samples, tuple(bands))
        coverage = self._coverage(bands, stored, box, size, how)
        if self._colours.is_expanded:
            coverage = np.broadcast_to(coverage.max(axis=0), (len(bands), *coverage.shape[1:]))
        if self._colours.palette is None:
            return shown, coverage
        return shown[:-1], np.minimum(coverage, shown[-1])

    def _coverage(
        self, bands: Sequence[int], stored: list[int], box: Box, size: tuple[int, int], how: Resampling
    ) -> NDArray[np.uint8]:
        """Return 255 for valid samples; graded values only for pictures.

        In a raster of the ground, alpha marks valid pixels. GDAL also labels the fourth of four 8-bit bands alpha if it
        is near infrared and the writer did not say so; graded, it would darken the other three.
        """
        dataset, window = self._side.nearest(box, size)
        place: dict[str, Any] = {"window": window, "out_shape": (len(stored), size[1], size[0]), "resampling": how}
        flags = self._dataset.mask_flag_enums[stored[0] - 1]
        alpha = self._alpha(bands)
        coverage = np.full(place["out_shape"], 255, np.uint8)
        if self._side.mask is not None:
            coverage = np.minimum(coverage, self._side.read_mask(box, size, how))
        elif MaskFlags.nodata in flags:  # averaged, which tells the cells of which a part counts
            coverage = dataset.read_masks(stored, **place)
        elif MaskFlags.alpha not in flags and MaskFlags.all_valid not in flags:
            inside = place | {"window": whole_window(box)}
            coverage = self._dataset.read_masks(stored, **inside)
        if alpha is not None:
            opacity = dataset.read(alpha, **place | {"out_shape": (size[1], size[0])})
            coverage = np.minimum(coverage, self._as_8_bits(opacity))
        if self._dataset.driver in _PICTURES:
            return coverage
        return np.where(coverage > 0, np.uint8(255), np.uint8(0))

    def _alpha(self, bands: Sequence[int]) -> int | None:
        """Return the stored band with the transparency of the bands to show."""
        if asks_for_alpha(self.labels, bands):
            return None
        if self._colours.alpha is not None:
            return self._colours.alpha
        names = self.labels.names
        if not self._is_jpeg2000 or names not in (("red", "green", "blue", ""), ("", "")):
            return None
        if len(names) in bands:
            return None
        if self._is_hidden_alpha is None:  # JPEG 2000 may leave open what a channel is
            self._is_hidden_alpha = self._is_transparency(len(names))
        return len(names) if self._is_hidden_alpha else None

    def _is_transparency(self, band: int) -> bool:
        """Return whether a band holds little but 0 and its largest value, as transparency does."""
        window = Window.whole(self.size)
        with self._file.decoding():
            held = [
                self._as_8_bits(self._dataset.read(band, window=rasterio.windows.Window(*part)))
                for part in window.patches()
            ]
        extremes = np.concatenate([np.isin(part, (0, 255)).ravel() for part in held])
        return bool(extremes.mean() >= _TRANSPARENT)

    def _as_8_bits(self, opacity: NDArray[Any]) -> NDArray[np.uint8]:
        """Return opacity of any type as 8 bits; values above 0 stay above 0."""
        if opacity.dtype == np.uint8:
            full = self.full_scale or 255
            return opacity if full == 255 else (np.minimum(opacity, full) * (255 // full)).astype(np.uint8)
        if opacity.dtype.kind == "f":
            return np.where(opacity > 0, np.uint8(255), np.uint8(0))
        top = np.iinfo(opacity.dtype).max
        return np.asarray(np.ceil(np.clip(opacity, 0, top) / top * 255), np.uint8)

    def _refuse_bomb(self, window: Window, size: tuple[int, int], max_pixels: int) -> None:
        """Refuse to decode more pixels than allowed, or a single block too large for memory."""
        name, dataset = self._file.name, self._dataset
        rows, columns = dataset.block_shapes[0]
        # GDAL may search a damaged JPEG 2000 for ever for how its samples are interleaved.
        together = dataset.count if self._is_jpeg2000 or dataset.interleaving == Interleaving.pixel else 1
        if rows * columns * together * np.dtype(dataset.dtypes[0]).itemsize > _MAX_BLOCK_BYTES:
            raise ImageError(
                f"{name} is stored in blocks of {columns} x {rows} pixels, which would fill the memory; rewrite it"
                " with smaller tiles (gdal_translate -of COG)"
            )
        if dataset.driver in _PICTURES:
            pixels = dataset.width * (window.row + window.height)
        else:
            wanted = min(window.width / size[0], window.height / size[1])
            factor = max((level for level in self.overviews if level <= wanted), default=1)
            pixels = window.width * window.height // factor**2
        if pixels > max_pixels:
            raise ImageError(
                f"{name}: showing window {tuple(window)} would decode {pixels:,} pixels, more than max_pixels ="
                f" {max_pixels:,}; give a smaller window, add overviews (gdaladdo) or raise max_pixels"
            )


def _box(window: Window) -> Box:
    left, top, right, bottom = map(float, window.bounds)
    return left, top, right, bottom
