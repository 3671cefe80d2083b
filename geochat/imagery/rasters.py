"""Samples behind one interface; here the interface, and arrays in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geochat.imagery.windows import Window

Samples = NDArray[Any]  # (bands, height, width)
Coverage = NDArray[np.uint8]  # same shape: 0 nodata or transparent, 255 opaque


@dataclass(frozen=True)
class Facts:
    """What is known of an image without reading its samples.

    Attributes:
        size: (width, height) as stored.
        orientation: EXIF orientation, 1 to 8.
        labels: What each band shows, such as "red" or "alpha", "" where unknown. A palette counts as red, green, blue.
        descriptions: What the file calls each band, "" where it does not.
        dtype: Of the samples, as NumPy names it.
        full_scale: The largest value of samples of 8 bits or fewer, None for any other kind.
        overviews: By how many times smaller the copies stored beside the image are, per side.
    """

    size: tuple[int, int]
    orientation: int
    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    dtype: str
    full_scale: int | None
    overviews: tuple[int, ...] = ()


class Raster(Protocol):
    """Bands of samples, as stored."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """What each band shows, "" where unknown; their number is the number of bands."""
        ...

    @property
    def full_scale(self) -> int | None:
        """The largest value of samples of 8 bits or fewer, None for any other kind."""
        ...

    def read(
        self, bands: Sequence[int], window: Window, size: tuple[int, int], max_pixels: int
    ) -> tuple[Samples, Coverage | None]:
        """Bands (1-based) of a window, averaged down to `size` (width, height), and how much of each sample counts.

        None stands for all of them. An alpha band among those asked for is data, not transparency: near infrared is
        often stored in its place.

        Raises:
            ImageError: More than `max_pixels` would have to be decoded.
        """
        ...


@dataclass(frozen=True)
class ArrayRaster:
    """Samples (bands, height, width) in memory, with 8-bit transparency (height, width) or None."""

    samples: Samples
    labels: tuple[str, ...]
    alpha: NDArray[np.uint8] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.samples.shape[2], self.samples.shape[1]

    @property
    def full_scale(self) -> int | None:
        """255 for uint8, else None."""
        return 255 if self.samples.dtype == np.uint8 else None

    def read(
        self, bands: Sequence[int], window: Window, size: tuple[int, int], max_pixels: int = 0
    ) -> tuple[Samples, Coverage | None]:
        """As `Raster.read`; the samples may be a view of these, and nothing is left to decode."""
        left, top, right, bottom = window.bounds
        rows, columns = slice(top, bottom), slice(left, right)
        stored = self.samples[: len(bands)] if tuple(bands) == (1, 2, 3) else self.samples[[band - 1 for band in bands]]
        samples = stored[:, rows, columns]
        if size != window.size:
            samples = np.stack([_shrink(band, size) for band in samples])
        if self.alpha is None or asks_for_alpha(self, bands):
            return samples, None
        alpha = _shrink(self.alpha[rows, columns], size)
        return samples, np.broadcast_to(alpha, samples.shape)


def array_facts(raster: ArrayRaster, orientation: int) -> Facts:
    """What is known of samples in memory."""
    unnamed = ("",) * len(raster.labels)
    return Facts(raster.size, orientation, raster.labels, unnamed, str(raster.samples.dtype), raster.full_scale)


def asks_for_alpha(raster: Raster, bands: Sequence[int]) -> bool:
    """Whether a band labelled alpha is among those to show."""
    return any(raster.labels[band - 1] == "alpha" for band in bands)


def _shrink(band: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    if band.shape == (size[1], size[0]):
        return band
    with np.errstate(invalid="ignore", over="ignore"):  # beyond float32 becomes infinite, which is not valid
        as_pillow = band if band.dtype == np.uint8 else band.astype(np.float32)
    return np.asarray(Image.fromarray(as_pillow).resize(size, Image.Resampling.BOX))
