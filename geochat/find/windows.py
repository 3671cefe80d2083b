"""Windows that cover a whole scene.

Windows of one size form a grid. The first starts at the scene's corner, each further one starts one step (side less
overlap) later, and the last is moved back to end at the scene's border. So every pixel is in a window, and every object
whose extent is at most the overlap lies completely in one. Several sizes, and the whole image as one window, are
several grids.

Windows are not stored: a window is computed from its number, so a plan of millions needs no memory.
"""

import hashlib
import heapq
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geochat.errors import SettingsError
from geochat.imagery import Window

OVERLAP = 0.25
"""Of a window's side, by which windows overlap unless another overlap is asked for."""

_LEAST = 8  # pixels per side
_ENLARGED = 0.25  # of the model's side, at least
_USUAL = 0.5  # metres per pixel


@dataclass(frozen=True, slots=True)
class Grid:
    """Windows of one size over a scene.

    Attributes:
        size: (width, height) of the scene in pixels.
        side: (width, height) of a window, at most the scene's.
        step: (right, down) from a window to the next one, in pixels.
    """

    size: tuple[int, int]
    side: tuple[int, int]
    step: tuple[int, int]

    @classmethod
    def of(cls, size: tuple[int, int], side: tuple[int, int], overlap: float) -> "Grid":
        """Return the grid of windows that overlap by pixels, or by a fraction of their side if it is below 1.

        Raises:
            SettingsError: A side is under 8 pixels, or the overlap negative or too large to get on.
        """
        if min(side) < _LEAST:
            raise SettingsError(f"a window of {side[0]} x {side[1]} pixels is too small; give at least {_LEAST} a side")
        fitted = min(side[0], size[0]), min(side[1], size[1])
        shared = [round(overlap * full) if overlap < 1 else round(overlap) for full in fitted]
        shared = [part if full < whole else 0 for part, full, whole in zip(shared, fitted, size, strict=True)]
        if overlap < 0 or any(part >= full for part, full in zip(shared, fitted, strict=True)):
            raise SettingsError(
                f"an overlap of {overlap:g} does not fit windows of {side[0]} x {side[1]} pixels; give fewer pixels"
                " than a side, or a share below 1"
            )
        return cls(size, fitted, (fitted[0] - shared[0], fitted[1] - shared[1]))

    @classmethod
    def whole(cls, size: tuple[int, int]) -> "Grid":
        """Return the single window of the whole scene."""
        return cls(size, size, size)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers (columns, rows) of windows."""
        columns, rows = (
            1 + max(0, math.ceil((full - part) / step))
            for full, part, step in zip(self.size, self.side, self.step, strict=True)
        )
        return columns, rows

    def __len__(self) -> int:
        columns, rows = self.shape
        return columns * rows

    @property
    def overlap(self) -> tuple[int, int]:
        """Minimum overlap of neighbours in pixels, (across, down); none for a single window."""
        return self.side[0] - self.step[0], self.side[1] - self.step[1]

    def start(self, place: int, axis: int) -> int:
        """Return the first pixel of a column (axis 0) or row (axis 1) of windows."""
        return min(place * self.step[axis], self.size[axis] - self.side[axis])

    def window(self, number: int) -> Window:
        """Return a window by its number, row by row."""
        row, column = divmod(number, self.shape[0])
        return Window(self.start(column, 0), self.start(row, 1), *self.side)


@dataclass(frozen=True)
class WindowPlan:
    """The windows of one or more grids over a scene, numbered grid by grid.

    Attributes:
        grids: At least one; all of one scene.
        area: Search area in pixels of the scene; None for the whole scene.
    """

    grids: tuple[Grid, ...]
    area: shapely.Geometry | None = None

    def __post_init__(self) -> None:
        if self.area is not None:
            shapely.prepare(self.area)

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the scene."""
        return self.grids[0].size

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        return tuple(accumulate((len(grid) for grid in self.grids), initial=0))

    def window(self, number: int) -> Window:
        """Return a window by its number."""
        place = bisect_right(self._starts, number) - 1
        return self.grids[place].window(number - self._starts[place])

    def rows(self) -> "Iterator[Row]":
        """Yield the rows of all grids from the top of the scene down; rows that begin at one pixel row form one."""
        beginnings = heapq.merge(*(self._beginnings(place) for place in range(len(self.grids))))
        for top, together in groupby(beginnings, key=lambda each: each[0]):
            numbers = [self._row(place, row) for _, place, row in together]
            joined = np.concatenate(numbers)
            inside = self._inside(joined)
            yield Row(top, joined[inside].tolist(), joined[~inside].tolist())

    def numbers(self) -> Iterator[int]:
        """The windows in the area, from the top of the scene down."""
        return (number for row in self.rows() for number in row.numbers)

    @cached_property
    def count(self) -> int:
        """Number of windows in the area; all of them without an area."""
        return len(self) if self.area is None else sum(len(row.numbers) for row in self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Identity of a plan, JSON-ready."""
        return {
            "scene": list(self.size),
            "grids": [{"window": list(grid.side), "overlap": list(grid.overlap)} for grid in self.grids],
            "area": None if self.area is None else hashlib.sha256(self.area.wkb).hexdigest(),
        }

    def _beginnings(self, place: int) -> Iterator[tuple[int, int, int]]:
        """Return the first pixel row of each row of a grid, with the grid's index and the row."""
        grid = self.grids[place]
        return ((grid.start(row, 1), place, row) for row in range(grid.shape[1]))

    def _row(self, place: int, row: int) -> NDArray[np.int64]:
        """Numbers of one row of a grid."""
        columns = self.grids[place].shape[0]
        first = self._starts[place] + row * columns
        return np.arange(first, first + columns)

    def _inside(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the mask of windows that intersect the area."""
        if self.area is None:
            return np.ones(len(numbers), np.bool_)
        bounds = np.array([self.window(number).bounds for number in numbers.tolist()], float).reshape(-1, 4)
        return np.asarray(shapely.intersects(self.area, shapely.box(*bounds.T)) & ~self._touches(bounds))

    def _touches(self, bounds: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(shapely.touches(self.area, shapely.box(*bounds.T)))


@dataclass(frozen=True, slots=True)
class Row:
    """Windows that begin at one pixel row.

    Attributes:
        top: That pixel row.
        numbers: The windows in the area.
        outside: Windows that do not intersect it.
    """

    top: int
    numbers: list[int]
    outside: list[int]


def plan_windows(
    size: tuple[int, int],
    side: int | tuple[int, int],
    *,
    overlap: float = OVERLAP,
    scales: Sequence[float] = (1.0,),
    whole: bool = False,
    area: shapely.Geometry | None = None,
) -> WindowPlan:
    """Lay windows over a scene.

    Args:
        size: (width, height) of the scene in pixels.
        side: Side of a window, or its (width, height), in pixels of the scene.
        overlap: In pixels, or below 1 as a share of a window's side.
        scales: Factors of `side`, one grid for each.
        whole: Whether the whole image is also searched as one window.
        area: Search area, in pixels.

    Raises:
        SettingsError: A window would be too small, the overlap does not fit, a scale is not positive, or no grid is
            asked for.
    """
    if any(not (scale > 0 and math.isfinite(scale)) for scale in scales):
        raise SettingsError(f"scales {tuple(scales)} must be factors of the window's side, such as 1 and 2")
    width, height = (side, side) if isinstance(side, int) else side
    grids = [Grid.of(size, (round(width * scale), round(height * scale)), overlap) for scale in scales]
    grids += [Grid.whole(size)] if whole else []
    if not grids:
        raise SettingsError("there is no window to look through; give a scale, or the whole image")
    return WindowPlan(tuple({(grid.side, grid.shape): grid for grid in grids}.values()), area)


def window_side(image_size: int, gsd: float | None, known: tuple[float, float] | None) -> int:
    """Return the window side, in scene pixels, at which a model sees a ground resolution it was trained on.

    The target is the middle (geometric mean) of the training resolutions, or the scene's own resolution if that is
    coarser, because enlarging adds nothing. Scenes coarser than the coarsest training resolution are enlarged, at most
    four times, so that objects have a known size. If either resolution is unknown, the model sees the scene's pixels
    one to one.

    Args:
        image_size: Side of the square the model sees.
        gsd: Metres per pixel of the scene.
        known: Metres per pixel in training, (finest, coarsest).
    """
    if gsd is None or known is None:
        return image_size
    finest, coarsest = known
    seen = min(max(gsd, math.sqrt(finest * coarsest)), coarsest)
    return max(_LEAST, round(image_size * max(seen / gsd, _ENLARGED)))


def search_side(image_size: int, gsd: float | None, best: float | None) -> int:
    """Return the window side, in scene pixels, at which a model sees the resolution at which it finds objects best.

    Coarser scenes are enlarged, at most four times, because the model finds objects that fill a good part of its view
    even if enlarging adds no detail.

    Args:
        image_size: Side of the square the model sees.
        gsd: Metres per pixel of the scene; None is taken for 0.5, which is usual for pictures without a place.
        best: Metres per pixel at which the model finds objects best; None shows the scene's pixels one to one.
    """
    if best is None:
        return image_size
    return max(_LEAST, round(image_size * max(best / (gsd or _USUAL), _ENLARGED)))
