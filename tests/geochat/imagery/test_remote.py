"""Images on servers, from a server on this machine that answers range requests and counts what it sends."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from geochat.errors import ImageError
from geochat.imagery import Scene, open_image
from geochat.imagery.remote import RemoteFile

SIDE = 4096
UTM = Affine(0.5, 0, 485_900, 0, -0.5, 5_209_247)
CHUNK = 16_384  # what GDAL rounds its requests to


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A COG of noise, which cannot be compressed, and files that are none."""
    folder = tmp_path_factory.mktemp("served")
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "tiled": True}
    noise = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
    with rasterio.open(folder / "plain.tif", "w", crs="EPSG:26914", transform=UTM, **profile) as file:
        file.write(noise)
    rasterio.shutil.copy(folder / "plain.tif", folder / "scene.tif", driver="COG", compress="NONE", overviews="AUTO")
    (folder / "plain.tif").unlink()
    (folder / "text.tif").write_text("no image " * 10_000)
    (folder / "scene.tif.aux.xml").write_text("<PAMDataset><GeoTransform>0, 1, 0, 0, 0, 1</GeoTransform></PAMDataset>")
    (folder / "scene.tfw").write_text("1\n0\n0\n1\n0\n0\n")
    return folder


@pytest.fixture(scope="module")
def running(folder, serve_ranges):
    with serve_ranges(folder) as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    """The server of the folder; it has forgotten what it was asked before."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running.asked()
    return running


def test_a_remote_image_is_the_local_one(server, folder):
    address = f"{server.address}/plain/scene.tif?signature=secret#part"
    with Scene.open(address) as remote, Scene.open(folder / "scene.tif") as local:
        assert remote.size == local.size
        assert (remote.crs, remote.image_to_map) == ("EPSG:26914", UTM)
        assert remote.overviews == local.overviews
        for window, side in ((None, 512), ((100, 200, 700, 300), None)):
            view = remote.read(window, max_side=side)
            np.testing.assert_array_equal(view.pixels, local.read(window, max_side=side).pixels)
        assert remote.path is None
        assert remote.url == view.url == view.source == remote.name == f"{server.address}/plain/scene.tif"
        assert len(view.sha256) == 64
    with view.scene.reopened() as again:
        assert again.size == remote.size
    assert set(server.asked()[0]) == {"/plain/scene.tif"}  # no file beside it was asked for


def test_bytes_read_stay_near_what_the_windows_need(server):
    tile = 512 * 512 * 3
    with Scene.open(f"{server.address}/plain/scene.tif") as scene:
        assert server.asked()[1] <= 2 * CHUNK
        scene.read((1024, 1024, 512, 512))
        asked, sent = server.asked()
        assert (len(asked), sent <= tile + 2 * CHUNK) == (1, True)
        scene.read(max_side=256)
        assert server.asked()[1] <= 512 * 512 * 3 + 4 * CHUNK  # an overview
        for row in range(0, 2048, 512):
            scene.read((2048, row, 1024, 512))
        asked, sent = server.asked()
        assert sent <= 8 * (tile + 2 * CHUNK)
        assert len(asked) <= 8


def test_threads_read_at_once(server, folder):
    with Scene.open(f"{server.address}/plain/scene.tif") as scene, Scene.open(folder / "scene.tif") as local:
        views = {}

        def read(column):
            views[column] = scene.read((column, 0, 512, 512)).pixels

        threads = [threading.Thread(target=read, args=(column,)) for column in (0, 1024, 2048)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for column, pixels in views.items():
            np.testing.assert_array_equal(pixels, local.read((column, 0, 512, 512)).pixels)
        assert len(views) == 3


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("plain/gone.tif", r"gone\.tif is not there \(HTTP 404\)"),
        ("forbidden/scene.tif", r"may not be read \(HTTP 403\); set the credentials"),
        ("whole/scene.tif", "does not answer range requests"),
        ("plain/text.tif", "is not a TIFF"),
        ("", "names no file"),
        ("plain/gone.json", r"is not there \(HTTP 404\)"),
        ("moved/item.json", "plain http"),
    ],
)
def test_what_a_server_does_is_said(server, place, message):
    with pytest.raises(ImageError, match=message) as caught:
        open_image(f"{server.address}/{place}")
    assert "vsicurl" not in str(caught.value)
    assert server.asked()[1] < 0.2 * SIDE * SIDE * 3


def test_a_server_that_is_not_there():
    for name in ("x.tif", "x.json"):
        with pytest.raises(ImageError, match=r"127\.0\.0\.1:9/x\..* cannot be reached"):
            open_image(f"http://127.0.0.1:9/{name}")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://example.org/scene.tif", "plain http.*use https"),
        ("http://127.0.0.1.example.org/scene.tif", "plain http"),
        ("http://2130706433/scene.tif", "plain http"),
        ("ftp://example.org/scene.tif", "not opened"),
        ("file:///etc/passwd", "not opened"),
        ("https:///scene.tif", "not opened"),
        ("https://example.org/a b.tif", "not opened"),
        ("https://example.org:port/a.tif", "no address"),
        ("/vsicurl/https://example.org/scene.tif", "not opened"),
        ("zip+https://example.org/a.zip!a.tif", "not opened"),
    ],
)
def test_addresses_that_are_refused(address, message):
    with pytest.raises(ImageError, match=message):
        RemoteFile.find(address)
    with pytest.raises(ImageError):
        open_image(address)


def test_a_path_is_never_an_address(server):
    for address in (f"{server.address}/plain/scene.tif", f"{server.address}/plain/item.json"):
        with pytest.raises(ImageError, match="does not exist"):
            open_image(Path(address))
    assert server.asked()[0] == []


def test_gdal_s_settings_of_the_environment_are_honoured(server, monkeypatch):
    for name, value in {
        "AWS_S3_ENDPOINT": server.address.removeprefix("http://"),
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_NO_SIGN_REQUEST": "YES",
    }.items():
        monkeypatch.setenv(name, value)
    with Scene.open("s3://plain/scene.tif") as scene:
        assert scene.url == "s3://plain/scene.tif"
        assert scene.read((0, 0, 64, 64)).pixels.shape == (64, 64, 3)
    assert set(server.asked()[0]) == {"/plain/scene.tif"}
    with pytest.raises(ImageError, match="not there"):
        Scene.open("s3://plain/gone.tif")


def test_missing_credentials_are_said(monkeypatch, tmp_path):
    monkeypatch.setenv("CPL_AWS_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("CPL_AWS_EC2_API_ROOT_URL", "disabled")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("CPL_GS_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("CPL_MACHINE_IS_GCE", "NO")
    for address in ("s3://bucket/scene.tif", "gs://bucket/scene.tif"):
        with pytest.raises(ImageError, match="needs credentials"):
            Scene.open(address)


def item(**assets):
    """A STAC item with assets of (href, media type, roles)."""
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "scene",
        "properties": {"datetime": "2024-03-01T00:00:00Z"},
        "geometry": None,
        "links": [],
        "assets": {
            name: {"href": href, "type": media, "roles": list(roles)} for name, (href, media, *roles) in assets.items()
        },
    }


COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def test_stac_items_are_opened_by_their_asset(server, folder, tmp_path):
    several = item(
        preview=("../plain/scene.tif", "image/png", "thumbnail"),
        red=("scene.tif", COG, "data"),
        nir=("scene.tif", COG, "data"),
        info=("info.xml", "application/xml", "metadata"),
    )
    (folder / "several.json").write_text(json.dumps(several))
    address = f"{server.address}/plain/several.json"
    with Scene.open(address, asset="red") as scene:
        assert scene.size == (SIDE, SIDE)
        assert scene.url == f"{server.address}/plain/scene.tif"
    with pytest.raises(ImageError, match="several images: preview, red, nir; choose"):
        Scene.open(address)
    with pytest.raises(ImageError, match=r"no asset 'green'; its images are: preview, red, nir"):
        Scene.open(address, asset="green")
    one = item(preview=("t.png", "image/png", "thumbnail"), image=(str(folder / "scene.tif"), COG, "data"))
    (tmp_path / "one.json").write_text(json.dumps(one))
    with Scene.open(str(tmp_path / "one.json")) as scene:
        assert scene.path == folder / "scene.tif"
    (tmp_path / "visual.json").write_text(
        json.dumps(item(B4=("b.tif", COG), visual=(f"{server.address}/plain/scene.tif", COG)))
    )
    assert open_image(str(tmp_path / "visual.json"), max_side=64).url == f"{server.address}/plain/scene.tif"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (item(info=("info.xml", "application/xml")), "no asset that is an image; its assets are: info"),
        ({"type": "FeatureCollection", "features": []}, r"no STAC item \(FeatureCollection\)"),
        ({"type": "Collection"}, r"no STAC item \(Collection\)"),
        ([1], "no STAC item"),
        ({"type": "Feature", "assets": {}}, "cannot be read as a STAC item"),
        (item(image=("/etc/passwd", COG)), r"/etc/passwd is not there \(HTTP 404\)"),
        (item(image=("file:///etc/passwd", COG)), "not opened"),
        (item(image=("http://example.org/scene.tif", COG)), "plain http"),
        (item(image=("ftp://example.org/scene.tif", COG)), "not opened"),
    ],
)
def test_items_that_are_refused(server, folder, document, message):
    (folder / "bad.json").write_text(json.dumps(document))
    with pytest.raises(ImageError, match=message):
        Scene.open(f"{server.address}/plain/bad.json")


def test_items_of_other_machines_do_not_lead_here(tmp_path, monkeypatch):
    monkeypatch.setattr("geochat.imagery.stac._load", lambda *_: item(image=("http://127.0.0.1:631/printers.tif", COG)))
    with pytest.raises(ImageError, match="on this machine"):
        Scene.open("https://example.org/item.json")


def test_an_asset_belongs_to_an_item(server, folder):
    with pytest.raises(ImageError, match="leave it out"):
        Scene.open(f"{server.address}/plain/scene.tif", asset="red")
    with pytest.raises(ImageError, match="leave it out"):
        Scene.open(np.zeros((4, 4), np.uint8), asset="red")
    with pytest.raises(ImageError, match="https:// only"):
        Scene.open("s3://bucket/item.json")


def test_without_pystac_the_message_names_the_extra(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pystac", None)
    (tmp_path / "item.json").write_text("{}")
    with pytest.raises(ImageError, match=r"geochat\[stac\]"):
        Scene.open(str(tmp_path / "item.json"))


def test_a_typed_vrt_reaches_no_server(server, tmp_path):
    (tmp_path / "a.vrt").write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>/vsicurl/{server.address}/plain/scene.tif</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(ImageError):
        open_image(str(tmp_path / "a.vrt"))
    assert server.asked()[0] == []
