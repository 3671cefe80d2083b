"""A scene is opened once, read by several threads, and closed with its session; the bundled scenes open too."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from geochat.errors import ImageError
from geochat.imagery import Scene, Stretch
from geochat_serve import open_scene
from geochat_serve.open_scene import OpenScene, gallery, open_sample, samples


@pytest.fixture
def scene(pictures):
    with OpenScene.open(pictures / "place.tif", "place.tif") as scene:
        yield scene


def test_it_is_opened_once_for_all_renderings(pictures, monkeypatch):
    opened = []
    original = Scene.open
    monkeypatch.setattr(Scene, "open", lambda *args, **options: opened.append(args) or original(*args, **options))
    with OpenScene.open(pictures / "place.tif", "place.tif") as scene:
        other = scene.rendered((4, 3, 2), Stretch("percentile", (2.0, 98.0)))
        assert other.view((10, 20, 30, 40)).bands == (4, 3, 2)
        assert scene.view((10, 20, 30, 40)).bands == (1, 2, 3)
    assert len(opened) == 1
    assert (other.image_id, other.id != scene.id) == (scene.image_id, True)


def test_a_view_has_the_colours_of_the_whole(scene):
    view = scene.view((100, 60, 200, 160))
    assert np.array_equal(view.pixels, scene.overview.pixels[60:220, 100:300])


def test_scenes_are_made_ready_for_the_page_at_once(pictures, monkeypatch):
    both = threading.Barrier(2)
    monkeypatch.setattr(open_scene, "data_url", lambda _: str(both.wait(20)))
    with (
        OpenScene.open(pictures / "wide.png", "a", owned=False) as one,
        OpenScene.open(pictures / "wide.png", "b", owned=False) as other,
        ThreadPoolExecutor(2) as threads,
    ):
        assert [made["name"] for made in threads.map(lambda scene: scene.payload, (one, other))] == ["a", "b"]
        assert one.payload is one.payload


def test_several_threads_read_at_once(scene):
    windows = [(10 * number, 8 * number, 100, 80) for number in range(24)]
    with ThreadPoolExecutor(6) as threads:
        views = list(threads.map(scene.view, windows))
    for (column, row, width, height), view in zip(windows, views, strict=True):
        assert np.array_equal(view.pixels, scene.overview.pixels[row : row + height, column : column + width])


def test_a_closed_scene_cannot_be_read(scene):
    scene.close()
    scene.close()
    with pytest.raises(ImageError, match=r"^place\.tif was closed; open it again"):
        scene.view((0, 0, 10, 10))


def test_an_error_gives_the_name_and_not_the_path(pictures, scene):
    with pytest.raises(ImageError, match=r"^my\.png cannot be decoded") as error:
        OpenScene.open(pictures / "broken.png", "my.png")
    assert str(pictures) not in str(error.value)
    with pytest.raises(ImageError, match="4 bands"):
        scene.rendered((9, 9, 9), Stretch())


def test_other_bands_of_a_session(opened, pictures):
    session = opened(pictures / "place.tif")
    before = session.scene
    session.render((4, 3, 2), Stretch())
    assert session.scene.overview.bands == (4, 3, 2)
    assert session.scene.scene is before.scene


def test_pages_of_a_file_with_several_images(opened, storage, pictures):
    session = opened(pictures / "pages.tif")
    assert (session.scene.scene.pages, session.scene.overview.width) == (2, 600)
    session.open_scene(session.scene.open_page(2), storage)
    assert (session.scene.page, session.scene.overview.width) == (2, 450)
    with pytest.raises(ImageError, match="page 3 is not there"):
        session.scene.open_page(3)


def test_another_page_of_an_upload_keeps_its_file(opened, storage, pictures):
    session = opened(pictures / "wide.png")
    path = storage.new_path("pages.tif", "somebody")
    path.write_bytes((pictures / "pages.tif").read_bytes())
    session.open_scene(OpenScene.open(storage.claim(storage.public_name(path)), "pages.tif"), storage)
    session.open_scene(session.scene.open_page(2), storage)
    assert session.scene.view((0, 0, 10, 20)).pixels.shape == (20, 10, 3)
    session.close(storage)
    assert storage.size() == 0


def test_every_bundled_scene_opens_and_has_its_thumbnail():
    assert [sample["file"] for sample in samples()] == ["airport.tif", "tanks.png", "tennis.png", "harbour.png"]
    for sample in samples():
        with open_sample(sample["file"]) as scene:
            assert min(scene.overview.width, scene.overview.height) >= 256
            assert scene.path.stat().st_size <= 400_000
    shown = gallery()
    assert [each["title"] for each in shown] == [sample["title"].split(",")[0] for sample in samples()]
    assert all(each["thumbnail"].startswith("data:image/") for each in shown)


def test_images_of_the_server_come_first_and_open_by_their_name_alone(pictures, tmp_path):
    copy = tmp_path / "wide.png"
    copy.write_bytes((pictures / "wide.png").read_bytes())
    images = (pictures / "place.tif", pictures / "wide.png", copy)
    shown = gallery(images)
    assert [each["title"] for each in shown[:3]] == ["place.tif", "wide.png", "wide.png"]
    assert len(shown) == 3 + len(samples())
    for each, path in zip(shown, images, strict=False):
        assert str(path.parent) not in json.dumps(each)
        with open_sample(each["file"], images) as scene:
            assert (scene.path, scene.name, scene.owned) == (path, path.name, False)
    for name in ("3/wide.png", "wide.png", str(images[0]), "0/../place.tif"):
        with pytest.raises(ImageError, match="no bundled scene"):
            open_sample(name, images)
