"""Names of the arrays that are passed about, and which of their samples hold data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]  # (bands, height, width)
Coverage = NDArray[np.uint8]  # same shape: 0 nodata or transparent, 255 opaque
Piece = tuple[Samples, Coverage | None]

HUGE = 1e19  # floats from here on, as 1e20 or -3.4e38, are no measurements


def counts(samples: Samples, coverage: Coverage | None, absent: Sequence[Sequence[float]]) -> NDArray[np.bool_]:
    """Mask of samples (bands, rows, columns) that hold data: covered, finite, and not a nodata value of their band."""
    held = np.isfinite(samples) if samples.dtype.kind == "f" else np.ones(samples.shape, np.bool_)
    if coverage is not None:
        held &= coverage > 0
    for number, values in enumerate(absent):
        for value in values:
            held[number] &= ~stands_for(samples[number], value)
    return held


def stands_for(samples: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """Mask of samples equal to a nodata value; for a huge value, all as huge, since averages may have mixed it."""
    if samples.dtype.kind == "f" and abs(value) >= HUGE:
        return np.asarray(samples >= HUGE if value > 0 else samples <= -HUGE)
    same = as_sample(value, samples.dtype)
    return np.zeros(samples.shape, np.bool_) if same is None else np.asarray(samples == same)


def as_sample(value: float, dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 - a NumPy scalar of that kind
    """A value as a sample; None where no sample can have it."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(value)
    info = np.iinfo(dtype)
    return dtype.type(value) if float(value).is_integer() and info.min <= value <= info.max else None
