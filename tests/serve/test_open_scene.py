"""An open image is opened once, is read by several threads, and closes with its session."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from geochat.errors import ImageError
from geochat.imagery import Scene, Stretch
from geochat_serve.open_scene import OpenScene


@pytest.fixture
def scene(pictures):
    with OpenScene.open(pictures / "place.tif", "place.tif") as scene:
        yield scene


def test_it_is_opened_once_for_every_look(pictures, monkeypatch):
    opened = []
    original = Scene.open
    monkeypatch.setattr(Scene, "open", lambda *args, **options: opened.append(args) or original(*args, **options))
    with OpenScene.open(pictures / "place.tif", "place.tif") as scene:
        other = scene.shown_with((4, 3, 2), Stretch("percentile", (2.0, 98.0)))
        assert other.view((10, 20, 30, 40)).bands == (4, 3, 2)
        assert scene.view((10, 20, 30, 40)).bands == (1, 2, 3)
    assert len(opened) == 1
    assert (other.opening, other.id != scene.id) == (scene.opening, True)


def test_a_view_has_the_colours_of_the_whole(scene):
    view = scene.view((100, 60, 200, 160))
    assert np.array_equal(view.pixels, scene.image.pixels[60:220, 100:300])


def test_several_threads_look_at_once(scene):
    windows = [(10 * number, 8 * number, 100, 80) for number in range(24)]
    with ThreadPoolExecutor(6) as threads:
        views = list(threads.map(scene.view, windows))
    for (column, row, width, height), view in zip(windows, views, strict=True):
        assert np.array_equal(view.pixels, scene.image.pixels[row : row + height, column : column + width])


def test_closed_it_is_read_no_more(scene):
    scene.close()
    scene.close()
    with pytest.raises(ImageError, match=r"^place\.tif was closed; open it again"):
        scene.view((0, 0, 10, 10))


def test_what_cannot_be_shown_is_told_by_its_name(pictures, scene):
    with pytest.raises(ImageError, match=r"^my\.png cannot be decoded") as told:
        OpenScene.open(pictures / "broken.png", "my.png")
    assert str(pictures) not in str(told.value)
    with pytest.raises(ImageError, match="4 bands"):
        scene.shown_with((9, 9, 9), Stretch())


def test_other_bands_of_a_session(opened, pictures):
    session = opened(pictures / "place.tif")
    before = session.scene
    session.show_with((4, 3, 2), Stretch())
    assert session.scene.image.bands == (4, 3, 2)
    assert session.scene.scene is before.scene
