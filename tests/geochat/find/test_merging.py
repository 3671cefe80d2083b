"""Boxes drawn window by window become objects: each once, in one piece."""

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geochat.find import Merger, plan_windows
from geochat.find.merging import BOX
from geochat.geometry.overlap import box_corners

SCENE = (1000, 600)
WINDOWS = plan_windows(SCENE, 200, overlap=60)


def look(plan, true, cut, unit=None):
    """What a perfect model draws in the windows of a plan, row by row: top, boxes."""
    tree = shapely.STRtree(shapely.polygons(box_corners(true)))
    for row in plan.rows():
        drawn = []
        for number in row.numbers:
            window = np.array(plan.window(number).bounds, float)
            for index in sorted(tree.query(shapely.box(*window)).tolist()):
                part = cut(true[index], window)
                if part is not None and unit is not None:
                    part = rounded(part, window, unit)
                if part is not None:
                    drawn.append((part, 1 / (1 + index), 0, window, number))
        yield row.top, np.array(drawn, BOX)


def rounded(box, window, unit):
    """A box in whole units of its window, as dialects write it; None without area."""
    step = (window[2] - window[0]) * unit
    corner = np.tile(window[:2], 2)
    numbers = np.round((box[:4] - corner) / step) * step + corner
    return None if numbers[0] == numbers[2] or numbers[1] == numbers[3] else np.array([*numbers, round(box[4])])


def merge(plan, rows, **options):
    merger = Merger(plan.size, **options)
    given_objects = []
    for top, drawn in rows:
        given_objects.append(merger.settled(top))
        merger.add(drawn)
    return np.concatenate([*given_objects, merger.settled()])


def drawn(box, window, score=0.5, phrase=0):
    plan = {WINDOWS.window(number): number for number in range(len(WINDOWS))}
    return np.array([(box, score, phrase, window, plan.get(window, hash(window)))], BOX)


def test_one_object_in_four_windows_is_one(truth):
    true = truth.boxes((150, 150, 190, 180, 20))
    objects = merge(WINDOWS, look(WINDOWS, true, truth.seen))
    truth.require_each_once(objects["box"], true, 0.999)
    assert objects["boxes"].tolist() == [4]


def test_an_object_longer_than_a_window_is_joined(truth):
    true = truth.boxes((40, 100, 900, 130, 4))
    objects = merge(WINDOWS, look(WINDOWS, true, truth.seen))
    truth.require_each_once(objects["box"], true, 0.999)
    assert objects["pieces"][0] >= 5
    assert objects["window"][0].tolist()[::2] == [0, 900]


def test_an_object_larger_than_a_window_both_ways_is_joined(truth):
    true = truth.boxes((150, 100, 700, 500, 10))
    truth.require_each_once(merge(WINDOWS, look(WINDOWS, true, truth.seen))["box"], true, 0.99)


def test_neighbours_that_touch_stay_two(truth):
    true = truth.boxes((20, 100, 420, 130), (20, 130, 420, 160), (420, 100, 820, 130), (820, 130, 860, 160))
    truth.require_each_once(merge(WINDOWS, look(WINDOWS, true, truth.seen))["box"], true, 0.999)


def test_the_best_scored_whole_box_stands_for_the_object():
    window, other = (0, 0, 200, 200), (140, 0, 340, 200)
    rows = [(0, np.concatenate([drawn((150, 50, 180, 80, 0), window, 0.4), drawn((151, 51, 181, 81, 0), other, 0.9)]))]
    objects = merge(WINDOWS, rows)
    assert objects["score"].tolist() == [0.9]
    assert objects["box"][0].tolist() == [151, 51, 181, 81, 0]


def test_a_box_within_a_box_of_another_window_is_no_second_object():
    left, right = (0, 0, 200, 200), (140, 0, 340, 200)
    inner, outer = drawn((160, 60, 175, 75, 0), left, 0.4), drawn((150, 50, 195, 95, 0), right, 0.9)
    objects = merge(WINDOWS, [(0, np.concatenate([inner, outer]))])
    assert objects["box"].tolist() == [[150, 50, 195, 95, 0]]


def test_phrases_do_not_meddle():
    window, other = (0, 0, 200, 200), (140, 0, 340, 200)
    box = (150, 50, 180, 80, 0)
    rows = [(0, np.concatenate([drawn(box, window, phrase=0), drawn(box, other, phrase=1)]))]
    assert merge(WINDOWS, rows)["phrase"].tolist() == [0, 1]


def test_boxes_of_one_window_are_never_one():
    window = (0, 0, 200, 200)
    rows = [(0, np.concatenate([drawn((50, 50, 80, 80, 0), window), drawn((55, 50, 85, 80, 0), window)]))]
    assert len(merge(WINDOWS, rows)) == 2


def test_a_piece_that_a_window_shows_whole_is_dropped_for_it_though_its_score_is_higher():
    left, right = (0, 0, 200, 200), (140, 0, 340, 200)
    rows = [(0, np.concatenate([drawn((150, 50, 200, 80, 0), left, 0.9), drawn((150, 50, 230, 80, 0), right, 0.1)]))]
    objects = merge(WINDOWS, rows)
    assert objects["box"][0].tolist() == [150, 50, 230, 80, 0]
    assert objects["boxes"].tolist() == [2]


def test_a_box_that_misses_the_edge_it_is_cut_by_is_a_piece_all_the_same():
    left, right = (0, 0, 200, 200), (140, 0, 340, 200)
    short, piece = drawn((20, 50, 190, 80, 0), left, 0.9), drawn((140, 50, 300, 80, 0), right, 0.1)
    objects = merge(WINDOWS, [(0, np.concatenate([short, piece]))])
    assert shapely.Polygon(box_corners(objects["box"])[0]).bounds == pytest.approx((20, 50, 300, 80))


def test_boxes_without_area_or_outside_their_window_are_left_out():
    window = (0, 0, 200, 200)
    rows = [(0, np.concatenate([drawn((50, 50, 50, 80, 0), window), drawn((300, 300, 350, 350, 0), window)]))]
    assert len(merge(WINDOWS, rows)) == 0


def test_scores_that_are_not_known_are_no_reason_to_lose_a_box():
    window, other = (0, 0, 200, 200), (140, 0, 340, 200)
    rows = [
        (0, np.concatenate([drawn((150, 50, 180, 80, 0), window, np.nan), drawn((20, 20, 60, 60, 0), other, np.nan)]))
    ]
    objects = merge(WINDOWS, rows)
    assert len(objects) == 1  # the second lies outside its window
    assert np.isnan(objects["score"][0])


def test_an_object_is_given_as_soon_as_no_later_window_reaches_it():
    merger = Merger(SCENE)
    merger.add(drawn((50, 50, 80, 80, 0), (0, 0, 200, 200)))
    merger.add(drawn((50, 150, 80, 180, 0), (0, 0, 200, 200)))
    assert merger.settled(79)["box"].tolist() == []
    assert merger.settled(140)["box"][:, 1].tolist() == [50]
    assert len(merger) == 1
    assert merger.settled()["box"][:, 1].tolist() == [150]
    assert len(merger) == 0


@st.composite
def layouts(draw):
    """Scenes, windows and overlaps, and what draws objects."""
    size = draw(st.tuples(st.integers(300, 900), st.integers(300, 900)))
    side = draw(st.integers(120, 280))
    return size, side, draw(st.integers(40, side // 2)), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


@pytest.mark.parametrize(("cut", "unit"), [*itertools.product(("seen", "seen_upright"), (None, 0.001))])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layout=layouts())
def test_objects_that_a_window_shows_whole_are_found_once(cut, unit, truth, layout):
    size, side, overlap, rng = layout
    true = truth.scatter(rng, size, ((10, 0.7 * overlap), (8, 0.7 * overlap)))
    plan = plan_windows(size, side, overlap=overlap)
    if len(true):
        truth.require_each_once(merge(plan, look(plan, true, getattr(truth, cut), unit))["box"], true, 0.9)


@pytest.mark.parametrize(("cut", "iou"), [("seen", 0.95), ("seen_upright", 0.5)])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layout=layouts())
def test_longer_ones_are_joined(cut, iou, truth, layout):
    size, side, overlap, rng = layout
    true = truth.scatter(rng, size, ((side, 4 * side), (12, 40)))
    plan = plan_windows(size, side, overlap=overlap)
    if len(true):
        truth.require_each_once(merge(plan, look(plan, true, getattr(truth, cut)))["box"], true, iou)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layout=layouts())
def test_several_window_sizes_and_the_whole_image_change_nothing(truth, layout):
    size, side, overlap, rng = layout
    true = truth.scatter(rng, size, ((20, 2 * side), (15, 50)))
    plan = plan_windows(size, side, overlap=overlap, scales=(1, 1.7), whole=True)
    if len(true):
        truth.require_each_once(merge(plan, look(plan, true, truth.seen))["box"], true, 0.9)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layout=layouts())
def test_whole_percents_of_a_window_do(truth, layout):
    size, side, overlap, rng = layout
    true = truth.scatter(rng, size, ((12, 0.6 * overlap), (12, 0.6 * overlap)))
    plan = plan_windows(size, side, overlap=overlap)
    if len(true):
        truth.require_each_once(merge(plan, look(plan, true, truth.seen, 0.01))["box"], true, 0.3)


@settings(max_examples=8, deadline=None)
@given(layout=layouts())
def test_rows_that_come_all_at_once_give_the_same_objects(truth, layout):
    size, side, overlap, rng = layout
    true = truth.scatter(rng, size, ((20, 2 * side), (15, 50)))
    plan = plan_windows(size, side, overlap=overlap)
    if len(true):
        rows = list(look(plan, true, truth.seen))
        together = merge(plan, [(0, np.concatenate([drawn for _, drawn in rows]))])
        streamed = merge(plan, rows)
        assert sorted(streamed["box"].round(6).tolist()) == sorted(together["box"].round(6).tolist())
