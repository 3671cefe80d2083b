"""Geometry of oriented boxes."""

import json
import math
from dataclasses import FrozenInstanceError

import pytest
import shapely
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geochat.errors import RegionError
from geochat.geometry import OrientedBox

COORDINATES = st.floats(-200, 200)
SIZES = st.floats(0.5, 150)


@st.composite
def boxes(draw):
    x, y, width, height = draw(COORDINATES), draw(COORDINATES), draw(SIZES), draw(SIZES)
    return OrientedBox(x, y, x + width, y + height, draw(st.floats(-360, 360)))


def near(points):
    return [pytest.approx(tuple(point), abs=1e-6) for point in points]


def test_a_positive_angle_turns_clockwise_on_screen():
    top_left, top_right, *_ = OrientedBox(0, 0, 10, 2, 30).corners()
    assert top_right[1] > top_left[1], "y points down: the right end of the top side goes down"


def test_ninety_degrees_swap_width_and_height_exactly():
    assert OrientedBox(0, 20, 40, 30, 90).corners() == ((25, 5), (25, 45), (15, 45), (15, 5))


def test_corners_equal_the_clockwise_function_of_the_original(fixtures):
    table = json.loads((fixtures / "original" / "recorded.json").read_text(encoding="utf-8"))["boxes"]["polygons"]
    for row in table:
        flat = row["bbox_and_angle_to_polygon"]  # its other function, used for drawing, turns the other way
        assert list(OrientedBox(*row["args"]).corners()) == near(zip(flat[::2], flat[1::2], strict=True))


def test_the_originals_drawing_is_ours_with_the_angle_negated(fixtures):
    table = json.loads((fixtures / "original" / "recorded.json").read_text(encoding="utf-8"))["boxes"]["polygons"]
    for row in table:
        *coordinates, angle = row["args"]
        drawn = shapely.MultiPoint(row["rotate_bbox_p1_p2_angle"])
        ours = shapely.MultiPoint(OrientedBox(*coordinates, -angle).corners())
        assert drawn.hausdorff_distance(ours) < 1e-4


def test_measures():
    box = OrientedBox(10, 20, 50, 30, 45)
    assert (box.center, box.width, box.height, box.area) == ((30, 25), 40, 10, 400)
    assert box.polygon().area == pytest.approx(400)


def test_corners_in_reverse_order_are_kept_and_mean_the_same_rectangle():
    box = OrientedBox(50, 30, 10, 20, 30)
    assert (box.x1, box.width, box.height) == (50, 40, 10)
    assert box.iou(OrientedBox(10, 20, 50, 30, 30)) == pytest.approx(1)


def test_a_box_is_a_value():
    assert len({OrientedBox(1, 2, 3, 4), OrientedBox(1.0, 2.0, 3.0, 4.0, 0.0)}) == 1
    with pytest.raises(FrozenInstanceError):
        OrientedBox(1, 2, 3, 4).x1 = 5


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(5))
def test_numbers_that_are_not_finite_are_refused(place, bad):
    numbers = [1.0, 2.0, 3.0, 4.0, 5.0]
    numbers[place] = bad
    with pytest.raises(RegionError, match="not finite"):
        OrientedBox(*numbers)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (OrientedBox(0, 0, 10, 10), OrientedBox(5, 5, 15, 15), 25 / 175),
        (OrientedBox(0, 0, 10, 10), OrientedBox(20, 20, 30, 30), 0),
        (OrientedBox(0, 0, 10, 10), OrientedBox(10, 0, 20, 10), 0),
        (OrientedBox(0, 0, 40, 10), OrientedBox(0, 0, 40, 10, 90), 100 / 700),
        (OrientedBox(0, 0, 10, 10), OrientedBox(0, 0, 10, 10, 45), 1 / math.sqrt(2)),
        (OrientedBox(5, 5, 5, 5), OrientedBox(5, 5, 5, 5), 0),
        (OrientedBox(5, 5, 5, 9), OrientedBox(0, 0, 10, 10), 0),
    ],
)
def test_rotated_iou(one, other, expected):
    assert one.iou(other) == pytest.approx(expected)
    assert other.iou(one) == pytest.approx(expected)


@settings(deadline=None)
@given(one=boxes(), other=boxes())
def test_iou_is_symmetric_and_at_most_one(one, other):
    assert 0 <= one.iou(other) <= 1
    assert one.iou(other) == pytest.approx(other.iou(one), abs=1e-9)
    assert one.iou(one) == pytest.approx(1)


@settings(deadline=None)
@given(box=boxes(), east=st.sampled_from([0.0, 5e5]), north=st.sampled_from([0.0, 4e6]))
@example(OrientedBox(-40, -156.06671545749845, 102.12305046278615, -13.943664994712293, 142.12305046278615), 0.0, 0.0)
def test_a_rectangle_is_found_again_from_its_polygon(box, east, north):
    far = OrientedBox(box.x1 + east, box.y1 + north, box.x2 + east, box.y2 + north, box.angle)
    found = OrientedBox.from_polygon(far.polygon())
    assert 0 < found.angle <= 90
    assert found.iou(far) == pytest.approx(1, abs=1e-6)


@settings(deadline=None)
@given(points=st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=8))
@example([(0.0, 0.0), (0.0, 1.0), (8e-252, 0.0)])
@example([(0.0, 0.0), (0.0, 0.0), (0.0, 0.0)])
def test_the_box_around_points_holds_them_and_is_smallest(points):
    box = OrientedBox.from_polygon(points)
    turned, (x0, y0) = math.radians(box.angle), box.center
    for x, y in points:
        along = (x - x0) * math.cos(turned) + (y - y0) * math.sin(turned)
        across = (y - y0) * math.cos(turned) - (x - x0) * math.sin(turned)
        assert abs(along) <= box.width / 2 + 1e-6
        assert abs(across) <= box.height / 2 + 1e-6
    for angle in range(0, 90, 15):
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        alongs, acrosses = zip(*((x * cos + y * sin, y * cos - x * sin) for x, y in points), strict=True)
        other = (max(alongs) - min(alongs)) * (max(acrosses) - min(acrosses))
        assert box.area <= other * (1 + 1e-9) + 1e-6


def test_points_in_a_line_and_one_point_give_boxes_without_area():
    line = OrientedBox.from_polygon([(0, 0), (3, 3), (6, 6)])
    assert (line.area, line.angle) == (pytest.approx(0), pytest.approx(45))
    assert max(line.width, line.height) == pytest.approx(math.hypot(6, 6))
    assert OrientedBox.from_polygon([(2, 3)]).center == (2, 3)


@pytest.mark.parametrize("shape", [[], shapely.Polygon(), [(0, 0), (math.nan, 1)], [(0, 0), (math.inf, 1), (2, 2)]])
def test_shapes_without_finite_points_are_refused(shape):
    with pytest.raises(RegionError, match="at least one point"):
        OrientedBox.from_polygon(shape)


@pytest.mark.parametrize(
    ("affine", "expected"),
    [
        (Affine.identity(), OrientedBox(10, 20, 30, 40, 30)),
        (Affine(5.04, 0, 7, 0, 5.04, -3), OrientedBox(57.4, 97.8, 158.2, 198.6, 30)),
        (Affine.scale(1, -1), OrientedBox(10, -40, 30, -20, -30)),
        (Affine.scale(-1, 1), OrientedBox(-30, 20, -10, 40, 150)),
        (Affine.rotation(90), OrientedBox(-40, 10, -20, 30, 120)),
    ],
)
def test_a_similarity_keeps_sides_and_turns_the_angle(affine, expected):
    mapped = OrientedBox(10, 20, 30, 40, 30).transform(affine)
    assert list(mapped.corners()) == near(expected.corners())
    assert mapped.angle == pytest.approx(expected.angle)
    assert (mapped.width, mapped.height) == pytest.approx((expected.width, expected.height))


@settings(deadline=None)
@given(box=boxes(), turn=st.floats(-180, 180), scale=st.floats(0.01, 100), mirror=st.booleans())
def test_a_similarity_is_exact(box, turn, scale, mirror):
    a, d = scale * math.cos(math.radians(turn)), scale * math.sin(math.radians(turn))
    b, e = (d, -a) if mirror else (-d, a)
    mapped = box.transform(Affine(a, b, 3, d, e, -7))
    corners = shapely.Polygon([(a * x + b * y + 3, d * x + e * y - 7) for x, y in box.corners()])
    assert mapped.polygon().hausdorff_distance(corners) <= 1e-9 * max(
        map(abs, corners.bounds)
    )  # GEOS may see no overlap
    assert mapped.area == pytest.approx(scale**2 * box.area)


def test_other_maps_give_the_smallest_box_around_the_mapped_corners():
    upright = OrientedBox(10, 20, 30, 60).transform(Affine.scale(2, 3))
    assert upright.iou(OrientedBox(20, 60, 60, 180)) == pytest.approx(1)
    sheared = OrientedBox(0, 0, 10, 10).transform(Affine(1, 0.5, 0, 0, 1, 0))
    assert sheared.polygon().buffer(1e-9).covers(shapely.Polygon([(0, 0), (10, 0), (15, 10), (5, 10)]))


def test_a_map_that_overflows_is_refused():
    with pytest.raises(RegionError, match="finite"):
        OrientedBox(1e300, 0, 2e300, 1).transform(Affine.scale(1e300))
