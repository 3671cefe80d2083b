"""Rendered scenes repeat exactly, and their boxes are those of what was drawn."""

import math

import numpy as np
import pytest

from geochat.errors import SettingsError
from geochat_data.synthetic import KINDS, OBJECT_CATEGORIES, render_scene
from geochat_data.synthetic.airport import airframe, draw_airplane
from geochat_data.synthetic.canvas import Canvas, circle, oblong
from geochat_data.synthetic.industry import draw_tank
from geochat_data.synthetic.landscape import ship
from geochat_data.synthetic.surroundings import building, car

BOXES = (344, 15876)
BRIGHTNESS = [170, 99, 117, 109, 106, 179, 119, 111, 156, 106]


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_scene(kind):
    first, again, other = render_scene(5, 128, kind), render_scene(5, 128, kind), render_scene(6, 128, kind)
    assert first == again
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)
    assert first.pixels.shape == (128, 128, 3)
    assert first.open().size == (128, 128)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind][1]])
def test_whole_objects_lie_inside_and_cut_ones_are_marked(kind):
    scenes = [render_scene(seed, 160, kind) for seed in range(4)]
    objects = [item for scene in scenes for item in scene.objects]
    assert any(item.category == KINDS[kind][1] for item in objects)
    assert {scene.labelled for scene in scenes} == {OBJECT_CATEGORIES}
    for item in objects:
        assert item.category in OBJECT_CATEGORIES
        inside = all(-1 <= v <= 161 for corner in item.polygon for v in corner)
        assert inside or item.truncated


def test_every_kind_is_drawn_without_being_named():
    assert len({render_scene(seed, 96).scene for seed in range(30)}) > 5


def test_unknown_kind():
    with pytest.raises(SettingsError, match="volcano"):
        render_scene(0, kind="volcano")


def test_a_seed_gives_what_models_were_trained_on():
    """The digest of the drawing, boxes and all; JPEG decoders may differ, so pixels are compared coarsely."""
    scenes = [render_scene(seed, 96) for seed in range(10)]
    boxes = [round(v) for scene in scenes for item in scene.objects for corner in item.polygon for v in corner]
    assert (len(boxes), sum(boxes)) == BOXES
    assert [round(float(scene.pixels.mean())) for scene in scenes] == BRIGHTNESS


def drawn_extent(canvas, polygon):
    """Extent of everything that is not black along the axes of `polygon`, and the polygon's own."""
    rows, columns = np.nonzero(np.asarray(canvas.image).max(axis=2))
    points = np.stack([columns + 0.5, rows + 0.5], axis=1) / 2
    corners = np.array(polygon)
    axis = (corners[1] - corners[0]) / np.linalg.norm(corners[1] - corners[0])
    frame = np.stack([axis, [-axis[1], axis[0]]], axis=1)
    drawn, box = points @ frame, corners @ frame
    return np.concatenate([drawn.min(0), drawn.max(0)]), np.concatenate([box.min(0), box.max(0)])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("what", ["airplane", "car", "ship", "tank", "building"])
def test_a_box_is_the_extent_of_what_was_drawn(what, seed):
    rng = np.random.default_rng(seed)
    canvas = Canvas(200, 3.0, rng)
    at, angle = (100.0, 100.0), rng.uniform(0, 2 * math.pi)
    match what:
        case "airplane":
            draw_airplane(canvas, airframe(rng), at, angle, 90)
        case "car":
            car(canvas, at, angle, length=30)
        case "ship":
            ship(canvas, at, angle, 80, 25)
        case "tank":
            draw_tank(canvas, at, 40, (3, 2), (200, 200, 200), style="roof")
        case "building":
            building(canvas, oblong(at, 80, 50, angle), gabled=bool(seed % 2))
    drawn, box = drawn_extent(canvas, canvas.objects[0].polygon)
    assert np.abs(drawn - box).max() < 1.5


def test_ground_is_claimed_once():
    canvas = Canvas(100, 3.0, np.random.default_rng(0))
    assert canvas.claim(circle((50, 50), 10))
    assert not canvas.claim(circle((65, 50), 10))
    assert canvas.claim(circle((75, 50), 10))
    assert not canvas.claim(circle((50, 75), 10), margin=10)


def test_objects_hardly_inside_are_ignored():
    canvas = Canvas(100, 3.0, np.random.default_rng(0))
    for x in (50, 102, 105, 200):
        canvas.label("car", oblong((x, 50.0), 20, 10, 0))
    assert [item.truncated for item in canvas.objects] == [False]
    assert len(canvas.ignored) == 2
