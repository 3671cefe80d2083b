"""Windows cover a scene, and every small object lies whole in one."""

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geochat.errors import SettingsError
from geochat.find import plan_windows
from geochat.find.windows import search_side, window_side

sizes = st.integers(8, 300)


def windows(plan):
    return [plan.window(number) for number in range(len(plan))]


@given(st.tuples(sizes, sizes), st.tuples(st.integers(8, 120), st.integers(8, 120)), st.integers(0, 60))
def test_every_pixel_is_looked_at_and_no_window_leaves_the_scene(size, side, overlap):
    if overlap >= min(side):
        overlap = 0
    plan = plan_windows(size, side, overlap=overlap)
    seen = np.zeros(size[::-1], int)
    for column, row, width, height in windows(plan):
        assert column >= 0
        assert row >= 0
        assert column + width <= size[0]
        assert row + height <= size[1]
        assert (width, height) == (min(side[0], size[0]), min(side[1], size[1]))
        seen[row : row + height, column : column + width] += 1
    assert seen.min() >= 1
    assert len(plan) == len(set(windows(plan))) == plan.count


@given(st.integers(8, 400), st.integers(8, 100), st.data())
def test_what_is_no_longer_than_the_overlap_lies_whole_in_a_window(full, side, data):
    overlap = data.draw(st.integers(1, side - 1))
    extent = data.draw(st.integers(1, min(overlap, full)))
    start = data.draw(st.integers(0, full - extent))
    plan = plan_windows((full, 8), (side, 8), overlap=overlap)
    assert any(w.column <= start and start + extent <= w.column + w.width for w in windows(plan))


@given(st.tuples(sizes, sizes), st.integers(8, 80), st.lists(st.sampled_from([1, 1.5, 2, 3]), min_size=1, max_size=3))
def test_rows_run_from_the_top_down_and_hold_every_window_once(size, side, scales):
    plan = plan_windows(size, side, overlap=0.25, scales=scales, whole=True)
    rows = list(plan.rows())
    assert all(one.top < other.top for one, other in pairwise(rows))
    assert sorted(number for row in rows for number in row.numbers) == list(range(len(plan)))
    assert all(plan.window(number).row == row.top for row in rows for number in row.numbers)


@pytest.mark.parametrize(
    ("size", "side", "overlap", "count"),
    [
        ((1000, 1000), 250, 0, 16),
        ((1000, 1000), 250, 50, 25),
        ((1001, 1000), 250, 0, 20),
        ((100, 90), 250, 0.25, 1),
        ((1000, 90), 250, 0.2, 5),
        ((40_000, 40_000), 288, 0.25, 185 * 185),
    ],
)
def test_the_number_of_windows(size, side, overlap, count):
    plan = plan_windows(size, side, overlap=overlap)
    assert len(plan) == count


def test_a_plan_of_millions_is_not_listed():
    plan = plan_windows((1_000_000, 1_000_000), 256, overlap=0.25)
    assert len(plan) > 20_000_000
    assert plan.window(len(plan) - 1).bounds[2:] == (1_000_000, 1_000_000)
    assert next(plan.rows()).top == 0


def test_sizes_that_come_to_the_same_windows_are_one():
    assert len(plan_windows((200, 100), 256, scales=(1, 2), whole=True)) == 1


def test_windows_outside_the_area_are_told_apart():
    area = shapely.Polygon([(310, 310), (500, 320), (400, 500)])
    plan = plan_windows((1000, 1000), 250, overlap=0, area=area)
    inside = {number for row in plan.rows() for number in row.numbers}
    outside = {number for row in plan.rows() for number in row.outside}
    assert inside == {5}  # the area touches three more at its corners
    assert (plan.count, len(inside | outside), inside & outside) == (1, 16, set())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 4}, "window of 4 x 4 pixels is too small"),
        ({"overlap": 250}, "overlap of 250 does not fit"),
        ({"overlap": -1}, "overlap of -1 does not fit"),
        ({"scales": (0,)}, "must be factors"),
        ({"scales": ()}, "no window to look through"),
    ],
)
def test_impossible_windows(options, message):
    with pytest.raises(SettingsError, match=message):
        plan_windows((1000, 1000), **{"side": 250, **options})


@pytest.mark.parametrize(
    ("gsd", "side"),
    [
        (None, 288),
        (0.3, 288),  # the middle of what the model knows
        (0.1, 864),
        (0.5, 288),  # known as it is
        (1.2, 144),  # enlarged to the coarsest that is known
        (5, 72),  # four times at most
    ],
)
def test_the_side_follows_from_the_ground_resolution(gsd, side):
    assert window_side(288, gsd, (0.15, 0.6)) == side


def test_a_model_that_knows_no_resolution_sees_pixels_one_to_one():
    assert window_side(504, 0.3, None) == 504


@pytest.mark.parametrize(
    ("gsd", "side"),
    [
        (0.3, 288),
        (0.1, 864),  # what is finer is shrunk
        (0.6, 144),  # what is coarser is enlarged
        (10, 72),  # four times at most
        (None, 173),  # taken for half a metre
    ],
)
def test_a_search_shows_the_resolution_at_which_objects_are_found_best(gsd, side):
    assert search_side(288, gsd, 0.3) == side
    assert search_side(504, gsd, None) == 504
