"""Values that stand for no data though the file does not say so, such as -9999.

One of the values in common use for this is taken for such where it stands apart from all other samples: an ocean floor
at -9999 m has neighbours at -9998 m. The largest value of an integer type, which may be mere brightness, must also lie
at the border.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochat.imagery.samples import HUGE, Coverage, Piece, Samples, counts, stands_for

_COMMON = (-999.0, -9999.0, -99999.0, -999999.0, -32767.0, -32768.0, -28672.0)
_APART = 0.1  # of the spread of the other samples


def find_undeclared(pieces: Sequence[Piece], borders: Sequence[Piece]) -> tuple[float, ...]:
    """Values that stand for no data.

    Args:
        pieces: Samples (bands, rows, columns) with what is declared of them; not averaged but for a rest.
        borders: Those at the image's edge.
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
    """Share of the samples, 0 to 1, that have one of these values."""
    held = [_any_of(band, values) for band in _held(pieces)]
    return float(np.concatenate(held).mean()) if held else 0.0


def edges(samples: Samples, coverage: Coverage | None) -> list[Piece]:
    """The outermost rows and columns."""
    cuts = (np.s_[:, :1], np.s_[:, -1:], np.s_[:, :, :1], np.s_[:, :, -1:])
    return [(samples[cut], None if coverage is None else coverage[cut]) for cut in cuts]


def _held(pieces: Sequence[Piece]) -> list[NDArray[Any]]:
    """The declared, finite samples of each band, one after another."""
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
