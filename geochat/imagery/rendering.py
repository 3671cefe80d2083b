"""From samples to a picture: bands, stretch, transparency, orientation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geochat.errors import ImageError
from geochat.imagery.bands import BandChoice, choose_bands
from geochat.imagery.files import decoding
from geochat.imagery.orientation import Orientation
from geochat.imagery.rasters import Coverage, Raster, Samples
from geochat.imagery.stretch import Stretch
from geochat.imagery.windows import Window


@dataclass(frozen=True)
class Rendering:
    """What to show of a raster, and how large.

    Attributes:
        window: In pixels of the turned image.
        size: (width, height) of the picture.
        bands: See `choose_bands`.
        stretch: How samples become 8 bits.
        max_pixels: How many pixels may be decoded.
        allow_blank: Whether a picture without a valid sample is black rather than an error.
    """

    window: Window
    size: tuple[int, int]
    bands: BandChoice
    stretch: Stretch
    max_pixels: int
    allow_blank: bool = False


@dataclass(frozen=True)
class Rendered:
    """A picture and how it was made.

    Attributes:
        pixels: uint8 (height, width, 3), read-only.
        bands: The 1-based bands it shows.
        stretch: What was done to the samples, limits filled in.
        blank: Whether no sample is valid.
    """

    pixels: NDArray[np.uint8]
    bands: tuple[int, ...]
    stretch: Stretch
    blank: bool


def render(raster: Raster, orientation: Orientation, wanted: Rendering, name: str) -> Rendered:
    """Make the picture.

    Raises:
        ImageError: The bands are not in the image, no sample is valid, or the samples cannot be read.
        SettingsError: The stretch does not fit the bands.
    """
    bands = choose_bands(wanted.bands, raster.labels, name)
    samples, coverage = _read(raster, orientation, wanted, bands, name)
    valid = _valid(samples, coverage)
    blank = valid is not None and not valid.any()
    if blank and not wanted.allow_blank:
        raise ImageError(f"{name} has no valid pixel in window {tuple(wanted.window)}; choose another window or bands")
    stretch = wanted.stretch.resolve(samples, valid, raster.full_scale)
    shown = stretch.apply(samples)
    if valid is not None:
        shown = _lay_over_black(shown, coverage, valid)
    pixels = orientation.turn(np.broadcast_to(shown, (3, *shown.shape[1:]))).transpose(1, 2, 0)
    return Rendered(_read_only(pixels), bands, stretch, blank)


def _read(
    raster: Raster, orientation: Orientation, wanted: Rendering, bands: Sequence[int], name: str
) -> tuple[Samples, Coverage | None]:
    stored, size = orientation.window_to_stored(wanted.window), orientation.swapped(wanted.size)
    with decoding(name):
        return raster.read(bands, stored, size, wanted.max_pixels)


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
