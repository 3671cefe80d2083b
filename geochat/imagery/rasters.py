"""The raster interface, and rasters in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geochat.imagery.labels import Labels
from geochat.imagery.remarks import Remark
from geochat.imagery.samples import Coverage, Piece, Samples, average
from geochat.imagery.windows import Window


@dataclass(frozen=True)
class Facts:
    """Header of an image: everything known without reading samples.

    Attributes:
        size: (width, height) as stored.
        orientation: EXIF orientation, 1 to 8.
        labels: Content of each band, such as "red" or "alpha", "" if unknown. A palette counts as red, green, blue.
        descriptions: Name of each band in the file, "" without one.
        dtype: Dtype of the samples, as NumPy names it.
        full_scale: The largest value of samples of 8 bits or fewer, None for any other kind.
        overviews: By how many times smaller the copies stored beside the image are, per side.
        pages: Number of images in the file.
        remarks: Remarks on opening it, other than on its georeference.
    """

    size: tuple[int, int]
    orientation: int
    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    dtype: str
    full_scale: int | None
    overviews: tuple[int, ...] = ()
    pages: int = 1
    remarks: tuple[Remark, ...] = ()


class Raster(Protocol):
    """Bands of samples, as stored."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        ...

    @property
    def labels(self) -> Labels:
        """Label of each band; as many as there are bands."""
        ...

    @property
    def full_scale(self) -> int | None:
        """The largest value of samples with at most 8 bits, None for other types."""
        ...

    @property
    def is_colour(self) -> bool:
        """Return whether bands 1, 2, 3 are those of a colour picture rather than a sensor's."""
        ...

    def relabelled(self) -> Labels:
        """Labels of the bands; transparency with values other than 0 and 255 counts as near infrared."""
        ...

    def read(
        self,
        bands: Sequence[int],
        window: Window,
        size: tuple[int, int],
        max_pixels: int,
        absent: Sequence[float] | None = None,
    ) -> Piece:
        """Read bands (1-based) of a window, averaged down to `size` (width, height), and the validity of each sample.

        None stands for all of them. An alpha band among those asked for is data, not transparency: near infrared is
        often stored in its place. With `absent`, which may be empty, samples of these values, NaN and infinity take no
        part in averages.

        Raises:
            ImageError: More than `max_pixels` would have to be decoded.
        """
        ...

    def patches(self, bands: Sequence[int], window: Window) -> list[Piece]:
        """Read stored samples from small parts of a window, its corners included."""
        ...


@dataclass(frozen=True)
class ArrayRaster:
    """Samples (bands, height, width) in memory, with 8-bit transparency (height, width) or None.

    Attributes:
        samples: The samples.
        labels: Content of each band.
        alpha: Transparency.
        top: The largest value that samples of 8 bits have.
    """

    samples: Samples
    labels: Labels
    alpha: NDArray[np.uint8] | None = None
    top: int = 255
    is_colour = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.samples.shape[2], self.samples.shape[1]

    @property
    def full_scale(self) -> int | None:
        """`top` for uint8, else None."""
        return self.top if self.samples.dtype == np.uint8 else None

    def relabelled(self) -> Labels:
        """As `labels`: the content of an array is known to its owner."""
        return self.labels

    def read(
        self,
        bands: Sequence[int],
        window: Window,
        size: tuple[int, int],
        max_pixels: int = 0,
        absent: Sequence[float] | None = None,
    ) -> Piece:
        """As `Raster.read`; the samples may be a view of these, without decoding."""
        samples, alpha = self._cut(bands, window)
        if size == window.size:
            return samples, alpha
        if absent is not None:
            return average(
                lambda box, cells: _nearest(samples, alpha, box, cells), window.size, size, [absent] * len(bands)
            )
        shrunk = np.stack([_shrink(band, size) for band in samples])
        return shrunk, None if alpha is None else np.broadcast_to(_shrink(alpha[0], size), shrunk.shape)

    def patches(self, bands: Sequence[int], window: Window) -> list[Piece]:
        """As `Raster.patches`."""
        return [self._cut(bands, part) for part in window.patches()]

    def _cut(self, bands: Sequence[int], window: Window) -> Piece:
        left, top, right, bottom = window.bounds
        rows, columns = slice(top, bottom), slice(left, right)
        stored = self.samples[: len(bands)] if tuple(bands) == (1, 2, 3) else self.samples[[band - 1 for band in bands]]
        samples = stored[:, rows, columns]
        if self.alpha is None or asks_for_alpha(self.labels, bands):
            return samples, None
        return samples, np.broadcast_to(self.alpha[rows, columns], samples.shape)


def array_facts(raster: ArrayRaster, orientation: int) -> Facts:
    """Header of samples in memory."""
    names = raster.labels.names
    return Facts(raster.size, orientation, names, ("",) * len(names), str(raster.samples.dtype), raster.full_scale)


def asks_for_alpha(labels: Labels, bands: Sequence[int]) -> bool:
    """Return whether a band labelled alpha is among those to show."""
    return any(labels.names[band - 1] == "alpha" for band in bands)


def _nearest(
    samples: Samples, alpha: Coverage | None, box: tuple[float, float, float, float], cells: tuple[int, int]
) -> Piece:
    """Return the samples nearest to the centres of (columns, rows) cells of a box (left, top, right, bottom)."""
    columns, rows = (
        np.minimum(start + (np.arange(count) + 0.5) * (end - start) / count, full - 1e-6).astype(int)
        for start, end, count, full in zip(box[:2], box[2:], cells, samples.shape[:0:-1], strict=True)
    )
    grid = np.ix_(range(len(samples)), rows, columns)
    return samples[grid], None if alpha is None else alpha[grid]


def _shrink(band: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    if band.shape == (size[1], size[0]):
        return band
    with np.errstate(invalid="ignore", over="ignore"):  # beyond float32 becomes infinite, which is not valid
        as_pillow = band if band.dtype == np.uint8 else band.astype(np.float32)
    return np.asarray(Image.fromarray(as_pillow).resize(size, Image.Resampling.BOX))
