"""Angle conventions: the direction in which a written angle turns a box, and its range.

An oriented rectangle has many spellings: turning it by 90° and swapping its sides, or by 180°, changes nothing. A
range picks one of them. The defaults are what the published GeoChat was trained on: clockwise on screen, in
(0, 90], the range of OpenCV's `minAreaRect`.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from geochat.errors import SettingsError

Direction = Literal["clockwise", "counterclockwise"]
AngleRange = Literal["(0,90]", "[0,90)", "[-45,45)", "[-90,0)", "[0,180)", "(-90,90]", "[-90,90)"]


@dataclass(frozen=True, slots=True)
class AngleConvention:
    """Convention of written angles; inside the program angles are always clockwise on screen."""

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
        """Sign that turns a written angle into a clockwise one, and back."""
        return 1 if self.direction == "clockwise" else -1


def normalize_angle(angle: float, angle_range: AngleRange) -> tuple[float, int]:
    """Bring an angle into a range.

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
