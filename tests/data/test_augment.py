"""Views and mosaics: boxes stay on their objects, and only what all tiles label is labelled."""

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw
from shapely import Polygon

from geochat.geometry import OrientedBox
from geochat_data.augment import Augmentation, augment, mosaic
from geochat_data.records import LabelledImage, LabelledObject

PAINTED = ((40.0, 60.0), (90.0, 80.0), (80.0, 105.0), (30.0, 85.0))


def painted_image() -> LabelledImage:
    """A white box on black, labelled where it is."""
    canvas = Image.new("RGB", (160, 128))
    ImageDraw.Draw(canvas).polygon(PAINTED, fill="white")
    return LabelledImage(
        path=None, width=160, height=128, objects=(LabelledObject("ship", PAINTED),), pixels=np.asarray(canvas)
    )


@pytest.mark.parametrize("seed", range(24))
def test_the_box_stays_on_what_it_labels(seed):
    view = augment(painted_image(), 200, Augmentation(zoom=(0.9, 1.2), tilt=10, colour=0), random.Random(seed))
    assert (view.width, view.height, view.open().size) == (200, 200, (200, 200))
    mask = Image.new("1", (200, 200))
    for thing in (*view.objects, *view.ignore):
        ImageDraw.Draw(mask).polygon(thing.polygon, fill=1)
    drawn, bright = np.asarray(mask), np.asarray(view.open()).min(-1) > 160
    assert (drawn & bright).sum() / (drawn | bright).sum() > 0.93


def test_all_eight_symmetries_occur():
    square = replace(painted_image(), width=128, pixels=painted_image().pixels[:, :128])
    still = Augmentation(zoom=(1.0, 1.0), colour=0)
    views = {augment(square, 128, still, random.Random(seed)).open().tobytes() for seed in range(200)}
    assert len(views) == 8


def test_what_leaves_the_view_is_dropped_or_ignored():
    seen = {"kept": 0, "ignored": 0, "gone": 0}
    for seed in range(100):
        view = augment(painted_image(), 64, Augmentation(zoom=(0.3, 0.5), visible=0.5), random.Random(seed))
        frame = Polygon([(0, 0), (64, 0), (64, 64), (0, 64)])
        for thing in view.objects:
            share = Polygon(thing.polygon).intersection(frame).area / Polygon(thing.polygon).area
            assert share >= 0.5
            assert thing.truncated == (share < 0.98)
        seen["kept" if view.objects else "ignored" if view.ignore else "gone"] += 1
    assert all(seen.values())


def test_the_same_seed_gives_the_same_view():
    one, two = (augment(painted_image(), 96, Augmentation(), random.Random(5)) for _ in range(2))
    assert one == two
    assert np.array_equal(one.open(), two.open())


def tile(colour, category, labelled):
    thing = LabelledObject(category, OrientedBox(2, 4, 8, 8).corners())
    ignored = LabelledObject("car", OrientedBox(0, 0, 2, 2).corners())
    pixels = np.full((16, 16, 3), colour, np.uint8)
    return LabelledImage(None, 16, 16, (thing,), (ignored,), "beach", ("A tile.",), labelled=labelled, pixels=pixels)


def test_tiles_lie_two_by_two_with_their_objects():
    tiles = [tile(10 * n, name, frozenset({name, "ship"})) for n, name in enumerate(("a", "b", "c", "d"), start=1)]
    whole = mosaic(tiles, "m")
    assert (whole.width, whole.height, whole.scene, whole.captions) == (32, 32, None, ())
    assert whole.labelled == {"ship"}
    assert [item.category for item in whole.objects] == ["a", "b", "c", "d"]
    assert [item.center for item in whole.objects] == [(5, 6), (21, 6), (5, 22), (21, 22)]
    assert len(whole.ignore) == 4
    assert whole.pixels[6, 21].tolist() == [20, 20, 20]
    assert whole.pixels[22, 5].tolist() == [30, 30, 30]


def test_fewer_tiles_leave_the_rest_black():
    whole = mosaic([tile(10, "a", frozenset())], "m")
    assert whole.pixels[20, 20].tolist() == [0, 0, 0]
