"""Oriented boxes, and the conventions of their angles.

One rule defines boxes: the corners are c + R(θ)(±w/2, ±h/2), with y pointing down, so θ rotates the box clockwise on
screen about its centre. The four coordinates are those before rotation; they may lie outside the image, be equal, or be
in reverse order, and are kept unchanged. In a frame with y pointing up, such as most map projections, the same formula
rotates counterclockwise.

An oriented rectangle has several representations: rotating it by 90° and swapping its sides, or rotating it by 180°,
changes nothing. An angle range selects one of them. The defaults are those of the published GeoChat: clockwise on
screen, in (0, 90], the range of OpenCV's `minAreaRect`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geochat.errors import RegionError, SettingsError

Direction = Literal["clockwise", "counterclockwise"]
AngleRange = Literal["(0,90]", "[0,90)", "[-45,45)", "[-90,0)", "[0,180)", "(-90,90]", "[-90,90)"]


@dataclass(frozen=True, slots=True)
class AngleConvention:
    """Convention of written angles; internally angles are always clockwise on screen."""

    direction: Direction = "clockwise"
    """The way a positive written angle turns the box on screen."""

    angle_range: AngleRange = "(0,90]"
    """Range of written angles. Angles outside it are still read."""

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise SettingsError(f"angle direction {self.direction!r} is unknown; use one of {get_args(Direction)}")
        _bounds(self.angle_range)

    @property
    def sign(self) -> int:
        """Sign that converts a written angle to a clockwise one, and back."""
        return 1 if self.direction == "clockwise" else -1


def normalize_angle(angle: float, angle_range: AngleRange) -> tuple[float, int]:
    """Map an angle into a range.

    Args:
        angle: Degrees, finite.
        angle_range: One of the `AngleRange` strings.

    Returns:
        The angle inside the range, and how many quarter turns were taken away, modulo 2 in meaning: after an odd
        number the width and height of the box have to be swapped.

    Raises:
        SettingsError: The range is unknown.
    """
    low, high = _bounds(angle_range)
    low_included = angle_range.startswith("[")
    if low < angle < high or angle == (low if low_included else high):
        return angle, 0
    period = high - low
    angle = math.fmod(angle, 180.0)  # exact, and a half turn changes nothing
    turns = math.floor((angle - low) / period)
    inside = angle - turns * period
    # The subtraction rounds: -1e-20 + 90 is 90, which "[0,90)" excludes.
    if low_included and inside >= high:
        inside, turns = low, turns + 1
    elif inside <= low:
        inside, turns = (low, turns) if low_included else (high, turns - 1)
    return inside, turns * round(period / 90)


def _bounds(angle_range: str) -> tuple[float, float]:
    if angle_range not in get_args(AngleRange):
        raise SettingsError(f"angle range {angle_range!r} is unknown; use one of {get_args(AngleRange)}")
    low, high = angle_range[1:-1].split(",")
    return float(low), float(high)


Points = NDArray[np.float64]
_GRID = 1e-14  # of the longest side


@dataclass(frozen=True, slots=True)
class OrientedBox:
    """A rectangle, rotated by `angle` degrees clockwise on screen about its centre, in any frame with y down.

    Raises:
        RegionError: A number is not finite.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    angle: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.x1, self.y1, self.x2, self.y2, self.angle)
        if not all(map(math.isfinite, numbers)):
            raise RegionError(f"box {numbers} holds a number that is not finite; give five finite numbers")

    @property
    def center(self) -> tuple[float, float]:
        """The centre of rotation."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    @property
    def width(self) -> float:
        """Length of the side along x before rotation; never negative."""
        return abs(self.x2 - self.x1)

    @property
    def height(self) -> float:
        """Length of the side along y before rotation; never negative."""
        return abs(self.y2 - self.y1)

    @property
    def area(self) -> float:
        """Width times height."""
        return self.width * self.height

    def corners(self) -> tuple[tuple[float, float], ...]:
        """Return the four corners: top left, top right, bottom right, bottom left of the box before rotation."""
        (cx, cy), (cos, sin) = self.center, _cos_sin(self.angle)
        ux, uy = self.width / 2 * cos, self.width / 2 * sin
        vx, vy = -self.height / 2 * sin, self.height / 2 * cos
        return tuple((cx + a * ux + b * vx, cy + a * uy + b * vy) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)))

    def polygon(self) -> shapely.Polygon:
        """Return the box as a shapely polygon, also if its area is zero."""
        return shapely.Polygon(self.corners())

    def iou(self, other: "OrientedBox") -> float:
        """Return intersection over union with another box of the same frame, 0 to 1; 0 if either has no area."""
        if not (self.area and other.area):
            return 0.0
        shared = _shared_area(self, other)
        return float(min(1.0, shared / (self.area + other.area - shared)))

    def normalized(self, angle_range: AngleRange) -> "OrientedBox":
        """Return the same rectangle with its angle in `angle_range`; itself if it already is."""
        angle, quarter_turns = normalize_angle(self.angle, angle_range)
        if angle == self.angle:
            return self
        if quarter_turns % 2 == 0:
            return OrientedBox(self.x1, self.y1, self.x2, self.y2, angle)
        return self._about(self.center, self.height, self.width, angle)

    def transform(self, affine: Affine) -> "OrientedBox":
        """Return the box in another frame.

        Args:
            affine: Map from this box's frame to the other one.

        Returns:
            The image of the box where the map is a similarity (shift, turn, mirror, one scale), with width and
            height keeping their sides; otherwise the smallest rectangle around the mapped corners.
        """
        a, b, c, d, e, f = affine[:6]  # x' = a·x + b·y + c, y' = d·x + e·y + f
        if not _is_similarity(a, b, d, e):
            return self.from_polygon([(a * x + b * y + c, d * x + e * y + f) for x, y in self.corners()])
        x, y = self.center
        scale, turn = math.hypot(a, d), math.degrees(math.atan2(d, a))
        angle = turn - self.angle if a * e < b * d else turn + self.angle
        center = (a * x + b * y + c, d * x + e * y + f)
        return self._about(center, scale * self.width, scale * self.height, angle + 0.0)  # + 0.0: never -0.0

    @classmethod
    def from_polygon(cls, polygon: BaseGeometry | Sequence[tuple[float, float]]) -> Self:
        """Return the rectangle of least area around a shape, with its angle in (0, 90].

        Args:
            polygon: Any shapely geometry, or its points; one point or points in a line give a box without area.

        Raises:
            RegionError: There is no point, or a coordinate is not finite.
        """
        points = shapely.get_coordinates(polygon) if isinstance(polygon, BaseGeometry) else np.array(polygon, float)
        if not points.size or not np.isfinite(points).all():
            raise RegionError(f"no box fits around {polygon}; give at least one point, all coordinates finite")
        origin = points.mean(axis=0)  # far from zero, where map coordinates are, extents would lose digits
        center, width, height, angle = _smallest_rectangle(points - origin)
        box = cls._about(tuple((origin + center).tolist()), width, height, math.degrees(angle))
        return cls(*_numbers(box.normalized("(0,90]")))

    @classmethod
    def _about(cls, center: tuple[float, float], width: float, height: float, angle: float) -> Self:
        (x, y), w, h = center, width / 2, height / 2
        return cls(x - w, y - h, x + w, y + h, angle)


def _smallest_rectangle(points: Points) -> tuple[Points, float, float, float]:
    """Return centre, width, height and angle in radians of the least-area rectangle around points of shape (N, 2).

    One of its sides lies along an edge of the convex hull (Freeman and Shapira, 1975). Trying them all stays exact
    for points in a line, where GEOS' own search divides by zero.
    """
    edges = np.diff(shapely.get_coordinates(shapely.convex_hull(shapely.MultiPoint(points))), axis=0)
    angles = np.arctan2(edges[:, 1], edges[:, 0]) if len(edges) else np.zeros(1)  # (E,)
    cos, sin = np.cos(angles), np.sin(angles)
    turned = points @ np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)  # (E, N, 2): along, across each edge
    low, high = turned.min(axis=1), turned.max(axis=1)  # (E, 2)
    best = int(np.argmin(np.prod(high - low, axis=1)))
    (along, across), (width, height) = (high[best] + low[best]) / 2, (high[best] - low[best]).tolist()
    center = np.array([along * cos[best] - across * sin[best], along * sin[best] + across * cos[best]])
    return center, width, height, float(angles[best])


def _shared_area(one: OrientedBox, other: OrientedBox) -> float:
    """Area of the intersection.

    Computed on a grid: without one, GEOS 3.14 finds half of the area, or nothing, for a few in ten thousand pairs of
    boxes that differ only by rounding. And computed around the origin: far from it, where map coordinates are, areas
    lose digits.
    """
    pair = [shapely.Polygon(np.array(box.corners()) - one.center) for box in (one, other)]
    grid = _GRID * max(one.width, one.height, other.width, other.height)
    return float(shapely.intersection(*pair, grid_size=grid).area)


def _numbers(box: OrientedBox) -> tuple[float, float, float, float, float]:
    return box.x1, box.y1, box.x2, box.y2, box.angle


def _cos_sin(angle: float) -> tuple[float, float]:
    """Return cosine and sine of degrees, exact at multiples of 90 so that upright boxes keep round corners."""
    if angle % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(angle % 360) // 90]
    return math.cos(math.radians(angle)), math.sin(math.radians(angle))


def _is_similarity(a: float, b: float, d: float, e: float) -> bool:
    """Return whether the columns (a, d) and (b, e) of a linear map are orthogonal and equally long, up to rounding."""
    slack = 1e-12 * (a * a + b * b + d * d + e * e)
    return abs(a * b + d * e) <= slack and abs(a * a + d * d - b * b - e * e) <= slack
