"""Windows, crops and views keep the labels they show."""

from dataclasses import replace

import numpy as np
import pytest

from geochat.geometry import OrientedBox
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.tiling import add_views, crop_around_objects, tile_images


@pytest.fixture
def whole(folder):
    """An image of 100 x 80 pixels with an upright box, a turned box and a ship."""
    boxes = (
        ("large vehicle", OrientedBox(10, 10, 20, 30)),
        ("large vehicle", OrientedBox(43, 23, 57, 37, 45)),
        ("ship", OrientedBox(60, 50, 80, 60)),
    )
    objects = tuple(LabelledObject(category, box.corners()) for category, box in boxes)
    return LabelledImage(
        folder.picture("a.png"), 100, 80, objects, scene="harbor", captions=("A port.",), labelled=frozenset({"ship"})
    )


def test_large_images_are_cut_with_their_labels(whole):
    assert list(tile_images([whole], 100)) == [replace(whole, path=None, name="a")]
    windows = {window.name: window for window in tile_images([whole], 50)}
    assert set(windows) == {"a_0_0", "a_50_0", "a_0_40", "a_50_40"}
    (ship,) = windows["a_50_40"].objects
    assert ship.box.iou(OrientedBox(10, 10, 30, 20)) == pytest.approx(1)
    assert len(windows["a_0_0"].objects) + len(windows["a_50_0"].objects) >= 2
    assert {(w.width, w.height, w.scene, w.captions) for w in windows.values()} == {(50, 40, None, ())}
    assert windows["a_0_0"].labelled == whole.labelled


def test_windows_lie_around_objects_and_within_the_image(whole):
    windows = list(crop_around_objects([whole], 60))
    assert len(windows) == len(whole.objects)
    assert len({window.name for window in windows}) == len(windows)
    pixels = np.asarray(whole.open())
    for window, item in zip(windows, whole.objects, strict=True):
        assert (window.width, window.height, window.scene, window.captions) == (60, 60, None, ())
        assert window.objects[0].category == item.category
        left, top = (a - b for a, b in zip(item.polygon[0], window.objects[0].polygon[0], strict=True))
        assert 0 <= left <= whole.width - 60
        assert 0 <= top <= whole.height - 60
        assert (window.pixels == pixels[int(top) : int(top) + 60, int(left) : int(left) + 60]).all()
    assert {window.objects[0].category for window in crop_around_objects([whole], 60, {"ship"})} == {"ship"}
    assert [(w.width, w.height) for w in crop_around_objects([whole], 500, {"ship"})] == [(whole.width, whole.height)]
    assert not list(crop_around_objects([whole], 2))  # each shows less than half of its object


def test_views_are_added_with_their_labels(whole):
    first, *views = add_views([whole], 20, seed=3)
    assert first == replace(whole, path=None, name="a")
    assert [view.name for view in views] == [f"a_v3.{n}" for n in range(1, 21)]
    assert {(view.width, view.height, view.captions) for view in views} == {(100, 100, ("A port.",))}
    assert len({view.pixels.tobytes() for view in views}) > 10  # of a picture of one colour
    longest = max(max(item.box.width, item.box.height) for item in whole.objects)
    for view in views:
        for item in view.objects:
            assert max(item.box.width, item.box.height) <= longest / 0.7 + 0.1
    again = list(add_views([whole], 2, seed=3))[1:]
    assert [view.pixels.tobytes() for view in again] == [view.pixels.tobytes() for view in views[:2]]
