"""Conversion of samples to a picture: bands, stretch, transparency, orientation, and remarks on them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geochat.errors import ImageError
from geochat.imagery.bands import BandChoice, choose_bands, wants_infrared
from geochat.imagery.files import decoding
from geochat.imagery.orientation import Orientation
from geochat.imagery.rasters import Raster
from geochat.imagery.remarks import Remark
from geochat.imagery.samples import Coverage, Piece, Samples, counts, edges, find_undeclared, share_of
from geochat.imagery.stretch import Stretch
from geochat.imagery.windows import Window


@dataclass(frozen=True)
class Rendering:
    """Options of rendering: the part of a raster to show, and its size.

    Attributes:
        window: In pixels of the turned image.
        size: (width, height) of the picture.
        bands: See `choose_bands`.
        stretch: Mapping of samples to 8 bits.
        max_pixels: Maximum number of decoded pixels.
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
    """A picture and its settings.

    Attributes:
        pixels: uint8 (height, width, 3), read-only.
        bands: The 1-based bands it shows.
        stretch: Stretch applied to the samples, limits filled in.
        blank: Whether no sample is valid.
        remarks: Remarks on it.
    """

    pixels: NDArray[np.uint8]
    bands: tuple[int, ...]
    stretch: Stretch
    blank: bool
    remarks: tuple[Remark, ...]


def render(raster: Raster, orientation: Orientation, wanted: Rendering, name: str) -> Rendered:
    """Render the picture.

    Raises:
        ImageError: The bands are not in the image, no sample is valid, or the samples cannot be read.
        SettingsError: The stretch does not fit the bands.
    """
    with decoding(name):
        labels = raster.relabelled() if wants_infrared(wanted.bands) else raster.labels
        chosen = choose_bands(wanted.bands, labels, name)
        reading = _Reading(raster, chosen.numbers, orientation.window_to_stored(wanted.window), wanted, orientation)
        samples, coverage, stretch, said = reading.read()
    valid = _valid(samples, coverage, stretch.without)
    blank = valid is not None and not valid.any()
    if blank and not wanted.allow_blank:
        raise ImageError(f"{name} has no valid pixel in window {tuple(wanted.window)}; choose another window or bands")
    colour = raster.is_colour and chosen.numbers == (1, 2, 3)
    resolved = stretch.resolve(samples, valid, raster.full_scale, colour=colour)
    shown = resolved.apply(samples)
    if wanted.stretch.method == "auto" and not wanted.stretch.limits and resolved.method == "percentile" and not blank:
        said = (*said, *_left_out(samples, valid, resolved))
    if valid is not None:
        shown = _lay_over_black(shown, coverage, valid)
    pixels = orientation.turn(np.broadcast_to(shown, (3, *shown.shape[1:]))).transpose(1, 2, 0)
    return Rendered(_read_only(pixels), chosen.numbers, resolved, blank, (*chosen.remarks, *said))


@dataclass(frozen=True)
class _Reading:
    """The samples of a picture, read so that nodata values affect no average."""

    raster: Raster
    bands: Sequence[int]
    window: Window
    wanted: Rendering
    orientation: Orientation

    def read(self) -> tuple[Samples, Coverage | None, Stretch, tuple[Remark, ...]]:
        """Read samples, their validity, the stretch with its nodata values, and remarks on those."""
        stretch = self.wanted.stretch
        samples, coverage = self._samples(stretch.without or None)
        if self.raster.full_scale is not None:
            return samples, coverage, stretch, ()
        said: tuple[Remark, ...] = ()
        if stretch.finds_limits and not stretch.without and not self.raster.is_colour:
            stretch, said = self._with_undeclared(samples, coverage)
        is_new = stretch.without != self.wanted.stretch.without
        if self._is_shrunk and (is_new or (not stretch.without and _is_spoilt(samples, coverage))):
            samples, coverage = self._samples(stretch.without)
        return samples, coverage, stretch, said

    @property
    def _size(self) -> tuple[int, int]:
        return self.orientation.swapped(self.wanted.size)

    @property
    def _is_shrunk(self) -> bool:
        return self._size != self.window.size

    def _samples(self, absent: Sequence[float] | None) -> Piece:
        return self.raster.read(self.bands, self.window, self._size, self.wanted.max_pixels, absent)

    def _with_undeclared(self, samples: Samples, coverage: Coverage | None) -> tuple[Stretch, tuple[Remark, ...]]:
        read = [(samples, coverage)]
        stored = self.raster.patches(self.bands, self.window) if self._is_shrunk else read
        same = stored[0][0].dtype == samples.dtype
        found = find_undeclared(
            [*stored, *(read if same and self._is_shrunk else [])], edges(*(read if same else stored)[0])
        )
        if not found:
            return self.wanted.stretch, ()
        values = " and ".join(f"{value:.9g}" for value in found)
        text = (
            f"Samples of {values} (some {max(0.001, share_of(found, stored)):.1%}) stand apart from all others and are"
            " left out as no data, though the file does not declare it (gdal_edit -a_nodata does)."
        )
        return replace(self.wanted.stretch, without=found), (Remark("undeclared-nodata", text),)


def _is_spoilt(samples: Samples, coverage: Coverage | None) -> bool:
    """Return whether NaN or infinity may have affected averages."""
    if samples.dtype.kind != "f":
        return False
    finite = np.isfinite(samples)
    return not bool((finite if coverage is None else finite | (coverage == 0)).all())


def _valid(samples: Samples, coverage: Coverage | None, without: Sequence[float]) -> NDArray[np.bool_] | None:
    """Mask of the samples that count; None for all."""
    if coverage is None and samples.dtype.kind in "ui" and not without:
        return None
    return counts(samples, coverage, [without] * len(samples))


def _left_out(samples: Samples, valid: NDArray[np.bool_] | None, stretch: Stretch) -> Iterator[Remark]:
    """Yield the fractions that a percentile stretch makes black and white."""
    limits = np.array(stretch.limits)[:, :, None, None]  # (bands, 2, 1, 1)
    counted = samples.size if valid is None else int(valid.sum())
    below, above = samples < limits[:, 0], samples > limits[:, 1]
    if valid is not None:
        below, above = below & valid, above & valid
    if below.any() or above.any():
        spans = ", ".join(f"{low:.5g} to {high:.5g}" for low, high in dict.fromkeys(stretch.limits))
        text = (
            f"Samples are shown from black to white over {spans}, their percentiles {stretch.percentiles[0]:g} and"
            f" {stretch.percentiles[1]:g}: {below.sum() / counted:.1%} lie below and {above.sum() / counted:.1%} above."
        )
        yield Remark("stretch", text)


def _lay_over_black(shown: NDArray[np.uint8], coverage: Coverage | None, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Make a pixel blank if no band is valid: a single band may hold the nodata value by chance, as 0 in shadow."""
    opacity = np.where(valid, np.uint8(255) if coverage is None else coverage, np.uint8(0)).max(axis=0)
    if (opacity == 255).all():
        return shown
    return np.asarray(np.rint(shown * (opacity / np.float32(255))), np.uint8)


def _read_only(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    own = pixels.copy(order="C")
    own.setflags(write=False)
    return own
