"""Tiles: true to the image, cached within limits on the server and for long in the browser."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from serve_wire import WAIT_S, run, upload

from geochat.errors import ImageError
from geochat.imagery import Stretch
from geochat_serve import tiles
from geochat_serve.open_scene import OpenScene
from geochat_serve.tiles import SIDE, TileServer, tile_window


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A tiled GeoTIFF of 2,600 x 1,300 pixels, four bands of 16 bits."""
    path = tmp_path_factory.mktemp("tiles") / "large.tif"
    columns, rows = np.meshgrid(np.arange(2600), np.arange(1300))
    bands = np.stack([columns, rows, columns + rows, 4000 - columns]).astype(np.uint16)
    place = {"transform": Affine(0.5, 0, 500_000, 0, -0.5, 4_649_000), "crs": "EPSG:32631", "tiled": True}
    with rasterio.open(path, "w", driver="GTiff", width=2600, height=1300, count=4, dtype="uint16", **place) as target:
        target.write(bands)
    return path


@pytest.fixture
def scene(large):
    with OpenScene.open(large, "large.tif", owned=False) as opened:
        yield opened


async def wanted():
    return True


def fetch(server, scene, *place):
    return run(server.tile(scene, *place, wanted))


def pixels(tile):
    return np.asarray(Image.open(io.BytesIO(tile.content)))


def test_a_tile_of_full_resolution_is_the_image_pixel_by_pixel(scene):
    server = TileServer()
    tile = fetch(server, scene, 0, 2, 1)
    left, top = 2 * SIDE, SIDE
    assert tile.media_type == "image/png"
    assert np.array_equal(pixels(tile), scene.view((left, top, SIDE, SIDE)).pixels)
    server.close()


def test_tiles_cover_the_image_at_every_level(scene):
    for level in range(4):
        side = SIDE << level
        windows = [
            tile_window(scene, level, column, row)
            for row in range(-(-1300 // side))
            for column in range(-(-2600 // side))
        ]
        assert sum(window.width * window.height for window in windows) == 2600 * 1300
        last = pixels(fetch(TileServer(), scene, level, (2600 - 1) // side, (1300 - 1) // side))
        assert last.shape[:2] == (windows[-1].height >> level, windows[-1].width >> level)


def test_levels_have_the_colours_of_the_overview(scene):
    coarse = pixels(fetch(TileServer(), scene, 2, 0, 0)).astype(int)
    fine = scene.view((0, 0, 2048, 1300)).pixels[::4, ::4].astype(int)
    assert np.abs(coarse[:300] - fine[: len(coarse)][:300]).mean() < 4


@pytest.mark.parametrize("place", [(0, 6, 0), (0, 0, 3), (-1, 0, 0), (0, -1, 0), (31, 0, 0), (10**9, 0, 0)])
def test_there_is_no_tile_outside_the_image(scene, place):
    with pytest.raises(ImageError, match="has no tile"):
        fetch(TileServer(), scene, *place)


def test_the_cache_is_bounded_and_keeps_what_is_used(scene):
    server = TileServer()
    first = fetch(server, scene, 0, 0, 0)
    server.max_bytes = 3 * len(first.content)
    for column in range(1, 5):
        fetch(server, scene, 0, column, 0)
        assert server.size <= server.max_bytes
        rendered = server.rendered
        assert fetch(server, scene, 0, column, 0) is not None
        assert server.rendered == rendered
    fetch(server, scene, 0, 0, 0)
    assert server.rendered == 6  # the first tile had been dropped
    server.close()


def test_other_bands_have_tiles_of_their_own(scene):
    server = TileServer()
    before = fetch(server, scene, 0, 0, 0)
    infrared = scene.rendered((4, 3, 2), Stretch("percentile", (2.0, 98.0)))
    assert fetch(server, infrared, 0, 0, 0).content != before.content
    assert fetch(server, scene, 0, 0, 0) is before


def test_a_tile_nobody_waits_for_is_not_rendered(scene):
    async def gone():
        return False

    server = TileServer()
    assert run(server.tile(scene, 0, 0, 0, gone)) is None
    assert server.rendered == 0


def test_a_closed_scene_has_no_tiles(large):
    with OpenScene.open(large, "large.tif", owned=False) as scene:
        pass
    with pytest.raises(ImageError, match="was closed"):
        fetch(TileServer(), scene, 0, 0, 0)


def open_on_page(page, server, path):
    """Open an image on a page: the headers of its session, and the id of its scene."""
    key, _ = page.load()
    name = upload(page.http, path.read_bytes(), path.name, "gradio_api/upload")
    page.trigger("scene-viewer", "uploaded", {"upload": name, "name": path.name})
    (session,) = [each for each in server.sessions if each.key == key]
    return {"x-geochat-session": key}, session.scene.id


def test_the_browser_keeps_a_tile_and_nobody_else_gets_it(pages, server, pictures):
    page = pages(server)
    headers, scene = open_on_page(page, server, pictures / "place.tif")
    address = f"page/tiles/{scene}/0/0/0"
    first = page.http.get(address, headers=headers)
    assert (first.status_code, first.headers["content-type"]) == (200, "image/png")
    assert {"private", "immutable"} <= set(first.headers["cache-control"].replace(",", "").split())
    assert Image.open(io.BytesIO(first.content)).size == (400, 320)
    again = page.http.get(address, headers={**headers, "if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert page.http.get(address).status_code == 403
    other = pages(server, "other")
    key, _ = other.load()
    refused = other.http.get(address, headers={"x-geochat-session": key})
    assert (refused.status_code, "no longer shown" in refused.json()["error"]) == (400, True)
    assert page.http.get(f"page/tiles/{scene}/0/9/9", headers=headers).status_code == 400
    assert page.http.get("page/jobs", headers=headers).headers["cache-control"] == "no-store"
    for level in ("x", "-1", "9" * 5000):
        assert page.http.get(f"page/tiles/{scene}/{level}/0/0", headers=headers).status_code == 400


def test_answers_do_not_wait_for_tiles(pages, server, pictures, monkeypatch):
    """All threads that render tiles are held up; a question is answered, and other pages open images, all the same."""
    released, rendering = threading.Event(), threading.Semaphore(0)
    render = tiles.render_tile

    def hold_up(*arguments):
        rendering.release()
        assert released.wait(WAIT_S)
        return render(*arguments)

    monkeypatch.setattr(tiles, "render_tile", hold_up)
    panning, asking = pages(server, "panning"), pages(server, "asking")
    headers, scene = open_on_page(panning, server, pictures / "place.tif")
    with ThreadPoolExecutor(8) as threads:
        waiting = [
            threads.submit(panning.http.get, f"page/tiles/{scene}/{level}/0/0", headers=headers) for level in range(8)
        ]
        assert rendering.acquire(timeout=WAIT_S)
        open_on_page(asking, server, pictures / "wide.png")
        output, notifications = asking.trigger("ask", "click", data=["where?", "Grounded description", False, ""])
        assert notifications == []
        assert "done" in json.dumps(output)
        assert not any(each.done() for each in waiting)
        released.set()
        assert {each.result().status_code for each in waiting} == {200}
