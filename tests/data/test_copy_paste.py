"""Composites: what is set down is labelled where it lies."""

import random

import numpy as np
import pytest
from shapely import Polygon

from geochat.errors import DataError
from geochat_data.copy_paste import cut_background, cut_objects, paste_cutouts
from geochat_data.records import LabelledImage, LabelledObject

RED, GREEN = (220, 20, 20), (30, 160, 40)


def picture(colour, objects=()):
    pixels = np.full((200, 200, 3), colour, np.uint8)
    for item in objects:
        xs, ys = zip(*item.polygon, strict=True)
        pixels[int(min(ys)) : int(max(ys)), int(min(xs)) : int(max(xs))] = RED
    return LabelledImage(None, 200, 200, objects=tuple(objects), pixels=pixels, name="picture")


def rectangle(category, x, y, width, height):
    return LabelledObject(category, ((x, y), (x + width, y), (x + width, y + height), (x, y + height)))


@pytest.fixture
def cutouts():
    return cut_objects([picture(GREEN, [rectangle("tennis court", 60, 70, 60, 30)])])


def test_an_object_lies_where_its_box_says(cutouts):
    for seed in range(20):
        made = paste_cutouts(picture(GREEN), cutouts, [], random.Random(seed), frozenset({"tennis court"}))
        (item,) = made.objects
        red = np.argwhere((made.pixels[..., 0] > 150) & (made.pixels[..., 1] < 90))[:, ::-1]
        assert Polygon(item.polygon).area == pytest.approx(len(red), rel=0.2)
        assert np.abs(red.mean(0) - item.center).max() < 1.5
        assert made.labelled == {"tennis court"}
        assert made.scene is None


def test_no_two_pieces_overlap_and_ground_is_not_labelled(cutouts):
    ground = cut_background([picture((90, 90, 200))], 3, random.Random(1))
    made = paste_cutouts(picture(GREEN), cutouts * 6, ground, random.Random(2), frozenset({"tennis court"}))
    shapes = [Polygon(item.polygon) for item in made.objects]
    assert 1 < len(shapes) <= 6
    assert not any(a.intersects(b) for number, a in enumerate(shapes) for b in shapes[:number])
    blue = (made.pixels[..., 2] > 150).sum()
    assert blue > 100


def test_round_things_keep_upright_boxes():
    tanks = cut_objects([picture(GREEN, [rectangle("storage tank", 60, 70, 40, 40)])])
    for seed in range(10):
        (item,) = paste_cutouts(picture(GREEN), tanks, [], random.Random(seed), frozenset({"storage tank"})).objects
        assert len({round(x, 3) for x, _ in item.polygon}) == 2


def test_the_same_chance_gives_the_same_composite(cutouts):
    first, second = (paste_cutouts(picture(GREEN), cutouts, [], random.Random(5), frozenset()) for _ in range(2))
    assert first == second
    assert np.array_equal(first.pixels, second.pixels)


def test_cut_objects_and_labelled_backgrounds_are_refused(cutouts):
    assert cut_objects([picture(GREEN, [rectangle("airplane", 180, 90, 40, 40)])]) == []
    with pytest.raises(DataError, match="labelled objects"):
        paste_cutouts(
            picture(GREEN, [rectangle("airplane", 10, 10, 40, 40)]), cutouts, [], random.Random(0), frozenset()
        )
