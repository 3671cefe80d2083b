"""Images on servers, named on the command line."""

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.rpc import RPC

from geochat.cli import images, main

SIZE = {"driver": "GTiff", "width": 100, "height": 80, "count": 3, "dtype": "uint8"}
UTM = Affine(1, 0, 5e5, 0, -1, 4e6)


@pytest.fixture
def address(tmp_path, monkeypatch, serve_ranges):
    """The address of a GeoTIFF."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with rasterio.open(tmp_path / "scene.tif", "w", crs="EPSG:32614", transform=UTM, **SIZE) as file:
        file.write(np.full((3, 80, 100), 90, np.uint8))
    with serve_ranges(tmp_path) as server:
        yield f"{server.address}/plain/scene.tif"


def test_ask_about_an_address(address, answering, capsys, tmp_path):
    answering("<p>a ship</p>{<10><20><30><40>|<90>}")
    layer = tmp_path / "a.geojson"
    assert main(["ask", f"{address}?signature=secret", "where is the ship?", "--json", "--geojson", str(layer)]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["image"]["path"] == address
    assert json.loads(layer.read_text())["geochat"]["image"] == address
    assert "secret" not in told.out + told.err + layer.read_text()


def test_several_addresses_are_a_table(address, answering, capsys, tmp_path):
    answering("a harbour", "a harbour")
    code = main(["ask", address, f"{address}?signature=secret", "what is this?", "--overlay", str(tmp_path / "drawn")])
    assert code == 0
    assert capsys.readouterr().out.splitlines() == [f"{address}: a harbour"] * 2
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["scene-2.png", "scene.png"]


def test_an_address_out_of_reach_is_said_before_a_model_is_loaded(capsys):
    assert main(["ask", "http://127.0.0.1:9/scene.tif", "what is this?"]) == 1
    assert "127.0.0.1:9/scene.tif cannot be reached" in capsys.readouterr().err
    assert main(["ask", "http://example.org/scene.tif", "ftp://example.org/a.tif", "what is this?"]) == 1
    told = capsys.readouterr().err
    assert "use https://" in told
    assert "'ftp://example.org/a.tif' is not opened" in told


def test_words_and_addresses_are_told_apart():
    words = images.split_words(["s3://bucket/a.tif", "what is at http://example.org and elsewhere?"])
    assert words.images == ["s3://bucket/a.tif"]
    assert not words.several
    assert images.label_of("https://me:word@example.org/a.tif?key=secret") == "https://example.org/a.tif"


def test_layers_of_an_image_with_rational_polynomials_alone_are_refused(tmp_path, capsys, answering):
    answering("<p>a ship</p>{<10><20><30><40>|<90>}")
    ones, names = [1.0] * 20, ("height", "lat", "line", "long", "samp")
    numbers = {f"{name}_{kind}": 1.0 for name in names for kind in ("off", "scale")}
    rpc = RPC(**numbers, line_den_coeff=ones, line_num_coeff=ones, samp_den_coeff=ones, samp_num_coeff=ones)
    with rasterio.open(tmp_path / "rpc.tif", "w", rpcs=rpc, **SIZE) as file:
        file.write(np.full((3, 80, 100), 90, np.uint8))
    image = str(tmp_path / "rpc.tif")
    assert main(["ask", image, "where?", "--geopackage", str(tmp_path / "a.gpkg")]) == 1
    assert "gdalwarp -rpc" in capsys.readouterr().err
    assert main(["ask", image, "where?"]) == 0
