"""`geochat find`, `geochat count` and `geochat describe`, with a model that says what the test says."""

import json

import pytest

from geochat.cli import main
from geochat.errors import GeoChatError
from geochat.exports import read_vector_layer

SHIP, NONE = "<p>ship</p> {<10><20><30><40>|<90>}", "There is none."


def test_objects_are_printed_and_written(answering, geotiff, tmp_path, capsys):
    answering(SHIP, NONE, SHIP)
    out = tmp_path / "ships.gpkg"
    assert main(["find", str(geotiff), "ships", "--window", "100", "--overlap", "20", "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == "ships: 2\n"
    assert "Windows: 3 of 100 x 100 pixels, overlapping by 20, 500 m on the ground" in said.err
    assert f"wrote {out}" in said.err
    layer = read_vector_layer(out)
    assert (len(layer), layer.crs) == (2, "EPSG:26914")
    assert (tmp_path / "ships.gpkg.job" / "job.json").is_file()


def test_a_job_that_is_done_is_not_computed_again(answering, geotiff, tmp_path, capsys):
    words = ["find", str(geotiff), "ships", "--window", "100", "--overlap", "20", "--job", str(tmp_path / "job")]
    engine = answering(SHIP, NONE, SHIP)
    assert main(words) == 0
    assert main([*words, "-o", str(tmp_path / "a.geojson"), "-o", str(tmp_path / "b.fgb")]) == 0
    assert len(engine.requests) == 3
    assert len(json.loads((tmp_path / "a.geojson").read_text())["features"]) == 2
    assert (tmp_path / "b.fgb").is_file()
    assert capsys.readouterr().out == "ships: 2\n" * 2


def test_objects_as_json_lines(answering, geotiff, capsys):
    answering(SHIP, NONE, SHIP)
    assert main(["find", str(geotiff), "ships", "--window", "100", "--overlap", "20", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["phrase"], row["window"]) for row in rows] == [
        ("ships", [0, 0, 100, 100]),
        ("ships", [100, 0, 100, 100]),
    ]
    assert rows[0]["crs"] == "EPSG:26914"
    assert (rows[0]["length_m"], rows[0]["area_m2"]) == (pytest.approx(100, rel=2e-3), pytest.approx(10_000, rel=4e-3))


def test_two_phrases_and_a_limit(answering, geotiff, capsys):
    engine = answering(*[SHIP.replace("ship", name) for name in ("ship", "tank")] * 3)
    assert main(["find", str(geotiff), "ships", "--limit", "1", "tanks", "--window", "100", "--overlap", "0"]) == 0
    assert capsys.readouterr().out == "ships: 1\ntanks: 0\n"
    assert len(engine.requests) == 4


def test_windows_that_fail_make_the_exit_status_1(answering, geotiff, tmp_path, capsys):
    engine = answering()
    engine.answers = [SHIP, SHIP]
    words = ["find", str(geotiff), "ships", "--window", "100", "--overlap", "0", "-o", str(tmp_path / "a.gpkg")]
    failing = engine._write

    def broken(text, request_id):
        if len(engine.requests) > 1:
            engine.answers.append(SHIP)
            raise GeoChatError("no answer")
        return failing(text, request_id)

    engine._write = broken
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.out == "ships: 1\n"
    assert "1 window: failed: no answer" in said.err
    assert len(read_vector_layer(tmp_path / "a.gpkg", "not_looked_at")) == 1


def test_parts_leave_the_rest_to_others(answering, geotiff, tmp_path, capsys):
    engine = answering(*[NONE] * 50)
    out = tmp_path / "a.geojson"
    words = ["find", str(geotiff), "ships", "--window", "20", "--overlap", "0", "-o", str(out), "--split"]
    assert main([*words, "2/2"]) == 0
    said = capsys.readouterr()
    assert "32 windows are left to other processes" in said.err
    assert not said.out
    assert not out.exists()
    assert main([*words, "1/2"]) == 0
    assert out.exists()
    assert capsys.readouterr().out == "ships: 0\n"
    assert len(engine.requests) == 50


def test_an_interrupt_writes_what_there_is(answering, geotiff, tmp_path, capsys):
    engine = answering(SHIP, SHIP, SHIP)
    write = engine._write

    def interrupted(text, request_id):
        if len(engine.requests) == 3:
            raise KeyboardInterrupt
        return write(text, request_id)

    engine._write = interrupted
    out = tmp_path / "ships.geojson"
    assert main(["find", str(geotiff), "ships", "--window", "100", "--overlap", "20", "-o", str(out)]) == 130
    said = capsys.readouterr()
    assert "interrupted; 2 of 3 windows are done; the same command goes on from" in said.err
    assert len(json.loads(out.read_text())["features"]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["find", "SCENE", "ships", "-o", "ships.xyz"], "endings that name a format"),
        (["find", "SCENE", "ships", "-o", "nowhere/ships.gpkg"], "no folder"),
        (["find", "gone.tif", "ships"], "does not exist"),
        (["find", "SCENE", "ships", "--aoi", "gone.geojson"], "cannot be read"),
        (["find", "SCENE", "ships", "--window", "40", "--overlap", "50"], "does not fit windows"),
        (["find", "SCENE", "ships", "--limit", "0"], "limit=0"),
        (["find", "SCENE", " "], "nothing to find"),
    ],
)
def test_what_cannot_be_done_is_one_line(answering, geotiff, capsys, monkeypatch, tmp_path, words, message):
    monkeypatch.chdir(tmp_path)
    answering()
    assert main([str(geotiff) if word == "SCENE" else word for word in words]) == 1
    said = capsys.readouterr().err.splitlines()
    assert message in said[-1]
    assert len(said) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--window", "a"],
        ["--window", "1,2,3"],
        ["--overlap", "-1"],
        ["--overlap", "100%"],
        ["--scales", "big"],
        ["--split", "3/2"],
    ],
)
def test_words_that_are_no_values(answering, geotiff, capsys, words):
    with pytest.raises(SystemExit) as ended:
        main(["find", str(geotiff), "ships", *words])
    assert ended.value.code == 2


def test_counts_and_their_cells(answering, geotiff, tmp_path, capsys):
    answering(SHIP, NONE, SHIP)
    out = tmp_path / "cells.geojson"
    words = ["count", str(geotiff), "ships", "--window", "100", "--overlap", "20", "-o", str(out)]
    assert main(words) == 0
    assert main([*words, "--json"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("ships: 2\n")
    assert json.loads(said.removeprefix("ships: 2\n")) == {"ships": 2}
    cells = json.loads(out.read_text())["features"]
    assert [cell["properties"]["ships"] for cell in cells] == [1, 1]


def test_a_scene_described_as_a_whole(answering, geotiff, capsys):
    engine = answering("a harbour", "harbor", "yes")
    words = ["describe", str(geotiff), "--classes", "harbor,forest", "--ask", "Is there water?"]
    assert main(words) == 0
    assert capsys.readouterr().out == "caption: a harbour\nscene: harbor\nis_there_water: yes\n"
    assert len(engine.requests) == 3


def test_a_scene_described_window_by_window(answering, geotiff, tmp_path, capsys):
    answering("a field", "forest", "a harbour", "harbor")
    out = tmp_path / "grid.gpkg"
    words = ["describe", str(geotiff), "--grid", "--window", "100", "--classes", "harbor,forest", "-o", str(out)]
    assert main(words) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == ["forest: 1", "harbor: 1"]
    layer = read_vector_layer(out)
    assert layer.columns["caption"].tolist() == ["a field", "a harbour"]
    assert main([*words, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[1] == {
        "window": [100, 0, 100, 100],
        "caption": "a harbour",
        "scene": "harbor",
        "scene_probability": None,
    }
