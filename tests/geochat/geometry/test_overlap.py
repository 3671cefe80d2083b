"""How far boxes overlap, and which match."""

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geochat.geometry import OrientedBox
from geochat.geometry.overlap import (
    box_corners,
    crossing_pairs,
    greedy_matches,
    iou_matrix,
    reaches,
    rectangle_corners,
    rotated,
    shared_area,
)

boxes = st.builds(OrientedBox, *[st.integers(0, 100).map(float)] * 4, st.integers(0, 180).map(float))


@given(st.lists(boxes, max_size=4), st.lists(boxes, max_size=4))
def test_the_matrix_is_the_iou_of_each_pair(found, truth):
    matrix = iou_matrix(rotated(found), rotated(truth))
    assert matrix.shape == (len(found), len(truth))
    for (i, one), (j, other) in itertools.product(enumerate(found), enumerate(truth)):
        assert matrix[i, j] == pytest.approx(one.iou(other), abs=1e-6)


def test_boxes_equal_but_for_rounding_overlap_whole():
    box = OrientedBox(37.20673912460077, 27.539374372312047, 49.10061859759092, 84.56110214837867, -15)
    again = OrientedBox(14.642814973062539, 50.10329852385028, 71.66454274912915, 61.99717799684043, 75)
    assert iou_matrix(rotated([box]), rotated([again])) == pytest.approx(1)


def test_matches_are_one_to_one_best_first():
    iou = np.array([[0.9, 0.8], [0.7, 0.1], [0.6, 0.2]])
    assert [divmod(index, 2) for index in greedy_matches(iou)] == [(0, 0), (2, 1)]


def test_a_threshold_is_reached_in_spite_of_rounding():
    assert reaches(np.array([0.5 - 1e-12, 0.5, 0.4999]), 0.5).tolist() == [True, True, False]


def numbers(many):
    return np.array([(box.x1, box.y1, box.x2, box.y2, box.angle) for box in many], float).reshape(-1, 5)


@given(st.lists(boxes, min_size=1, max_size=6))
def test_corners_are_those_of_each_box(many):
    assert box_corners(numbers(many)) == pytest.approx(np.array([box.corners() for box in many]), abs=1e-9)
    wider = box_corners(numbers(many), 2)
    for box, corners in zip(many, wider, strict=True):
        assert shapely.Polygon(corners).area == pytest.approx((box.width + 4) * (box.height + 4))


@given(st.lists(st.tuples(boxes, boxes), min_size=1, max_size=6))
def test_the_shared_area_is_that_of_the_intersection(pairs):
    one, other = ([pair[side] for pair in pairs] for side in (0, 1))
    shared = shared_area(box_corners(numbers(one)), box_corners(numbers(other)))
    for area, first, second in zip(shared, one, other, strict=True):
        union = max(first.area + second.area - area, 1e-9)
        assert area / union == pytest.approx(first.iou(second), abs=1e-5)


@given(st.lists(st.tuples(boxes, boxes, boxes), min_size=1, max_size=4))
def test_three_shapes_share_what_all_of_them_do(triples):
    groups = [[triple[side] for triple in triples] for side in range(3)]
    shared = shared_area(*(box_corners(numbers(group)) for group in groups))
    for area, first, second, third in zip(shared, *groups, strict=True):
        both = shapely.intersection(first.polygon(), second.polygon(), grid_size=1e-9)
        wanted = shapely.intersection(both, third.polygon(), grid_size=1e-9).area
        assert area == pytest.approx(wanted, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ((0, 0, 10, 10, 0), (0, 0, 10, 10, 90), 100),  # all edges coincide
        ((0, 0, 10, 10, 0), (10, 0, 20, 10, 0), 0),  # they touch along an edge
        ((0, 0, 10, 10, 0), (0, 0, 5, 10, 0), 50),  # three edges coincide in part
        ((0, 0, 10, 10, 0), (3, 3, 3, 8, 0), 0),  # without area
        ((5e6, 5e6, 5e6 + 3, 5e6 + 2, 20), (5e6, 5e6, 5e6 + 3, 5e6 + 2, 20), 6),  # far from the origin
        ((0, 0, 1e-3, 1e-3, 0), (0, 0, 1e-3, 1e-3, 1e-7), 1e-6),
    ],
)
def test_edges_that_coincide_count_once(one, other, shared):
    pair = [box_corners(np.array([box], float)) for box in (one, other)]
    assert shared_area(*pair)[0] == pytest.approx(shared, rel=1e-5, abs=1e-9)


@given(st.lists(boxes, max_size=12))
def test_pairs_that_cross_are_all_found(many):
    bounds = shapely.bounds(rotated(many)).reshape(-1, 4)
    pairs = {tuple(pair) for pair in crossing_pairs(bounds, bounds).T.tolist()}
    for one, other in itertools.product(range(len(many)), repeat=2):
        if many[one].iou(many[other]) > 0:
            assert (one, other) in pairs


@given(st.lists(st.tuples(*[st.integers(0, 12)] * 12), min_size=1, max_size=20))
def test_upright_shapes_on_a_grid_share_what_their_sides_say(rows):
    """Whole numbers make many edges coincide, and many sizes be in whole ratios."""
    sides = np.array(rows, float).reshape(-1, 3, 2, 2)  # three shapes: low and high, x and y
    low, high = sides.min(axis=2), sides.max(axis=2)
    wanted = np.prod(np.maximum(high.min(axis=1) - low.max(axis=1), 0), axis=1)
    shapes = [rectangle_corners(np.hstack([low[:, number], high[:, number]])) for number in range(3)]
    for order in itertools.permutations(shapes):
        assert shared_area(*order) == pytest.approx(wanted, rel=1e-5, abs=1e-4)
