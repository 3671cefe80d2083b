"""Lists of scenes: words, text files, folders, globs, STAC files, areas with dates."""

import json
import os
import shutil
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochat.archive import Manifest, SceneRef, list_scenes
from geochat.errors import ImageError, RegionError


def item(name, taken, west, href=None):
    ring = [[west, 50], [west + 1, 50], [west + 1, 51], [west, 51], [west, 50]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, 50, west + 1, 51],
        "properties": {"datetime": taken},
        "links": [],
        "assets": {"visual": {"href": href or f"./{name}.tif", "type": "image/tiff"}},
    }


@pytest.fixture
def collection(tmp_path):
    """An item collection of four scenes in two places."""
    items = [
        item("a", "2024-05-01T10:00:00Z", 3),
        item("b", "2024-05-20T10:00:00Z", 3),
        item("c", "2024-07-01T10:00:00Z", 3),
        item("d", "2024-05-01T10:00:00Z", 9, "https://example.com/d.tif"),
    ]
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return path


def names(listed):
    return [scene.name for scene in listed.scenes]


def test_words_of_every_kind_in_order(tmp_path):
    for name in ("b.tif", "a.tif", "sub/c.tif", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "list.txt").write_text("# mine\n\nsub/c.tif\ngone.tif\nhttps://example.com/x.tif\n")
    listed = list_scenes([str(tmp_path / "list.txt"), str(tmp_path), str(tmp_path / "**" / "*.tif")])
    assert names(listed) == ["c", "gone", "x", "a", "b"]
    assert [Path(each.source).name for each in listed.duplicates] == ["a.tif", "b.tif", "c.tif"]
    assert [scene.found for scene in listed.scenes] == [False, False, False, True, True]


def written(path, content=0, west=3.0, crs="EPSG:4326", bands=1):
    """A tiny GeoTIFF."""
    import numpy as np
    import rasterio
    from affine import Affine

    path.parent.mkdir(exist_ok=True)
    place = {} if crs is None else {"crs": crs, "transform": Affine(0.1, 0, west, 0, -0.1, 50)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", "GTiff", 8, 8, bands, dtype="uint8", **place) as target:
            target.write(np.full((bands, 8, 8), content, np.uint8))
    return path


def test_one_file_by_list_glob_link_and_folder_is_one_scene(tmp_path):
    written(tmp_path / "a.tif")
    written(tmp_path / "b.tif", 1)
    (tmp_path / "link.tif").symlink_to(tmp_path / "a.tif")
    os.link(tmp_path / "b.tif", tmp_path / "second-name.tif")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "list.txt").write_text("a.tif\n./gone.tif\nloop/a.tif\ngone.tif\n")
    listed = list_scenes([str(tmp_path / "list.txt"), str(tmp_path / "*.tif"), str(tmp_path)])
    assert names(listed) == ["a", "gone", "b"]
    assert {each.same for each in listed.duplicates} == {"file"}
    told = [(Path(each.source).name, Path(each.first).name) for each in listed.duplicates]
    assert told[:2] == [("a.tif", "a.tif"), ("gone.tif", "gone.tif")]
    assert told[2:5] == [("a.tif", "a.tif"), ("link.tif", "a.tif"), ("second-name.tif", "b.tif")]


def test_a_copy_under_another_name_is_one_scene(tmp_path):
    first = written(tmp_path / "2024" / "a.tif")
    for name in ("again/a.tif", "again/renamed.TIFF"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(first, tmp_path / name)
    other = written(tmp_path / "2024" / "other.tif", 7)  # of one length
    moved = written(tmp_path / "2024" / "moved.tif", west=4.0)
    projected = written(tmp_path / "2024" / "projected.tif", crs="EPSG:32631")
    listed = list_scenes([str(tmp_path / "2024"), str(tmp_path / "again"), str(tmp_path / "gone.tif")])
    assert [Path(scene.source) for scene in listed.scenes] == [first, moved, other, projected, tmp_path / "gone.tif"]
    assert [(Path(each.source).name, Path(each.first), each.same) for each in listed.duplicates] == [
        ("a.tif", first, "content"),
        ("renamed.TIFF", first, "content"),
    ]


@pytest.mark.parametrize("kind", ["without a place", "placed by a world file", "damaged", "a mosaic"])
def test_equal_bytes_that_may_be_other_scenes_are_left(tmp_path, kind):
    for folder, west in (("a", 3), ("b", 4)):
        path = written(tmp_path / folder / "x.tif", crs=None if kind.endswith(("place", "file")) else "EPSG:4326")
        if kind.endswith("file"):
            path.with_suffix(".tfw").write_text(f"0.1\n0\n0\n-0.1\n{west}\n50\n")
        elif kind == "damaged":
            path.write_bytes(b"II*\0" + b"\0" * 5000)
        elif kind == "a mosaic":
            source = "<SimpleSource><SourceFilename relativeToVRT='1'>x.tif</SourceFilename></SimpleSource>"
            band = f"<VRTRasterBand dataType='Byte' band='1'>{source}</VRTRasterBand>"
            text = "<SRS>EPSG:4326</SRS><GeoTransform>3, 0.1, 0, 50, 0, -0.1</GeoTransform>"
            (tmp_path / folder / "x.vrt").write_text(
                f"<VRTDataset rasterXSize='8' rasterYSize='8'>{text}{band}</VRTDataset>"
            )
    ending = "vrt" if kind == "a mosaic" else "tif"
    listed = list_scenes([str(tmp_path / "*" / f"*.{ending}")])
    assert (len(listed.scenes), listed.duplicates) == (2, ())


def test_thousands_of_scenes_are_listed_a_second(tmp_path):
    for number in range(2000):
        (tmp_path / f"{number}.tif").write_bytes(number.to_bytes(4) * 8)  # of one length
    begun = time.process_time()
    manifest = Manifest(list_scenes([str(tmp_path)]).scenes)
    assert len({manifest.id(number) for number in manifest.numbers()}) == 2000
    assert time.process_time() - begun < 5


def test_an_item_collection_and_a_catalogue(collection, tmp_path):
    listed = list_scenes([str(collection)])
    assert names(listed) == ["a", "b", "c", "d"]
    assert listed.scenes[0].source == str(tmp_path / "a.tif")
    assert listed.scenes[0].datetime.startswith("2024-05-01T10:00:00")
    (tmp_path / "items").mkdir()
    for name in ("e", "f"):
        (tmp_path / "items" / f"{name}.json").write_text(json.dumps(item(name, "2024-01-01T00:00:00Z", 0)))
    links = [{"rel": "item", "href": f"./items/{name}.json"} for name in ("e", "f", "gone")]
    catalogue = {"type": "Catalog", "id": "x", "stac_version": "1.0.0", "description": "", "links": links[:2]}
    (tmp_path / "catalog.json").write_text(json.dumps(catalogue))
    assert names(list_scenes([str(tmp_path / "catalog.json")])) == ["e", "f"]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, ["a", "b", "c"]),
        ({"datetime": "2024-05-01"}, ["a"]),
        ({"datetime": "2024-05-01/2024-05-31"}, ["a", "b"]),
        ({"datetime": "2024-05-02/.."}, ["b", "c"]),
        ({"start_datetime": "2024-05-20T10:00:00Z", "end_datetime": "2024-07-01T10:00:00Z"}, ["b", "c"]),
    ],
)
def test_areas_with_dates_choose_items(collection, tmp_path, properties, expected):
    ring = [[3.2, 50.2], [3.4, 50.2], [3.4, 50.4], [3.2, 50.2]]
    area = {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "areas.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [area]}))
    assert names(list_scenes([str(collection)], within=tmp_path / "areas.geojson")) == expected


@pytest.mark.parametrize(
    ("words", "within", "error"),
    [
        (["*.nothing"], None, ImageError),
        (["gone.txt"], None, ImageError),
        (["."], None, ImageError),
        ([], None, ImageError),
        (["a.tif"], "{}", RegionError),
        (["a.tif"], '{"type": "Feature", "geometry": null}', RegionError),
        (["a.tif"], '{"type": "FeatureCollection", "features": []}', RegionError),
        (
            ["a.tif"],
            '{"type": "Feature", "properties": {"datetime": "May"}, "geometry": {"type": "Point", "coordinates": [0]}}',
            RegionError,
        ),
        (
            ["a.tif"],
            '{"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [0, 0]}}',
            RegionError,
        ),
    ],
)
def test_lists_that_name_nothing(words, within, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if within is not None:
        Path("areas.geojson").write_text(within)
    with pytest.raises(error):
        list_scenes(words, within=None if within is None else Path("areas.geojson"))


@given(st.lists(st.builds(SceneRef, st.text(max_size=80), st.booleans(), st.integers(1, 9)), max_size=8))
def test_a_manifest_is_read_as_it_was_written(tmp_path_factory, scenes):
    scenes = [SceneRef(ref.source.encode("utf-8", "replace").decode(), ref.found, ref.page) for ref in scenes]
    path = tmp_path_factory.mktemp("manifest") / "manifest.jsonl"
    manifest = Manifest(scenes)
    manifest.write(path)
    again = Manifest.read(path)
    assert again.scenes == manifest.scenes
    assert again.sha256 == manifest.sha256
    ids = [manifest.id(number) for number in manifest.numbers()]
    assert ids == sorted(ids)
    assert all("/" not in each for each in ids)
