"""Many scenes in one folder, by one process or several."""

import importlib.util
import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from geochat.archive import Archive, Manifest, SceneWork, SceneWriter, finish, job_status, list_scenes, run_here

spec = importlib.util.spec_from_file_location("archive_stand_in", Path(__file__).with_name("stand_in.py"))
stand_in = importlib.util.module_from_spec(spec)
sys.modules["archive_stand_in"] = stand_in
spec.loader.exec_module(stand_in)
Bright, write_scene, rows, windows = stand_in.Bright, stand_in.write_scene, stand_in.rows, stand_in.windows

WORK = SceneWork("find", ("ship",), {"window": 64, "overlap": 16})


@pytest.fixture
def scenes(tmp_path):
    """Six scenes: two CRSs, one without, one twice, one missing, one truncated."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    write_scene(folder / "a.tif")
    write_scene(folder / "b.tif", (150, 100), ((10, 10, 30, 30), (90, 60, 130, 80)), "EPSG:4326")
    write_scene(folder / "c.tif", crs=None)
    (folder / "a-again.tif").symlink_to(folder / "a.tif")
    damaged = write_scene(folder / "damaged.tif", (200, 200), ((5, 5, 195, 195),))
    damaged.write_bytes(damaged.read_bytes()[:-400])
    names = ["a.tif", "b.tif", "gone.tif", "c.tif", "damaged.tif", "a-again.tif"]
    (tmp_path / "list.txt").write_text("# scenes\n" + "".join(f"scenes/{name}\n" for name in names))
    return tmp_path / "list.txt"


def begin(folder, listed, **options):
    return Archive(folder, Manifest(listed.scenes), WORK, Bright().info, **options)


def run(folder, listed, share=(0, 1), engine=None, **options):
    archive = begin(folder, listed, **options)
    entries = dict(run_here(archive, engine or Bright(), SceneWriter(archive), share=share))
    finish(archive)
    return entries


def test_scenes_fail_alone_and_two_crss_make_one_dataset(scenes, tmp_path):
    listed = list_scenes([str(scenes)])
    assert [Path(again).name for again, _ in listed.duplicates] == ["a-again.tif"]
    entries = run(tmp_path / "job", listed)
    assert [("error" in entries[number]) for number in range(5)] == [False, False, True, False, True]
    assert "does not exist" in entries[2]["error"]
    assert entries[4].get("windows_failed", 1)
    status = job_status(begin(tmp_path / "job", listed).folder)
    assert (status["scenes"], status["done"], status["failed"], status["left"]) == (5, 5, 2, 0)
    found = [(name, json.loads(row)) for name, row, _ in rows(tmp_path / "job")]
    placed = [(name[6:], row["phrase"], row["scene_crs"]) for name, row in found if "damaged" not in name]
    assert placed == [
        ("scene=000000-a"[6:], "ship", "EPSG:32631"),
        *[("000001-b", "ship", "EPSG:4326")] * 2,
        ("000003-c", "ship", None),
    ]
    assert [bool(row["geometry"]) for name, row in found if "damaged" not in name] == [True, True, True, False]


def test_the_dataset_opens_in_geopandas_and_the_collection_in_pystac(scenes, tmp_path):
    run(tmp_path / "job", list_scenes([str(scenes)]))
    geopandas, pystac = pytest.importorskip("geopandas"), pytest.importorskip("pystac")
    frame = geopandas.read_parquet(tmp_path / "job" / "dataset")
    assert {"000000-a", "000001-b"} <= set(frame["scene"])
    assert frame.crs.to_string() in ("EPSG:4326", "OGC:CRS84")
    assert frame.dropna(subset=["geometry"]).geometry.bounds.minx.between(2.9, 3.1).all()
    collection = pystac.Collection.from_file(str(tmp_path / "job" / "stac" / "collection.json"))
    items = list(collection.get_items())
    assert [item.id for item in items][:2] == ["000000-a", "000001-b"]
    assert all(Path(item.assets["objects"].get_absolute_href()).is_file() for item in items)
    assert items[0].properties["geochat:model"] == "bright"
    assert items[0].properties["geochat:phrases"] == ["ship"]


def test_the_report_is_escaped_and_asks_no_other_host(tmp_path):
    write_scene(tmp_path / "<b>x.tif")
    run(tmp_path / "job", list_scenes([str(tmp_path / "*.tif"), "<script>.tif"]))
    page = (tmp_path / "job" / "report.html").read_text()
    assert "<script>" not in page
    assert "<b>x" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert (tmp_path / "job" / "thumbnails" / "000000-b-x.jpg").is_file()


def test_parts_and_a_later_run_finish_each_others_job(scenes, tmp_path):
    listed = list_scenes([str(scenes)])
    run(tmp_path / "whole", listed)
    first = run(tmp_path / "job", listed, share=(0, 2))
    assert sorted(first) == [0, 2, 4]
    assert job_status(begin(tmp_path / "job", listed).folder)["left"] == 2
    second = run(tmp_path / "job", listed)
    assert sorted(second) == [1, 3]
    assert rows(tmp_path / "job") == rows(tmp_path / "whole")
    assert set(Counter(windows(tmp_path / "job")).values()) == {1}


def test_failed_scenes_are_looked_at_again(scenes, tmp_path):
    listed = list_scenes([str(scenes)])
    run(tmp_path / "job", listed)
    assert run(tmp_path / "job", listed) == {}
    write_scene(tmp_path / "scenes" / "gone.tif")
    again = run(tmp_path / "job", listed, retry=True)
    assert sorted(again) == [2, 4]
    assert "error" not in again[2]
    assert again[2]["rows"] == 1


def test_an_engine_that_fails_ends_the_run_and_nothing_is_lost(tmp_path):
    for number in range(3):
        write_scene(tmp_path / f"{number}.tif", (640, 640))
    listed = list_scenes([str(tmp_path / "*.tif")])
    broken = Bright()

    def fail(*_):
        from geochat.errors import EngineError

        raise EngineError("the server is gone")

    run_first = begin(tmp_path / "job", listed)
    steps = run_here(run_first, broken, SceneWriter(run_first))
    next(steps)
    broken.answer = fail
    with pytest.raises(Exception, match="the server is gone"):
        next(steps)
    assert sorted(run(tmp_path / "job", listed)) == [1, 2]


def test_a_folder_of_other_scenes_is_refused(scenes, tmp_path):
    from geochat.errors import SettingsError

    listed = list_scenes([str(scenes)])
    run(tmp_path / "job", listed)
    with pytest.raises(SettingsError, match="another job"):
        begin(tmp_path / "job", list_scenes([str(tmp_path / "scenes" / "a.tif")]))


def test_scenes_outside_the_area_are_skipped(tmp_path):
    write_scene(tmp_path / "near.tif")
    write_scene(tmp_path / "far.tif", place=(5000, 5000))
    shutil.copy(tmp_path / "near.tif", tmp_path / "copy.tif")
    area = tmp_path / "area.geojson"
    ring = [[2.9999, 41.0], [3.01, 41.0], [3.01, 41.6], [2.9999, 41.6], [2.9999, 41.0]]
    import rasterio
    from rasterio.warp import transform_bounds

    with rasterio.open(tmp_path / "near.tif") as scene:
        west, south, east, north = transform_bounds(scene.crs, "EPSG:4326", *scene.bounds)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    listed = list_scenes([str(tmp_path / "near.tif"), str(tmp_path / "far.tif")])
    archive = Archive(tmp_path / "job", Manifest(listed.scenes), WORK.changed(area=area), Bright().info)
    entries = dict(run_here(archive, Bright(), SceneWriter(archive)))
    assert entries[1]["skipped"] == "outside the area"
    assert entries[0]["rows"] == 1
