"""Many scenes in one folder, by one process or several."""

import importlib.util
import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from geochat.archive import Archive, Manifest, SceneWork, SceneWriter, finish, job_status, list_scenes, run_here
from geochat.errors import DataError, EngineError, SettingsError

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
    assert [Path(each.source).name for each in listed.duplicates] == ["a-again.tif"]
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


def test_two_runs_at_once_share_the_scenes(scenes, tmp_path):
    listed = list_scenes([str(scenes)])
    one, two = begin(tmp_path / "job", listed), begin(tmp_path / "job", listed)
    steps = run_here(one, Bright(), SceneWriter(one))
    first = dict([next(steps)])
    second = dict(run_here(two, Bright(), SceneWriter(two)))
    assert dict(steps) == {}
    assert sorted(first) + sorted(second) == [0, 1, 2, 3, 4]
    assert set(Counter(windows(tmp_path / "job")).values()) == {1}
    with pytest.raises(DataError, match="another process is at work"), two.job:
        begin(tmp_path / "job", listed, restart=True)


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
        write_scene(tmp_path / f"{number}.tif", (400, 400), place=(1000 * number, 0))  # 64 windows
    listed = list_scenes([str(tmp_path / "*.tif")])
    broken = Bright()

    def fail(*_):
        raise EngineError("the server is gone")

    run_first = begin(tmp_path / "job", listed)
    steps = run_here(run_first, broken, SceneWriter(run_first))
    next(steps)
    broken.answer = fail
    with pytest.raises(Exception, match="the server is gone"):
        next(steps)
    assert sorted(run(tmp_path / "job", listed)) == [1, 2]


def test_an_engine_that_answers_nothing_ends_the_run_of_small_scenes(tmp_path):
    for number in range(40):
        write_scene(tmp_path / f"{number:02}.tif", (64, 64), place=(1000 * number, 0))
    archive = begin(tmp_path / "job", list_scenes([str(tmp_path / "*.tif")]))
    broken = Bright()

    def fail(*_):
        raise EngineError("the server is gone")

    steps = run_here(archive, broken, SceneWriter(archive))
    assert len([next(steps) for _ in range(4)]) == 4
    broken.answer = fail
    with pytest.raises(EngineError, match="last 50 windows got no answer: the server is gone"):
        list(steps)
    failed = [number for number in range(40) if "error" in (archive.job.entry(number) or {})]
    assert failed == list(range(4, 4 + 24))  # each window was asked about twice


def test_a_folder_of_other_scenes_is_refused_and_one_is_named(scenes, tmp_path):
    names = [str(tmp_path / "scenes" / name) for name in ("a.tif", "b.tif", "c.tif")]
    run(tmp_path / "job", list_scenes(names[:2]))
    for others, told in (
        (names, "c.tif is listed here and not there; name the same scenes"),
        (names[1:], "a.tif is listed there and not here, .*c.tif is listed here and not there"),
        (names[1::-1], "the same in another order"),
    ):
        with pytest.raises(SettingsError, match=f"holds a job of other scenes: .*{told}"):
            begin(tmp_path / "job", list_scenes(others))
    with pytest.raises(SettingsError, match="another job"):
        Archive(tmp_path / "job", Manifest(list_scenes(names[:2]).scenes), WORK.changed(window=32), Bright().info)


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


def test_a_folder_that_takes_no_more_ends_the_run_in_one_line(scenes, tmp_path):
    listed = list_scenes([str(scenes)])
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "thumbnails").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be written: .*; make room, and give the same command again"):
        run(tmp_path / "job", listed)
    (tmp_path / "job" / "thumbnails").unlink()
    assert sorted(run(tmp_path / "job", listed)) == [0, 1, 2, 3, 4]
    assert set(Counter(windows(tmp_path / "job")).values()) == {1}


def test_a_job_that_ended_before_its_manifest_or_lost_it_goes_on(scenes, tmp_path):
    listed = list_scenes([str(scenes)])
    run(tmp_path / "job", listed, share=(0, 2))
    manifest = tmp_path / "job" / "manifest.jsonl"
    whole = manifest.read_text()
    for left in ("", whole[:30]):
        manifest.write_text(left)
        begin(tmp_path / "job", listed)
        assert manifest.read_text() == whole
    manifest.unlink()
    assert sorted(run(tmp_path / "job", listed)) == [1, 3]


def test_the_folder_of_one_scene_is_refused(scenes, tmp_path):
    with WORK.open(Bright(), list_scenes([str(scenes)]).scenes[0].open(), job=tmp_path / "job").look.scene:
        pass
    with pytest.raises(SettingsError, match="holds the job of one scene"):
        begin(tmp_path / "job", list_scenes([str(scenes)]))


def test_names_of_every_script_are_told_apart(tmp_path):
    for place, name in enumerate(("東京 湾", "東京/湾", "ā", "a b", "a_b", "a+b", "..", "x" * 200)):
        path = tmp_path / "scenes" / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_scene(path, place=(1000 * place, 0))
    job = tmp_path / "job"
    entries = run(job, list_scenes([str(tmp_path / "scenes" / "**" / "*.tif")]))
    assert [entry["rows"] for entry in entries.values()] == [1] * 7  # a name that begins with a dot is hidden
    assert len({name for name, _, _ in rows(job)}) == 7
    assert "東京" in (job / "report.html").read_text(encoding="utf-8")
    assert all(path.name.isascii() for path in job.rglob("*"))


def test_results_are_no_scenes_of_the_same_job(tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        Image.new("RGB", (64, 64), name == "a" and "white").save(tmp_path / f"{name}.jpg")
    words = [str(tmp_path / "**" / "*.jpg")]
    run(tmp_path / "job", list_scenes(words, without=tmp_path / "job"))
    assert len(list((tmp_path / "job" / "thumbnails").iterdir())) == 2
    again = list_scenes(words, without=tmp_path / "job")
    assert [scene.name for scene in again.scenes] == ["a", "b"]
    assert run(tmp_path / "job", again) == {}
