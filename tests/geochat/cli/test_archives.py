"""`geochat find` and `geochat describe` over many scenes, and `geochat jobs`."""

import json
import shutil

import pytest
import rasterio

from geochat.cli import main

SHIP, NONE = "<p>ship</p> {<10><20><30><40>|<90>}", "There is none."
WINDOWS = ["--window", "100", "--overlap", "0"]


@pytest.fixture
def scenes(geotiff, tmp_path):
    """Two scenes of two windows."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("a.tif", "b.tif"):
        shutil.copy(geotiff, folder / name)
        with rasterio.open(folder / name, "r+") as scene:
            scene.update_tags(scene=name)
    return folder


def test_many_scenes_into_one_folder(answering, scenes, tmp_path, capsys):
    job = tmp_path / "job"
    engine = answering(SHIP, NONE, SHIP, SHIP)
    words = ["find", str(scenes / "a.tif"), str(scenes / "b.tif"), "-q", "ships", *WINDOWS, "--job", str(job)]
    assert main([*words, "--format", "geopackage"]) == 0
    said = capsys.readouterr()
    assert "scenes: 2 of 2 done, 0 failed" in said.out
    assert "rows: 3" in said.out
    assert sorted(path.name for path in (job / "layers").iterdir()) == ["000000-a.gpkg", "000001-b.gpkg"]
    assert main(words) == 0
    assert len(engine.requests) == 4
    assert "2 of them done" in capsys.readouterr().err


def test_a_missing_scene_makes_the_exit_status_1(answering, scenes, tmp_path, capsys):
    answering(SHIP, NONE, SHIP, SHIP)
    names = tmp_path / "names.txt"
    names.write_text("scenes/a.tif\nscenes/gone.tif\nscenes/b.tif\nscenes/../scenes/a.tif\n")
    job = tmp_path / "job"
    assert main(["find", "--scenes", str(names), "ships", *WINDOWS, "--job", str(job)]) == 1
    said = capsys.readouterr()
    assert "gone.tif" in said.err
    assert f"{scenes}/../scenes/a.tif is skipped: same file as {scenes / 'a.tif'}" in said.err
    assert "scenes: 3 of 3 done, 1 failed" in said.out
    assert main(["jobs", "show", str(job), "--json"]) == 1
    status = json.loads(capsys.readouterr().out)
    assert (status["failed"], status["left"], status["rows"], status["seconds_left"]) == (1, 0, 3, 0.0)
    assert status["workers"][0]["windows"] == 4
    assert main(["jobs", "show", str(job)]) == 1
    assert "windows, " in capsys.readouterr().out


def test_copies_are_skipped_and_named(answering, scenes, tmp_path, capsys):
    engine = answering(*[SHIP] * 4)
    shutil.copy(scenes / "a.tif", scenes / "z.tif")
    words = ["find", "--scenes", str(scenes), str(scenes / "b.tif"), "-q", "ships", *WINDOWS, "--job"]
    assert main([*words, str(tmp_path / "job")]) == 0
    said = capsys.readouterr()
    assert f"{scenes / 'z.tif'} is skipped: same content as {scenes / 'a.tif'}" in said.err
    assert f"{scenes / 'b.tif'} is skipped: same file as {scenes / 'b.tif'}" in said.err
    assert "scenes: 2 of 2 done" in said.out
    assert len(engine.requests) == 4
    listed = [json.loads(line) for line in (tmp_path / "job" / "duplicates.jsonl").read_text().splitlines()]
    assert [(each["source"], each["same"]) for each in listed] == [
        (str(scenes / "b.tif"), "file"),
        (str(scenes / "z.tif"), "content"),
    ]


def test_parts_of_an_array(answering, scenes, tmp_path, capsys):
    answering(*[SHIP] * 4)
    words = ["find", "--scenes", str(scenes), "ships", *WINDOWS, "--job", str(tmp_path / "job"), "--split"]
    assert main([*words, "2/2"]) == 0
    assert "1 scenes are left to other processes" in capsys.readouterr().err
    assert main([*words, "1/2"]) == 0
    assert "scenes: 2 of 2 done" in capsys.readouterr().out


def test_scenes_described(answering, scenes, tmp_path, capsys):
    answering("a field", "forest", "a harbour", "harbor")
    words = ["describe", str(scenes / "a.tif"), str(scenes / "b.tif"), "--classes", "harbor,forest"]
    assert main([*words, "--job", str(tmp_path / "job")]) == 0
    assert "rows: 2" in capsys.readouterr().out
    page = (tmp_path / "job" / "report.html").read_text()
    assert "describe: caption, scene" in page


def test_what_it_will_cost(answering, scenes, capsys):
    answering(*[SHIP] * 4)
    assert main(["find", "--scenes", str(scenes), "ships", *WINDOWS, "--dry-run", "--workers", "4"]) == 0
    said = capsys.readouterr().out
    assert "2 scenes x 2 windows x" in said
    assert "by 4 workers like it" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["find", "--scenes", "SCENES", "ships"], "--job DIR"),
        (["find", "--scenes", "SCENES", "ships", "--job", "job", "-o", "a.gpkg"], "-o is the layer of one scene"),
        (["find", "--scenes", "nothing/*.tif", "ships", "--job", "job"], "no file matches"),
        (["find", "--scenes", "gone.txt", "ships", "--job", "job"], "cannot be read"),
        (["find", "--scenes", "SCENES", "--job", "job"], "nothing to find"),
        (["find", "-q", "ships"], "there is no scene"),
        (["describe"], "there is no scene"),
        (["find", "--scenes", "SCENES", "ships", "--job", "job", "--ray", "local", "--workers", "0"], "--workers 0"),
        (["find", "--scenes", "SCENES", "ships", "--job", "job", "--ray", "local", "--split", "1/2"], "--split"),
        (["jobs", "show", "SCENES"], "no manifest"),
    ],
)
def test_what_cannot_be_done_is_one_line(answering, scenes, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    answering()
    assert main([str(scenes) if word == "SCENES" else word for word in words]) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_ray_that_is_not_installed(answering, scenes, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    answering()
    words = ["find", "--scenes", str(scenes), "ships", "--job", str(tmp_path / "job"), "--ray", "local"]
    assert main(words) == 1
    assert "install geochat[ray]" in capsys.readouterr().err
