"""How far boxes overlap, which match, and which say the same."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochat.geometry import OrientedBox
from geochat.geometry.overlap import greedy_matches, iou_matrix, merge_duplicates, reaches, rotated

boxes = st.builds(OrientedBox, *[st.integers(0, 100).map(float)] * 4, st.integers(0, 180).map(float))
A, NEARLY_A, HALF_A, FAR = (
    OrientedBox(*corners) for corners in ((0, 0, 10, 10), (0, 0, 10, 9), (0, 0, 10, 5), (50, 50, 60, 60))
)


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


@pytest.mark.parametrize(
    ("given_boxes", "options", "groups"),
    [
        ([], {}, []),
        ([A], {}, [[0]]),
        ([A, A], {}, [[0, 1]]),
        ([A, FAR, NEARLY_A], {}, [[0, 2], [1]]),
        ([A, HALF_A], {}, [[0], [1]]),
        ([A, HALF_A], {"threshold": 0.4}, [[0, 1]]),
        ([A, HALF_A], {"threshold": 0.5}, [[0], [1]]),  # exactly the threshold is not above it
        ([NEARLY_A, FAR, A], {"scores": [0.2, 0.9, 0.5]}, [[1], [2, 0]]),
        ([A, NEARLY_A], {"scores": [0.5, 0.5]}, [[0, 1]]),  # a tie keeps the order
        (
            [OrientedBox(0, 0, 20, 10, 30), OrientedBox(5, -5, 15, 15, 120)],
            {},
            [[0, 1]],
        ),  # one rectangle, two spellings
        ([OrientedBox(0, 0, 40, 4, 0), OrientedBox(0, 0, 40, 4, 45)], {}, [[0], [1]]),
        ([OrientedBox(3, 3, 3, 3), OrientedBox(3, 3, 3, 3)], {}, [[0], [1]]),  # without area nothing overlaps
    ],
)
def test_duplicates_are_grouped(given_boxes, options, groups):
    assert merge_duplicates(given_boxes, **options) == groups


def test_a_chain_is_not_one_group():
    chain = [OrientedBox(step, 0, step + 10, 10) for step in (0, 1, 2)]  # neighbours 0.82, the ends 0.67
    assert merge_duplicates(chain) == [[0, 1], [2]]
    assert merge_duplicates(chain, scores=[0, 1, 0]) == [[1, 0, 2]]


def test_duplicates_are_found_far_from_the_origin():
    there = [OrientedBox(x + 5e6, y + 5e6, x + 5e6 + 3, y + 5e6 + 2, 20) for x, y in ((0, 0), (0, 0), (9, 9))]
    assert merge_duplicates(there) == [[0, 1], [2]]


@given(st.lists(boxes, max_size=12), st.floats(0.1, 0.9))
def test_every_box_is_in_one_group_and_every_group_has_a_best(many, threshold):
    groups = merge_duplicates(many, threshold)
    assert sorted(index for group in groups for index in group) == list(range(len(many)))
    firsts = [group[0] for group in groups]
    assert firsts == sorted(firsts)
    for one, other in itertools.combinations(firsts, 2):
        assert many[one].iou(many[other]) <= threshold + 1e-9
