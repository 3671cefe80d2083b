"""Photographs put together: everything stays where it was on its tile, and only what all label is labelled."""

import numpy as np

from geochat.geometry import OrientedBox
from geochat_data.augment import mosaic
from geochat_data.records import LabelledImage, LabelledObject


def tile(colour, category, labelled):
    thing = LabelledObject(category, OrientedBox(2, 4, 8, 8).corners())
    doubtful = LabelledObject("car", OrientedBox(0, 0, 2, 2).corners())
    pixels = np.full((16, 16, 3), colour, np.uint8)
    return LabelledImage(None, 16, 16, (thing,), (doubtful,), "beach", ("A tile.",), labelled=labelled, pixels=pixels)


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
