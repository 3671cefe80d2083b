"""`GeoChat.find` on georeferenced scenes: areas, map coordinates, sizes and bearings, and the layer."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from geochat.errors import RegionError
from geochat.exports import read_vector_layer
from geochat.geometry import OrientedBox

OPTIONS = {"window": 256, "overlap": 96}
UTM = ("EPSG:32631", Affine(0.5, 0, 500_000, 0, -0.5, 4_600_000))
PLACES = {
    "utm": UTM,
    "wgs84": ("EPSG:4326", Affine(5e-6, 0, 3, 0, -5e-6, 41)),
    "polar": ("EPSG:3031", Affine(2, 0, 300_000, 0, -2, 400_000)),
    "rotated": ("EPSG:32631", Affine.translation(500_000, 4_600_000) @ Affine.rotation(25) @ Affine.scale(0.5, -0.5)),
    "south up": ("EPSG:32631", Affine(0.5, 0, 500_000, 0, 0.5, 4_600_000)),
}


def test_an_area_on_the_map(oracle, write_scene, known, tmp_path):
    scene = write_scene(900, 700, "EPSG:32631", Affine(0.5, 0, 500_000, 0, -0.5, 4_600_000))
    area = tmp_path / "area.geojson"
    with rasterio.open(scene) as opened:
        corners = [opened.transform @ corner for corner in ((480, 80), (600, 80), (600, 160), (480, 160))]
    ring = [[float(x), float(y)] for x, y in (*corners, corners[0])]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}}
    polygon = {"type": "Polygon", "coordinates": [ring]}
    features = [{"type": "Feature", "properties": {}, "geometry": polygon}]
    area.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    finding = oracle(known).find(scene, "ship", **OPTIONS, area=area)
    assert finding.look.plan.count == 2
    with pytest.raises(RegionError, match="no ground in common"):
        oracle(known).find(scene, "ship", area=shapely.box(5000, 5000, 6000, 6000))


@pytest.mark.parametrize("place", PLACES)
def test_maps_agree_with_the_geotransform(oracle, write_scene, known, place):
    path = write_scene(900, 700, *PLACES[place])
    found = list(oracle(known).find(path, "tank", **OPTIONS))
    assert len(found) == 2
    with rasterio.open(path) as opened:
        for each, true in zip(sorted(found, key=lambda one: one.box.center), known["tank"], strict=True):
            wanted = [opened.transform @ corner for corner in OrientedBox(*true.tolist()).corners()]
            pixels = [~opened.transform @ corner for corner in each.map]
            assert sorted(map(_rounded, pixels)) == sorted(map(_rounded, [~opened.transform @ p for p in wanted]))


def _rounded(point):
    return tuple(round(number, 2) for number in point)


@pytest.mark.parametrize(
    ("place", "box", "bearing"),
    [
        ("utm", (100, 100, 160, 120), 90),
        ("utm", (100, 100, 160, 120, 90), 0),
        ("utm", (100, 100, 160, 120, 30), 120),
        ("south up", (100, 100, 160, 120, 30), 60),
        ("rotated", (100, 100, 160, 120), 65),  # x is turned counter-clockwise by 25 degrees
    ],
)
def test_size_and_bearing_on_the_ground(oracle, write_scene, truth, place, box, bearing):
    path = write_scene(512, 512, *PLACES[place])
    (found,) = oracle({"ship": truth.boxes(box)}).find(path, "ship", window=512)
    assert (found.length, found.width) == pytest.approx((30, 10), rel=1e-3)
    assert found.area == pytest.approx(300, rel=2e-3)
    assert abs((found.bearing - bearing + 90) % 180 - 90) < 0.1


def test_bearing_is_from_true_north_at_the_pole(oracle, write_scene, truth):
    path = write_scene(512, 512, *PLACES["polar"])
    (found,) = oracle({"ship": truth.boxes((200, 200, 300, 220))}).find(path, "ship", window=512)
    x, y = 300_000 + 250 * 2, 400_000 - 210 * 2
    assert found.bearing == pytest.approx((90 - np.degrees(np.arctan2(x, y))) % 180, abs=0.2)


def test_the_layer(oracle, write_scene, known, tmp_path):
    finding = oracle(known).find(write_scene(900, 700, *UTM), ["ship", "tank"], **OPTIONS)
    list(finding)
    layer = read_vector_layer(finding.save(tmp_path / "found.gpkg"))
    assert len(layer) == 7
    assert layer.crs == "EPSG:32631"
    assert layer.columns["phrase"].tolist().count("tank") == 2
    assert set(layer.columns["model_sha256"]) == {"0" * 64}
    assert set(layer.columns["prompt"]) == {f"[refer] Give me the location of <p> {phrase} </p>" for phrase in known}
    for name in ("score", "length_m", "width_m", "area_m2", "bearing", "pixels", "window", "model", "boxes", "pieces"):
        assert len(layer.columns[name]) == 7
    assert "not_looked_at" in layer.others
