"""Windows around places, cut to images and shrunk."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochat.errors import ImageError
from geochat.imagery import Window

sides = st.integers(1, 500)
windows = st.builds(Window, st.integers(-300, 300), st.integers(-300, 300), sides, sides)


def test_a_window_says_where_it_is():
    window = Window(10, 20, 30, 40)
    assert window.bounds == (10, 20, 40, 60)
    assert window.size == (30, 40)
    assert Window.whole((30, 40)) == (0, 0, 30, 40)


@pytest.mark.parametrize(
    ("bounds", "margin", "window"),
    [
        ((1.2, 2.0, 3.1, 4.0), 0, (1, 2, 3, 2)),
        ((-1.5, 0, 3, 4), 0, (-2, 0, 5, 4)),
        ((10, 10, 20, 20), 2.5, (7, 7, 16, 16)),
        ((5.5, 5.5, 5.5, 5.5), 0, (5, 5, 1, 1)),
        ((5, 5, 5, 5), 0, (5, 5, 1, 1)),
    ],
)
def test_the_smallest_that_covers_a_rectangle(bounds, margin, window):
    assert Window.covering(bounds, margin) == window


@pytest.mark.parametrize("bounds", [(3, 0, 2, 1), (0, 0, math.nan, 1), (0, 0, math.inf, 1)])
def test_what_is_no_rectangle(bounds):
    with pytest.raises(ImageError, match="no rectangle"):
        Window.covering(bounds)


def test_around_a_point():
    assert Window.around((100, 50), 20) == (90, 40, 20, 20)
    assert Window.around((100.4, 50), (21, 10)) == (90, 45, 21, 10)


@given(windows, windows)
def test_intersections(first, second):
    shared = first.intersect(second)
    assert shared == second.intersect(first)
    pixels = [
        set(range(a[i], a[i + 2])) & set(range(b[i], b[i + 2]))
        for a, b in [(first.bounds, second.bounds)]
        for i in (0, 1)
    ]
    if shared is None:
        assert not all(pixels)
    else:
        assert [set(range(shared.bounds[i], shared.bounds[i + 2])) for i in (0, 1)] == pixels


@given(windows, sides, sides)
def test_clipped_and_moved_windows_lie_in_the_image(window, width, height):
    size = width, height
    moved = window.move_into(size)
    assert moved.require_within(size, "image") == moved
    assert moved.size == (min(window.width, width), min(window.height, height))
    if (clipped := window.clip(size)) is not None:
        assert clipped.require_within(size, "image") == clipped
        assert clipped == window or window.clip(size) != window


@given(windows, st.floats(-0.5, 1.5), st.floats(-0.5, 1.5), st.floats(0.1, 1))
def test_a_point_keeps_its_relative_place(window, x, y, share):
    point = window.column + x * window.width, window.row + y * window.height
    part = window.shrink_towards(point, share)
    assert part.intersect(window) == part
    inside = [min(max(value, 0), 1) for value in (x, y)]
    for start, full_start, full, part_side, at in zip(
        part[:2], window[:2], window.size, part.size, inside, strict=True
    ):
        assert abs((full_start + at * full - start) - at * part_side) <= 0.5 + 1e-6
