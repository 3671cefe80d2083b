"""Layers in QGIS itself, where it is installed (Debian: qgis, python3-qgis)."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image

from geochat.exports import PALETTE, Feature, Layer, write_layer
from geochat.geometry import ImagePlace, OrientedBox

PYTHON = "/usr/bin/python3"
UTM = Affine(0.5, 0.1, 485_900, 0.1, -0.5, 5_209_247)
BINDINGS = Path("/usr/lib/python3/dist-packages/qgis")


def seen_in_qgis(folder, picture, *sources):
    """What QGIS says of each source, and what it warns of; it draws them into a picture."""
    told = subprocess.run(
        [PYTHON, Path(__file__).with_name("open_in_qgis.py"), picture, *sources],
        cwd=folder,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(told.stdout), told.stderr


@pytest.mark.slow
@pytest.mark.skipif(not BINDINGS.is_dir(), reason="QGIS' Python bindings are not installed")
def test_qgis_opens_every_vector_format_and_the_style(tmp_path):
    place = ImagePlace(2000, 1000, UTM, "EPSG:26914")
    there = [OrientedBox(300, 300, 700, 500, 30), OrientedBox(1200, 500, 1500, 650)]
    layer = Layer(place, {"phrase": str, "score": float}, {"model": "tiny"})
    features = [
        Feature(box.polygon(), place, {"phrase": phrase, "score": 0.5})
        for box, phrase in zip(there, ("ship", "storage tank"), strict=True)
    ]
    window = Feature(shapely.box(1600, 0, 2000, 400), place, {"window": "[1600, 0, 400, 400]", "reason": "no memory"})
    for name in ("a.gpkg", "a.fgb", "a.geojson"):
        write_layer(tmp_path / name, layer, features, not_looked_at=[window])
    profile = {"driver": "GTiff", "width": 2000, "height": 1000, "count": 3, "dtype": "uint8"}
    with rasterio.open(tmp_path / "scene.tif", "w", crs="EPSG:26914", transform=UTM, **profile) as file:
        file.write(np.full((3, 1000, 2000), 40, np.uint8))
    styled, warned = seen_in_qgis(
        tmp_path, "picture.png", "a.gpkg|layername=objects", "a.gpkg|layername=not_looked_at", "scene.tif"
    )
    (flatgeobuf, geojson), _ = seen_in_qgis(tmp_path, "others.png", "a.fgb", "a.geojson")
    assert "Warning" not in warned
    objects, windows, _ = styled
    assert objects["renderer"] == "categorizedSymbol"
    assert objects["colours"] == {
        "ship": PALETTE[0].lower(), "storage tank": PALETTE[1].lower(), "": PALETTE[-1].lower()
    }  # fmt: skip
    assert (windows["renderer"], windows["features"]) == ("singleSymbol", 1)
    for seen in (objects, flatgeobuf):
        assert seen["valid"]
        assert (seen["crs"], seen["features"], seen["geometry"]) == ("EPSG:26914", 2, "Polygon")
        centers = sorted(tuple(~UTM @ center) for center in seen["centers"])
        np.testing.assert_allclose(centers, [box.center for box in there], atol=0.01)
    assert (geojson["crs"], geojson["features"]) == ("EPSG:4326", 2)
    with Image.open(tmp_path / "picture.png") as picture:
        colours = {f"#{r:02X}{g:02X}{b:02X}" for _, (r, g, b) in picture.convert("RGB").getcolors(10**6)}
    assert {*PALETTE[:2], "#808080"} <= colours
