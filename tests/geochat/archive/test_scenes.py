"""Lists of scenes: words, text files, folders, globs, STAC files, areas with dates."""

import json
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
    assert [Path(again).name for again, _ in listed.duplicates] == ["a.tif", "b.tif", "c.tif"]
    assert [scene.found for scene in listed.scenes] == [False, False, False, True, True]


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
