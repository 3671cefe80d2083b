"""Shrinking samples by averages of those that count.

GDAL's averages leave out what a file declares as nodata, but one NaN, or one undeclared -9999, spoils a whole cell.
Here each cell is the mean of up to 8 x 8 samples, taken evenly from it, that count.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochat.imagery.samples import Coverage, Piece, Samples, counts

_MOST_SAMPLES = 8  # a side of a cell
_STRIP_BYTES = 2**25

# Samples (bands, rows, columns) and their coverage, of a rectangle (left, top, right, bottom), at (columns, rows).
Fetch = Callable[[tuple[float, float, float, float], tuple[int, int]], Piece]


def average(
    fetch: Fetch, window: tuple[int, int], size: tuple[int, int], absent: Sequence[Sequence[float]]
) -> tuple[Samples, Coverage]:
    """Shrink what `fetch` gives, in strips.

    Args:
        fetch: Gives the samples nearest to the middles of evenly laid cells.
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
