"""The format of a layer is chosen by name or ending, and its memory does not grow with the features."""

import subprocess
import sys

import pytest

from geochat.errors import ExportError, SettingsError
from geochat.exports import EXPORTERS, exporter_for


def test_the_name_or_the_caller_chooses_the_format(tmp_path):
    names = {"geopackage", "geojson", "flatgeobuf", "geoparquet", "coco", "dota", "yolo-obb", "overlay"}
    assert set(EXPORTERS) >= names
    assert exporter_for(tmp_path / "a.COCO.json") is EXPORTERS["coco"]
    assert exporter_for(tmp_path / "a.json") is EXPORTERS["geojson"]
    assert exporter_for(tmp_path / "a.coco.json", "geojson") is EXPORTERS["geojson"]
    with pytest.raises(ExportError, match=r"\.gpkg.*yolo-obb"):
        exporter_for(tmp_path / "a.shp")
    with pytest.raises(ExportError, match="no folder"):
        exporter_for(tmp_path / "gone" / "a.gpkg")
    with pytest.raises(ExportError, match="ending"):
        exporter_for(tmp_path / "a.shp", "geopackage")
    with pytest.raises(SettingsError, match="geoparquet"):
        exporter_for(tmp_path / "a.gpkg", "shapefile")


_MANY = """
import resource, sys
from affine import Affine
from geochat.exports import Feature, Layer, write_layer
from geochat.geometry import ImagePlace, OrientedBox
place = ImagePlace(40_000, 40_000, Affine(0.5, 0, 485_900, 0, -0.5, 5_209_247), "EPSG:26914")
def features(count):
    for number in range(count):
        x, y = number % 200 * 190, number // 200 % 200 * 190
        yield Feature(OrientedBox(x, y, x + 40, y + 20, number % 180).polygon(), place, {"phrase": "ship"})
for count in (10_000, int(sys.argv[2])):
    write_layer(sys.argv[1], Layer(place, {"phrase": str}), features(count))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.gpkg", "a.parquet", "a.geojson"])
def test_memory_does_not_grow_with_the_features(name, tmp_path):
    told = subprocess.run([sys.executable, "-c", _MANY, tmp_path / name, "40000"], stdout=subprocess.PIPE, check=True)
    few, many = map(int, told.stdout.split())
    assert many - few < 20_000  # kilobytes
