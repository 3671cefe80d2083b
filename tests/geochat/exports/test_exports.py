import json
import sqlite3
from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from PIL import Image

from geochat.dialects import Region
from geochat.errors import ExportError
from geochat.exports import (
    PALETTE,
    PIXELS,
    WGS84,
    GroundedRegion,
    draw,
    to_geojson,
    write_geojson,
    write_geopackage,
    write_picture,
)
from geochat.geometry import Frame, ImagePlace, ModelFrame, OrientedBox, to_geographic

MODEL = ModelFrame()
UTM = Frame((200, 100), image_to_map=Affine(5, 0, 500_000, 0, -5, 5_200_000), crs="EPSG:26914", model=MODEL)
PLAIN = Frame((200, 100), model=MODEL)
PROVENANCE = {"model": "tiny", "model_sha256": "ab" * 32, "bands": [1, 2, 3], "window": [0, 0, 200, 100], "image": None}
REGIONS = [
    Region(OrientedBox(10, 30, 30, 40, 90), "1 plane"),
    Region(OrientedBox(40, 40, 60, 60, 30), "2 ships"),
    Region(OrientedBox(70, 40, 80, 60), None),
]


def placed(frame, regions=REGIONS):
    place = ImagePlace(*frame.view_size, frame.image_to_map, frame.crs)
    return [GroundedRegion.placed(region, frame, place) for region in regions]


def test_geojson_follows_rfc_7946():
    document = to_geojson(placed(UTM), UTM.crs, PROVENANCE)
    assert "crs" not in document
    assert document["geochat"] == {"coordinates": WGS84, **PROVENANCE}
    for number, (feature, region) in enumerate(zip(document["features"], placed(UTM), strict=True), 1):
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        assert shapely.LinearRing(ring).is_ccw
        expected = shapely.Polygon(to_geographic(region.map, UTM.crs))
        assert shapely.Polygon(ring).symmetric_difference(expected).area < 1e-5 * expected.area
        assert feature["id"] == feature["properties"]["number"] == number
        assert feature["properties"]["phrase"] == region.phrase
        assert feature["properties"]["coordinates"] == WGS84


def test_geojson_without_a_crs_is_pixels_and_says_so():
    document = to_geojson(placed(PLAIN), None, PROVENANCE)
    assert document["geochat"]["coordinates"] == PIXELS
    feature = document["features"][2]
    assert feature["properties"]["coordinates"] == PIXELS
    assert feature["properties"]["box"] == [70, 40, 80, 60, 0]
    assert shapely.geometry.shape(feature["geometry"]).bounds == (140, 30, 160, 70)


@pytest.mark.parametrize("frame", [UTM, PLAIN], ids=["map", "pixels"])
def test_gdal_reads_the_geojson(tmp_path, frame):
    path = write_geojson(tmp_path / "a.geojson", to_geojson(placed(frame), frame.crs, PROVENANCE))
    info = pyogrio.read_info(path)
    assert info["features"] == 3
    assert info["crs"] == "EPSG:4326"


@pytest.mark.parametrize(
    ("image_to_map", "crs"),
    [
        (Affine(0.1, 0, 170, 0, -0.1, 5), "EPSG:4326"),  # degrees that run on to 190
        (Affine(0.1, 0, -190, 0, -0.1, 5), "EPSG:4326"),
        (Affine(10_000, 0, -1_000_000, 0, -10_000, 500_000), "+proj=merc +lon_0=180 +datum=WGS84"),  # come back as -179
    ],
)
def test_shapes_across_the_antimeridian_are_cut(image_to_map, crs):
    frame = Frame((200, 100), image_to_map=image_to_map, crs=crs, model=MODEL)
    document = to_geojson(placed(frame, [Region(OrientedBox(40, 40, 60, 60))]), frame.crs, {})
    geometry = shapely.geometry.shape(document["features"][0]["geometry"])
    assert geometry.geom_type == "MultiPolygon"
    west, east = sorted(part.bounds for part in geometry.geoms)
    assert west == pytest.approx((-180, -2, -178, 2), abs=0.25)
    assert east == pytest.approx((178, -2, 180, 2), abs=0.25)


def test_what_no_projection_reaches_has_no_place():
    far = replace(UTM, image_to_map=Affine(5, 0, 1e12, 0, -5, 1e12))
    document = to_geojson(placed(far), far.crs, {})
    assert [feature["geometry"] for feature in document["features"]] == [None] * 3
    json.dumps(document, allow_nan=False)


def test_geometry_ends_where_the_image_does_and_what_was_written_stays(tmp_path):
    boxes = [OrientedBox(-10, 40, 10, 60), OrientedBox(120, 40, 130, 60)]
    regions = placed(UTM, [Region(box, "a") for box in boxes])
    partly, outside = to_geojson(regions, UTM.crs, {})["features"]
    corners = to_geographic([(500_000, 5_200_000 - 5 * 70), (500_100, 5_200_000 - 5 * 30)], UTM.crs)
    bounds = shapely.geometry.shape(partly["geometry"]).bounds
    assert bounds == pytest.approx((*corners.min(axis=0), *corners.max(axis=0)), abs=1e-5)
    assert outside["geometry"] is None
    assert partly["properties"]["box"] == [-10, 40, 10, 60, 0]
    assert partly["properties"]["pixels"][0][0] == -20
    _, _, geometry, _ = pyogrio.raw.read(write_geopackage(tmp_path / "a.gpkg", regions, UTM.crs, PROVENANCE))
    assert shapely.from_wkb(geometry[0]).bounds == (500_000, 5_199_650, 500_100, 5_199_850)
    assert geometry[1] is None


def test_geopackage_lies_in_the_crs_of_the_image(tmp_path):
    path = write_geopackage(tmp_path / "a.gpkg", placed(UTM), UTM.crs, PROVENANCE)
    meta, _, geometry, columns = pyogrio.raw.read(path)
    values = dict(zip(meta["fields"], columns, strict=True))
    assert meta["crs"] == "EPSG:26914"
    assert values["phrase"].tolist() == ["1 plane", "2 ships", None]
    assert values["angle"].tolist() == [90, 30, 0]
    assert values["model_sha256"].tolist() == ["ab" * 32] * 3
    assert values["bands"].tolist() == ["[1, 2, 3]"] * 3
    for wkb, region in zip(geometry, placed(UTM), strict=True):
        assert shapely.from_wkb(wkb).equals(shapely.Polygon(region.map))
    assert pyogrio.read_info(path)["layer_metadata"]["model"] == "tiny"


def test_geopackage_without_a_crs_is_undefined_cartesian_with_y_up(tmp_path):
    path = write_geopackage(tmp_path / "a.gpkg", placed(PLAIN), None, PROVENANCE)
    _, _, geometry, columns = pyogrio.raw.read(path)
    assert shapely.from_wkb(geometry[2]).bounds == (140, -70, 160, -30)
    assert "image pixels, y negated" in [column[0] for column in columns]
    with sqlite3.connect(path) as database:
        assert database.execute("select srs_id from gpkg_geometry_columns").fetchone() == (-1,)


def test_no_regions_give_an_empty_layer(tmp_path):
    path = write_geopackage(tmp_path / "a.gpkg", [], UTM.crs, PROVENANCE)
    assert pyogrio.read_info(path)["features"] == 0
    assert to_geojson([], UTM.crs, {})["features"] == []


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.gpkg"
    for count in (3, 1):
        write_geopackage(path, placed(UTM)[:count], UTM.crs, PROVENANCE)
        assert pyogrio.read_info(path)["features"] == count
    assert list(tmp_path.iterdir()) == [path]


WRITERS = {
    "a.geojson": lambda path: write_geojson(path, to_geojson(placed(UTM), UTM.crs, {})),
    "a.gpkg": lambda path: write_geopackage(path, placed(UTM), UTM.crs, {}),
    "a.png": lambda path: write_picture(path, Image.new("RGB", (9, 9)), PROVENANCE),
    "a.jpg": lambda path: write_picture(path, Image.new("RGB", (9, 9)), PROVENANCE),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_folder_is_an_export_error(tmp_path, name):
    with pytest.raises(ExportError, match=r"no folder .*gone; create it first"):
        WRITERS[name](tmp_path / "gone" / name)


@pytest.mark.parametrize("name", WRITERS)
def test_a_wrong_ending_is_an_export_error(tmp_path, name):
    with pytest.raises(ExportError, match=r"ending '\.xyz'"):
        WRITERS[name](tmp_path / "a.xyz")


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_keeps_the_old_file(tmp_path, name, monkeypatch):
    path = WRITERS[name](tmp_path / name)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("geochat.files.os.fsync", full)
    with pytest.raises(ExportError, match="No space left on device"):
        WRITERS[name](path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_in_the_way_is_an_export_error(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ExportError, match="cannot be written"):
        WRITERS[name](tmp_path / name)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_pictures_carry_their_provenance(tmp_path):
    picture = Image.new("RGB", (9, 9))
    with Image.open(write_picture(tmp_path / "a.png", picture, PROVENANCE)) as png:
        assert json.loads(png.text["geochat"]) == PROVENANCE
    with Image.open(write_picture(tmp_path / "a.JPG", picture, PROVENANCE)) as jpeg:
        assert json.loads(jpeg.info["comment"]) == PROVENANCE


def colours(picture):
    return {f"#{r:02X}{g:02X}{b:02X}" for _, (r, g, b) in picture.getcolors(10**6)}


@pytest.mark.parametrize("ground", ["black", "white"])
def test_outlines_run_where_the_regions_are(ground):
    view = Image.new("RGB", (400, 200), ground)
    frame = Frame(view.size, model=MODEL)
    picture = draw(view, placed(frame, REGIONS[2:]), frame)
    assert picture.size == view.size
    changed = np.argwhere(np.asarray(picture) != np.asarray(view))
    assert changed[:, 1].min() in range(274, 281)  # 70 percent of 400, less the line
    assert (
        picture.getpixel((280, 100))
        == picture.getpixel((320, 100))
        == Image.new("RGB", (1, 1), PALETTE[0]).getpixel((0, 0))
    )
    assert picture.getpixel((300, 70)) == view.getpixel((0, 0))  # the inside stays visible
    assert np.array_equal(np.asarray(view), np.asarray(Image.new("RGB", (400, 200), ground)))


def test_one_colour_a_phrase():
    view = Image.new("RGB", (400, 400))
    frame = Frame(view.size, model=MODEL)
    boxes = [OrientedBox(10, 10, 20, 20), OrientedBox(50, 50, 60, 60), OrientedBox(80, 80, 90, 90)]
    regions = [Region(box, phrase) for box, phrase in zip(boxes, ["a", "b", "a"], strict=True)]
    assert colours(draw(view, placed(frame, regions), frame)) & set(PALETTE) == set(PALETTE[:2])


def test_boxes_far_outside_and_without_area_are_harmless():
    view = Image.new("RGB", (60, 40))
    frame = Frame(view.size, model=MODEL)
    boxes = [OrientedBox(0, 0, 1e9, 5, 3), OrientedBox(-1e9, -1e9, -1e8, -1e8), OrientedBox(50, 50, 50, 50)]
    regions = [Region(box, "an endlessly long phrase " * 4) for box in boxes]
    assert draw(view, placed(frame, regions), frame).size == view.size


def test_many_labels_fit_a_small_view():
    view = Image.new("RGB", (128, 128))
    frame = Frame(view.size, model=MODEL)
    boxes = [OrientedBox(x, y, x + 8, y + 8, 20) for x in range(0, 100, 10) for y in range(0, 100, 10)]
    assert draw(view, placed(frame, [Region(box, "plane") for box in boxes]), frame).size == view.size
