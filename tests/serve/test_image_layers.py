"""Image layers: where they belong in any CRS, refused where they have no place, and nobody else's."""

import io

import numpy as np
import pytest
import rasterio
import rasterio.warp
from affine import Affine
from PIL import Image
from rasterio.crs import CRS
from serve_wire import run, upload

from geochat.errors import ImageError
from geochat.imagery import Window
from geochat_serve.image_layers import MAX_LAYERS, layer_bounds, render_layer
from geochat_serve.open_scene import OpenScene
from geochat_serve.tiles import TileServer

UTM = "EPSG:32631"
MIDDLE = (500_100, 4_648_920)  # of place.tif: EPSG:32631, 0.5 m, 400 x 320


def write(path, pixels, transform, crs=UTM):
    height, width = pixels.shape
    profile = {"width": width, "height": height, "count": 3, "dtype": "uint8", "transform": transform, "crs": crs}
    with rasterio.open(path, "w", driver="GTiff", **profile) as target:
        target.write(np.repeat(pixels[None], 3, axis=0))
    return path


def spot(size=400, step=0.5):
    """A grey square with a bright one of 20 m in its middle, centred on `MIDDLE`, and its geotransform."""
    pixels = np.full((size, size), 60, np.uint8)
    reach = round(10 / step)
    pixels[size // 2 - reach : size // 2 + reach, size // 2 - reach : size // 2 + reach] = 250
    half = size * step / 2
    return pixels, Affine(step, 0, MIDDLE[0] - half, 0, -step, MIDDLE[1] + half)


def in_other_crs(pixels, transform, crs):
    """The same picture warped into another CRS."""
    left, top, side = transform.c, transform.f, pixels.shape[0] * transform.a
    west, south, east, north = rasterio.warp.transform_bounds(UTM, crs, left, top - side, left + side, top)
    width = height = 500
    target = Affine((east - west) / width, 0, west, 0, (south - north) / height, north)
    warped = np.zeros((height, width), np.uint8)
    places = {"src_transform": transform, "src_crs": UTM, "dst_transform": target, "dst_crs": crs}
    rasterio.warp.reproject(pixels, warped, **places)
    return warped, target


@pytest.fixture
def scene(pictures):
    with OpenScene.open(pictures / "place.tif", "place.tif", owned=False) as opened:
        yield opened


def bright(picture):
    """Middle of the bright square, and its sides, in pixels of a picture."""
    pixels = np.asarray(picture)
    rows, columns = np.nonzero((pixels[..., 0] > 155) & (pixels[..., 3] == 255))
    sides = columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()
    return (columns.mean() + 0.5, rows.mean() + 0.5), sides


@pytest.mark.parametrize("crs", [UTM, "EPSG:32630", "EPSG:3857", "EPSG:4326", "EPSG:3035"])
def test_a_layer_of_any_crs_lies_where_it_is(tmp_path, scene, crs):
    pixels, transform = spot()
    path = write(tmp_path / "layer.tif", *(in_other_crs(pixels, transform, crs) if crs != UTM else (pixels, transform)))
    with rasterio.open(path, "r+") as target:
        target.crs = CRS.from_user_input(crs)
    with OpenScene.open(path, "layer.tif", owned=False) as layer:
        assert layer_bounds(layer, scene) == pytest.approx((0, 0, 400, 320), abs=1)
        picture = render_layer(layer, scene, Window(0, 0, 400, 320), (400, 320))
    middle, sides = bright(picture)
    assert middle == pytest.approx((200, 160), abs=1)
    assert sides == pytest.approx((40, 40), abs=3)


@pytest.mark.parametrize("step", [0.1, 5])
def test_a_finer_and_a_coarser_layer_are_in_the_scene_s_grid(tmp_path, scene, step):
    path = write(tmp_path / "layer.tif", *spot(round(160 / step), step))
    with OpenScene.open(path, "layer.tif", owned=False) as layer:
        picture = render_layer(layer, scene, Window(0, 0, 400, 320), (200, 160))
    middle, sides = bright(picture)
    assert middle == pytest.approx((100, 80), abs=1)
    assert sides == pytest.approx((20, 20), abs=2 + step)


def test_tiles_fit_together_and_are_transparent_beside_the_layer(tmp_path, scene):
    pixels, transform = spot(100)  # 50 m in the middle of a scene of 200 x 160 m
    with OpenScene.open(write(tmp_path / "layer.tif", pixels, transform), "layer.tif", owned=False) as layer:
        assert layer_bounds(layer, scene) == pytest.approx((150, 110, 250, 210))
        whole = np.asarray(render_layer(layer, scene, Window(0, 0, 400, 320), (400, 320)))
        parts = [
            np.asarray(render_layer(layer, scene, Window(left, 0, 100, 320), (100, 320))) for left in range(0, 400, 100)
        ]
        server = TileServer()

        async def wanted():
            return True

        tiles = [run(server.tile(scene, level, 0, 0, wanted, layer=layer)) for level in (0, 2)]
        server.close()
    assert np.abs(np.concatenate(parts, axis=1).astype(int) - whole).max() <= 1
    assert (whole[..., 3] == 255).sum() == 100 * 100
    assert not whole[:, :149].any()
    assert [tile.media_type for tile in tiles] == ["image/png", "image/webp"]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(tiles[0].content))), whole)
    assert Image.open(io.BytesIO(tiles[1].content)).size == (100, 80)


@pytest.mark.parametrize("wrong", ["elsewhere", "beside", "no CRS", "no place"])
def test_an_image_without_a_place_on_the_scene_is_refused(tmp_path, scene, pictures, wrong):
    pixels, transform = spot()
    if wrong == "no place":
        path = pictures / "wide.png"
    elif wrong == "no CRS":
        path = write(tmp_path / "layer.tif", pixels, transform, crs=None)
    else:
        path = write(
            tmp_path / "layer.tif", pixels, Affine.translation(0, 500 if wrong == "beside" else -3e6) @ transform
        )
    words = "has no place on Earth" if wrong.startswith("no") else "lies elsewhere"
    with OpenScene.open(path, "layer.tif", owned=False) as layer, pytest.raises(ImageError, match=words):
        layer_bounds(layer, scene)


def test_nothing_is_laid_over_an_image_without_a_place(scene, pictures):
    refused = pytest.raises(ImageError, match=r"wide\.png has no place on Earth")
    with OpenScene.open(pictures / "wide.png", "wide.png", owned=False) as plain, refused:
        layer_bounds(scene, plain)


class Tab:
    """A page and what it asks of the routes of its image layers."""

    def __init__(self, pages, server, name="page"):
        self.page, self.server = pages(server, name), server
        key, _ = self.page.load()
        self.headers = {"x-geochat-session": key}
        (self.session,) = [each for each in server.sessions if each.key == key]

    def upload(self, path):
        return upload(self.page.http, path.read_bytes(), path.name, "gradio_api/upload")

    def open(self, path):
        self.page.trigger("scene-viewer", "uploaded", {"upload": self.upload(path), "name": path.name})
        return self

    def post(self, address, **body):
        return self.page.http.post(f"page/{address}", headers=self.headers, json=body)

    def get(self, address):
        return self.page.http.get(f"page/{address}", headers=self.headers)

    def add(self, path):
        return self.post("images", upload=self.upload(path), name=path.name)


def files(server):
    return len([path for path in server.storage.uploads.parent.rglob("*") if path.is_file()])


def test_a_page_adds_sees_and_removes_a_layer(pages, server, pictures, tmp_path):
    tab = Tab(pages, server)
    path = write(tmp_path / "layer.tif", *spot(100))
    assert (tab.get("images").status_code, tab.add(path).status_code) == (400, 400)  # no image is open
    tab.open(pictures / "place.tif")
    before = files(server)
    added = tab.add(path).json()
    assert (added["name"], added["bounds"], added["problem"]) == ("layer.tif", [150, 110, 250, 210], None)
    assert tab.get("images").json()["layers"] == [added]
    assert str(tab.session.layers[added["id"]].path) not in str(added)
    address = f"tiles/{tab.session.scene.id}/{added['id']}/0/0/0"
    tile = tab.get(address)
    assert (tile.status_code, tile.headers["content-type"]) == (200, "image/png")
    assert "immutable" in tile.headers["cache-control"]
    again = tab.page.http.get(f"page/{address}", headers={**tab.headers, "if-none-match": tile.headers["etag"]})
    assert again.status_code == 304
    assert tile.headers["etag"] != tab.get(f"tiles/{tab.session.scene.id}/0/0/0").headers["etag"]
    assert tab.get(address.replace("/0/0/0", "/0/9/9")).status_code == 400
    for _ in range(2):
        assert tab.post(f"images/{added['id']}/remove").status_code == 200
    assert tab.get(address).status_code == 400
    assert files(server) == before


def test_what_is_refused_leaves_nothing(pages, server, pictures, tmp_path):
    tab = Tab(pages, server).open(pictures / "place.tif")
    before = files(server)
    plain = tab.add(pictures / "wide.png")
    assert (plain.status_code, "no place on Earth" in plain.json()["error"]) == (400, True)
    assert tab.add(pictures / "broken.png").status_code == 400
    for body in ({}, {"upload": "../../etc/passwd"}, {"upload": 3}, {"file": "/etc/passwd"}, {"file": ["a"]}):
        assert tab.post("images", **body).status_code == 400
    sample = tab.post("images", file="airport.tif")
    assert sample.status_code == 400
    assert tab.session.layers == {}
    assert files(server) == before
    path = write(tmp_path / "layer.tif", *spot(100))
    assert [tab.add(path).status_code for _ in range(MAX_LAYERS + 1)] == [200] * MAX_LAYERS + [400]


def test_layers_are_the_session_s_own(pages, server, pictures, tmp_path):
    path = write(tmp_path / "layer.tif", *spot(100))
    mine, other = (Tab(pages, server, name).open(pictures / "place.tif") for name in ("mine", "other"))
    layer = mine.add(path).json()["id"]
    assert other.get("images").json()["layers"] == []
    assert other.get(f"tiles/{other.session.scene.id}/{layer}/0/0/0").status_code == 400
    assert other.get(f"tiles/{mine.session.scene.id}/{layer}/0/0/0").status_code == 400
    other.post(f"images/{layer}/remove")
    assert list(mine.session.layers) == [layer]
    assert mine.page.http.get(f"page/tiles/{mine.session.scene.id}/{layer}/0/0/0").status_code == 403
    assert mine.page.http.post("page/images", json={}).status_code == 403


def test_layers_stay_with_another_image_and_go_with_the_session(pages, server, pictures, tmp_path):
    tab = Tab(pages, server).open(pictures / "place.tif")
    layer = tab.add(write(tmp_path / "layer.tif", *spot(100))).json()["id"]
    path = tab.session.layers[layer].path
    tab.open(pictures / "wide.png")
    (told,) = tab.get("images").json()["layers"]
    assert (told["bounds"], "wide.png has no place" in told["problem"]) == (None, True)
    tab.open(pictures / "place.tif")
    assert tab.get("images").json()["layers"][0]["bounds"] == [150, 110, 250, 210]
    tab.session.close(server.storage)
    assert not path.exists()
    with pytest.raises(ImageError, match="session has ended"):
        tab.session.require_room()
