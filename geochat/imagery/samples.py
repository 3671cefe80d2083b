"""Sample arrays: validity masks, averages, and undeclared nodata values.

GDAL's averages ignore declared nodata, but a single NaN, or an undeclared -9999, makes a whole cell invalid. Here each
cell is the mean of up to 8 x 8 valid samples, taken evenly from it.

A value commonly used for nodata, such as -9999, counts as nodata if it is isolated from all other samples: an ocean
floor at -9999 m has neighbours at -9998 m. The largest value of an integer type, which may be mere brightness, must
also occur at the border.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]  # (bands, height, width)
Coverage = NDArray[np.uint8]  # same shape: 0 nodata or transparent, 255 opaque
Piece = tuple[Samples, Coverage | None]

HUGE = 1e19  # floats from here on, as 1e20 or -3.4e38, are no measurements


def counts(samples: Samples, coverage: Coverage | None, absent: Sequence[Sequence[float]]) -> NDArray[np.bool_]:
    """Return the mask of samples (bands, rows, columns) with data: covered, finite, not a nodata value of the band."""
    held = np.isfinite(samples) if samples.dtype.kind == "f" else np.ones(samples.shape, np.bool_)
    if coverage is not None:
        held &= coverage > 0
    for number, values in enumerate(absent):
        for value in values:
            held[number] &= ~stands_for(samples[number], value)
    return held


def stands_for(samples: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """Return the mask of samples equal to a nodata value; for a huge value, all huge ones: averages may mix it."""
    if samples.dtype.kind == "f" and abs(value) >= HUGE:
        return np.asarray(samples >= HUGE if value > 0 else samples <= -HUGE)
    same = as_sample(value, samples.dtype)
    return np.zeros(samples.shape, np.bool_) if same is None else np.asarray(samples == same)


def as_sample(value: float, dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 - a NumPy scalar of that kind
    """Return a value as a sample; None if no sample can have it."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(value)
    info = np.iinfo(dtype)
    return dtype.type(value) if float(value).is_integer() and info.min <= value <= info.max else None


_MOST_SAMPLES = 8  # a side of a cell
_STRIP_BYTES = 2**25

# Samples (bands, rows, columns) and their coverage, of a rectangle (left, top, right, bottom), at (columns, rows).
Fetch = Callable[[tuple[float, float, float, float], tuple[int, int]], Piece]


def average(
    fetch: Fetch, window: tuple[int, int], size: tuple[int, int], absent: Sequence[Sequence[float]]
) -> tuple[Samples, Coverage]:
    """Average the output of `fetch` down, in strips.

    Args:
        fetch: Returns the samples nearest to the centres of evenly spaced cells.
        window: (width, height) of what is shrunk.
        size: (width, height) that it is shrunk to.
        absent: Values a band that stand for no data.

    Returns:
        Means as float32, or float64 for samples of more than 16 bits, and 255 where at least one sample counts. Where
        coverage is graded it is averaged too.
    """
    across, down = (min(_MOST_SAMPLES, math.ceil(full / shrunk)) for full, shrunk in zip(window, size, strict=True))
    width, height = size
    rows = max(1, _STRIP_BYTES // (width * across * down * 8 * len(absent)))
    strips = []
    for first in range(0, height, rows):
        last = min(height, first + rows)
        box = 0.0, first * window[1] / height, float(window[0]), last * window[1] / height
        samples, coverage = fetch(box, (width * across, (last - first) * down))
        strips.append(_shrink(samples, coverage, (across, down), absent))
    return np.concatenate([mean for mean, _ in strips], axis=1), np.concatenate([part for _, part in strips], axis=1)


def _shrink(
    samples: Samples, coverage: Coverage | None, cell: tuple[int, int], absent: Sequence[Sequence[float]]
) -> tuple[NDArray[Any], Coverage]:
    held = counts(samples, coverage, absent)
    bands, rows, columns = samples.shape
    cells = bands, rows // cell[1], cell[1], columns // cell[0], cell[0]
    number = held.reshape(cells).sum((2, 4))
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.where(held, samples, 0).astype(np.float64).reshape(cells).sum((2, 4))
        wide = samples.dtype.kind in "ui" and samples.itemsize > 2
        mean = (total / np.maximum(number, 1)).astype(np.float64 if wide or samples.itemsize > 4 else np.float32)
    if coverage is None or not ((coverage > 0) & (coverage < 255)).any():
        return mean, np.where(number > 0, np.uint8(255), np.uint8(0))
    graded = np.where(held, coverage, 0).reshape(cells).mean((2, 4))
    return mean, np.rint(graded).astype(np.uint8)


_COMMON = (-999.0, -9999.0, -99999.0, -999999.0, -32767.0, -32768.0, -28672.0)
_APART = 0.1  # of the spread of the other samples


def find_undeclared(pieces: Sequence[Piece], borders: Sequence[Piece]) -> tuple[float, ...]:
    """Find undeclared nodata values.

    Args:
        pieces: Samples (bands, rows, columns) with what is declared of them; not averaged but for a rest.
        borders: Samples at the image's edge.
    """
    if not pieces:
        return ()
    bands, border = _held(pieces), _held(borders)
    dtype = bands[0].dtype
    found: set[float] = set()
    refused: set[float] = set()
    for band, edge in zip(bands, border, strict=True):
        candidates = _candidates(band)
        others = band[~_any_of(band, candidates)]
        for value in candidates:
            largest = dtype.kind in "ui" and value == np.iinfo(dtype).max
            # Bright targets on even ground are no border.
            likely = not largest or (bool(stands_for(edge, value).any()) and np.ptp(others) > 0)
            (found if _is_apart(value, others) and likely else refused).add(float(value))
    return tuple(sorted(found - refused))


def share_of(values: Sequence[float], pieces: Sequence[Piece]) -> float:
    """Return the fraction of samples, 0 to 1, with one of these values."""
    held = [_any_of(band, values) for band in _held(pieces)]
    return float(np.concatenate(held).mean()) if held else 0.0


def edges(samples: Samples, coverage: Coverage | None) -> list[Piece]:
    """Return the outermost rows and columns."""
    cuts = (np.s_[:, :1], np.s_[:, -1:], np.s_[:, :, :1], np.s_[:, :, -1:])
    return [(samples[cut], None if coverage is None else coverage[cut]) for cut in cuts]


def _held(pieces: Sequence[Piece]) -> list[NDArray[Any]]:
    """Return the valid, finite samples of each band, one band after another."""
    nothing: list[tuple[float, ...]] = [()] * len(pieces[0][0])
    masks = [counts(samples, coverage, nothing) for samples, coverage in pieces]
    return [
        np.concatenate([samples[band][mask[band]] for (samples, _), mask in zip(pieces, masks, strict=True)])
        for band in range(len(nothing))
    ]


def _candidates(band: NDArray[Any]) -> set[float]:
    dtype = band.dtype
    if band.size == 0:
        return set()
    if dtype.kind == "f":
        wanted = {*_COMMON, *(float(value) for value in (band.min(), band.max()) if abs(value) >= HUGE)}
    else:
        info = np.iinfo(dtype)
        wanted = {float(info.max), *(value for value in (*_COMMON, float(info.min)) if info.min <= value < 0)}
    return {value for value in wanted if stands_for(band, value).any()}


def _any_of(band: NDArray[Any], values: Iterable[float]) -> NDArray[np.bool_]:
    found = np.zeros(band.shape, np.bool_)
    for value in values:
        found |= stands_for(band, value)
    return found


def _is_apart(value: float, others: NDArray[Any]) -> bool:
    if others.size == 0:
        return False
    wide = others.astype(np.float64)
    low, high = np.percentile(wide, (0.5, 99.5))
    gap = float(np.abs(wide - value).min())
    return gap > _APART * (high - low) and gap > 0
