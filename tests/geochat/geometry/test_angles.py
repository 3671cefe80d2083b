"""Angle directions and ranges."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geochat.dialects import GEOCHAT
from geochat.errors import SettingsError
from geochat.geometry import AngleConvention, AngleRange, OrientedBox

ANGLES = st.floats(-1e6, 1e6) | st.integers(-720, 720).map(float) | st.sampled_from([-1e-20, 1e-20, 90 - 1e-14])


def inside(angle: float, angle_range: str) -> bool:
    low, high = map(float, angle_range[1:-1].split(","))
    return low < angle < high or angle == (low if angle_range[0] == "[" else high)


@pytest.mark.parametrize(
    ("angle", "angle_range", "expected"),
    [
        (0, "(0,90]", OrientedBox(15, 5, 25, 45, 90)),
        (90, "(0,90]", OrientedBox(0, 20, 40, 30, 90)),
        (90, "[0,90)", OrientedBox(15, 5, 25, 45, 0)),
        (-30, "(0,90]", OrientedBox(15, 5, 25, 45, 60)),
        (30, "[-90,0)", OrientedBox(15, 5, 25, 45, -60)),
        (0, "[-90,0)", OrientedBox(15, 5, 25, 45, -90)),
        (-30, "[0,180)", OrientedBox(0, 20, 40, 30, 150)),
        (180, "[0,180)", OrientedBox(0, 20, 40, 30, 0)),
        (-90, "(-90,90]", OrientedBox(0, 20, 40, 30, 90)),
        (90, "[-90,90)", OrientedBox(0, 20, 40, 30, -90)),
        (450, "(-90,90]", OrientedBox(0, 20, 40, 30, 90)),
    ],
)
def test_a_range_is_reached_by_turning_and_swapping_sides(angle, angle_range, expected):
    assert OrientedBox(0, 20, 40, 30, angle).normalized(angle_range) == expected


@settings(deadline=None)
@given(angle=ANGLES, angle_range=st.sampled_from(get_args(AngleRange)))
def test_a_normalized_box_is_the_same_rectangle(angle, angle_range):
    box = OrientedBox(10, 20, 50, 30, angle)
    normalized = box.normalized(angle_range)
    assert inside(normalized.angle, angle_range)
    assert normalized.iou(box) == pytest.approx(1, abs=1e-6)
    assert normalized.normalized(angle_range) is normalized


def test_a_counterclockwise_convention_negates_what_is_read():
    (region,) = GEOCHAT.fitted(angles=AngleConvention("counterclockwise")).parse("{<10><20><30><40>|<30>}").regions
    assert region.box == OrientedBox(10, 20, 30, 40, -30)


@pytest.mark.parametrize("wrong", [{"direction": "left"}, {"angle_range": "(0,45]"}])
def test_unknown_settings_are_refused_by_name(wrong):
    (value,) = wrong.values()
    with pytest.raises(SettingsError, match=r"unknown; use one of") as error:
        AngleConvention(**wrong)
    assert repr(value) in str(error.value)
