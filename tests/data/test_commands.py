"""`geochat data` from labels to an index."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from geochat.errors import DataError
from geochat_data.readers import DataSource, read
from geochat_data.readers.boxes import write_boxes
from geochat_data.samples import read_samples
from geochat_data.synthetic import render_scene


def test_the_commands_on_a_dota_folder(tmp_path, scenes, capsys, geochat_data):
    (tmp_path / "dota" / "images").mkdir(parents=True)
    (tmp_path / "dota" / "labelTxt").mkdir()
    for number, scene in enumerate(scenes[:8]):
        scene.open().save(tmp_path / "dota" / "images" / f"{number}.png")
        lines = [
            " ".join([*(f"{v:.1f}" for corner in item.polygon for v in corner), item.category.replace(" ", "-"), "0"])
            for item in scene.objects
        ]
        (tmp_path / "dota" / "labelTxt" / f"{number}.txt").write_text("\n".join([*lines, *["oops"] * (number == 7)]))
    out, report = tmp_path / "train.json", tmp_path / "report.json"
    build = ("build", "dota", tmp_path / "dota", "--out", out, "--questions", "4", "--packed", "--report", report)
    assert geochat_data(*build) == 0
    told = capsys.readouterr().err
    assert "8 used, 1 skipped: 1 malformed line" in told
    assert "labels unused: 1, images with a category unknown: 1" in told
    account = json.loads(report.read_text())
    assert account["reasons"]["malformed line"]["count"] == account["unused_labels"] == 1
    assert account["unknown"] == {"images": 1, "categories": {"any category": 1}}
    before = out.read_bytes()
    with pytest.raises(DataError, match="malformed line"):
        geochat_data(*build, "--strict")
    assert out.read_bytes() == before, "a build that fails leaves the last file as it was"
    assert not list(tmp_path.glob("*.part"))
    geochat_data(*build)
    assert len(list(read_samples(out))) >= 6
    images = tmp_path / "dota"
    assert geochat_data("check", out, "--images", images) == 0
    assert geochat_data("check", out, "--images", images, "--against", images / "images", "--json") == 1
    tiled = ("build", "dota", tmp_path / "dota", "--out", tmp_path / "tiles.jsonl", "--tile", 64)
    assert geochat_data(*tiled) == 0
    assert geochat_data("check", tmp_path / "tiles.jsonl", "--images", tmp_path / "tiles_images") == 0
    sheet, plots, index = tmp_path / "sheet.png", tmp_path / "plots.png", tmp_path / "train.arrow"
    assert geochat_data("show", out, "--images", images, "--out", sheet, "--count", 3, "--seed", 1) == 0
    with pytest.raises(DataError, match="none of the images"):
        geochat_data("show", out, "--images", tmp_path / "elsewhere", "--out", sheet)
    assert geochat_data("stats", out, "--plots", plots) == 0
    assert geochat_data("index", out) == 0
    assert index.is_file()
    with Image.open(sheet) as first, Image.open(plots) as second:
        assert min(*first.size, *second.size) > 300
    capsys.readouterr()
    assert geochat_data("stats", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["samples"]["with image"] >= 6


def test_what_is_rare_is_shown_more_often(tmp_path, scenes, capsys, geochat_data):
    ((rare, _),) = Counter(sorted(item.category for scene in scenes for item in scene.objects)).most_common()[-1:]
    holding = [scene for scene in scenes if rare in {item.category for item in scene.objects}]
    assert 0 < len(holding) < len(scenes)
    write_boxes(tmp_path / "labelled", scenes)
    out = tmp_path / "more.jsonl"
    build = ("build", "boxes", tmp_path / "labelled", "--out", out, "--holding", f" {rare}", "--views", 3, "--seed", 5)
    assert geochat_data(*build) == 0
    images = tmp_path / "more_images"
    assert str(images) in capsys.readouterr().err
    views = list(images.glob("*_v5.[123]-*.png"))  # one in which nothing can be asked about is not written
    assert len(holding) < len(views) <= 3 * len(holding)
    assert len(list(images.iterdir())) - len(views) == len(holding)
    assert geochat_data("check", out, "--images", images) == 0
    with pytest.raises(SystemExit):
        geochat_data(*build[:-4], "--views", 0)


def test_scenes_are_written_with_their_labels(tmp_path, capsys, geochat_data, scenes):
    assert geochat_data("render", tmp_path, "--count", 4, "--size", 96, "--seed", 20) == 0
    assert "4 scenes" in capsys.readouterr().out
    for record, seed in zip(read("boxes", DataSource(tmp_path)), range(20, 24), strict=True):
        scene = render_scene(seed, 96)
        assert np.array_equal(np.asarray(record.open()), scene.pixels)
        assert [i.category for i in record.objects] == [i.category for i in scene.objects]
        assert (record.scene, record.labelled) == (scene.scene, scene.labelled)
    with pytest.raises(DataError, match="choose another"):
        geochat_data("render", tmp_path / "boxes.jsonl", "--count", 1)


@pytest.mark.parametrize(
    "wrong", [("render", "d", "--seed", "-1"), ("show", "f", "--count", "0"), ("build", "dota", "d", "--tile", "x")]
)
def test_wrong_numbers_are_wrong_usage(wrong, capsys, geochat_data):
    with pytest.raises(SystemExit):
        geochat_data(*wrong)
    assert "not a whole number" in capsys.readouterr().err


def test_a_folder_of_classes_asks_for_its_own(tmp_path, scenes, geochat_data):
    for number, scene in enumerate(scenes[:6]):
        folder = tmp_path / "set" / ("Solar_Farm" if number % 2 else "quarry")
        folder.mkdir(parents=True, exist_ok=True)
        scene.open().save(folder / f"{number}.png")
    assert geochat_data("build", "folders", tmp_path / "set", "--out", tmp_path / "f.jsonl") == 0
    samples = list(read_samples(tmp_path / "f.jsonl"))
    assert {s.messages[1].text for s in samples} == {"solar farm", "quarry"}
    assert all("solar farm" in s.messages[0].text and "quarry" in s.messages[0].text for s in samples)
